//! The Status Node Manager pairing protocol.
#![allow(dead_code)]

pub mod code;
mod frame;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod hello;
pub mod identity;
pub mod kdf;
pub mod reason;
pub mod record;
pub mod sas;
pub mod store;
mod topic;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vector;
