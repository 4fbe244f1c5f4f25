//! What a node is told at start. Every default is a constant here, with its source.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::peers::{Backoff, Dialing};
use crate::relay::{Tap, Validator};
use crate::{
    FilterClientConfig, FilterConfig, Keypair, LightpushConfig, Multiaddr, Nat, PeerExchangeConfig, Sharding,
    StoreConfig, Tls,
};

/// Largest gossipsub RPC a node sends, in bytes: what nwaku reads at most.
pub const DEFAULT_MAX_RPC_SIZE: usize = waku_proto::relay::MAX_RPC_SIZE;

/// What peers are told about the software (identify's agent version).
pub const DEFAULT_AGENT: &str = concat!("waku-rs/", env!("CARGO_PKG_VERSION"));

/// Messages a subscription keeps for a reader that is behind. At 150 KiB each this bounds a stalled reader
/// to 150 MiB.
pub const DEFAULT_SUBSCRIPTION_QUEUE_LEN: usize = 1024;

/// Time between two pings of a peer. nwaku pings a part of its peers every 10 s and all every 2 min.
pub const DEFAULT_PING_INTERVAL: Duration = Duration::from_secs(15);

/// Peers a node remembers, connected or not. nwaku remembers one and a quarter times its connections, go-waku
/// as many as it meets.
pub const DEFAULT_MAX_KNOWN_PEERS: usize = 10_000;

/// Configuration of a [`Node`](crate::Node).
///
/// ```
/// use waku::{Config, Keypair, Sharding};
///
/// let mut config = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?, "/ip4/127.0.0.1/tcp/0/ws".parse()?];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's identity.
    pub keypair: Keypair,
    /// Cluster, shards and the rule for content topics.
    pub sharding: Sharding,
    /// Addresses to listen on: `/ip4|ip6/…/tcp/…`, with `/ws` after it for WebSocket or `/tls/ws` for secure
    /// WebSocket, and `/ip4|ip6/…/udp/…/quic-v1`. Port 0 takes a free one. None by default: the node then
    /// only dials.
    pub listen_addresses: Vec<Multiaddr>,
    /// What peers are told to dial instead of the addresses the node listens on: those seen from outside, names, ports
    /// of a router. Empty by default.
    pub announced: Vec<Multiaddr>,
    /// Who is asked for names (`/dns4/…`, `/dnsaddr/…`), on port 53; the system's name servers when empty, which is the default.
    pub name_servers: Vec<IpAddr>,
    /// Certificates for secure WebSocket.
    pub tls: Tls,
    /// How the node is reached when it has no public address.
    pub nat: Nat,
    /// Peers to stay connected to, with or without `/p2p/…`.
    pub static_peers: Vec<Multiaddr>,
    /// Peers to stay connected to and to ask first for services (store, filter, lightpush, peer exchange),
    /// with or without `/p2p/…`. Static peers otherwise.
    pub service_peers: Vec<Multiaddr>,
    /// How static peers that cannot be reached are tried again.
    pub reconnect: Backoff,
    /// How relay peers are found among the peers the node knows.
    pub dialing: Dialing,
    /// Peers the node remembers, connected or not; [`DEFAULT_MAX_KNOWN_PEERS`].
    pub max_known_peers: usize,
    /// The file the known peers are kept in from one run to the next; one node's alone. Its directory must be
    /// there. None by default: they are known until the node stops.
    pub peer_store: Option<PathBuf>,
    /// What peers are told about the software; [`DEFAULT_AGENT`].
    pub agent: String,
    /// How many connections are accepted.
    pub limits: ConnectionLimits,
    /// Largest gossipsub RPC to send, in bytes; [`DEFAULT_MAX_RPC_SIZE`]. A setting of the network: Status
    /// uses 1 MiB. Messages from others are accepted up to [`MAX_RPC_OVERHEAD`] bytes above it, but those
    /// above it are not forwarded.
    pub max_rpc_size: usize,
    /// Messages a subscription keeps for a reader that is behind; [`DEFAULT_SUBSCRIPTION_QUEUE_LEN`].
    pub subscription_queue_len: usize,
    /// Time between two pings of a peer; [`DEFAULT_PING_INTERVAL`].
    pub ping_interval: Duration,
    /// Relays (11/WAKU2-RELAY); true by default. Without it the node is a light client, or a service node
    /// for what it has already: it publishes through lightpush and receives through filter.
    pub relay: bool,
    /// Serves 12/WAKU2-FILTER, if the node relays; off by default.
    pub filter: Option<FilterConfig>,
    /// How the filter service of others is used.
    pub filter_client: FilterClientConfig,
    /// Serves LIGHTPUSH, if the node relays; off by default.
    pub lightpush: Option<LightpushConfig>,
    /// Serves 13/WAKU2-STORE; off by default.
    pub store: Option<StoreConfig>,
    /// Serves 34/WAKU2-PEER-EXCHANGE; off by default.
    pub peer_exchange: Option<PeerExchangeConfig>,
    /// Asks connected peers that serve peer exchange for peers, at once and every minute, while the node lacks
    /// relay peers, or without relay knows few peers. Off by default; nwaku does it when it is given a peer to
    /// ask.
    pub ask_for_peers: bool,
    /// A message that nobody can be sent comes to the node's own subscriptions, archive and filter subscribers all
    /// the same, as in nwaku; publishing it is an error in either case. Off by default.
    pub deliver_unsent: bool,
    /// Judges messages beyond their structure, for example by their rate limit proof.
    pub validator: Option<Arc<dyn Validator>>,
    /// Is shown every message relayed. None by default.
    pub taps: Vec<Arc<dyn Tap>>,
}

/// By how much a message from others may be larger than one of ours, in bytes. Others measure the message
/// alone, or with another topic.
pub const MAX_RPC_OVERHEAD: usize = 1024;

impl Config {
    /// The defaults, for an identity and a network.
    pub fn new(keypair: Keypair, sharding: Sharding) -> Self {
        Self {
            keypair,
            sharding,
            listen_addresses: Vec::new(),
            announced: Vec::new(),
            name_servers: Vec::new(),
            tls: Tls::default(),
            nat: Nat::default(),
            static_peers: Vec::new(),
            service_peers: Vec::new(),
            reconnect: Backoff::default(),
            dialing: Dialing::default(),
            max_known_peers: DEFAULT_MAX_KNOWN_PEERS,
            peer_store: None,
            agent: DEFAULT_AGENT.to_owned(),
            limits: ConnectionLimits::default(),
            max_rpc_size: DEFAULT_MAX_RPC_SIZE,
            subscription_queue_len: DEFAULT_SUBSCRIPTION_QUEUE_LEN,
            ping_interval: DEFAULT_PING_INTERVAL,
            relay: true,
            filter: None,
            filter_client: FilterClientConfig::default(),
            lightpush: None,
            store: None,
            peer_exchange: None,
            ask_for_peers: false,
            deliver_unsent: false,
            validator: None,
            taps: Vec::new(),
        }
    }
}

/// How many connections a node has. Static peers with a known peer id are exempt from `total`, `per_peer` and
/// `relay_share`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections in all. Default 150, as nwaku.
    pub total: u32,
    /// Inbound connections from one IP address, and peers of one IP address beyond which none is dialled;
    /// loopback is exempt. Default 5, as nwaku and go-waku.
    pub per_ip: u32,
    /// Connections with one peer. Default 2: both may dial each other at the same time.
    pub per_peer: u32,
    /// The part of `total` that is for relay peers, in percent; a third of it for those the node dials, the
    /// rest for those that come. What is left is for peers that only use services. Default 50, as nwaku.
    pub relay_share: u8,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { total: 150, per_ip: 5, per_peer: 2, relay_share: 50 }
    }
}
