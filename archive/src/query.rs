//! What can be asked, and what comes back.

use std::collections::BTreeSet;

use waku_proto::store::Direction;
use waku_proto::{Envelope, MessageHash, PubsubTopic};

/// Messages on a page when nothing is said, nwaku's default.
pub const DEFAULT_PAGE_LEN: usize = 20;

/// A question to an archive: which messages, and which page of them.
///
/// What it costs grows with `limit` and with the numbers of hashes and of content topics, not with the archive.
/// Whoever asks for strangers bounds these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The messages.
    pub selection: Selection,
    /// False when hashes are enough.
    pub include_data: bool,
    /// The page begins behind this message, seen in `direction`; it need not be one of the selected.
    pub cursor: Option<MessageHash>,
    /// Which way pages follow each other.
    pub direction: Direction,
    /// Most messages on the page. A page of 0 is empty and has no cursor.
    pub limit: usize,
}

impl Query {
    /// The oldest messages of a selection with their data, [`DEFAULT_PAGE_LEN`] of them.
    pub fn new(selection: Selection) -> Self {
        Self {
            selection,
            include_data: true,
            cursor: None,
            direction: Direction::Forward,
            limit: DEFAULT_PAGE_LEN,
        }
    }
}

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those with these hashes, as far as they are kept. Each is looked up before the first page is made.
    Hashes(Vec<MessageHash>),
    /// Those that meet criteria.
    Content(Criteria),
}

/// What a message must be like. The default is met by all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Criteria {
    /// Relayed on this pubsub topic; `None`: on any.
    pub pubsub_topic: Option<PubsubTopic>,
    /// Of one of these content topics; empty: of any.
    pub content_topics: BTreeSet<String>,
    /// Not older than this, in Unix nanoseconds.
    pub time_start: Option<i64>,
    /// Not newer than this, in Unix nanoseconds.
    pub time_end: Option<i64>,
}

/// Messages found, in the order of the time axis.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The messages, oldest first whatever the direction.
    pub entries: Vec<Entry>,
    /// Where the next page begins: the last message here when forward, the first when backward. `None` when
    /// nothing follows.
    pub cursor: Option<MessageHash>,
}

/// A message found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its deterministic hash.
    pub hash: MessageHash,
    /// The message and its pubsub topic, when data was asked for.
    pub envelope: Option<Envelope>,
}
