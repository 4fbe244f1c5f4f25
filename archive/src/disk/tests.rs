//! The file's promises: nothing kept is lost, nothing half written, nothing found that was not kept.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::backends::InMemoryBackend;
use redb::{ReadableTable, ReadableTableMetadata, StorageBackend, TableDefinition};
use tempfile::TempDir;

use super::super::tests::{OTHER_TOPIC, SHARD, envelope, envelope_on, envelopes, everything, timestamps};
use super::*;

/// An archive on a disk that is memory and never fails.
pub(in super::super) fn in_memory() -> RedbArchive {
    RedbArchive::with("memory".into(), || {
        let database = redb::Builder::new().create_with_backend(InMemoryBackend::new()).unwrap();
        tables::initialize(&database).unwrap();
        Ok(Opened { database, find: Box::new(|| Ok(())) })
    })
    .unwrap()
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("archive.redb")
}

fn open(folder: &TempDir) -> Result<RedbArchive, OpenError> {
    RedbArchive::open_with_cache(path(folder), 1 << 20)
}

/// A closed archive with messages at 1, 2 and 3.
fn filled() -> TempDir {
    let folder = TempDir::new().unwrap();
    open(&folder).unwrap().insert(&envelopes(1..=3)).unwrap();
    folder
}

#[test]
fn keeps_what_it_was_given() {
    let folder = filled();
    let archive = open(&folder).unwrap();
    archive.insert(&envelopes([4])).unwrap();
    assert_eq!(archive.prune(&Keep { since: Some(2), ..Keep::default() }, 10).unwrap(), 1);
    let stats = archive.stats().unwrap();
    drop(archive);
    let archive = open(&folder).unwrap();
    assert_eq!(timestamps(&archive), [2, 3, 4]);
    assert_eq!(archive.stats().unwrap(), stats);
    archive.verify().unwrap();
}

#[test]
fn is_for_its_owner_alone() {
    let folder = filled();
    assert_eq!(fs::metadata(path(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn is_open_in_one_place_at_a_time() {
    let folder = TempDir::new().unwrap();
    let first = open(&folder).unwrap();
    assert!(matches!(open(&folder), Err(OpenError::InUse { .. })));
    first.insert(&envelopes([1])).unwrap();
    drop(first);
    assert_eq!(timestamps(&open(&folder).unwrap()), [1]);
}

#[test]
fn an_archive_that_was_not_finished_is_made_anew() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("archive.redb.new"), b"half of an").unwrap();
    open(&folder).unwrap();
    assert!(!folder.path().join("archive.redb.new").exists());
}

#[test]
fn a_folder_that_is_missing_is_told_and_not_made() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let error = RedbArchive::open(missing.join("archive.redb")).unwrap_err();
    assert!(
        matches!(&error, OpenError::File { error, .. } if error.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
    assert!(!missing.exists());
}

/// Changes a closed archive behind its back.
fn tamper(folder: &TempDir, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path(folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn another_format_is_named_and_left_alone() {
    let folder = filled();
    tamper(&folder, |transaction| {
        transaction.open_table(tables::ARCHIVE).unwrap().insert("format", 2).unwrap();
    });
    let before = fs::read(path(&folder)).unwrap();
    assert!(matches!(open(&folder), Err(OpenError::UnknownFormat { format: 2, .. })));
    assert!(fs::read(path(&folder)).unwrap() == before, "it was not left as it was");
}

#[test]
fn an_archive_that_lacks_a_table_is_not_opened() {
    let folder = filled();
    tamper(&folder, |transaction| assert!(transaction.delete_table(tables::BY_TOPICS).unwrap()));
    let error = open(&folder).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { what, .. } if what.contains("by_topics")), "{error}");
}

#[test]
fn a_file_that_is_no_archive_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let database = Database::create(path(&folder)).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = TableDefinition::<&str, &[u8]>::new("archive");
    transaction.open_table(table).unwrap().insert("format", [1].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let other_database = fs::read(path(&folder)).unwrap();
    for content in [&b""[..], b"something else entirely", &[0; 4096], &other_database] {
        fs::write(path(&folder), content).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(fs::read(path(&folder)).unwrap() == content, "it was not left as it was");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_left_alone() {
    let folder = filled();
    let whole = fs::read(path(&folder)).unwrap();
    for part in 0..40 {
        let cut = &whole[..whole.len() * part / 40];
        fs::write(path(&folder), cut).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(fs::read(path(&folder)).unwrap() == cut, "{} bytes: it was not left as it was", cut.len());
    }
}

/// A flipped byte anywhere is noticed, or it lies where nothing is kept.
#[test]
fn damage_never_brings_up_what_was_not_kept() {
    let folder = filled();
    let whole = fs::read(path(&folder)).unwrap();
    let expected = open(&folder).unwrap().query(&everything()).unwrap();
    let (mut refused, mut noticed) = (0, 0);
    for at in (0..whole.len()).filter(|at| whole[*at] != 0).step_by(101) {
        fs::write(path(&folder), &whole).unwrap();
        let file = OpenOptions::new().write(true).open(path(&folder)).unwrap();
        file.write_all_at(&[whole[at] ^ 0x55], u64::try_from(at).unwrap()).unwrap();
        match open(&folder) {
            Err(_) => {
                refused += 1;
                let mut damaged = whole.clone();
                damaged[at] ^= 0x55;
                assert!(fs::read(path(&folder)).unwrap() == damaged, "byte {at}: it was not left as it was");
            }
            Ok(archive) => match (archive.verify(), archive.query(&everything())) {
                (Ok(()), page) => assert_eq!(page.unwrap(), expected, "byte {at}"),
                (Err(_), _) => noticed += 1,
            },
        }
    }
    assert!(refused > 2 && noticed > 2, "{refused} {noticed}");
}

#[test]
fn an_index_that_does_not_fit_is_found() {
    fn first<const N: usize, V: redb::Value + 'static>(
        table: &impl ReadableTable<&'static [u8; N], V>,
    ) -> [u8; N] {
        *table.first().unwrap().unwrap().0.value()
    }
    type Change = fn(&redb::WriteTransaction);
    let changes: [Change; 7] = [
        |transaction| {
            let mut table = transaction.open_table(tables::BY_HASH).unwrap();
            let key = first(&table);
            table.remove(&key).unwrap();
        },
        |transaction| {
            let mut table = transaction.open_table(tables::BY_HASH).unwrap();
            let key = first(&table);
            table.insert(&key, 9).unwrap();
        },
        |transaction| {
            let mut table = transaction.open_table(tables::BY_PUBSUB).unwrap();
            let key = first(&table);
            table.remove(&key).unwrap();
        },
        |transaction| {
            let mut table = transaction.open_table(tables::BY_TOPICS).unwrap();
            let key = first(&table);
            table.remove(&key).unwrap();
        },
        |transaction| _ = transaction.open_table(tables::BY_TOPICS).unwrap().insert(&[7; 72], ()).unwrap(),
        |transaction| _ = transaction.open_table(tables::ARCHIVE).unwrap().insert("bytes", 1).unwrap(),
        |transaction| {
            let mut table = transaction.open_table(tables::TIMELINE).unwrap();
            let key = first(&table);
            let (topic, message) = (SHARD.as_bytes(), envelope(2).bytes().clone());
            table.insert(&key, (topic, message.as_ref())).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let folder = filled();
        open(&folder).unwrap().verify().unwrap();
        tamper(&folder, change);
        let error = open(&folder).unwrap().verify().unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "change {number}: {error}");
    }
}

#[test]
fn a_message_that_is_not_what_was_stored_is_not_handed_out() {
    let folder = filled();
    tamper(&folder, |transaction| {
        let mut table = transaction.open_table(tables::TIMELINE).unwrap();
        let forged = envelope_on(SHARD, OTHER_TOPIC, 1);
        let key = *table.first().unwrap().unwrap().0.value();
        table.insert(&key, (SHARD.as_bytes(), forged.bytes().as_ref())).unwrap();
    });
    let error = open(&folder).unwrap().query(&everything()).unwrap_err();
    assert!(matches!(error, QueryError::Archive(ArchiveError::Damaged { .. })), "{error}");
}

#[test]
fn deleted_messages_leave_nothing_in_any_table() {
    let folder = TempDir::new().unwrap();
    let archive = open(&folder).unwrap();
    let batch: Vec<_> = (0..50).map(|at| envelope_on(SHARD, &format!("topic {at}"), at)).collect();
    archive.insert(&batch).unwrap();
    assert_eq!(archive.prune(&Keep { messages: Some(0), ..Keep::default() }, 100).unwrap(), 50);
    archive.verify().unwrap();
    drop(archive);
    let database = Database::open(path(&folder)).unwrap();
    let snapshot = tables::Snapshot::of(&database).unwrap();
    let left = [
        snapshot.timeline.len().unwrap(),
        snapshot.by_hash.len().unwrap(),
        snapshot.by_pubsub.len().unwrap(),
        snapshot.by_topics.len().unwrap(),
    ];
    assert_eq!(left, [0; 4]);
    assert_eq!(snapshot.archive.len().unwrap(), 2);
}

#[test]
fn the_room_of_deleted_messages_is_used_again() {
    let folder = TempDir::new().unwrap();
    let archive = open(&folder).unwrap();
    let keep = Keep { messages: Some(500), ..Keep::default() };
    let mut sizes = Vec::new();
    for round in 0..20 {
        archive.insert(&envelopes(round * 500..(round + 1) * 500)).unwrap();
        archive.prune(&keep, usize::MAX).unwrap();
        sizes.push(fs::metadata(path(&folder)).unwrap().len());
    }
    assert_eq!(sizes[5], sizes[19], "{sizes:?}");
}

#[test]
fn calls_fail_while_the_file_is_not_where_it_was() {
    let folder = filled();
    let archive = open(&folder).unwrap();
    let aside = folder.path().join("aside");
    fs::rename(path(&folder), &aside).unwrap();
    for _ in 0..2 {
        let error = archive.insert(&envelopes([4])).unwrap_err();
        assert!(error.to_string().contains("archive.redb"), "{error}");
        assert!(matches!(archive.query(&everything()), Err(QueryError::Archive(ArchiveError::Storage(_)))));
        assert!(archive.stats().is_err() && archive.prune(&Keep::default(), 1).is_err());
        assert!(!path(&folder).exists(), "it was made anew");
    }
    fs::rename(&aside, path(&folder)).unwrap();
    archive.insert(&envelopes([5])).unwrap();
    assert_eq!(timestamps(&archive), [1, 2, 3, 5]);
}

#[test]
fn a_file_put_in_the_place_of_another_is_used_from_then_on() {
    let (folder, other) = (filled(), TempDir::new().unwrap());
    open(&other).unwrap().insert(&envelopes([9])).unwrap();
    let archive = open(&folder).unwrap();
    fs::rename(path(&other), path(&folder)).unwrap();
    assert!(archive.stats().unwrap_err().to_string().contains("removed or replaced"));
    assert_eq!(timestamps(&archive), [9]);
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    let folder = TempDir::new().unwrap();
    let archive = open(&folder).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..30 {
                archive.insert(&envelopes(batch * 10..(batch + 1) * 10)).unwrap();
            }
            is_done.store(true, Ordering::SeqCst);
        });
        let mut seen = Vec::new();
        while !is_done.load(Ordering::SeqCst) {
            let found = timestamps(&archive);
            assert_eq!(found.len() % 10, 0, "{found:?}");
            assert!(found.iter().copied().eq(0..i64::try_from(found.len()).unwrap()), "{found:?}");
            seen.push(found.len());
        }
        assert!(seen.is_sorted(), "{seen:?}");
    });
    assert_eq!(timestamps(&archive), (0..300).collect::<Vec<_>>());
}

/// A disk in memory that fails after so many writes, or so many reads.
#[derive(Debug, Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    writes_left: Arc<AtomicUsize>,
    reads_left: Arc<AtomicUsize>,
}

impl Disk {
    fn new() -> Self {
        let endless = || Arc::new(AtomicUsize::new(usize::MAX));
        Self { bytes: Arc::default(), writes_left: endless(), reads_left: endless() }
    }

    fn mend(&self) {
        self.writes_left.store(usize::MAX, Ordering::SeqCst);
        self.reads_left.store(usize::MAX, Ordering::SeqCst);
    }

    /// An archive on this disk that keeps almost nothing in memory.
    fn archive(&self) -> RedbArchive {
        let disk = self.clone();
        let open = move || {
            let opened = redb::Builder::new().set_cache_size(0).create_with_backend(disk.clone());
            let database = opened.map_err(|error| OpenError::damaged(Path::new("disk"), error))?;
            Ok(Opened { database, find: Box::new(|| Ok(())) })
        };
        tables::initialize(&open().unwrap().database).unwrap();
        RedbArchive::with("disk".into(), open).unwrap()
    }
}

fn use_up(left: &AtomicUsize) -> io::Result<()> {
    match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
        Ok(_) => Ok(()),
        Err(_) => Err(io::Error::from(io::ErrorKind::StorageFull)),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.bytes.lock().unwrap().len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        use_up(&self.reads_left)?;
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.bytes.lock().unwrap()[start..start + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        use_up(&self.writes_left)?;
        self.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        use_up(&self.writes_left)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        use_up(&self.writes_left)?;
        let start = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_a_batch_whole_or_absent() {
    for writes in 0.. {
        let disk = Disk::new();
        let archive = disk.archive();
        archive.insert(&envelopes(0..5)).unwrap();
        disk.writes_left.store(writes, Ordering::SeqCst);
        let inserted = archive.insert(&envelopes(5..15));
        disk.mend();
        let kept = timestamps(&archive);
        assert!(kept.len() == 15 || (inserted.is_err() && kept.len() == 5), "{writes} writes: {kept:?}");
        archive.verify().unwrap();
        // And the archive is as good as before.
        archive.insert(&envelopes(5..20)).unwrap();
        assert_eq!(timestamps(&archive), (0..20).collect::<Vec<_>>(), "{writes} writes");
        archive.verify().unwrap();
        if inserted.is_ok() {
            assert!(writes > 5, "the disk was never full");
            break;
        }
    }
}

#[test]
fn a_disk_that_is_full_during_a_deletion_leaves_it_whole_or_undone() {
    for writes in 0.. {
        let disk = Disk::new();
        let archive = disk.archive();
        archive.insert(&envelopes(0..20)).unwrap();
        disk.writes_left.store(writes, Ordering::SeqCst);
        let pruned = archive.prune(&Keep { messages: Some(5), ..Keep::default() }, 10);
        disk.mend();
        let kept = timestamps(&archive).len();
        assert!(kept == 10 || (pruned.is_err() && kept == 20), "{writes} writes: {kept}");
        archive.verify().unwrap();
        if pruned.is_ok() {
            assert!(writes > 5, "the disk was never full");
            break;
        }
    }
}

#[test]
fn a_disk_that_cannot_be_read_is_told_and_read_again_when_it_can() {
    let disk = Disk::new();
    let archive = disk.archive();
    archive.insert(&envelopes(0..20)).unwrap();
    let mut failed = 0;
    for reads in 0.. {
        disk.reads_left.store(reads, Ordering::SeqCst);
        let page = archive.query(&everything());
        disk.mend();
        match page {
            Ok(page) => {
                assert_eq!(page.entries.len(), 20);
                break;
            }
            Err(QueryError::Archive(_)) => failed += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(timestamps(&archive).len(), 20, "{reads} reads");
    }
    assert!(failed > 3, "{failed}");
}
