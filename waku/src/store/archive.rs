//! The archive of a store node: the drivers, and what feeds them.

mod inbox;
mod priority;
#[cfg(test)]
mod testing;
mod writer;

pub use waku_archive::*;

pub use self::inbox::{MAX_TIMESTAMP_DISTANCE, Refusal};
pub use self::writer::{
    ArchiveWriter, DEFAULT_INBOX_BYTES, DEFAULT_INBOX_MESSAGES, DEFAULT_MAX_AGE, DEFAULT_RETENTION_INTERVAL,
    WriterConfig,
};
