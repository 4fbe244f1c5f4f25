//! The Status Node Manager pairing protocol.

pub mod code;
mod frame;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod hello;
pub mod identity;
pub mod kdf;
pub mod party;
mod profile;
pub mod reason;
pub mod record;
pub mod sas;
pub mod store;
#[cfg(test)]
mod testing;
mod topic;
#[cfg(test)]
mod vector;
