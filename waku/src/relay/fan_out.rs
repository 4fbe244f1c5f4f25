//! Hands each message to the subscriptions that asked for it.

use std::collections::{BTreeSet, HashMap};

use waku_proto::PubsubTopic;

use super::queue::Writer;
use crate::Envelope;

/// Names a subscription within its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionId(u64);

/// What a subscription asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interest {
    /// That the node is subscribed to a pubsub topic, and none of its messages.
    Membership(PubsubTopic),
    /// Everything on a pubsub topic.
    Topic(PubsubTopic),
    /// These content topics, as messages have them, each on its pubsub topic.
    ContentTopics(HashMap<Box<str>, PubsubTopic>),
}

impl Interest {
    /// The pubsub topics needed, each once.
    pub(crate) fn pubsub_topics(&self) -> BTreeSet<PubsubTopic> {
        match self {
            Self::Membership(topic) | Self::Topic(topic) => BTreeSet::from([topic.clone()]),
            Self::ContentTopics(topics) => topics.values().cloned().collect(),
        }
    }
}

#[derive(Debug)]
struct Subscription {
    writer: Writer,
    interest: Interest,
}

impl Subscription {
    fn wants(&self, envelope: &Envelope) -> bool {
        match &self.interest {
            Interest::Membership(_) => false,
            Interest::Topic(topic) => topic == envelope.pubsub_topic(),
            Interest::ContentTopics(topics) => {
                topics.get(envelope.message().content_topic.as_str()) == Some(envelope.pubsub_topic())
            }
        }
    }
}

/// All subscriptions of a node.
#[derive(Debug, Default)]
pub(crate) struct FanOut {
    subscriptions: HashMap<SubscriptionId, Subscription>,
    next_id: u64,
}

impl FanOut {
    /// Adds a subscription.
    pub(crate) fn add(&mut self, writer: Writer, interest: Interest) -> SubscriptionId {
        let id = SubscriptionId(self.next_id);
        self.next_id += 1;
        self.subscriptions.insert(id, Subscription { writer, interest });
        id
    }

    /// What a subscription asks for now; `None` when it is gone.
    pub(crate) fn interest(&self, id: SubscriptionId) -> Option<&Interest> {
        self.subscriptions.get(&id).map(|subscription| &subscription.interest)
    }

    /// Changes what a subscription asks for.
    pub(crate) fn set_interest(&mut self, id: SubscriptionId, interest: Interest) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.interest = interest;
        }
    }

    /// Removes the subscriptions nobody reads, and returns what they asked for.
    pub(crate) fn sweep(&mut self) -> Vec<Interest> {
        self.subscriptions
            .extract_if(|_, subscription| subscription.writer.is_abandoned())
            .map(|(_, subscription)| subscription.interest)
            .collect()
    }

    /// Hands a message to all who want it; returns how many had no room for it.
    pub(crate) fn deliver(&self, envelope: &Envelope) -> u64 {
        let wanted = self.subscriptions.values().filter(|subscription| subscription.wants(envelope));
        wanted.map(|subscription| u64::from(!subscription.writer.push(envelope.clone()))).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use waku_proto::{EncodedMessage, WakuMessage};

    use super::super::queue::{Reader, queue};
    use super::*;
    use crate::Delivery;

    fn envelope(pubsub_topic: &str, content_topic: &str) -> Envelope {
        let message = WakuMessage::new(&content_topic.parse().unwrap(), "x", 1);
        Envelope::new(pubsub_topic.parse().unwrap(), EncodedMessage::encode(message))
    }

    fn content(topics: &[(&str, &str)]) -> Interest {
        let parse = |(content, pubsub): &(&str, &str)| (Box::from(*content), pubsub.parse().unwrap());
        Interest::ContentTopics(topics.iter().map(parse).collect())
    }

    fn read(reader: &Reader) -> Option<Envelope> {
        match reader.poll_next(&Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(Delivery::Message(envelope))) => Some(envelope),
            _ => None,
        }
    }

    #[test]
    fn delivers_everything_on_a_topic() {
        let mut fan_out = FanOut::default();
        let (writer, reader) = queue(8, Arc::default());
        fan_out.add(writer, Interest::Topic("/waku/2/rs/0/0".parse().unwrap()));
        let (here, there) = (envelope("/waku/2/rs/0/0", "/a/1/b/c"), envelope("/waku/2/rs/0/1", "/a/1/b/c"));
        assert_eq!((fan_out.deliver(&here), fan_out.deliver(&there)), (0, 0));
        assert_eq!((read(&reader), read(&reader)), (Some(here), None));
    }

    #[test]
    fn delivers_content_topics_only_on_their_pubsub_topic() {
        let mut fan_out = FanOut::default();
        let (writer, reader) = queue(8, Arc::default());
        let id = fan_out.add(writer, content(&[("/a/1/b/c", "/waku/2/rs/0/0")]));
        let wanted = envelope("/waku/2/rs/0/0", "/a/1/b/c");
        fan_out.deliver(&envelope("/waku/2/rs/0/0", "/a/1/other/c"));
        fan_out.deliver(&envelope("/waku/2/rs/0/1", "/a/1/b/c"));
        fan_out.deliver(&wanted);
        assert_eq!((read(&reader), read(&reader)), (Some(wanted.clone()), None));

        fan_out.set_interest(id, content(&[("/a/1/other/c", "/waku/2/rs/0/0")]));
        let now_wanted = envelope("/waku/2/rs/0/0", "/a/1/other/c");
        fan_out.deliver(&wanted);
        fan_out.deliver(&now_wanted);
        assert_eq!((read(&reader), read(&reader)), (Some(now_wanted), None));
    }

    #[test]
    fn counts_readers_without_room() {
        let mut fan_out = FanOut::default();
        let interest = Interest::Topic("/waku/2/rs/0/0".parse().unwrap());
        let (small, _small_reader) = queue(1, Arc::default());
        let (large, _large_reader) = queue(2, Arc::default());
        fan_out.add(small, interest.clone());
        fan_out.add(large, interest);
        let counts: Vec<u64> =
            (0..3).map(|_| fan_out.deliver(&envelope("/waku/2/rs/0/0", "/a/1/b/c"))).collect();
        assert_eq!(counts, [0, 1, 2]);
    }

    #[test]
    fn forgets_subscriptions_nobody_reads() {
        let mut fan_out = FanOut::default();
        let (writer, reader) = queue(1, Arc::default());
        let interest = content(&[("/a/1/b/c", "/waku/2/rs/0/0")]);
        let id = fan_out.add(writer, interest.clone());
        assert_eq!(fan_out.sweep(), []);
        drop(reader);
        assert_eq!(fan_out.sweep(), [interest]);
        assert_eq!(fan_out.interest(id), None);
    }
}
