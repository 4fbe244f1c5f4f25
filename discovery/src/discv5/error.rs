//! What can go wrong.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::FieldsError;

/// Why a node of the discovery network does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The secret is no key of secp256k1.
    #[error("the secret is no key of secp256k1")]
    Key,
    /// The record cannot be made.
    #[error("the node's record cannot be made: {0}")]
    Fields(#[from] FieldsError),
    /// Somebody else has the port.
    #[error("UDP port {} is in use: stop what uses it, or choose another one", .address.port())]
    PortTaken {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} over UDP: {source}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The library below refuses.
    #[error("node discovery does not start: {reason}")]
    Library {
        /// What it says.
        reason: String,
    },
}

impl StartError {
    pub(super) fn of_bind(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { address },
            _ => Self::Bind { address, source },
        }
    }
}

/// Why the record is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// The record cannot be made.
    #[error("the node's record cannot be made: {0}")]
    Fields(#[from] FieldsError),
    /// No sequence number is left.
    #[error("the record has the last sequence number there is")]
    Seq,
    /// The node has ended.
    #[error("node discovery has ended")]
    Ended,
}

/// Why a node is none to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BootstrapError {
    /// It names no UDP port of our version of IP.
    #[error("its record has no UDP address that can be reached from here")]
    NotReachable,
    /// It is this node.
    #[error("it is this node itself")]
    Oneself,
    /// The node has ended.
    #[error("node discovery has ended")]
    Ended,
}

/// The node has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("node discovery has ended")]
pub struct Ended;
