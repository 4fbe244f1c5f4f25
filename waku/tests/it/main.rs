//! The node over real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod connecting;
mod examples;
mod filter;
mod filter_wire;
mod known_peers;
mod lifecycle;
mod lightpush;
mod metadata;
mod operating;
mod peer_exchange;
mod pushback;
mod raw_filter;
mod raw_peer;
mod raw_stream;
mod relaying;
mod scene;
mod store;
mod subscribing;
mod transports;
mod validating;
