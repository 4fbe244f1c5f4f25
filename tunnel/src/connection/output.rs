//! What a tunnel is given, and what it tells.

use std::time::Duration;

use bytes::Bytes;

use super::PacketId;
use crate::once::Change;
use crate::request::{Header, Key, Kind, Pace, Reason, Side};
use crate::stream::Handle;

/// What a tunnel is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Which side this is.
    pub side: Side,
    /// Random for each process, not zero: how the other side sees that this one began anew.
    pub epoch: u64,
    /// Whether a store can be asked for lost messages.
    pub has_store: bool,
    /// How far the two clocks may be apart, for what comes too late.
    pub clock_skew: Duration,
}

impl Config {
    /// With a store, and clocks as far apart as stores let them be: 20 seconds.
    pub fn new(side: Side, epoch: u64) -> Self {
        Self { side, epoch, has_store: true, clock_skew: Duration::from_secs(20) }
    }
}

/// What the caller has to do with messages.
#[derive(Clone, PartialEq, Eq)]
pub enum Transmit {
    /// Seal this on the current session and publish it, then call [`super::Connection::sealed`], or else
    /// [`super::Connection::seal_failed`].
    Send {
        /// Its name, where it is to arrive: keep its ciphertext. Without one it is never repeated.
        packet: Option<PacketId>,
        /// What to seal.
        plaintext: Vec<u8>,
        /// Whether no store need keep it.
        ephemeral: bool,
    },
    /// Publish the same ciphertext again, with another timestamp.
    Repeat(PacketId),
    /// Look the message up in a store by its hash, and call [`super::Connection::store_answered`].
    AskStore(PacketId),
    /// Its ciphertext is needed no more.
    Forget(PacketId),
}

/// What happened.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to a request of ours has begun.
    Answered {
        /// Which.
        stream: Handle,
        /// As in HTTP.
        status: u16,
        /// In their order.
        headers: Vec<Header>,
    },
    /// Call [`super::Connection::read`], or [`super::Connection::notice`], until there is nothing more.
    Readable(Handle),
    /// There is room to write again.
    Writable(Handle),
    /// A request of the other side, to be answered or rejected.
    Requested {
        /// Which.
        stream: Handle,
        /// What it wants.
        request: Incoming,
    },
    /// A stream is over, once for each that was opened or requested: complete, or for a reason.
    Ended {
        /// Which.
        stream: Handle,
        /// How.
        outcome: Result<(), Reason>,
    },
    /// Make these durable, all or none, in the order of such events; then call [`super::Connection::saved`].
    Save {
        /// Names it.
        ticket: u64,
        /// What to change, among this peer's.
        changes: Vec<Change>,
    },
    /// The other side said that it closes; its streams have ended.
    Closed,
}

/// A request of the other side.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// Such as `GET`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// In their order.
    pub headers: Vec<Header>,
    /// With one it is not handed out a second time.
    pub key: Option<Key>,
    /// How long the body is, where that is known.
    pub body_len: Option<u64>,
    /// Of a subscription.
    pub pace: Pace,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages made, without repetitions.
    pub sent: u64,
    /// Of those: acknowledgements alone.
    pub bare_acks: u64,
    /// Messages sent again.
    pub repeated: u64,
    /// Messages given up.
    pub given_up: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages for another process, or from an earlier one.
    pub stale: u64,
    /// Resets dropped because too many waited.
    pub resets_dropped: u64,
    /// Saves that failed.
    pub saves_failed: u64,
}

/// What reading gives.
#[derive(Clone, PartialEq, Eq)]
pub enum Read {
    /// The next bytes.
    Bytes(Bytes),
    /// There are none yet; [`Event::Readable`] tells when.
    Blocked,
    /// There are none any more.
    End,
}

/// A stream cannot be written to, or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It has ended, or is unknown.
    #[error("the stream is over")]
    Gone,
    /// It was finished, or its answer was not begun, or begun twice.
    #[error("the stream does not wait for that")]
    OutOfTurn,
    /// A status or headers that cannot be sent.
    #[error("the head is not valid")]
    Invalid,
}
