//! Requests and streams over a session.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod body;
pub mod budget;
pub mod frame;
mod ranges;
pub mod request;
mod rtt;
pub mod stream;
