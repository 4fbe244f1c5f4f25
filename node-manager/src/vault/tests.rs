//! The vault's promises: nothing kept is lost, nothing half written, nothing read that was not written.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use tempfile::TempDir;
use waku_noise_session::manager::Stamps;
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::reason::Reason;
use waku_pairing::record::{Confirmation, Stage, TakenLetters};

use super::*;

fn record(n: u8) -> PeerRecord {
    let identity = Identity::from_seed(&Seed::from([n; 32]));
    PeerRecord {
        identity: identity.key(),
        noise: [n; 32].into(),
        label: format!("peer {n}").parse().unwrap(),
        alias: None,
        transcript: [n; 32],
        sas: None,
        created: 1_760_000_000,
        last_heard: Some(1_760_000_001),
        stamps: Stamps::default(),
        code: None,
        letters: TakenLetters::default(),
        stage: Stage::Confirmed(Confirmation { compared: true, at: 1_760_000_000, acknowledged: true }),
    }
}

fn put(n: u8) -> Change {
    Change::PutPeer(Box::new(record(n)))
}

fn bury(n: u8) -> [Change; 2] {
    let PeerRecord { identity, noise, transcript, .. } = record(n);
    let tombstone = Tombstone {
        identity,
        noise,
        transcript,
        attempts: Vec::new(),
        at: 7,
        reason: Reason::Unpaired,
        code: None,
    };
    [Change::RemovePeer(record(n).id()), Change::PutTombstone(Box::new(tombstone))]
}

fn open(directory: &TempDir) -> Result<Vault, VaultError> {
    Vault::open(&directory.path().join("data"), Part::NodeManager)
}

#[test]
fn keeps_what_it_was_given() {
    let directory = TempDir::new().unwrap();
    let mut vault = open(&directory).unwrap();
    let seed = *vault.seed().as_bytes();
    vault.apply(&[put(1), put(2)]).unwrap();
    vault.apply(&bury(1)).unwrap();
    let kept = vault.load().unwrap();
    drop(vault);
    let mut vault = open(&directory).unwrap();
    assert_eq!(vault.seed().as_bytes(), &seed);
    let stored = vault.load().unwrap();
    assert_eq!(stored, kept);
    assert_eq!(stored.peers.values().collect::<Vec<_>>(), [&record(2)]);
    assert_eq!(stored.tombstones.len(), 1);
}

#[test]
fn is_for_its_owner_alone() {
    let directory = TempDir::new().unwrap();
    drop(open(&directory).unwrap());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.path().join("data")), 0o700);
    assert_eq!(mode(directory.path().join("data/vault.redb")), 0o600);
}

#[test]
fn is_taken_from_others_where_they_could_look() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::create_dir(&data).unwrap();
    for round in ["made by hand", "back from a backup"] {
        set(&data, 0o777);
        drop(open(&directory).unwrap());
        assert_eq!((mode(&data), mode(&data.join("vault.redb"))), (0o700, 0o600), "{round}");
        set(&data.join("vault.redb"), 0o644);
    }
}

#[test]
fn is_not_put_where_others_may_look_among_other_things() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("of somebody"), b"").unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(open(&directory), Err(VaultError::Shared { .. })));
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o755, "it was left alone");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    open(&directory).unwrap();
}

#[test]
fn is_open_in_one_place_at_a_time() {
    let directory = TempDir::new().unwrap();
    let first = open(&directory).unwrap();
    assert!(matches!(open(&directory), Err(VaultError::InUse { .. })));
    drop(first);
    open(&directory).unwrap();
}

#[test]
fn is_not_opened_as_the_other_part() {
    let directory = TempDir::new().unwrap();
    drop(open(&directory).unwrap());
    let other = Vault::open(&directory.path().join("data"), Part::App);
    assert!(matches!(other, Err(VaultError::OtherPart { wanted: Part::App, .. })));
}

#[test]
fn a_vault_that_was_not_finished_is_made_anew() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("vault.new"), b"half of a").unwrap();
    open(&directory).unwrap();
    assert!(!data.join("vault.new").exists());
}

#[test]
fn a_later_format_is_named_and_left_alone() {
    let directory = TempDir::new().unwrap();
    drop(open(&directory).unwrap());
    let path = directory.path().join("data/vault.redb");
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", [9].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(open(&directory), Err(VaultError::UnknownFormat { format: 9, .. })));
}

/// A flipped byte anywhere is noticed, or it lies where nothing is stored.
#[test]
fn damage_is_noticed_and_nothing_is_made_up() {
    let directory = TempDir::new().unwrap();
    let mut vault = open(&directory).unwrap();
    let seed = *vault.seed().as_bytes();
    vault.apply(&[put(1), put(2), put(3)]).unwrap();
    let kept = vault.load().unwrap();
    drop(vault);
    let path = directory.path().join("data/vault.redb");
    let whole = fs::read(&path).unwrap();
    let (mut noticed, mut damaged) = (0, whole.clone());
    for at in (0..whole.len()).filter(|at| whole[*at] != 0).step_by(37) {
        fs::write(&path, &whole).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[whole[at] ^ 0x55], u64::try_from(at).unwrap()).unwrap();
        drop(file);
        match open(&directory) {
            Ok(mut vault) => {
                assert_eq!(vault.seed().as_bytes(), &seed, "byte {at}");
                assert_eq!(vault.load().unwrap(), kept, "byte {at}");
            }
            Err(VaultError::Damaged { .. } | VaultError::UnknownFormat { .. }) => {
                noticed += 1;
                damaged[at] ^= 0x55;
                assert!(fs::read(&path).unwrap() == damaged, "byte {at}: it was not left as it was");
                damaged[at] ^= 0x55;
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(noticed > 5, "{noticed}");
}

#[test]
fn a_file_that_is_no_vault_is_named_and_left_alone() {
    for content in [&b""[..], b"something else entirely", &[0; 4096]] {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("vault.redb"), content).unwrap();
        let error = open(&directory).err().expect("it is no vault");
        assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(data.join("vault.redb")).unwrap(), content);
    }
}

/// A disk in memory that is full after so many writes.
#[derive(Debug, Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    writes_left: Arc<AtomicUsize>,
}

impl Disk {
    fn new() -> Self {
        Self { bytes: Arc::default(), writes_left: Arc::new(AtomicUsize::new(usize::MAX)) }
    }

    fn use_up(&self) -> io::Result<()> {
        let left = |left: usize| left.checked_sub(1);
        match self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.bytes.lock().unwrap().len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.bytes.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.use_up()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.use_up()?;
        let start = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn vault_on(disk: &Disk) -> Vault {
    let disk = disk.clone();
    let open = move || {
        let opened = redb::Builder::new().create_with_backend(disk.clone());
        opened.map_err(|error| VaultError::damaged(Path::new("disk"), error))
    };
    let database = open().unwrap();
    if database.begin_read().unwrap().open_table(META).is_err() {
        initialize(&database, Part::NodeManager).unwrap();
    }
    drop(database);
    Vault::with("disk".into(), Part::NodeManager, open).unwrap()
}

#[test]
fn a_disk_that_is_full_at_any_write_costs_only_the_change_that_failed() {
    for writes in 0.. {
        let disk = Disk::new();
        let mut vault = vault_on(&disk);
        vault.apply(&[put(1)]).unwrap();
        disk.writes_left.store(writes, Ordering::SeqCst);
        let failed = vault.apply(&[put(2), Change::RemovePeer(record(1).id())]).is_err();
        disk.writes_left.store(usize::MAX, Ordering::SeqCst);
        let expected = if failed { record(1) } else { record(2) };
        assert_eq!(
            vault.load().unwrap().peers.into_values().collect::<Vec<_>>(),
            [expected],
            "{writes} writes"
        );
        // And the vault is as good as before.
        vault.apply(&[put(3)]).unwrap();
        assert!(vault.load().unwrap().peers.contains_key(&record(3).id()));
        if !failed {
            assert!(writes > 2, "the disk was never full");
            break;
        }
    }
}
