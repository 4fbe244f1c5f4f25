//! A message on its way through a node.

use std::sync::Arc;

use crate::{EncodedMessage, MessageHash, PubsubTopic, WakuMessage};
use bytes::Bytes;

/// A message, the bytes it travels as, its pubsub topic and its hash, computed once and shared by everyone
/// who looks at it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope(Arc<Contents>);

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    pubsub_topic: PubsubTopic,
    message: EncodedMessage,
    hash: MessageHash,
}

impl Envelope {
    /// A message relayed, or to be relayed, on a pubsub topic.
    pub fn new(pubsub_topic: PubsubTopic, message: EncodedMessage) -> Self {
        let hash = message.hash(&pubsub_topic);
        Self(Arc::new(Contents { pubsub_topic, message, hash }))
    }

    /// The pubsub topic it was relayed on.
    pub fn pubsub_topic(&self) -> &PubsubTopic {
        &self.0.pubsub_topic
    }

    /// The message.
    pub fn message(&self) -> &WakuMessage {
        self.0.message.message()
    }

    /// The message with its bytes.
    pub fn encoded(&self) -> &EncodedMessage {
        &self.0.message
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> &Bytes {
        self.0.message.bytes()
    }

    /// Its deterministic hash (14/WAKU2-MESSAGE).
    pub fn hash(&self) -> MessageHash {
        self.0.hash
    }
}
