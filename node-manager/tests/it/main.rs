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
mod hostile_requests;
mod interrupted;
mod light;
mod logs;
mod long_and_slow;
mod once;
mod overload;
mod page;
mod pairing;
mod process;
mod raw;
mod revoking;
mod scene;
mod service;
mod stage;
mod within;
