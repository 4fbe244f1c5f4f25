//! A Waku node: relay messages over libp2p, publish them and receive them.
//!
//! [`Node::spawn`] starts a node from a [`Config`] and gives back a handle; the example there has two nodes
//! talk. From the handle come
//! - [`Relay`]: publish, and subscribe to shards or content topics (11/WAKU2-RELAY, WAKU2-RELAY-SHARDING),
//! - [`Filter`]: subscribe to content topics at service nodes, without relaying (12/WAKU2-FILTER),
//! - [`Lightpush`]: publish through a service node (LIGHTPUSH, 19/WAKU2-LIGHTPUSH),
//! - [`Store`]: past messages, of other nodes (13/WAKU2-STORE),
//! - [`Peers`]: who is connected, whom to stay connected to, whom the node knows, and asking peers for others
//!   (34/WAKU2-PEER-EXCHANGE).
//!
//! Messages, topics and hashes are those of [`waku_proto`]. Without a node, [`Announcement`] and [`NodeRecord`] are
//! written and read (31/WAKU2-ENR).
//!
//! # How it is built
//! One task, the driver, owns the libp2p swarm. Handles send it commands and await the answers; messages
//! come out through one bounded queue per subscription. The driver never waits for a reader: a reader that
//! is behind is told how many messages it missed ([`Delivery::Missed`]), and everything dropped anywhere is
//! counted ([`MetricsSnapshot`]).
//!
//! # What is served to peers
//! Relay, metadata (66/WAKU2-METADATA), identify and ping; filter, lightpush, store and peer exchange where the
//! [`Config`] says so. Over TCP, WebSocket with and without TLS, each with Noise, Yamux and Mplex, and over QUIC;
//! through circuits of relays too ([`Nat`]).

mod clock;
mod config;
mod delivery;
mod enr;
mod filter;
mod lightpush;
mod metadata;
mod metrics;
mod net;
mod node;
mod peer_exchange;
pub mod peers;
mod rate_limit;
pub mod relay;
mod request_id;
mod sharding;
pub mod store;

pub use libp2p::{Multiaddr, PeerId};
pub use waku_proto::enr::{Capabilities, RelayShards};
pub use waku_proto::{
    self as proto, Bytes, ContentTopic, Envelope, MessageHash, PubsubTopic, Shard, WakuMessage,
};

pub use clock::unix_nanos;
pub use config::{
    Config, ConnectionLimits, DEFAULT_AGENT, DEFAULT_MAX_KNOWN_PEERS, DEFAULT_MAX_RPC_SIZE,
    DEFAULT_PING_INTERVAL, DEFAULT_SUBSCRIPTION_QUEUE_LEN, MAX_RPC_OVERHEAD,
};
pub use delivery::Delivery;
pub use enr::{Announced, Announcement, Fields, FieldsError, MAX_RECORD_LEN, NodeRecord, RecordError};
pub use filter::{
    DEFAULT_FILTER_PING_INTERVAL, DEFAULT_GIVE_UP_AFTER, DEFAULT_MAX_CRITERIA, DEFAULT_MAX_SUBSCRIBERS,
    DEFAULT_SERVICE_PEERS, DEFAULT_SUBSCRIPTION_TIMEOUT, Filter, FilterClientConfig, FilterConfig, FilterGap,
    FilterInbox, FilterPeer, FilterRequestError, FilterSubscribeError, FilterSubscriber, FilterSubscription,
};
pub use lightpush::{DEFAULT_PUSH_TIMEOUT, Lightpush, LightpushConfig, LightpushError, LightpushReceipt};
pub use metadata::MetadataRefusal;
pub use metrics::MetricsSnapshot;
pub use net::exchange::AskError;
pub use net::keypair::{InvalidSecret, Keypair};
pub use net::listen::ListenError;
pub use net::nat::{Nat, Reachability};
pub use net::tls::{Tls, TlsError};
pub use node::{Node, SpawnError, Stopped};
pub use peer_exchange::{MAX_EXCHANGED_PEERS, PeerExchangeConfig, PeerExchangeError};
pub use peers::{PeerInfo, PeerList, Peers};
pub use rate_limit::{Rate, RateLimit, Refill};
pub use relay::{
    Membership, PublishError, PublishReceipt, Relay, RelayFilter, RelayPeer, RelaySubscription,
    SubscribeError, Validator, Verdict,
};
pub use sharding::{RoutingError, Sharding};
pub use store::{Store, StoreConfig, StoreError};
