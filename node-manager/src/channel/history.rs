//! What stores have kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt as _;
use thiserror::Error;
use tokio::sync::mpsc;
use waku::proto::{EncodedMessage, protocol_id};
use waku::store::archive::{Criteria, Query, Selection};
use waku::store::{MAX_CONTENT_TOPICS, MAX_PAGE_LEN};
use waku::{ContentTopic, Envelope, MessageHash, Node, PubsubTopic, RoutingError, StoreError, WakuMessage};
use waku_noise_session::time::UnixTime;
use waku_pairing::channel::ChannelEvent;

use super::clock::unix_now;
use super::gaps::Ask;
use super::seen::Seen;

/// Most messages of one asking and ten content topics.
const MAX_CAUGHT_UP: usize = 5_000;
/// Messages whose data is asked for at a time.
const DATA_LEN: usize = 20;
/// Most messages that are fetched at a time, and about how many bytes.
const MAX_FETCHED: usize = 1_000;
const MAX_FETCHED_BYTES: usize = 16 << 20;
/// Stores that are asked whether they have a message.
const MAX_STORES: usize = 3;

/// What stores have kept of a channel's messages. Cheap to clone; keeps the node running.
///
/// Stores keep a message a moment after it was relayed, if its timestamp is within 20 seconds of their clock and it is
/// not ephemeral.
#[derive(Debug, Clone)]
pub struct History {
    node: Node,
    seen: Arc<Mutex<Seen>>,
    /// Where messages go that were missed. Weak, so that the channel still closes with its task.
    incoming: mpsc::WeakSender<ChannelEvent>,
}

/// Messages that stores had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Oldest first.
    pub messages: Vec<WakuMessage>,
    /// False when there is more: ask again since the time of the last one.
    pub is_all: bool,
}

/// Why stores could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HistoryError {
    /// Nobody connected serves a store.
    #[error("none of the nodes that can be reached serves a store")]
    NoStore,
    /// No store answers as it should.
    #[error(transparent)]
    Store(StoreError),
    /// No pubsub topic belongs to a content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoServicePeer => Self::NoStore,
            error => Self::Store(error),
        }
    }
}

impl History {
    pub(super) fn new(node: Node, incoming: mpsc::WeakSender<ChannelEvent>) -> Self {
        Self { node, seen: Arc::default(), incoming }
    }

    /// Whether a store has what this channel published with this payload. What was published more than 4,096 kept
    /// messages ago, or by an earlier process, is forgotten, and then the answer is no.
    ///
    /// The timestamp, and so the hash, of a message is made where it is published. So the channel remembers by which
    /// hashes a payload went out, and stores are asked for those.
    ///
    /// # Errors
    /// When no store answers.
    pub async fn has_stored(&self, payload: &[u8]) -> Result<bool, HistoryError> {
        let hashes = self.seen().hashes_of(payload);
        self.is_any_stored(&hashes).await
    }

    /// Whether a store has the message with this hash. If it does and the message has not been seen, it comes out of
    /// the channel like one that has just been published.
    ///
    /// # Errors
    /// When no store answers.
    pub async fn find(&self, hash: MessageHash) -> Result<bool, HistoryError> {
        if self.seen().contains(&hash) {
            return self.is_any_stored(&[hash]).await;
        }
        let found = self.data_of(&[hash]).await?;
        let is_found = !found.is_empty();
        self.hand_in(found).await;
        Ok(is_found)
    }

    /// The messages of at most ten content topics since a time, whether the channel receives on them or not: 1,000 of
    /// them, or 16 MiB. They do not come out of the channel.
    ///
    /// # Errors
    /// When no store answers, or the topics are too many or belong to no pubsub topic.
    pub async fn fetch(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
        since: UnixTime,
    ) -> Result<Fetched, HistoryError> {
        let topics: BTreeSet<ContentTopic> = topics.into_iter().collect();
        if topics.len() > MAX_CONTENT_TOPICS {
            return Err(StoreError::TooManyTopics { count: topics.len() }.into());
        }
        let topics: Vec<_> = topics.into_iter().map(|topic| (topic, since)).collect();
        let mut fetched = Fetched { messages: Vec::new(), is_all: true };
        let mut bytes = 0_usize;
        for span in self.spans(&topics, unix_now())? {
            let room = MAX_FETCHED.saturating_sub(fetched.messages.len());
            if room == 0 {
                fetched.is_all = false;
                break;
            }
            let mut pages = self.node.store().query_any(span.query(true), room);
            while let Some(page) = pages.try_next().await? {
                fetched.is_all = page.cursor.is_none();
                for envelope in page.entries.into_iter().filter_map(|entry| entry.envelope) {
                    bytes = bytes.saturating_add(envelope.bytes().len());
                    fetched.messages.push(envelope.message().clone());
                }
                if bytes > MAX_FETCHED_BYTES {
                    break;
                }
            }
            if !fetched.is_all {
                break;
            }
        }
        Ok(fetched)
    }

    /// Hands in what was missed: hashes first, then the data of those that are unknown. Returns how many there were.
    pub(super) async fn catch_up(&self, ask: &Ask) -> Result<usize, HistoryError> {
        let mut caught_up = 0;
        for span in self.spans(&ask.topics, ask.until)? {
            let mut has_more = false;
            let mut pages = self.node.store().query_any(span.query(false), MAX_CAUGHT_UP);
            while let Some(page) = pages.try_next().await? {
                has_more = page.cursor.is_some();
                let mut unknown: Vec<MessageHash> =
                    page.entries.into_iter().map(|entry| entry.hash).collect();
                unknown.retain(|hash| !self.seen().contains(hash));
                for hashes in unknown.chunks(DATA_LEN) {
                    let mut found = self.data_of(hashes).await?;
                    // Nobody has checked what a hash stands for.
                    found.retain(|envelope| span.content_topics.contains(&envelope.message().content_topic));
                    caught_up += found.len();
                    self.hand_in(found).await;
                }
            }
            if has_more {
                tracing::warn!(most = MAX_CAUGHT_UP, "more was published meanwhile than is caught up with");
            }
        }
        Ok(caught_up)
    }

    /// Remembers a message that came; false when it is known already, or our own.
    pub(super) fn note(&self, hash: MessageHash) -> bool {
        self.seen().insert(hash)
    }

    /// Remembers a message that is about to be published.
    pub(super) fn note_published(&self, message: &WakuMessage) {
        let Ok(topic) = message.content_topic.parse::<ContentTopic>() else { return };
        let Ok(pubsub_topic) = self.node.sharding().pubsub_topic(&topic) else { return };
        let hash = EncodedMessage::encode(message.clone()).hash(&pubsub_topic);
        let mut seen = self.seen();
        seen.insert(hash);
        if message.ephemeral != Some(true) {
            seen.published(&message.payload, hash);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_any_stored(&self, hashes: &[MessageHash]) -> Result<bool, HistoryError> {
        if hashes.is_empty() {
            return Ok(false);
        }
        let stores = self.node.peers().find_serving(protocol_id::STORE_QUERY, None).await;
        let mut answer = Err(HistoryError::NoStore);
        for store in stores.map_err(StoreError::from)?.into_iter().take(MAX_STORES) {
            match self.node.store().present(store, hashes.iter().copied()).await {
                Ok(present) if !present.is_empty() => return Ok(true),
                Ok(_) => answer = Ok(false),
                Err(error) if answer.is_err() => answer = Err(error.into()),
                Err(_) => {}
            }
        }
        answer
    }

    async fn data_of(&self, hashes: &[MessageHash]) -> Result<Vec<Envelope>, HistoryError> {
        let query = Query { limit: hashes.len(), ..Query::new(Selection::Hashes(hashes.to_vec())) };
        let mut pages = self.node.store().query_any(query, hashes.len());
        let mut found = Vec::new();
        while let Some(page) = pages.try_next().await? {
            found.extend(page.entries.into_iter().filter_map(|entry| entry.envelope));
        }
        Ok(found)
    }

    /// Waits where the party is behind, so that nothing is dropped.
    async fn hand_in(&self, found: Vec<Envelope>) {
        for envelope in found {
            let Some(incoming) = self.incoming.upgrade() else { return };
            if self.note(envelope.hash()) {
                // Fails when the party is gone.
                _ = incoming.send(ChannelEvent::Message(envelope.message().clone())).await;
            }
        }
    }

    /// Topics, together as far as stores take them together.
    fn spans(&self, topics: &[(ContentTopic, UnixTime)], until: UnixTime) -> Result<Vec<Span>, RoutingError> {
        let mut by_pubsub_topic: BTreeMap<PubsubTopic, Vec<&(ContentTopic, UnixTime)>> = BTreeMap::new();
        for topic in topics {
            by_pubsub_topic.entry(self.node.sharding().pubsub_topic(&topic.0)?).or_default().push(topic);
        }
        let spans = by_pubsub_topic.iter().flat_map(|(pubsub_topic, topics)| {
            topics.chunks(MAX_CONTENT_TOPICS).map(|topics| Span {
                pubsub_topic: pubsub_topic.clone(),
                content_topics: topics.iter().map(|(topic, _)| topic.to_string()).collect(),
                since: topics.iter().map(|(_, since)| *since).min().unwrap_or(until),
            })
        });
        Ok(spans.collect())
    }
}

/// Content topics since a time, for one query. Without an end: clocks differ.
#[derive(Debug)]
struct Span {
    pubsub_topic: PubsubTopic,
    content_topics: BTreeSet<String>,
    since: UnixTime,
}

impl Span {
    fn query(&self, include_data: bool) -> Query {
        let criteria = Criteria {
            pubsub_topic: Some(self.pubsub_topic.clone()),
            content_topics: self.content_topics.clone(),
            time_start: Some(i64::try_from(self.since.as_nanos()).unwrap_or(i64::MAX)),
            time_end: None,
        };
        Query { include_data, limit: MAX_PAGE_LEN, ..Query::new(Selection::Content(criteria)) }
    }
}
