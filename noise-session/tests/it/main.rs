//! The crate's promises, tested from outside.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod by_hand;
mod calling;
mod forgery;
mod golden;
mod letters;
mod lifecycle;
mod manager;
mod oracles;
mod random_interaction;
mod repetitions;
mod session;
mod support;
mod vectors;
mod world;
