//! The message (14/WAKU2-MESSAGE).

use core::fmt;

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use crate::wire::required;
use crate::{ContentTopic, GossipId, MessageHash, PubsubTopic, Wire, WireError, generated};

/// Most bytes `meta` may have.
pub const MAX_META_LEN: usize = 64;
/// Largest message the public networks take, in bytes: 150 KiB (64/WAKU2-NETWORK).
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 150 * 1024;

/// What an application publishes.
///
/// Holds exactly what the wire says, the presence of every optional field included. The content topic may
/// be any text: a relay node carries what others publish. `Debug` shows sizes instead of contents.
///
/// ```
/// use waku_proto::{WakuMessage, Wire};
///
/// let topic = "/toychat/2/huilong/proto".parse()?;
/// let message = WakuMessage::new(&topic, "hello", 1_681_964_442_000_000_000).with_ephemeral();
/// assert_eq!(WakuMessage::decode(message.clone().encode())?, message);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WakuMessage {
    /// Application bytes, often encrypted. At least one byte is needed to be relayed by every implementation.
    pub payload: Bytes,
    /// Content topic, as text.
    pub content_topic: String,
    /// Payload encoding: absent or 0 the application's own, 1 26/WAKU2-PAYLOAD, 2 35/WAKU2-NOISE.
    pub version: Option<u32>,
    /// Unix time in nanoseconds. Without it implementations disagree about the message's hash.
    pub timestamp: Option<i64>,
    /// Application attributes, at most [`MAX_META_LEN`] bytes; part of the hash.
    pub meta: Option<Bytes>,
    /// A serialized [`RateLimitProof`](crate::rate_limit_proof::RateLimitProof).
    pub rate_limit_proof: Option<Bytes>,
    /// `Some(true)` when stores must not keep the message.
    pub ephemeral: Option<bool>,
}

impl WakuMessage {
    /// A message as every implementation accepts it, provided that `payload` is not empty.
    ///
    /// `timestamp` is Unix time in nanoseconds.
    pub fn new(content_topic: &ContentTopic, payload: impl Into<Bytes>, timestamp: i64) -> Self {
        Self {
            payload: payload.into(),
            content_topic: content_topic.as_str().to_owned(),
            version: None,
            timestamp: Some(timestamp),
            meta: None,
            rate_limit_proof: None,
            ephemeral: None,
        }
    }

    /// Names the payload's encoding.
    pub fn with_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Adds application attributes, at most [`MAX_META_LEN`] bytes.
    pub fn with_meta(mut self, meta: impl Into<Bytes>) -> Self {
        self.meta = Some(meta.into());
        self
    }

    /// Asks stores not to keep the message.
    pub fn with_ephemeral(mut self) -> Self {
        self.ephemeral = Some(true);
        self
    }

    /// Adds a serialized rate limit proof.
    pub fn with_rate_limit_proof(mut self, proof: impl Into<Bytes>) -> Self {
        self.rate_limit_proof = Some(proof.into());
        self
    }

    /// Checks what go-waku and js-waku check before they relay a message. nwaku checks the length of `meta`
    /// only.
    ///
    /// # Errors
    /// When the payload or the content topic is empty or `meta` is too long.
    pub fn check(&self) -> Result<(), MessageError> {
        if self.payload.is_empty() {
            return Err(MessageError::EmptyPayload);
        }
        if self.content_topic.is_empty() {
            return Err(MessageError::EmptyContentTopic);
        }
        match self.meta.as_ref().map_or(0, Bytes::len) {
            len if len > MAX_META_LEN => Err(MessageError::MetaTooLong { len }),
            _ => Ok(()),
        }
    }
}

/// A message that should not be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The payload is empty.
    #[error("the payload is empty")]
    EmptyPayload,
    /// The content topic is empty.
    #[error("the content topic is empty")]
    EmptyContentTopic,
    /// `meta` is longer than [`MAX_META_LEN`].
    #[error("meta has {len} bytes, at most {MAX_META_LEN} are allowed")]
    MetaTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The encoded message is over the network's limit.
    #[error("the message has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its encoded size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Wire for WakuMessage {
    type Generated = generated::WakuMessage;

    /// Fails when payload or content topic is absent, as nwaku does. Empty ones are fine.
    fn from_generated(generated: generated::WakuMessage) -> Result<Self, WireError> {
        Ok(Self {
            payload: required(generated.payload, "payload")?,
            content_topic: required(generated.content_topic, "content_topic")?,
            version: generated.version,
            timestamp: generated.timestamp,
            meta: generated.meta,
            rate_limit_proof: generated.rate_limit_proof,
            ephemeral: generated.ephemeral,
        })
    }
}

impl From<WakuMessage> for generated::WakuMessage {
    fn from(message: WakuMessage) -> Self {
        Self {
            payload: Some(message.payload),
            content_topic: Some(message.content_topic),
            version: message.version,
            timestamp: message.timestamp,
            meta: message.meta,
            rate_limit_proof: message.rate_limit_proof,
            ephemeral: message.ephemeral,
        }
    }
}

/// A message inside another protocol's message, where go-waku and js-waku leave empty fields out.
pub(crate) fn embedded(
    message: Option<generated::WakuMessage>,
    field: &'static str,
) -> Result<WakuMessage, WireError> {
    let mut message = required(message, field)?;
    message.payload.get_or_insert_default();
    message.content_topic.get_or_insert_default();
    WakuMessage::from_generated(message)
}

impl fmt::Debug for WakuMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map(Bytes::len);
        f.debug_struct("WakuMessage")
            .field("payload_len", &self.payload.len())
            .field("content_topic", &self.content_topic)
            .field("version", &self.version)
            .field("timestamp", &self.timestamp)
            .field("meta_len", &len(&self.meta))
            .field("rate_limit_proof_len", &len(&self.rate_limit_proof))
            .field("ephemeral", &self.ephemeral)
            .finish()
    }
}

/// A message together with the bytes it came in, or will go out in.
///
/// Relaying and naming use these bytes, so fields of future versions survive and the gossip id stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedMessage {
    message: WakuMessage,
    bytes: Bytes,
}

impl EncodedMessage {
    /// Encodes a message of our own.
    pub fn encode(message: WakuMessage) -> Self {
        let bytes = Bytes::from(generated::WakuMessage::from(message.clone()).encode_to_vec());
        Self { message, bytes }
    }

    /// Reads a message from the network.
    ///
    /// # Errors
    /// When the bytes are not a `WakuMessage` that has a payload and a content topic.
    pub fn decode(bytes: Bytes) -> Result<Self, WireError> {
        Ok(Self { message: WakuMessage::decode(bytes.clone())?, bytes })
    }

    /// The message.
    pub fn message(&self) -> &WakuMessage {
        &self.message
    }

    /// Its encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Checks the encoded size against a network's limit, in bytes.
    ///
    /// # Errors
    /// When the message is larger than `limit`.
    pub fn check_size(&self, limit: usize) -> Result<(), MessageError> {
        match self.bytes.len() {
            size if size > limit => Err(MessageError::TooLarge { size, limit }),
            _ => Ok(()),
        }
    }

    /// The deterministic hash on `topic`.
    pub fn hash(&self, topic: &PubsubTopic) -> MessageHash {
        MessageHash::of(topic, &self.message)
    }

    /// The gossip id.
    pub fn gossip_id(&self) -> GossipId {
        GossipId::of(&self.bytes)
    }
}
