//! What is to be asked of a service node, so that it knows what it should.

use std::collections::BTreeMap;

use waku_proto::PubsubTopic;

use super::Question;
use super::link::Link;
use super::route::Route;
use waku_proto::filter::MAX_CONTENT_TOPICS;

/// What a service node lacks, or else what it has too much; as much as fits a request.
pub(super) fn difference(link: &Link, routes: &BTreeMap<PubsubTopic, Route>) -> Option<Question> {
    let used = routes.iter().filter(|(_, route)| route.peers.contains(&link.peer));
    for (pubsub_topic, route) in used {
        let (known, missing): (Vec<&str>, Vec<&str>) =
            route.topics().partition(|topic| link.knows(pubsub_topic, topic));
        if !missing.is_empty() {
            // As many of the others as there is room for: it may have forgotten them, and would not say so as
            // long as it knows any.
            let topics = missing.into_iter().chain(known).take(MAX_CONTENT_TOPICS);
            return Some(Question::Subscribe(pubsub_topic.clone(), topics.map(Into::into).collect()));
        }
    }
    for (pubsub_topic, known) in link.may_know() {
        let route = routes.get(pubsub_topic).filter(|route| route.peers.contains(&link.peer));
        let superfluous = known.filter(|topic| route.is_none_or(|route| !route.wants(topic)));
        let superfluous: Vec<Box<str>> = superfluous.take(MAX_CONTENT_TOPICS).map(Into::into).collect();
        if !superfluous.is_empty() {
            return Some(Question::Unsubscribe(pubsub_topic.clone(), superfluous));
        }
    }
    None
}
