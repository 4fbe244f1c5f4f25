//! Why nwaku's file cannot be used.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::super::ArchiveError;
use super::schema::{NWAKU_VERSION, OLDEST_VERSION};

/// Why nwaku's file cannot be used.
#[derive(Debug, Error)]
pub enum SqliteOpenError {
    /// The file cannot be made, opened or looked at.
    #[error("cannot use the archive {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// SQLite cannot use the file.
    #[error("cannot use the archive {}: {error}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        error: Box<dyn Error + Send + Sync>,
    },
    /// Another process writes to it, and did not stop while it was waited for.
    #[error("another process writes to the archive {}; stop it first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no archive of nwaku, or something in it cannot be read. It was left as it is.
    #[error("{} is damaged or no archive of nwaku, and was left as it is: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later nwaku wrote it. It was left as it is.
    #[error(
        "the archive {} has schema version {found}, and {NWAKU_VERSION} (nwaku v0.35 to v0.38) is the last one known \
         here; it was left as it is",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// A nwaku of long ago wrote it. It was left as it is.
    #[error(
        "the archive {} has schema version {found}, and {OLDEST_VERSION} (nwaku v0.23) is the first one that can be \
         brought up to {NWAKU_VERSION} here; it was left as it is. A nwaku from v0.23 to v0.38 can bring it up",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The file was removed or replaced while it was open.
    #[error("the archive {} was removed or replaced", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
}

impl SqliteOpenError {
    pub(super) fn of(path: &Path, error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        let path = path.to_owned();
        let is_senseless = matches!(
            error,
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)
        );
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, what: error.to_string() }
            }
            None if is_senseless => Self::Damaged { path, what: error.to_string() },
            _ => Self::Database { path, error: error.into() },
        }
    }
}

impl From<SqliteOpenError> for ArchiveError {
    fn from(error: SqliteOpenError) -> Self {
        Self::Storage(Box::new(error))
    }
}

impl ArchiveError {
    pub(super) fn from_sqlite(path: &Path, error: rusqlite::Error) -> Self {
        match SqliteOpenError::of(path, error) {
            SqliteOpenError::Damaged { what, .. } => Self::Damaged { what },
            error => error.into(),
        }
    }
}
