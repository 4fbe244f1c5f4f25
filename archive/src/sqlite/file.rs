//! The file and the connections to it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::super::identity::Identity;
use super::schema::{self, Found};
use super::{SqliteOpenError, SqliteOptions, rows};

/// Queries answered at the same time; more wait.
const READERS: usize = 4;
/// Kibibytes of the file that a connection keeps in memory: hashes are scattered over the whole table.
const WRITER_CACHE_KIB: i64 = 32 << 10;
const READER_CACHE_KIB: i64 = 8 << 10;
/// Bytes that stay of the write-ahead log when it was longer.
const LOG_LIMIT: i64 = 64 << 20;

/// The connections to a file.
pub(super) struct Opened {
    pub(super) identity: Identity,
    readers: Mutex<Vec<Connection>>,
    returned: Condvar,
    // The last to be closed, for it clears away the write-ahead log.
    writer: Mutex<Connection>,
}

impl Opened {
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        // A transaction that a panic cut short was rolled back.
        work(&mut self.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> T {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = self.returned.wait_while(idle, |idle| idle.is_empty());
        let connection = idle.unwrap_or_else(PoisonError::into_inner).pop();
        let connection = connection.expect("it was waited for until one was idle");
        let mut borrowed = Borrowed { opened: self, connection: Some(connection) };
        work(borrowed.connection.as_mut().expect("it is taken when it is dropped"))
    }
}

/// A reader that is given back however its use ends.
struct Borrowed<'a> {
    opened: &'a Opened,
    connection: Option<Connection>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut idle = self.opened.readers.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
        self.opened.returned.notify_one();
    }
}

/// Makes an empty file, for its owner alone, where nothing is. SQLite gives the files beside it the same mode.
pub(super) fn create(path: &Path) -> Result<(), SqliteOpenError> {
    let failed = |error| SqliteOpenError::File { path: path.to_owned(), error };
    // A file that is there is not opened here: closing it would undo the locks that SQLite holds on it in this process.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file.sync_all().map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all()).map_err(failed)
}

/// Opens a file that is there. What it is decides whether anything is written to it.
pub(super) fn open(path: &Path, options: SqliteOptions) -> Result<Opened, SqliteOpenError> {
    let failed = |error| SqliteOpenError::of(path, error);
    let metadata =
        fs::metadata(path).map_err(|error| SqliteOpenError::File { path: path.to_owned(), error })?;
    let mut writer = connect(path, options)?;
    // Whoever closes a file last writes the log beside it into it: not if the file is refused.
    let has_log = fs::metadata(log(path)).is_ok_and(|log| log.len() > 0);
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log).map_err(failed)?;
    if schema::look(&writer, path)? == Found::Nothing {
        writer.pragma_update(None, "page_size", rows::NEW_PAGE_LEN).map_err(failed)?;
    }
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(failed)?;
    keep_log(&writer, path)?;
    writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(failed)?;
    let transaction = rows::begin(&mut writer).map_err(failed)?;
    schema::prepare(&transaction, path)?;
    transaction.commit().map_err(failed)?;
    if options.vacuum {
        vacuum(&writer, path).map_err(failed)?;
    }
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let reader = connect(path, options)?;
        reader.pragma_update(None, "query_only", true).map_err(failed)?;
        reader.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(failed)?;
        readers.push(reader);
    }
    Ok(Opened {
        identity: Identity::of(&metadata),
        readers: Mutex::new(readers),
        returned: Condvar::new(),
        writer: Mutex::new(writer),
    })
}

fn connect(path: &Path, options: SqliteOptions) -> Result<Connection, SqliteOpenError> {
    // SQLite takes what begins with `file:` for an address; an absolute path does not.
    let whole = absolute(path).map_err(|error| SqliteOpenError::File { path: path.to_owned(), error })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(whole, flags);
    let connection = connection.map_err(|error| SqliteOpenError::of(path, error))?;
    connection.busy_timeout(options.busy_timeout).map_err(|error| SqliteOpenError::of(path, error))?;
    Ok(connection)
}

/// Turns on the write-ahead log, as nwaku does, and has every commit synced to disk.
fn keep_log(writer: &Connection, path: &Path) -> Result<(), SqliteOpenError> {
    let failed = |error| SqliteOpenError::of(path, error);
    let mode = writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    let mode = mode.map_err(failed)?;
    if mode != "wal" {
        let error = format!("SQLite keeps no write-ahead log for it, but has journal mode {mode}").into();
        return Err(SqliteOpenError::Database { path: path.to_owned(), error });
    }
    writer.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    writer.pragma_update(None, "journal_size_limit", LOG_LIMIT).map_err(failed)
}

/// Gives the room of deleted messages back, when there is any.
fn vacuum(writer: &Connection, path: &Path) -> rusqlite::Result<()> {
    let free: i64 = writer.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    if free > 0 {
        tracing::info!(path = %path.display(), free_pages = free, "the archive is written anew, smaller");
        writer.execute_batch("VACUUM")?;
        tracing::info!(path = %path.display(), "the archive was written anew");
    }
    Ok(())
}

/// The name of the write-ahead log.
fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}
