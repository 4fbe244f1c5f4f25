//! The command line tool, run as people run it: real processes, real sockets on loopback, real kills.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should"
)]

mod asking;
mod away;
mod control;
mod crashes;
mod daemons;
mod doctor;
mod faults;
mod light;
mod page;
mod pairing;
mod process;
mod scene;
mod service;
mod stage;
