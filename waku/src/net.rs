//! The swarm: transports, the behaviours mounted on it, and the one task that drives it.

pub(crate) mod behaviour;
pub(crate) mod codec;
pub(crate) mod command;
pub(crate) mod driver;
pub(crate) mod exchange;
pub(crate) mod flow;
mod frames;
pub(crate) mod keypair;
pub(crate) mod listen;
pub(crate) mod nat;
pub(crate) mod peering;
pub(crate) mod push;
mod pushback;
pub(crate) mod router;
pub(crate) mod rpc;
pub(crate) mod services;
mod static_peers;
pub(crate) mod tls;
pub(crate) mod transport;
