//! Why a vault cannot be used.

use std::io;
use std::path::{Path, PathBuf};

use waku_pairing::party::Part;

/// Why a vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The data directory cannot be made or looked at.
    #[error("cannot use {} as data directory: {error}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The directory holds other things, and others may look into it.
    #[error("{} is no data directory: it holds other things, and others may look into it", path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
    },
    /// The file cannot be made, opened or written.
    #[error("cannot use the vault {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it open.
    #[error("another node-manager has the vault {} open", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Something in it cannot be read. It was left as it is.
    #[error("the vault {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later version wrote it.
    #[error("the vault {} has format {format}, which this version does not know; use the version that wrote it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u8,
    },
    /// It belongs to a node manager and an app was to use it, or the reverse.
    #[error("the vault {} belongs to the other side ({} is wanted here); use another --data-dir", path.display(), part_name(*wanted))]
    OtherPart {
        /// The file.
        path: PathBuf,
        /// What it was opened as.
        wanted: Part,
    },
    /// A transaction failed; nothing of it was kept.
    #[error("cannot write to the vault {}: {error}", path.display())]
    Redb {
        /// The file.
        path: PathBuf,
        /// What redb says.
        error: Box<redb::Error>,
    },
}

impl VaultError {
    pub(super) fn damaged(path: &Path, error: impl Into<redb::Error>) -> Self {
        Self::Damaged { path: path.to_owned(), what: error.into().to_string() }
    }
}

fn part_name(part: Part) -> &'static str {
    match part {
        Part::NodeManager => "a node manager's",
        Part::App => "an app's",
    }
}
