//! Messages, bytes and hashes as values in JSON.

use anyhow::{Context, Result};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use waku::{Bytes, MessageHash, WakuMessage};

/// A message in JSON. What a message does not carry is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    payload: String,
    content_topic: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ephemeral: Option<bool>,
}

impl From<&WakuMessage> for Message {
    fn from(message: &WakuMessage) -> Self {
        Self {
            payload: base64(&message.payload),
            content_topic: message.content_topic.clone(),
            version: message.version,
            timestamp: message.timestamp.map(|timestamp| timestamp.to_string()),
            meta: message.meta.as_deref().map(base64),
            ephemeral: message.ephemeral,
        }
    }
}

impl TryFrom<Message> for WakuMessage {
    type Error = anyhow::Error;

    fn try_from(message: Message) -> Result<Self> {
        Ok(Self {
            payload: unbase64(&message.payload)?,
            content_topic: message.content_topic,
            version: message.version,
            timestamp: message.timestamp.map(|timestamp| timestamp.parse()).transpose()?,
            meta: message.meta.as_deref().map(unbase64).transpose()?,
            rate_limit_proof: None,
            ephemeral: message.ephemeral,
        })
    }
}

/// Bytes as text.
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Bytes from text.
///
/// # Errors
/// When it is not base64.
pub fn unbase64(text: &str) -> Result<Bytes> {
    Ok(BASE64.decode(text.as_bytes()).with_context(|| format!("{text:?} is not base64"))?.into())
}

/// A hash as text.
pub fn hex(hash: MessageHash) -> String {
    HEXLOWER.encode(hash.as_bytes())
}
