//! Two tunnels over a virtual network.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and its fixtures are its own"
)]

mod figures;
mod random_interaction;
mod requests;
mod world;
