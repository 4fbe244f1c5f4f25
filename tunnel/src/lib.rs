//! Requests and streams over a session.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
pub mod frame;
pub mod request;
