//! Names of messages: the deterministic hash (14/WAKU2-MESSAGE) and the gossip id (11/WAKU2-RELAY).

use core::fmt;
use core::str::FromStr;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{PubsubTopic, WakuMessage};

/// The deterministic hash of a message on a pubsub topic: the name stores, cursors and queries use.
///
/// SHA-256 of pubsub topic, payload, content topic, meta and timestamp, one after the other, the timestamp
/// as a 64-bit big-endian integer. Version, the ephemeral flag and the rate limit proof are not covered.
///
/// # Differences from other implementations
/// An absent timestamp counts as zero and takes eight bytes, as in nwaku and go-waku; js-waku leaves the
/// eight bytes out. Always set a timestamp.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash([u8; 32]);

impl MessageHash {
    /// Hashes `message` as relayed on `pubsub_topic`.
    pub fn of(pubsub_topic: &PubsubTopic, message: &WakuMessage) -> Self {
        let digest = Sha256::new()
            .chain_update(pubsub_topic.as_str())
            .chain_update(&message.payload)
            .chain_update(&message.content_topic)
            .chain_update(message.meta.as_deref().unwrap_or_default())
            .chain_update(message.timestamp.unwrap_or_default().to_be_bytes())
            .finalize();
        Self(digest.into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for MessageHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageHash({self})")
    }
}

impl FromStr for MessageHash {
    type Err = ParseHashError;

    /// Reads 64 hexadecimal digits of either case, with or without `0x` before them.
    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let error = || ParseHashError { text: text.to_owned() };
        let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0, |value, digit| {
                let digit = char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit.map(|digit| value << 4 | digit).ok_or_else(error)
            })?;
        }
        Ok(Self(bytes))
    }
}

/// Text that is not a message hash.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a message hash: 64 hexadecimal digits expected")]
pub struct ParseHashError {
    /// The text.
    pub text: String,
}

/// The gossipsub message id: SHA-256 of the bytes that were published.
///
/// The same message encoded in another way has another id, so a relayed message must be forwarded as the
/// bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GossipId([u8; 32]);

impl GossipId {
    /// Hashes the data of a gossipsub message.
    pub fn of(data: &[u8]) -> Self {
        Self(Sha256::digest(data).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
