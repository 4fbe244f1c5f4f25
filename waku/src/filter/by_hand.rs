//! What was asked of service nodes by hand, and who reads what they push.

use std::collections::{HashMap, HashSet};

use waku_proto::PubsubTopic;

use crate::relay::queue::Writer;
use crate::{Envelope, PeerId};

/// The criteria asked for at each peer, and the readers of all of them.
#[derive(Debug, Default)]
pub(super) struct ByHand {
    asked: HashMap<PeerId, HashSet<(PubsubTopic, Box<str>)>>,
    readers: Vec<Writer>,
}

impl ByHand {
    pub(super) fn add(&mut self, peer: PeerId, pubsub_topic: &PubsubTopic, topics: Vec<Box<str>>) {
        let criteria = topics.into_iter().map(|topic| (pubsub_topic.clone(), topic));
        self.asked.entry(peer).or_default().extend(criteria);
    }

    pub(super) fn remove(&mut self, peer: PeerId, pubsub_topic: &PubsubTopic, topics: Vec<Box<str>>) {
        let Some(asked) = self.asked.get_mut(&peer) else {
            return;
        };
        for topic in topics {
            asked.remove(&(pubsub_topic.clone(), topic));
        }
        if asked.is_empty() {
            self.asked.remove(&peer);
        }
    }

    pub(super) fn remove_all(&mut self, peer: PeerId) {
        self.asked.remove(&peer);
    }

    /// The peers of whom something is asked.
    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.asked.keys().copied()
    }

    pub(super) fn asks(&self, peer: PeerId) -> bool {
        self.asked.contains_key(&peer)
    }

    pub(super) fn wants(&self, peer: PeerId, pubsub_topic: &PubsubTopic, topic: &str) -> bool {
        let asked = self.asked.get(&peer);
        asked.is_some_and(|asked| asked.contains(&(pubsub_topic.clone(), Box::from(topic))))
    }

    pub(super) fn add_reader(&mut self, writer: Writer) {
        self.readers.push(writer);
    }

    /// Lets go of readers that are gone.
    pub(super) fn sweep(&mut self) {
        self.readers.retain(|reader| !reader.is_abandoned());
    }

    /// Hands a message to all readers; returns how many had no room for it.
    pub(super) fn deliver(&self, envelope: &Envelope) -> u64 {
        self.readers.iter().map(|reader| u64::from(!reader.push(envelope.clone()))).sum()
    }
}
