//! Our node against Waku implementations we did not write.
//!
//! A [`ForeignPeer`] is one of them, started and driven by us; a [`scenario`] is something both must be able to do
//! together. A new implementation is one file that implements the trait, a new proof one function.
//!
//! So far there are the frame and its baseline: [`ours`] plays the foreign peer, which shows that the scenarios
//! themselves hold.

pub mod ours;
mod peer;
pub mod scenario;

pub use peer::ForeignPeer;
