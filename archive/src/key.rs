//! What messages are sorted by: their place on the time axis, and their topics.

use sha2::{Digest as _, Sha256};
use waku_proto::{Envelope, MessageHash};

const LAST_HASH: [u8; 32] = [u8::MAX; 32];

/// A place on the time axis. One message's alone, for the timestamp is part of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Unix nanoseconds.
    pub(super) timestamp: i64,
    pub(super) hash: MessageHash,
}

impl Position {
    pub(super) fn of(envelope: &Envelope) -> Self {
        Self { timestamp: envelope.message().timestamp.unwrap_or_default(), hash: envelope.hash() }
    }
}

/// A stretch of the time axis, from its first place to its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: Position,
    pub(super) last: Position,
}

impl Span {
    /// From one Unix nanosecond to another, both included.
    pub(super) fn between(start: Option<i64>, end: Option<i64>) -> Self {
        Self {
            first: Position { timestamp: start.unwrap_or(i64::MIN), hash: [0; 32].into() },
            last: Position { timestamp: end.unwrap_or(i64::MAX), hash: LAST_HASH.into() },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first > self.last
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        (self.first..=self.last).contains(&position)
    }
}

/// What stands for a topic in an index: half of its SHA-256.
///
/// Strangers choose content topics, as long and as many as they like. A digest has one length, and when the last
/// message of a topic goes, nothing of the topic is left. To find a second topic for a given digest takes 2^128
/// attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicKey(pub(super) u128);

impl TopicKey {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self(u128::MAX);

    pub(super) fn of(topic: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(topic).into();
        Self(u128::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes")))
    }

    /// The key after this one, if there is any.
    pub(super) fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// The topics a message is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Topics {
    pub(super) content: TopicKey,
    pub(super) pubsub: TopicKey,
}

impl Topics {
    pub(super) fn of(envelope: &Envelope) -> Self {
        Self {
            content: TopicKey::of(&envelope.message().content_topic),
            pubsub: TopicKey::of(envelope.pubsub_topic().as_str()),
        }
    }
}
