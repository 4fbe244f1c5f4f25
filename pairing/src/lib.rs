//! The Status Node Manager pairing protocol: an app shows a 64-bit number, a person types it on the host, and from then
//! on the two keep a Noise session over Waku wherever either moves.
//!
//! 1. Both derive from the number (the [`code`]) a content topic and keys ([`kdf`]), and swap identities on that topic in
//!    two sealed and signed messages ([`hello`]).
//! 2. The manager calls the app: a K1K1 handshake keyed to what both heard shows that the other holds its key.
//! 3. The person types six digits from the host into the app ([`sas`]); with a man in the middle they would differ.
//! 4. From then on the two find each other at a rendezvous that only they can compute, whenever either starts.
//! 5. And where one is away, the other can leave it a [`letter`] in a store.
//!
//! [`party`] is all of that as a sans-I/O core; [`endpoint`] lets it live on a [`channel`] with a [`store`]. The crate
//! knows no runtime, no files and no clock, and compiles for wasm32.
//!
//! ```
//! # use waku_pairing::{code::Code, sas::Sas};
//! let shown = Code::from(0x0123_4567_89ab_cdef);
//! assert_eq!(shown.digits().as_str(), "0008-1985-5292-1648-6895-81");
//! assert_eq!("0008 1985 5292 1648 6895 81".parse(), Ok(shown));
//! ```
//!
//! A whole pairing in one process: `cargo run -p waku-pairing --example in_memory`.

pub mod channel;
pub mod code;
pub mod device;
pub mod endpoint;
mod frame;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod hello;
pub mod identity;
pub mod kdf;
pub mod letter;
mod part;
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
