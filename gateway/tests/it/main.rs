//! The gateway between an app and services over loopback sockets.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod audit;
mod bodies;
mod events;
mod hostile;
mod house;
mod requests;
mod watch;
