//! The times in which messages may have been missed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use waku_proto::PubsubTopic;

use super::link::Link;
use super::route::Route;

/// A time in which no service node is known to have pushed these content topics. What came meanwhile can be
/// had from a store node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterGap {
    /// The pubsub topic.
    pub pubsub_topic: PubsubTopic,
    /// The content topics, as messages have them.
    pub content_topics: Vec<String>,
    /// When a service node was last heard of that pushed them.
    pub from: SystemTime,
    /// When one was subscribed at again.
    pub to: SystemTime,
}

/// A service node has confirmed topics: the gap that ends with it.
pub(super) fn closed(
    pubsub_topic: &PubsubTopic,
    route: &Route,
    topics: &[Box<str>],
    others: &[&Link],
    now: SystemTime,
) -> Option<FilterGap> {
    let is_uncovered = |topic: &&str| !others.iter().any(|link| link.knows(pubsub_topic, topic));
    let ended = topics.iter().map(|topic| &**topic).filter(is_uncovered);
    of(pubsub_topic, ended.filter_map(|topic| Some((topic, route.covered_until(topic)?, now))))
}

/// A service node that was last heard of at a time no longer knows topics: the gap between it and the others
/// that do. Where no other does, the gap ends when one is found.
pub(super) fn lost(
    pubsub_topic: &PubsubTopic,
    route: &mut Route,
    topics: &[Box<str>],
    last_heard: SystemTime,
    others: &[&Link],
) -> Option<FilterGap> {
    let ended = topics.iter().filter_map(|topic| {
        let from = route.covered(topic, last_heard)?;
        let to = others.iter().filter_map(|link| link.known_since(pubsub_topic, topic)).min()?;
        Some((&**topic, from, to))
    });
    of(pubsub_topic, ended)
}

/// One gap for all topics, as long as the longest.
fn of<'a>(
    pubsub_topic: &PubsubTopic,
    topics: impl Iterator<Item = (&'a str, SystemTime, SystemTime)>,
) -> Option<FilterGap> {
    let topics: BTreeMap<_, _> =
        topics.filter(|(_, from, to)| from < to).map(|(topic, from, to)| (topic, (from, to))).collect();
    Some(FilterGap {
        pubsub_topic: pubsub_topic.clone(),
        from: topics.values().map(|(from, _)| *from).min()?,
        to: topics.values().map(|(_, to)| *to).max()?,
        content_topics: topics.into_keys().map(ToOwned::to_owned).collect(),
    })
}
