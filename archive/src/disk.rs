//! An archive in a file.

mod error;
mod file;
mod tables;
mod verify;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::Database;
use waku_proto::Envelope;

use super::{Archive, ArchiveError, Inserted, Keep, Page, Query, QueryError, Stats, search};

pub use self::error::OpenError;

/// Bytes of the file kept in memory when nothing else is said.
pub const DEFAULT_CACHE_SIZE: usize = 64 << 20;

/// Messages in one redb file, for its owner alone. Only one process has it open at a time.
///
/// When [`insert`](Archive::insert) returns, its batch is on disk; after a crash at any moment every batch is
/// there whole or not at all, and the file opens as fast as ever. A page comes from one moment, whatever is
/// written meanwhile.
///
/// A file that cannot be understood is not opened and not written over. When the disk is full or broken, calls
/// fail, and the next one opens the file again. Calls also fail while the file is not where it was.
///
/// # Size
/// [`Stats::bytes`] counts messages, their pubsub topics and 208 bytes a message for the indexes. On disk they take
/// up to two thirds more, for pages are never quite full. The file does not shrink when messages are deleted: the
/// room is used again.
pub struct RedbArchive {
    path: PathBuf,
    open: Box<dyn Fn() -> Result<Opened, OpenError> + Send + Sync>,
    /// `None` after a failure, until the next use opens it again.
    opened: RwLock<Option<Opened>>,
}

struct Opened {
    database: Database,
    /// Fails when the file is not where it was.
    find: Box<dyn Fn() -> Result<(), OpenError> + Send + Sync>,
}

impl RedbArchive {
    /// Opens an archive, or makes one where nothing is. The folder must be there.
    ///
    /// # Errors
    /// [`OpenError`] when another process has it open, when it is no archive of this format, or when the file
    /// cannot be used.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_with_cache(path, DEFAULT_CACHE_SIZE)
    }

    /// The same with so many bytes of the file kept in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_cache(path: impl Into<PathBuf>, cache_size: usize) -> Result<Self, OpenError> {
        let path = path.into();
        if !file::exists(&path)? {
            file::create(&path, cache_size)?;
        }
        let file = path.clone();
        Self::with(path, move || file::open(&file, cache_size))
    }

    fn with(
        path: PathBuf,
        open: impl Fn() -> Result<Opened, OpenError> + Send + Sync + 'static,
    ) -> Result<Self, OpenError> {
        let archive = Self { path, open: Box::new(open), opened: RwLock::new(None) };
        archive.reopen()?;
        Ok(archive)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads everything: every message must be what its hash says, and every index must have it once. Takes as
    /// long as the archive is large.
    ///
    /// # Errors
    /// [`ArchiveError::Damaged`] with the first thing that is wrong, or when the storage fails.
    pub fn verify(&self) -> Result<(), ArchiveError> {
        self.work(|database| verify::verify(database).map_err(ArchiveError::from_redb))
    }

    /// Opens the file unless somebody else just did.
    fn reopen(&self) -> Result<(), OpenError> {
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if opened.is_none() {
            // On some damage redb panics instead of returning an error; to the user it is damage all the same.
            let file = catch_unwind(AssertUnwindSafe(|| (self.open)()));
            *opened = Some(file.unwrap_or_else(|_| Err(OpenError::senseless(&self.path)))?);
        }
        Ok(())
    }

    /// Closes the file, which on some damage makes redb panic.
    fn close(&self) {
        let opened = self.opened.write().unwrap_or_else(PoisonError::into_inner).take();
        if catch_unwind(AssertUnwindSafe(|| drop(opened))).is_err() {
            tracing::warn!(path = %self.path.display(), "the archive could not be closed");
        }
    }

    fn work<T>(&self, work: impl FnOnce(&Database) -> Result<T, ArchiveError>) -> Result<T, ArchiveError> {
        let result = loop {
            if let Some(opened) = &*self.opened.read().unwrap_or_else(PoisonError::into_inner) {
                break Self::work_on(opened, work);
            }
            self.reopen()?;
        };
        if result.is_err() {
            // redb refuses everything after a failure until the file is opened again.
            self.close();
        }
        result
    }

    /// The file is looked for before the work and after: what is written to a file that was removed is lost.
    fn work_on<T>(
        opened: &Opened,
        work: impl FnOnce(&Database) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        (opened.find)()?;
        let result = catch_unwind(AssertUnwindSafe(|| work(&opened.database)));
        let value = result.unwrap_or_else(|_| Err(ArchiveError::damaged("its pages make no sense")))?;
        (opened.find)()?;
        Ok(value)
    }
}

impl Archive for RedbArchive {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        self.work(|database| tables::insert(database, batch).map_err(ArchiveError::from_redb))
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        let answer = |database: &Database| {
            let snapshot = tables::Snapshot::of(database).map_err(ArchiveError::from_redb)?;
            match search::answer(&snapshot, query) {
                Err(QueryError::Archive(error)) => Err(error),
                answer => Ok(answer),
            }
        };
        self.work(answer)?
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        self.work(|database| tables::prune(database, keep, at_most).map_err(ArchiveError::from_redb))
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        let stats = |database: &Database| tables::Snapshot::of(database)?.stats();
        self.work(|database| stats(database).map_err(ArchiveError::from_redb))
    }
}

impl Drop for RedbArchive {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for RedbArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbArchive").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
