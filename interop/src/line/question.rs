//! What foreign peers are asked.

use serde::Serialize;

use super::Message;

/// What a foreign peer is asked.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Starts the node.
    Start(Start),
    /// Connects to a peer.
    Connect {
        /// The peer's.
        address: String,
    },
    /// Lists the connected peers.
    Peers,
    /// Relays a topic and tells what comes.
    RelaySubscribe {
        /// Where.
        pubsub_topic: String,
    },
    /// Relays a topic no longer.
    RelayUnsubscribe {
        /// Where.
        pubsub_topic: String,
    },
    /// Lists the relay peers of a topic.
    RelayPeers {
        /// Where.
        pubsub_topic: String,
    },
    /// Publishes by relay.
    RelayPublish {
        /// Where.
        pubsub_topic: String,
        /// What.
        message: Message,
    },
    /// Subscribes at a service node.
    FilterSubscribe {
        /// The service node.
        peer: String,
        /// Where.
        pubsub_topic: String,
        /// What about.
        content_topics: Vec<String>,
    },
    /// Asks a service node whether it has a subscription of the peer.
    FilterPing {
        /// The service node.
        peer: String,
    },
    /// Unsubscribes from topics.
    FilterUnsubscribe {
        /// The service node.
        peer: String,
        /// Where.
        pubsub_topic: String,
        /// What about.
        content_topics: Vec<String>,
    },
    /// Unsubscribes from everything.
    FilterUnsubscribeAll {
        /// The service node.
        peer: String,
    },
    /// Publishes through a service node.
    Lightpush {
        /// The service node.
        peer: String,
        /// Where; by autosharding when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        pubsub_topic: Option<String>,
        /// What.
        message: Message,
        /// Of the protocol; the newest when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<u8>,
    },
    /// Asks a store for one page.
    Store(StoreOp),
    /// Asks for peers.
    PeerExchange {
        /// The service node.
        peer: String,
        /// How many.
        count: u32,
    },
    /// What a peer told of itself.
    Metadata {
        /// The peer.
        peer: String,
    },
    /// The deterministic hash of a message.
    Hash {
        /// Where.
        pubsub_topic: String,
        /// What.
        message: Message,
    },
    /// Where a content topic belongs by autosharding.
    Shard {
        /// The topic.
        content_topic: String,
        /// The cluster.
        cluster: u16,
        /// Shards of the cluster.
        shards_in_cluster: u16,
    },
    /// Reads a node record.
    Enr {
        /// Its text.
        record: String,
    },
    /// Encrypts by 26/WAKU2-PAYLOAD, version 1.
    PayloadSeal {
        /// A shared secret of 32 bytes or a public key of 65.
        key: String,
        /// Who signs.
        #[serde(skip_serializing_if = "Option::is_none")]
        sign: Option<String>,
        /// What.
        payload: String,
    },
    /// Decrypts by 26/WAKU2-PAYLOAD, version 1.
    PayloadOpen {
        /// A shared or private secret.
        key: String,
        /// How it was encrypted.
        kind: Encryption,
        /// What.
        payload: String,
    },
    /// Begins a handshake.
    NoiseBegin(NoiseBegin),
    /// Writes the next handshake message.
    NoiseWrite {
        /// Which.
        handshake: u32,
        /// What is sealed in it.
        payload: String,
        /// Of the message.
        #[serde(skip_serializing_if = "Option::is_none")]
        nametag: Option<String>,
    },
    /// Reads a handshake message.
    NoiseRead {
        /// Which.
        handshake: u32,
        /// The message.
        message: String,
        /// Of the message.
        #[serde(skip_serializing_if = "Option::is_none")]
        nametag: Option<String>,
    },
    /// Ends a handshake; messages follow.
    NoiseFinish {
        /// Which.
        handshake: u32,
    },
    /// Seals a message.
    NoiseSeal {
        /// Which.
        handshake: u32,
        /// What.
        payload: String,
    },
    /// Opens a message.
    NoiseOpen {
        /// Which.
        handshake: u32,
        /// The message.
        message: String,
    },
    /// Takes a picture of the page, where there is one.
    Screenshot {
        /// The file to write.
        path: String,
    },
}

/// The two encryptions of 26/WAKU2-PAYLOAD.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// To a shared secret.
    Symmetric,
    /// To one recipient.
    Asymmetric,
}

/// How a foreign node is started.
#[derive(Debug, Clone, Serialize)]
pub struct Start {
    /// The cluster.
    pub cluster: u16,
    /// Static shards it is on.
    pub shards: Vec<u16>,
    /// For autosharding.
    pub shards_in_cluster: u16,
    /// Relays.
    pub relay: bool,
    /// Serves filter.
    pub filter: bool,
    /// Serves lightpush.
    pub lightpush: bool,
    /// When its filter service forgets a subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_timeout_ms: Option<u64>,
    /// TCP port on loopback; 0 for any.
    pub port: u16,
    /// Its identity: a secp256k1 secret in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Peers to stay connected to.
    pub peers: Vec<String>,
    /// Serves peer exchange, with these records to give.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peer_exchange: Vec<String>,
    /// Takes part in discovery (33/WAKU2-DISCV5), with these records to begin with, and connects to relays it finds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discv5: Option<Vec<String>>,
}

impl Start {
    /// A relay node on shard 0 of a cluster of eight, that serves nothing.
    pub fn relay(cluster: u16) -> Self {
        Self {
            cluster,
            shards: vec![0],
            shards_in_cluster: 8,
            relay: true,
            filter: false,
            lightpush: false,
            filter_timeout_ms: None,
            port: 0,
            key: None,
            peers: Vec::new(),
            peer_exchange: Vec::new(),
            discv5: None,
        }
    }

    /// A light client.
    pub fn light(cluster: u16) -> Self {
        Self { relay: false, ..Self::relay(cluster) }
    }
}

/// One page asked of a store.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StoreOp {
    /// The store.
    pub peer: String,
    /// Messages, not hashes alone.
    pub include_data: bool,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pubsub_topic: Option<String>,
    /// What about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_topics: Vec<String>,
    /// From, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_start: Option<String>,
    /// To, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_end: Option<String>,
    /// These alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<String>,
    /// Oldest first.
    pub forward: bool,
    /// Messages of a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How a Noise handshake begins.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NoiseBegin {
    /// Which.
    pub handshake: u32,
    /// `K1K1`, `XK1`, `XX`, `XXpsk0` or `WakuPairing`.
    pub pattern: String,
    /// Whether the peer writes first.
    pub initiator: bool,
    /// Its static secret.
    #[serde(rename = "static")]
    pub own_static: String,
    /// Its ephemeral secret, if not of its own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<String>,
    /// What both know.
    pub prologue: String,
    /// What both share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psk: Option<String>,
    /// The other's static public key, where it is known before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_static: Option<String>,
    /// The other's ephemeral public key, where it is known before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ephemeral: Option<String>,
    /// Of the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nametag: Option<String>,
}
