//! Waku's wire: bytes to meaning and back.
//!
//! No sockets, no clock, no randomness, no async: every function here is a function of its arguments, so
//! the crate works the same in a node, in a browser and in a test.
//!
//! | Module | Specification |
//! |---|---|
//! | [`message`] | 14/WAKU2-MESSAGE, the message itself |
//! | [`hash`] | 14/WAKU2-MESSAGE deterministic hash, 11/WAKU2-RELAY message id |
//! | [`content_topic`], [`pubsub_topic`] | 23/WAKU2-TOPICS |
//! | [`shard`] | WAKU2-RELAY-SHARDING: static shards and autosharding |
//! | [`relay`], [`agreement`] | 11/WAKU2-RELAY: size of what goes on the wire, and who can read it |
//! | [`filter`], [`store`], [`lightpush`] | 12/WAKU2-FILTER, 13/WAKU2-STORE, 19/WAKU2-LIGHTPUSH |
//! | [`metadata`], [`peer_exchange`] | 66/WAKU2-METADATA, 34/WAKU2-PEER-EXCHANGE |
//! | [`transfer`], [`rendezvous`] | WAKU-SYNC, WAKU-RENDEZVOUS |
//! | [`rate_limit_proof`] | 17/WAKU2-RLN-RELAY, the proof's layout |
//! | [`enr`] | 31/WAKU2-ENR |
//! | [`framing`], [`protocol_id`] | what the protocols above share |
//!
//! # Presence
//! nwaku's decoder refuses a message in which a field it needs is absent, even when the field holds its
//! proto3 default, while prost, go and js leave such fields out. The types of this crate therefore always
//! write the fields nwaku needs, and read absent as default wherever nothing is lost by it. Anything that
//! cannot be understood is a [`WireError`].
//!
//! # Strangers' bytes
//! No decoder panics, and what one allocates is bounded by a fixed multiple of the bytes it was given.

pub mod agreement;
pub mod content_topic;
pub mod enr;
mod envelope;
pub mod filter;
pub mod framing;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
pub mod generated;
pub mod hash;
pub mod lightpush;
pub mod message;
pub mod metadata;
pub mod peer_exchange;
pub mod protocol_id;
pub mod pubsub_topic;
pub mod rate_limit_proof;
pub mod relay;
pub mod rendezvous;
pub mod shard;
mod status;
pub mod store;
pub mod transfer;
mod wire;

pub use bytes::Bytes;

pub use agreement::Agreement;
pub use content_topic::ContentTopic;
pub use envelope::Envelope;
pub use hash::{GossipId, MessageHash};
pub use message::{EncodedMessage, WakuMessage};
pub use pubsub_topic::PubsubTopic;
pub use shard::{Autosharding, Shard};
pub use wire::{Wire, WireError};
