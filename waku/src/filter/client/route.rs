//! The content topics wanted on one pubsub topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crate::PeerId;

/// What is wanted on a pubsub topic, and the service nodes it is to come from.
#[derive(Debug, Default)]
pub(super) struct Route {
    topics: BTreeMap<Box<str>, Topic>,
    pub(super) peers: BTreeSet<PeerId>,
}

#[derive(Debug, Default)]
struct Topic {
    users: usize,
    /// Until when service nodes that are lost by now have certainly pushed it.
    covered_until: Option<SystemTime>,
}

impl Route {
    /// Counts a user of a topic; true when it is the first.
    pub(super) fn want(&mut self, topic: &str) -> bool {
        let topic = self.topics.entry(topic.into()).or_default();
        topic.users += 1;
        topic.users == 1
    }

    /// Discounts a user of a topic; true when it was the last.
    pub(super) fn unwant(&mut self, topic: &str) -> bool {
        let Some(wanted) = self.topics.get_mut(topic) else {
            return false;
        };
        wanted.users -= 1;
        if wanted.users > 0 {
            return false;
        }
        self.topics.remove(topic);
        true
    }

    pub(super) fn wants(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(|topic| &**topic)
    }

    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Until when a topic was covered by service nodes that are lost by now; `None` when none was lost, or
    /// the topic is not wanted.
    pub(super) fn covered_until(&self, topic: &str) -> Option<SystemTime> {
        self.topics.get(topic)?.covered_until
    }

    /// A service node that has pushed a topic until then is lost. Returns the latest such time.
    pub(super) fn covered(&mut self, topic: &str, until: SystemTime) -> Option<SystemTime> {
        let topic = self.topics.get_mut(topic)?;
        topic.covered_until = topic.covered_until.max(Some(until));
        topic.covered_until
    }
}
