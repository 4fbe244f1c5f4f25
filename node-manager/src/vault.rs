//! The vault: what a party keeps, in one redb file under its data directory.
//!
//! ```text
//! <data directory>/            0700
//!   vault.redb                 0600   format 1
//!     meta        "format" -> 1   "part" -> 1 node manager, 2 app   "seed" -> 32 bytes || SHA-256(seed)[0..8]
//!     peers       pairing id (16 bytes) -> record
//!     tombstones  pairing id (16 bytes) -> record
//! ```
//!
//! Records carry checksums of their own. A vault that cannot be read in full is not opened at all: nothing in it is
//! dropped, repaired by guess or written over. Every change is one transaction, on disk before it is reported done.

mod error;
mod file;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use sha2::{Digest, Sha256};
use waku_noise_session::time::UnixTime;
use waku_pairing::identity::Seed;
use waku_pairing::party::Part;
use waku_pairing::record::{PairingId, PeerRecord, Tombstone};
use waku_pairing::store::{Change, PeerStore, StoreError, Stored};
use zeroize::Zeroizing;

pub use error::VaultError;

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const PEERS: TableDefinition<[u8; 16], &[u8]> = TableDefinition::new("peers");
const TOMBSTONES: TableDefinition<[u8; 16], &[u8]> = TableDefinition::new("tombstones");

/// The format this version writes, and the only one it reads.
const FORMAT: u8 = 1;
const CHECKSUM_LEN: usize = 8;

/// An open vault. Only one process has it open at a time.
pub struct Vault {
    path: PathBuf,
    open: Box<dyn Fn() -> Result<Database, VaultError> + Send>,
    /// `None` after a failed write, until the next use opens it again.
    database: Option<Database>,
    seed: Seed,
    /// What is kept.
    stored: Stored,
}

impl Vault {
    /// Opens the vault in a data directory, or makes both, with a fresh seed.
    ///
    /// # Errors
    /// [`VaultError`] when another process has it open, when it belongs to the other part, or when anything in it
    /// cannot be read.
    pub fn open(directory: &Path, part: Part) -> Result<Self, VaultError> {
        let path = file::prepare(directory)?;
        if !file::exists(directory)? {
            file::create(&path, |database| initialize(database, part))?;
        }
        // redb writes to a file that it opens, and mends what it can: only to one that a copy has shown to be readable.
        read_all(&path, part, || file::copy(&path))?;
        let file = path.clone();
        Self::with(path, part, move || file::open(&file))
    }

    /// Makes a data directory, for its owner alone, or takes one that is there from everybody else.
    ///
    /// # Errors
    /// [`VaultError`] when it cannot be used, or others use it too.
    pub fn prepare_directory(directory: &Path) -> Result<(), VaultError> {
        file::prepare(directory).map(drop)
    }

    /// Whether a data directory has a vault.
    ///
    /// # Errors
    /// [`VaultError::Directory`] when this user may not look.
    pub fn exists(directory: &Path) -> Result<bool, VaultError> {
        file::exists(directory)
    }

    fn with(
        path: PathBuf,
        part: Part,
        open: impl Fn() -> Result<Database, VaultError> + Send + 'static,
    ) -> Result<Self, VaultError> {
        let Opened { database, seed, stored, is_whole } = read_all(&path, part, &open)?;
        if !is_whole {
            tracing::warn!(path = %path.display(), "the vault has been repaired");
        }
        Ok(Self { path, open: Box::new(open), database: Some(database), seed, stored })
    }

    /// What the party's keys come from.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// When the peer that has been silent for longest was last heard of; `None` when nobody was ever.
    pub(crate) fn last_heard(&self) -> Option<UnixTime> {
        self.stored.peers.values().filter_map(|record| record.last_heard).min().map(UnixTime::from_secs)
    }

    /// The open database. After a failed write it is opened again, and what may have reached the disk although its
    /// write was reported as failed is taken back.
    fn database(&mut self) -> Result<&Database, VaultError> {
        if self.database.is_none() {
            let database = (self.open)()?;
            let undo = difference(&read_records(&self.path, &database)?, &self.stored);
            if !undo.is_empty() {
                self.commit(&database, &undo)?;
            }
            self.database = Some(database);
        }
        Ok(self.database.as_ref().expect("it was opened just now"))
    }

    fn commit(&self, database: &Database, changes: &[Change]) -> Result<(), VaultError> {
        let failed = |error| VaultError::Redb { path: self.path.clone(), error: Box::new(error) };
        let transaction = database.begin_write().map_err(|error| failed(error.into()))?;
        write_changes(&transaction, changes).map_err(failed)?;
        transaction.commit().map_err(|error| failed(error.into()))
    }

    fn write(&mut self, changes: &[Change]) -> Result<(), VaultError> {
        self.database()?;
        // redb refuses everything after a failed write until the file is opened again.
        let database = self.database.take();
        self.commit(database.as_ref().expect("it was opened just now"), changes)?;
        self.database = database;
        self.stored.apply(changes);
        Ok(())
    }
}

impl PeerStore for Vault {
    fn load(&mut self) -> Result<Stored, StoreError> {
        Ok(self.stored.clone())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.write(changes).map_err(StoreError::new)
    }
}

/// What turns one content into another.
fn difference(from: &Stored, to: &Stored) -> Vec<Change> {
    let mut changes = Vec::new();
    let gone = |id: &&PairingId| !to.peers.contains_key(*id);
    changes.extend(from.peers.keys().filter(gone).map(|id| Change::RemovePeer(*id)));
    let gone = |id: &&PairingId| !to.tombstones.contains_key(*id);
    changes.extend(from.tombstones.keys().filter(gone).map(|id| Change::RemoveTombstone(*id)));
    let new = to.peers.iter().filter(|(id, record)| from.peers.get(*id) != Some(*record));
    changes.extend(new.map(|(_, record)| Change::PutPeer(Box::new(record.clone()))));
    let new = to.tombstones.iter().filter(|(id, tombstone)| from.tombstones.get(*id) != Some(*tombstone));
    changes.extend(new.map(|(_, tombstone)| Change::PutTombstone(Box::new(tombstone.clone()))));
    changes
}

fn initialize(database: &Database, part: Part) -> Result<(), redb::Error> {
    let seed = Seed::generate(&mut UnwrapErr(SysRng));
    let checked_seed = Zeroizing::new([seed.as_bytes().as_slice(), &checksum(seed.as_bytes())].concat());
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert("format", [FORMAT].as_slice())?;
        meta.insert("part", [part_byte(part)].as_slice())?;
        meta.insert("seed", checked_seed.as_slice())?;
        transaction.open_table(PEERS)?;
        transaction.open_table(TOMBSTONES)?;
    }
    transaction.commit()?;
    Ok(())
}

struct Opened {
    database: Database,
    seed: Seed,
    stored: Stored,
    /// Whether redb found nothing to mend.
    is_whole: bool,
}

fn read_all(
    path: &Path,
    part: Part,
    open: impl FnOnce() -> Result<Database, VaultError>,
) -> Result<Opened, VaultError> {
    let read = || {
        let mut database = open()?;
        let is_whole = database.check_integrity().map_err(|error| VaultError::damaged(path, error))?;
        let seed = read_meta(path, &database, part)?;
        let stored = read_records(path, &database)?;
        Ok(Opened { database, seed, stored, is_whole })
    };
    // On some damage redb panics instead of returning an error; to the user it is damage all the same.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(VaultError::Damaged { path: path.to_owned(), what: "its pages make no sense".to_owned() })
    })
}

fn read_meta(path: &Path, database: &Database, part: Part) -> Result<Seed, VaultError> {
    let damaged = |what: &str| VaultError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let read = |key: &str| -> Result<Option<Zeroizing<Vec<u8>>>, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        Ok(meta.get(key)?.map(|value| Zeroizing::new(value.value().to_vec())))
    };
    let field = |key: &str| read(key).map_err(|error| VaultError::damaged(path, error));
    match field("format")?.as_deref().map(Vec::as_slice) {
        Some([FORMAT]) => {}
        Some([format]) => return Err(VaultError::UnknownFormat { path: path.to_owned(), format: *format }),
        _ => return Err(damaged("it says no format")),
    }
    if field("part")?.as_deref().map(Vec::as_slice) != Some(&[part_byte(part)]) {
        return Err(VaultError::OtherPart { path: path.to_owned(), wanted: part });
    }
    let seed = field("seed")?.ok_or_else(|| damaged("it has no seed"))?;
    match seed.split_last_chunk::<CHECKSUM_LEN>() {
        Some((seed, sum)) if checksum(seed) == *sum => {
            let bytes = <[u8; 32]>::try_from(seed).map_err(|_| damaged("its seed has a wrong length"))?;
            Ok(Seed::from(bytes))
        }
        _ => Err(damaged("its seed does not match its checksum")),
    }
}

fn read_records(path: &Path, database: &Database) -> Result<Stored, VaultError> {
    let failed = |error: redb::Error| VaultError::damaged(path, error);
    let damaged = |what: String| VaultError::Damaged { path: path.to_owned(), what };
    let mut stored = Stored::default();
    for bytes in read_table(database, PEERS).map_err(failed)? {
        let record = PeerRecord::decode(&bytes).map_err(|error| damaged(error.to_string()))?;
        stored.peers.insert(record.id(), record);
    }
    for bytes in read_table(database, TOMBSTONES).map_err(failed)? {
        let tombstone = Tombstone::decode(&bytes).map_err(|error| damaged(error.to_string()))?;
        stored.tombstones.insert(tombstone.id(), tombstone);
    }
    Ok(stored)
}

fn read_table(
    database: &Database,
    table: TableDefinition<[u8; 16], &[u8]>,
) -> Result<Vec<Zeroizing<Vec<u8>>>, redb::Error> {
    let table = database.begin_read()?.open_table(table)?;
    let mut values = Vec::new();
    for entry in table.iter()? {
        values.push(Zeroizing::new(entry?.1.value().to_vec()));
    }
    Ok(values)
}

fn write_changes(transaction: &WriteTransaction, changes: &[Change]) -> Result<(), redb::Error> {
    let mut peers = transaction.open_table(PEERS)?;
    let mut tombstones = transaction.open_table(TOMBSTONES)?;
    for change in changes {
        let key = *change.pairing().as_bytes();
        match change {
            Change::PutPeer(record) => _ = peers.insert(key, record.encode().as_slice())?,
            Change::RemovePeer(_) => _ = peers.remove(key)?,
            Change::PutTombstone(tombstone) => _ = tombstones.insert(key, tombstone.encode().as_slice())?,
            Change::RemoveTombstone(_) => _ = tombstones.remove(key)?,
        }
    }
    Ok(())
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_LEN] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    *digest.first_chunk().expect("a digest has 32 bytes")
}

fn part_byte(part: Part) -> u8 {
    match part {
        Part::NodeManager => 1,
        Part::App => 2,
    }
}

#[cfg(test)]
mod tests;
