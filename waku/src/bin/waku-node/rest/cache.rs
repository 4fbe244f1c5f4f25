//! Messages that wait to be asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use waku::relay::Tap;
use waku::{Envelope, PeerId, PubsubTopic};

/// Content topics that are known only because a message of theirs came: strangers choose them.
const MAX_LEARNED: usize = 1024;

/// A topic messages are asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Pubsub(PubsubTopic),
    Content(String),
}

/// The last messages of each topic somebody asked for. A message of such a topic makes its other topic known too, so that
/// it is found by both; whoever takes it by one takes it from the other.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    shelves: Mutex<Shelves>,
}

#[derive(Debug, Default)]
struct Shelves {
    by_topic: HashMap<Key, Shelf>,
    learned: usize,
}

#[derive(Debug, Default)]
struct Shelf {
    messages: VecDeque<Envelope>,
    /// Nobody asked for the topic.
    is_learned: bool,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, shelves: Mutex::default() }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // It is whole after every change.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn want_pubsub_topic(&self, topic: PubsubTopic) {
        self.shelves().want(Key::Pubsub(topic));
    }

    pub(super) fn want_content_topic(&self, topic: &str) {
        self.shelves().want(Key::Content(topic.to_owned()));
    }

    pub(super) fn forget_pubsub_topic(&self, topic: &PubsubTopic) {
        self.shelves().forget(&Key::Pubsub(topic.clone()));
    }

    pub(super) fn forget_content_topic(&self, topic: &str) {
        self.shelves().forget(&Key::Content(topic.to_owned()));
    }

    pub(super) fn forget_everything(&self) {
        *self.shelves() = Shelves::default();
    }

    #[cfg(test)]
    fn wants_content_topic(&self, topic: &str) -> bool {
        self.shelves().by_topic.contains_key(&Key::Content(topic.to_owned()))
    }

    /// Takes what came on a pubsub topic, the first that came first; `None` when it is not known.
    pub(super) fn take_pubsub_topic(&self, topic: &PubsubTopic) -> Option<Vec<Envelope>> {
        self.shelves().take(&Key::Pubsub(topic.clone()))
    }

    /// Takes what came on a content topic; `None` when it is not known.
    pub(super) fn take_content_topic(&self, topic: &str) -> Option<Vec<Envelope>> {
        self.shelves().take(&Key::Content(topic.to_owned()))
    }

    pub(super) fn add(&self, envelope: &Envelope) {
        self.shelves().add(envelope, self.capacity);
    }
}

impl Shelves {
    fn want(&mut self, key: Key) {
        let wanted = self.by_topic.entry(key).or_default();
        if std::mem::take(&mut wanted.is_learned) {
            self.learned -= 1;
        }
    }

    fn forget(&mut self, key: &Key) {
        if self.by_topic.remove(key).is_some_and(|shelf| shelf.is_learned) {
            self.learned -= 1;
        }
    }

    fn take(&mut self, key: &Key) -> Option<Vec<Envelope>> {
        let taken: Vec<_> = std::mem::take(&mut self.by_topic.get_mut(key)?.messages).into();
        for envelope in &taken {
            for other in keys(envelope) {
                if let Some(shelf) = self.by_topic.get_mut(&other) {
                    shelf.messages.retain(|message| message.hash() != envelope.hash());
                }
            }
        }
        Some(taken)
    }

    fn add(&mut self, envelope: &Envelope, capacity: usize) {
        let keys = keys(envelope);
        if !keys.iter().any(|key| self.by_topic.contains_key(key)) {
            return;
        }
        for key in keys {
            if !self.by_topic.contains_key(&key) {
                if self.learned >= MAX_LEARNED {
                    continue;
                }
                self.learned += 1;
                self.by_topic.insert(key.clone(), Shelf { is_learned: true, ..Shelf::default() });
            }
            if let Some(shelf) = self.by_topic.get_mut(&key) {
                shelf.add(envelope, capacity);
            }
        }
    }
}

impl Shelf {
    fn add(&mut self, envelope: &Envelope, capacity: usize) {
        if self.messages.iter().any(|message| message.hash() == envelope.hash()) {
            return;
        }
        if self.messages.len() >= capacity {
            let timestamp =
                |(_, message): &(usize, &Envelope)| message.message().timestamp.unwrap_or_default();
            if let Some((oldest, _)) = self.messages.iter().enumerate().min_by_key(timestamp) {
                self.messages.remove(oldest);
            }
        }
        if capacity > 0 {
            self.messages.push_back(envelope.clone());
        }
    }
}

fn keys(envelope: &Envelope) -> [Key; 2] {
    [Key::Pubsub(envelope.pubsub_topic().clone()), Key::Content(envelope.message().content_topic.clone())]
}

/// Puts what the relay accepts into a cache.
#[derive(Debug)]
pub(crate) struct CacheTap {
    cache: Arc<Cache>,
}

impl CacheTap {
    pub(super) fn new(cache: &Arc<Cache>) -> Self {
        Self { cache: Arc::clone(cache) }
    }
}

impl Tap for CacheTap {
    fn push(&self, envelope: &Envelope, _: Option<PeerId>) {
        self.cache.add(envelope);
    }
}

#[cfg(test)]
mod tests {
    use waku::proto::EncodedMessage;
    use waku::{Shard, WakuMessage};

    use super::*;

    fn envelope(shard: u16, name: &str, at: i64) -> Envelope {
        let topic = format!("/app/1/{name}/proto").parse().unwrap();
        let message = EncodedMessage::encode(WakuMessage::new(&topic, vec![1], at));
        Envelope::new(Shard::new(1, shard).unwrap().into(), message)
    }

    const NOTHING: [i64; 0] = [];

    fn times(taken: Option<Vec<Envelope>>) -> Vec<i64> {
        taken.unwrap().iter().map(|envelope| envelope.message().timestamp.unwrap()).collect()
    }

    #[test]
    fn what_nobody_asked_for_is_not_kept() {
        let cache = Cache::new(10);
        cache.add(&envelope(0, "a", 1));
        assert_eq!(cache.take_pubsub_topic(envelope(0, "a", 1).pubsub_topic()), None);
        assert_eq!(cache.take_content_topic("/app/1/a/proto"), None);
    }

    #[test]
    fn a_message_is_found_by_both_its_topics_and_taken_once() {
        let cache = Cache::new(10);
        let topic = envelope(0, "a", 1).pubsub_topic().clone();
        cache.want_pubsub_topic(topic.clone());
        for at in [2, 1, 2] {
            cache.add(&envelope(0, "a", at));
        }
        assert_eq!(times(cache.take_content_topic("/app/1/a/proto")), [2, 1]);
        assert_eq!(times(cache.take_pubsub_topic(&topic)), NOTHING);
        cache.add(&envelope(0, "a", 3));
        assert_eq!(times(cache.take_pubsub_topic(&topic)), [3]);
        assert_eq!(times(cache.take_content_topic("/app/1/a/proto")), NOTHING);
    }

    #[test]
    fn the_oldest_by_timestamp_makes_room() {
        let cache = Cache::new(2);
        cache.want_content_topic("/app/1/a/proto");
        for at in [5, 3, 9, 1] {
            cache.add(&envelope(0, "a", at));
        }
        assert_eq!(times(cache.take_content_topic("/app/1/a/proto")), [9, 1]);
    }

    #[test]
    fn a_topic_forgotten_is_not_known_any_more() {
        let cache = Cache::new(2);
        cache.want_content_topic("/app/1/a/proto");
        cache.add(&envelope(0, "a", 1));
        cache.forget_content_topic("/app/1/a/proto");
        assert_eq!(cache.take_content_topic("/app/1/a/proto"), None);
        assert_eq!(times(cache.take_pubsub_topic(envelope(0, "a", 1).pubsub_topic())), [1]);
    }

    #[test]
    fn strangers_topics_are_bounded() {
        let cache = Cache::new(1);
        cache.want_pubsub_topic(envelope(0, "a", 1).pubsub_topic().clone());
        for number in 0..2 * MAX_LEARNED {
            cache.add(&envelope(0, &number.to_string(), 1));
        }
        assert_eq!(cache.shelves().by_topic.len(), 1 + MAX_LEARNED);
        assert!(cache.wants_content_topic("/app/1/0/proto"));
    }
}
