//! What a node is told to do. What is switched off is not there.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::nat::Nat;
use super::preset::Preset;
use super::rate_limit::RateLimit;
use super::secret::NodeKey;
use super::value::ProtectedShard;
use super::values::Origin;

/// Options that go together. Ports are shifted already. Multiaddresses, records and lists in DNS are as they were
/// given: only their prefixes were looked at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// Who the node is.
    pub identity: Identity,
    /// Which network, and which part of it.
    pub sharding: Sharding,
    /// Where the node is reached.
    pub addresses: Addresses,
    /// WebSocket, if on.
    pub websocket: Option<WebSocket>,
    /// The UDP port of QUIC, if on.
    pub quic_port: Option<u16>,
    /// Whom the node knows, and how many it talks to.
    pub peers: Peers,
    /// How nodes are found.
    pub discovery: Discovery,
    /// Relay.
    pub relay: Relay,
    /// The store that is served, if on.
    pub store: Option<Store>,
    /// Whether what was missed is fetched from a store at start.
    pub store_resume: bool,
    /// Filter as a service, if on.
    pub filter: Option<Filter>,
    /// Whether lightpush is served.
    pub lightpush: bool,
    /// Whom the node asks as a client.
    pub services: Services,
    /// Limits of what is served, in the order given; none means defaults. See [`RateLimit::of`].
    pub rate_limits: Vec<RateLimit>,
    /// The REST API, if on.
    pub rest: Option<Rest>,
    /// Where metrics are served, if on.
    pub metrics: Option<Metrics>,
    /// Whether metrics are logged now and then.
    pub metrics_logging: bool,
    /// Log lines.
    pub log: Log,
    pub(super) origins: BTreeMap<&'static str, Origin>,
}

impl Options {
    /// Where the value of a flag comes from; the flag's name is without `--`.
    pub fn origin(&self, flag: &str) -> Origin {
        self.origins.get(flag).copied().unwrap_or(Origin::Default)
    }
}

/// Who the node is.
#[derive(Debug)]
pub struct Identity {
    /// Its key, if one was given.
    pub node_key: Option<NodeKey>,
    /// What it calls itself, if that was given.
    pub agent: Option<String>,
}

/// Which network, and which part of it.
#[derive(Debug)]
pub struct Sharding {
    /// The known network whose settings are in effect.
    pub preset: Option<Preset>,
    /// The cluster.
    pub cluster_id: u16,
    /// Shards of an autosharded network; 0 is static sharding.
    pub shard_count: u16,
    /// Shards that were given, each below `shard_count` if that is not 0.
    pub shards: Vec<u16>,
    /// Content topics to take part in, as given; empty with static sharding.
    pub content_topics: Vec<String>,
    /// Shards with signed messages only.
    pub protected_shards: Vec<ProtectedShard>,
}

/// Where the node is reached.
#[derive(Debug)]
pub struct Addresses {
    /// IP address of all listeners but REST and metrics.
    pub listen_address: IpAddr,
    /// TCP port.
    pub tcp_port: u16,
    /// How the public address is learned.
    pub nat: Nat,
    /// Multiaddresses to announce besides.
    pub external: Vec<String>,
    /// Whether only those are announced.
    pub only_external: bool,
    /// Domain name announced in place of the IPv4 address.
    pub dns4_domain_name: Option<String>,
}

/// WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    /// TCP port.
    pub port: u16,
    /// With it connections are secure, and plain ones not accepted.
    pub certificate: Option<Certificate>,
}

/// A certificate for secure WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM file of its key.
    pub key: PathBuf,
    /// PEM file of the chain.
    pub chain: PathBuf,
}

/// Whom the node knows, and how many it talks to.
#[derive(Debug)]
pub struct Peers {
    /// Multiaddresses of peers to stay connected to.
    pub static_nodes: Vec<String>,
    /// Records of entry nodes, which are dialled too. They are among [`Discovery::bootstrap_records`].
    pub entry_records: Vec<String>,
    /// Most connections, at least 1.
    pub max_connections: u32,
    /// Percentages of them for relay and for services.
    pub relay_service_ratio: (u8, u8),
    /// Most peers with one IP address, if that is limited.
    pub max_per_ip: Option<u32>,
    /// Most peers known, if that was given.
    pub store_capacity: Option<u32>,
    /// Whether known peers are kept in a file, also when none is named.
    pub persistent: bool,
    /// That file, if named.
    pub store: Option<PathBuf>,
}

/// How nodes are found.
#[derive(Debug)]
pub struct Discovery {
    /// Node Discovery v5, if on.
    pub discv5: Option<Discv5>,
    /// Records to begin with.
    pub bootstrap_records: Vec<String>,
    /// Lists of nodes in DNS.
    pub dns_lists: Vec<String>,
    /// DNS servers for those and for names of nodes.
    pub dns_servers: Vec<IpAddr>,
    /// Whether peers are told about others.
    pub peer_exchange: bool,
}

/// Node Discovery v5.
#[derive(Debug)]
pub struct Discv5 {
    /// UDP port.
    pub port: u16,
    /// Whether the address that peers see is announced.
    pub auto_update: bool,
    /// Most nodes of one network in the table.
    pub table_ip_limit: u64,
    /// Most nodes of one network in a bucket.
    pub bucket_ip_limit: u64,
}

/// Relay.
#[derive(Debug)]
pub struct Relay {
    /// Whether messages are relayed.
    pub enabled: bool,
    /// Longest message in bytes.
    pub max_message_len: u64,
}

/// The store that is served.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where messages are kept, with `redb`, `sqlite` or `memory` before `://`; nothing when it was not given.
    pub db_url: Option<String>,
    /// What is kept, as given.
    pub retention_policy: String,
    /// Whether free room is given back at start.
    pub vacuum: bool,
}

/// Filter as a service.
#[derive(Debug)]
pub struct Filter {
    /// Seconds that a subscription lives.
    pub subscription_timeout: u16,
    /// Most subscribers.
    pub max_peers: u32,
    /// Most pairs of pubsub and content topic of a subscriber.
    pub max_criteria: u32,
}

/// Whom the node asks as a client: multiaddresses.
#[derive(Debug)]
pub struct Services {
    /// For what was missed.
    pub store: Option<String>,
    /// For what is new.
    pub filter: Option<String>,
    /// To publish.
    pub lightpush: Option<String>,
    /// For other peers.
    pub peer_exchange: Option<String>,
}

/// The REST API.
#[derive(Debug)]
pub struct Rest {
    /// Where it listens.
    pub address: IpAddr,
    /// TCP port; 0 takes a free one.
    pub port: u16,
    /// Messages kept of a topic.
    pub relay_cache_capacity: u32,
    /// Whether it commands the node.
    pub admin: bool,
    /// Patterns of web sites that may call it.
    pub allow_origin: Vec<String>,
}

/// Where metrics are served.
#[derive(Debug)]
pub struct Metrics {
    /// Where it listens.
    pub address: IpAddr,
    /// TCP port; 0 takes a free one.
    pub port: u16,
}

/// Log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least severe that are written.
    pub level: LogLevel,
    /// How.
    pub format: LogFormat,
}

/// How severe a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are nwaku's and say it")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Notice,
    Warn,
    Error,
    Fatal,
    None,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}
