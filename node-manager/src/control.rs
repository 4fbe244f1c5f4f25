//! The control socket: how commands reach a daemon, and how they are carried out where there is none.
//!
//! `control.sock` in the data directory, mode 0600. A connection carries one [`Request`] as a line of JSON; the daemon
//! answers with one line, a [`Response`] or a failure. [`Request::Watch`] is answered with a line for each [`Notice`],
//! until the connection is closed.

mod access;
mod client;
mod notice;
mod protocol;
mod room;
mod serve;
mod server;

pub(crate) use access::{Access, Watch};
pub(crate) use notice::{Notice, Who};
pub(crate) use protocol::{PeerStatus, Request, Response, Secret, StaticNodeStatus, Status};
pub(crate) use room::Room;
pub(crate) use serve::serve;
pub(crate) use server::Server;

/// The socket's name in the data directory.
const SOCKET_NAME: &str = "control.sock";
/// The longest request a daemon reads, in bytes.
const MAX_REQUEST: usize = 4096;
/// The longest answer a command reads, in bytes: many peers.
const MAX_RESPONSE: u64 = 4 << 20;
