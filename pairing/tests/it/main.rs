//! The pairing protocol's promises, tested from outside: whole parties on a simulated network.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod attacks;
mod crashes;
mod endpoint;
mod letters;
mod mishaps;
mod pairing;
mod random_interaction;
mod sessions;
mod world;
