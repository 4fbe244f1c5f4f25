//! Requests and streams over a session.
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "not written by hand")]
mod generated;
mod arrivals;
pub mod body;
pub mod budget;
pub mod connection;
mod flight;
pub mod frame;
pub mod once;
mod ranges;
pub mod request;
mod rtt;
pub mod stream;
