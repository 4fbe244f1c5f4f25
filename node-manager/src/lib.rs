//! The node manager as a library: what the command line tool runs, and what a GUI embeds.
//!
//! A [`Service`] is a party of the pairing protocol at work: a [`Vault`] under a data directory, a Waku node, and the
//! sessions with everybody the party knows. Its [`Handle`](waku_pairing::endpoint::Handle) takes commands (offer a code,
//! pair, type the digits, ping, unpair) and tells what happens.

pub mod app;
mod channel;
pub mod doctor;
pub mod host;
mod kept_file;
mod service;
pub mod tunnels;
mod vault;

pub use channel::{Fetched, History, HistoryError, Mode};
pub use service::{Network, Service, ServiceConfig, StartError};
pub use vault::{Vault, VaultError};
