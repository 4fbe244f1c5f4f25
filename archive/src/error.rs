//! Why an archive did not do what it was asked for.

use std::error::Error;

use thiserror::Error;
use waku_proto::MessageHash;

/// Why messages could not be kept, deleted or counted.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The storage failed. The same call may succeed later.
    #[error("the archive's storage failed: {0}")]
    Storage(Box<dyn Error + Send + Sync>),
    /// What is stored makes no sense. It was left as it is.
    #[error("the archive is damaged: {what}")]
    Damaged {
        /// What is wrong with it.
        what: String,
    },
}

impl ArchiveError {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The page was to begin at a message that is not kept, or no longer. nwaku answers with status 300.
    #[error("the cursor {cursor} is no message of this archive")]
    UnknownCursor {
        /// The cursor.
        cursor: MessageHash,
    },
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}
