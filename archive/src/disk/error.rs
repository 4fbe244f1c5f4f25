//! Why an archive's file cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::super::ArchiveError;

/// Why an archive's file cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file cannot be made, opened or looked at.
    #[error("cannot use the archive {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it open.
    #[error("another process has the archive {} open", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no archive, or something in it cannot be read. It was left as it is.
    #[error("{} is damaged or no archive: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another version wrote it.
    #[error("the archive {} has format {format}, which this version does not know; use the version that wrote it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// The file was removed or replaced while it was open.
    #[error("the archive {} was removed or replaced", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
}

impl OpenError {
    pub(super) fn damaged(path: &Path, error: impl Into<redb::Error>) -> Self {
        Self::Damaged { path: path.to_owned(), what: error.into().to_string() }
    }

    pub(super) fn senseless(path: &Path) -> Self {
        Self::Damaged { path: path.to_owned(), what: "its pages make no sense".to_owned() }
    }
}

impl From<OpenError> for ArchiveError {
    fn from(error: OpenError) -> Self {
        Self::Storage(Box::new(error))
    }
}

impl ArchiveError {
    pub(super) fn from_redb(error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(what) => Self::Damaged { what },
            error => Self::Storage(Box::new(error)),
        }
    }
}
