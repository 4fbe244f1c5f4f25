//! An archive in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use waku_proto::store::Direction;
use waku_proto::{Envelope, MessageHash};

use super::key::{Position, Span, TopicKey, Topics};
use super::search::{self, Index, List, Positions};
use super::{Archive, ArchiveError, Criteria, Inserted, Keep, Page, Query, QueryError, Stats};

/// Bytes that a message takes beyond its own, about: its places in four lists.
const PLACE_LEN: u64 = 512;

/// Messages in memory, up to a number and a size. When it is full, the oldest go.
pub struct MemoryArchive {
    limits: Keep,
    content: RwLock<Content>,
}

impl MemoryArchive {
    /// An empty archive for so many messages and so many bytes, whichever is reached first.
    pub fn new(max_messages: u64, max_bytes: u64) -> Self {
        let limits = Keep { since: None, messages: Some(max_messages), bytes: Some(max_bytes) };
        Self { limits, content: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        // Nothing panics while it changes the content.
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive for MemoryArchive {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        let mut inserted = Inserted::default();
        let mut content = self.write();
        for envelope in batch {
            if content.insert(envelope) {
                inserted.new += 1;
            } else {
                inserted.known += 1;
            }
            content.prune(&self.limits, usize::MAX);
        }
        Ok(inserted)
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        search::answer(&*self.read(), query)
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        Ok(self.write().prune(keep, at_most))
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        Ok(self.read().stats())
    }
}

/// Shows how much there is, and nothing of it.
impl fmt::Debug for MemoryArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryArchive").field("stats", &self.read().stats()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Content {
    timeline: BTreeMap<Position, Envelope>,
    by_hash: HashMap<MessageHash, Position>,
    by_pubsub: BTreeSet<(TopicKey, Position)>,
    by_topics: BTreeSet<(Topics, Position)>,
    bytes: u64,
}

impl Content {
    fn insert(&mut self, envelope: &Envelope) -> bool {
        let (place, topics) = (Position::of(envelope), Topics::of(envelope));
        if self.timeline.contains_key(&place) {
            return false;
        }
        self.timeline.insert(place, envelope.clone());
        self.by_hash.insert(place.hash, place);
        self.by_pubsub.insert((topics.pubsub, place));
        self.by_topics.insert((topics, place));
        self.bytes += len(envelope);
        true
    }

    fn prune(&mut self, keep: &Keep, at_most: usize) -> usize {
        let mut deleted = 0;
        while deleted < at_most && keep.is_exceeded(&self.stats()) {
            let Some((place, envelope)) = self.timeline.pop_first() else { break };
            let topics = Topics::of(&envelope);
            self.by_hash.remove(&place.hash);
            self.by_pubsub.remove(&(topics.pubsub, place));
            self.by_topics.remove(&(topics, place));
            self.bytes -= len(&envelope);
            deleted += 1;
        }
        deleted
    }

    fn stats(&self) -> Stats {
        Stats {
            messages: self.timeline.len() as u64,
            bytes: self.bytes,
            oldest: self.timeline.first_key_value().map(|(place, _)| place.timestamp),
            newest: self.timeline.last_key_value().map(|(place, _)| place.timestamp),
        }
    }

    /// The first pubsub topic from `from` on that has a message of this content topic.
    fn pubsub_topic(&self, content: TopicKey, from: TopicKey) -> Option<TopicKey> {
        let first = (Topics { content, pubsub: from }, Span::between(None, None).first);
        let found = self.by_topics.range(first..).next().map(|(topics, _)| *topics);
        found.filter(|found| found.content == content).map(|found| found.pubsub)
    }
}

pub(super) fn len(envelope: &Envelope) -> u64 {
    envelope.bytes().len() as u64 + PLACE_LEN
}

impl Index for Content {
    type List = List;

    fn position(&self, hash: &MessageHash) -> Result<Option<Position>, ArchiveError> {
        Ok(self.by_hash.get(hash).copied())
    }

    fn envelope(&self, position: Position) -> Result<Envelope, ArchiveError> {
        let envelope = self.timeline.get(&position).cloned();
        envelope.ok_or_else(|| ArchiveError::damaged(format!("message {} is not there", position.hash)))
    }

    fn lists(&self, criteria: &Criteria) -> Result<Vec<List>, ArchiveError> {
        search::lists(criteria, |content, from| Ok(self.pubsub_topic(content, from)))
    }

    fn positions(
        &self,
        list: List,
        Span { first, last }: Span,
        direction: Direction,
    ) -> Result<Positions<'_>, ArchiveError> {
        Ok(match list {
            List::All => {
                let places = self.timeline.range(first..=last);
                search::seen(places.map(|(place, _)| Ok(*place)), direction)
            }
            List::Pubsub(topic) => {
                let places = self.by_pubsub.range((topic, first)..=(topic, last));
                search::seen(places.map(|(_, place)| Ok(*place)), direction)
            }
            List::Topics(topics) => {
                let places = self.by_topics.range((topics, first)..=(topics, last));
                search::seen(places.map(|(_, place)| Ok(*place)), direction)
            }
        })
    }
}
