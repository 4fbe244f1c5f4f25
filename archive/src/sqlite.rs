//! An archive in the SQLite file that nwaku keeps.

mod error;
mod file;
mod rows;
mod schema;
mod snapshot;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use waku_proto::Envelope;

use self::file::Opened;
use super::{Archive, ArchiveError, Inserted, Keep, Page, Query, QueryError, Stats, search};

pub use self::error::SqliteOpenError;

/// Messages in nwaku's own file, `store.sqlite3`: one that nwaku v0.23 to v0.38 left behind, or a new one that nwaku
/// v0.35 to v0.38 could go on with. One node after the other, that is: while this one has the file open, no other may
/// write to it.
///
/// When [`insert`](Archive::insert) returns, its batch is on disk; after a crash at any moment every batch is there
/// whole or not at all. A page comes from one moment, whatever is written meanwhile, and readers do not keep the writer
/// waiting.
///
/// A file that cannot be understood is refused and left as it is. One of schema version 8 or 9 is brought up to 10, as
/// nwaku would, all of it or nothing. To find messages it gets two indexes and a table of totals, which nwaku does not
/// mind; with millions of messages that takes minutes, once, and is logged. Calls fail while the file is not where it
/// was.
///
/// # What the file has no room for
/// Payload, content topic, version, timestamp and `meta` are kept, with pubsub topic and hash. As with nwaku, the rate
/// limit proof, `ephemeral` and fields of future versions are lost. What is 0 or empty comes back as absent; neither
/// changes the hash.
///
/// # Messages that are not what their hash says
/// nwaku up to v0.34 gave a message without timestamp the time at which it came, and later versions made that its
/// timestamp; and messages of nwaku before v0.23 got hashes by chance. Such a message is found by the hash and the
/// timestamp in its row, as nwaku finds it, and [`Entry::hash`](super::Entry::hash) is that of the row: its envelope's
/// own hash is another one. Bytes of a topic that are no text come back as U+FFFD.
///
/// # Size
/// [`Stats::bytes`] counts what the messages take in the table and in all indexes, whole pages for what does not fit on
/// a shared one. On disk it is up to two thirds more, for pages are never quite full. The file does not shrink when
/// messages are deleted: the room is used again, or given back by [`SqliteOptions::vacuum`]. nwaku counts the whole file
/// with its free room, and so deletes more for the same `size:`.
pub struct SqliteArchive {
    path: PathBuf,
    options: SqliteOptions,
    /// `None` after the file was gone, until the next use opens it again.
    opened: RwLock<Option<Opened>>,
}

/// How nwaku's file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Whether opening gives the room of deleted messages back. Takes as long as the archive is large, and as much room
    /// again meanwhile. False by default; nwaku's `--store-message-db-vacuum`.
    pub vacuum: bool,
    /// How long to wait for another process that writes, before a call fails. 5 s by default.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { vacuum: false, busy_timeout: Duration::from_secs(5) }
    }
}

impl SqliteArchive {
    /// Opens nwaku's file, or makes one where nothing is, for its owner alone. The folder must be there.
    ///
    /// # Errors
    /// [`SqliteOpenError`] when another process writes to it, when it is no archive of nwaku, or of a version that is
    /// not known, or when the file cannot be used.
    pub fn open(path: impl Into<PathBuf>, options: SqliteOptions) -> Result<Self, SqliteOpenError> {
        let path = path.into();
        file::create(&path)?;
        let opened = file::open(&path, options)?;
        let options = SqliteOptions { vacuum: false, ..options };
        Ok(Self { path, options, opened: RwLock::new(Some(opened)) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads everything: pages, indexes and totals must fit together. Takes as long as the archive is large.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] with the first thing that is wrong, or when the storage fails.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        match self.work(|opened| opened.read(schema::check))? {
            None => Ok(()),
            Some(what) => Err(ArchiveError::damaged(what)),
        }
    }

    /// Opens the file unless somebody else just did.
    fn reopen(&self) -> Result<(), SqliteOpenError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            *opened = Some(file::open(&self.path, self.options)?);
        }
        Ok(())
    }

    /// The file is looked for before the work and after: what is written to a file that was removed is lost.
    fn work<T>(&self, work: impl FnOnce(&Opened) -> rusqlite::Result<T>) -> Result<T, ArchiveError> {
        loop {
            if let Some(opened) = &*self.opened.read().unwrap_or_else(PoisonError::into_inner) {
                if opened.identity.is_at(&self.path) {
                    let result = work(opened);
                    if opened.identity.is_at(&self.path) {
                        return result.map_err(|error| ArchiveError::from_sqlite(&self.path, error));
                    }
                }
                break;
            }
            self.reopen()?;
        }
        *self.opened.write().unwrap_or_else(PoisonError::into_inner) = None;
        Err(SqliteOpenError::Gone { path: self.path.clone() }.into())
    }
}

impl Archive for SqliteArchive {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        self.work(|opened| opened.write(|connection| rows::insert(connection, batch)))
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        self.work(|opened| {
            opened.read(|connection| {
                let snapshot = snapshot::Snapshot::of(connection, &self.path, query)?;
                Ok(search::answer(&snapshot, query))
            })
        })?
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        self.work(|opened| opened.write(|connection| rows::prune(connection, keep, at_most)))
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        self.work(|opened| opened.read(rows::stats))
    }
}

impl fmt::Debug for SqliteArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteArchive").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
