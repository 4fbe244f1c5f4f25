//! What foreign peers answer, and what they tell on their own.

use serde::Deserialize;
use serde_json::Value;

use super::Message;

/// A foreign node as it runs.
#[derive(Debug, Clone, Deserialize)]
pub struct Started {
    /// Name and version of the implementation.
    pub implementation: String,
    /// Its identity.
    pub peer_id: String,
    /// Where it can be dialled; nowhere, if it only dials.
    pub addresses: Vec<String>,
    /// Its node record.
    pub enr: Option<String>,
}

/// Peers.
#[derive(Debug, Clone, Deserialize)]
pub struct Peers {
    /// Their ids.
    pub peers: Vec<String>,
}

/// A page of a store.
#[derive(Debug, Clone, Deserialize)]
pub struct StorePage {
    /// The protocol's.
    pub status: u32,
    /// Why not.
    #[serde(default)]
    pub info: String,
    /// What was found.
    #[serde(default)]
    pub messages: Vec<StoredMessage>,
    /// Where to go on.
    pub cursor: Option<String>,
}

/// A message of a store.
#[derive(Debug, Clone, Deserialize)]
pub struct StoredMessage {
    /// Its hash.
    pub hash: String,
    /// Where it was relayed, with data.
    pub pubsub_topic: Option<String>,
    /// The message, with data.
    pub message: Option<Message>,
}

/// What became of a lightpush.
#[derive(Debug, Clone, Deserialize)]
pub struct Pushed {
    /// Whether the service node published it.
    pub accepted: bool,
    /// The protocol's status, if it has one.
    pub status: Option<u32>,
    /// What it said.
    #[serde(default)]
    pub info: String,
    /// To how many peers it went, if it said so.
    pub relay_peers: Option<u32>,
}

/// A hash.
#[derive(Debug, Clone, Deserialize)]
pub struct Hash {
    /// In hexadecimal.
    pub hash: String,
}

/// A pubsub topic.
#[derive(Debug, Clone, Deserialize)]
pub struct Topic {
    /// As text.
    pub pubsub_topic: String,
}

/// A payload, sealed or opened.
#[derive(Debug, Clone, Deserialize)]
pub struct Payload {
    /// In base64.
    pub payload: String,
    /// Who signed it, in base64.
    pub signer: Option<String>,
    /// The digits to compare after a handshake message, where they are shown.
    pub authcode: Option<String>,
}

/// A sealed Noise message.
#[derive(Debug, Clone, Deserialize)]
pub struct Sealed {
    /// In base64.
    pub message: String,
    /// The digits to compare after a handshake message, where they are shown.
    pub authcode: Option<String>,
}

/// The public keys of a side of a handshake, in base64.
#[derive(Debug, Clone, Deserialize)]
pub struct NoiseKeys {
    /// The static one.
    #[serde(rename = "static")]
    pub own_static: String,
    /// The ephemeral one, where it is shown.
    pub ephemeral: Option<String>,
}

/// What a handshake ended with.
#[derive(Debug, Clone, Deserialize)]
pub struct NoiseEnd {
    /// The handshake hash.
    pub hash: Option<String>,
    /// The digits to compare.
    pub authcode: Option<String>,
}

/// Peers as told by peer exchange: records, or who they are.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Exchanged {
    /// Node records.
    #[serde(default)]
    pub records: Vec<String>,
    /// Peer ids, where there is no more.
    #[serde(default)]
    pub peers: Vec<String>,
}

/// What a peer told of itself, or its record.
#[derive(Debug, Clone, Deserialize)]
pub struct Told {
    /// The cluster.
    pub cluster: Option<u16>,
    /// The shards.
    #[serde(default)]
    pub shards: Vec<u16>,
}

/// A node record, read.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub peer_id: String,
    /// The cluster.
    pub cluster: Option<u16>,
    /// The shards.
    #[serde(default)]
    pub shards: Vec<u16>,
    /// Where it is.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// The capabilities.
    pub waku2: Option<u8>,
}

/// What a foreign peer tells on its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message came.
    Message {
        /// How.
        via: Via,
        /// Where.
        pubsub_topic: String,
        /// What.
        message: Message,
    },
}

/// How a message came to a foreign peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// By relay.
    Relay,
    /// Pushed by a filter service.
    Filter,
}

/// A line of a foreign peer.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Ok { id: u64, ok: Value },
    Error { id: u64, error: String },
    Unsupported { id: u64, unsupported: String },
    Event(Event),
}
