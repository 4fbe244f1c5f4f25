//! Who asked for which topics: finding the receivers of a message takes as long as there are receivers.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use waku_proto::PubsubTopic;

/// Names a subscriber as long as it is one. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct ClientId(u64);

impl ClientId {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The subscribers of every content topic of every pubsub topic.
#[derive(Debug, Default)]
pub(super) struct Criteria {
    clients: HashMap<PubsubTopic, HashMap<Arc<str>, BTreeSet<ClientId>>>,
}

impl Criteria {
    /// Adds a criterion of a subscriber. Returns the topic, in memory once for all of them.
    pub(super) fn add(&mut self, pubsub_topic: &PubsubTopic, topic: &str, client: ClientId) -> Arc<str> {
        let topics = self.clients.entry(pubsub_topic.clone()).or_default();
        let topic =
            topics.get_key_value(topic).map_or_else(|| Arc::from(topic), |(topic, _)| Arc::clone(topic));
        topics.entry(Arc::clone(&topic)).or_default().insert(client);
        topic
    }

    /// Removes a criterion of a subscriber.
    pub(super) fn remove(&mut self, pubsub_topic: &PubsubTopic, topic: &str, client: ClientId) {
        let Some(topics) = self.clients.get_mut(pubsub_topic) else {
            return;
        };
        if let Some(clients) = topics.get_mut(topic) {
            clients.remove(&client);
            if clients.is_empty() {
                topics.remove(topic);
            }
        }
        if topics.is_empty() {
            self.clients.remove(pubsub_topic);
        }
    }

    /// The subscribers of a content topic; `None` when there are none.
    pub(super) fn clients(&self, pubsub_topic: &PubsubTopic, topic: &str) -> Option<&BTreeSet<ClientId>> {
        self.clients.get(pubsub_topic)?.get(topic)
    }

    /// True when nobody asks for anything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}
