//! Where past messages are kept, and how they are found again (13/WAKU2-STORE).
//!
//! [`Archive`] is what a driver does. There are three: [`RedbArchive`], a file; [`MemoryArchive`], which forgets when
//! the process ends; and, with the feature `sqlite`, `SqliteArchive`, the file that nwaku keeps. Whoever wants another
//! one implements the trait.
//!
//! # Order
//! Messages lie on a time axis, ordered by timestamp and then by hash. The timestamp is the sender's, in Unix
//! nanoseconds; a message without one stands at 0, as it does in its hash. Pages are always in this order, the
//! oldest message first, also those that follow each other backward.
//!
//! # Differences from the specification
//! Both ends of a span of time are inclusive, as in nwaku; the specification excludes the end.
//!
//! # Differences from nwaku
//! A message is kept as the bytes it came in, rate limit proof and fields of future versions included; but not in
//! nwaku's own file, which has no room for them.

mod disk;
mod error;
mod identity;
mod key;
mod memory;
mod query;
mod retention;
mod search;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt::Debug;

use waku_proto::Envelope;

pub use self::disk::{DEFAULT_CACHE_SIZE, OpenError, RedbArchive};
pub use self::error::{ArchiveError, QueryError};
pub use self::memory::MemoryArchive;
pub use self::query::{Criteria, DEFAULT_PAGE_LEN, Entry, Page, Query, Selection};
pub use self::retention::{Keep, PRUNE_LEN, ParseRetentionError, RetentionPolicy};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteArchive, SqliteOpenError, SqliteOptions};

/// Keeps messages and finds them again.
///
/// All calls block, on disks for example: call them on a thread that may
/// (tokio's `spawn_blocking`). They may come from many threads at once.
///
/// ```
/// use waku_archive::{Archive, Criteria, MemoryArchive, Query, Selection};
/// use waku_proto::{EncodedMessage, Envelope, Shard, WakuMessage};
///
/// let topic = "/toychat/2/huilong/proto".parse()?;
/// let message = |at: i64| EncodedMessage::encode(WakuMessage::new(&topic, "hello", at));
/// let envelopes = [1, 2, 3].map(|at| Envelope::new(Shard::new(1, 0).unwrap().into(), message(at)));
///
/// let archive = MemoryArchive::new(25_000, 100 << 20);
/// assert_eq!(archive.insert(&envelopes)?.new, 3);
/// assert_eq!(archive.insert(&envelopes)?.known, 3);
///
/// let chat = Criteria { content_topics: [topic.to_string()].into(), ..Criteria::default() };
/// let mut query = Query { limit: 2, ..Query::new(Selection::Content(chat)) };
/// let page = archive.query(&query)?;
/// assert_eq!(page.entries.len(), 2);
/// query.cursor = page.cursor;
/// let page = archive.query(&query)?;
/// assert_eq!(page.entries[0].envelope, Some(envelopes[2].clone()));
/// assert_eq!(page.cursor, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Archive: Debug + Send + Sync + 'static {
    /// Keeps a batch. When it returns `Ok`, all of it is as durable as the driver promises, and queries find it.
    /// When it fails, none of it is kept, or all of it; it may be tried again, for a message that is kept
    /// already changes nothing.
    ///
    /// # Errors
    /// When the storage fails.
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError>;

    /// One page of what a query selects.
    ///
    /// # Errors
    /// When the cursor is no message of this archive, or the storage fails.
    fn query(&self, query: &Query) -> Result<Page, QueryError>;

    /// Deletes the oldest messages that lie beyond what is to be kept, at most `at_most` of them, and returns
    /// how many it deleted. Less than `at_most`: none is left beyond it.
    ///
    /// # Errors
    /// When the storage fails.
    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError>;

    /// How much is kept. Takes the same time however much that is.
    ///
    /// # Errors
    /// When the storage fails.
    fn stats(&self) -> Result<Stats, ArchiveError>;
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Messages that are kept from now on.
    pub new: usize,
    /// Messages that were kept already, or came twice in the batch.
    pub known: usize,
}

/// How much an archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Messages.
    pub messages: u64,
    /// Bytes of the messages and of what finds them, as the driver counts them: what `size:` policies limit.
    pub bytes: u64,
    /// Timestamp of the oldest message, in Unix nanoseconds.
    pub oldest: Option<i64>,
    /// Timestamp of the newest message, in Unix nanoseconds.
    pub newest: Option<i64>,
}

#[cfg(test)]
mod tests;
