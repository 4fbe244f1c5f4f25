//! What a client knows about one of its service nodes.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use waku_proto::PubsubTopic;

use super::{Candidate, Now};
use crate::PeerId;

/// The first pause after a service node said that it is asked too often; doubled from time to time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Content topics that a service node may know, each with the time when it confirmed that, if it did.
pub(super) type Topics = BTreeMap<PubsubTopic, HashMap<Box<str>, Option<SystemTime>>>;

/// Tells the present use of a service node from former ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LinkId(u64);

impl LinkId {
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A service node in use.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) peer: PeerId,
    pub(super) connected_since: SystemTime,
    topics: Topics,
    /// It is known to know what it should.
    pub(super) is_settled: bool,
    /// It is not used any more, and is to be told so.
    pub(super) is_leaving: bool,
    /// A question is on its way.
    pub(super) is_asking: bool,
    /// No question before that.
    pub(super) not_before: Instant,
    pub(super) next_ping: Instant,
    /// In a row.
    pub(super) ping_failures: u32,
    pause: Duration,
    /// When it last answered or pushed.
    pub(super) last_heard: SystemTime,
}

impl Link {
    /// A link to a peer that may know `topics` from before.
    pub(super) fn new(
        id: LinkId,
        candidate: &Candidate,
        topics: Topics,
        ping_interval: Duration,
        now: Now,
    ) -> Self {
        Self {
            id,
            peer: candidate.peer(),
            connected_since: candidate.info.connected_since,
            topics,
            is_settled: false,
            is_leaving: false,
            is_asking: false,
            not_before: now.at,
            next_ping: now.at + ping_interval,
            ping_failures: 0,
            pause: FIRST_PAUSE,
            last_heard: now.time,
        }
    }

    /// The end of a link: the peer is only told that it is over.
    pub(super) fn leaving(link: &Self) -> Self {
        Self { topics: Topics::new(), is_settled: false, is_leaving: true, is_asking: false, ..*link }
    }

    pub(super) fn may_ask(&self, now: Instant) -> bool {
        !self.is_asking && self.not_before <= now
    }

    pub(super) fn next_wake(&self) -> Option<Instant> {
        let is_due = !self.is_settled || self.is_leaving;
        let next = if is_due { self.not_before } else { self.next_ping.max(self.not_before) };
        (!self.is_asking).then_some(next)
    }

    /// The peer has answered with success.
    pub(super) fn is_well(&mut self, now: Now, ping_interval: Duration) {
        self.last_heard = now.time;
        self.ping_failures = 0;
        self.pause = FIRST_PAUSE;
        self.next_ping = now.at + ping_interval;
    }

    /// The peer says that it is asked too often.
    pub(super) fn slow_down(&mut self, now: Instant) {
        self.not_before = now + self.pause;
        self.pause = (2 * self.pause).min(MAX_PAUSE);
    }

    /// The peer is asked to subscribe us.
    pub(super) fn asked(&mut self, pubsub_topic: &PubsubTopic, topics: &[Box<str>]) {
        let may_know = self.topics.entry(pubsub_topic.clone()).or_default();
        for topic in topics {
            may_know.entry(topic.clone()).or_default();
        }
    }

    /// The peer has confirmed that it knows content topics.
    pub(super) fn learn(&mut self, pubsub_topic: &PubsubTopic, topics: &[Box<str>], now: SystemTime) {
        let known = self.topics.entry(pubsub_topic.clone()).or_default();
        for topic in topics {
            known.entry(topic.clone()).or_default().get_or_insert(now);
        }
        // More may be lacking than a request has room for.
        self.is_settled = false;
    }

    /// The peer does not know content topics any more.
    pub(super) fn forget(&mut self, pubsub_topic: &PubsubTopic, topics: &[Box<str>]) {
        if let Some(known) = self.topics.get_mut(pubsub_topic) {
            known.retain(|topic, _| !topics.contains(topic));
            if known.is_empty() {
                self.topics.remove(pubsub_topic);
            }
        }
        self.is_settled = false;
    }

    /// Takes everything that the peer may know.
    pub(super) fn take_topics(&mut self) -> Topics {
        self.is_settled = false;
        std::mem::take(&mut self.topics)
    }

    pub(super) fn knows_nothing(&self) -> bool {
        self.topics.is_empty()
    }

    pub(super) fn knows(&self, pubsub_topic: &PubsubTopic, topic: &str) -> bool {
        self.known_since(pubsub_topic, topic).is_some()
    }

    /// Since when the peer is known to know a content topic.
    pub(super) fn known_since(&self, pubsub_topic: &PubsubTopic, topic: &str) -> Option<SystemTime> {
        *self.topics.get(pubsub_topic)?.get(topic)?
    }

    /// What the peer may know.
    pub(super) fn may_know(&self) -> impl Iterator<Item = (&PubsubTopic, impl Iterator<Item = &str>)> {
        self.topics.iter().map(|(pubsub_topic, topics)| (pubsub_topic, topics.keys().map(|topic| &**topic)))
    }
}
