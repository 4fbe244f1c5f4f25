//! The words of the layer above: requests, answers, and how a stream ends.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use waku_noise_session::time::UnixTime;

/// A stream's id. Whoever opened it has its number's parity: odd the app, even the manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl From<u32> for StreamId {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl From<StreamId> for u32 {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

/// Which side of the pairing this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The app: its streams are odd.
    App,
    /// The node manager: its streams are even.
    Manager,
}

impl Side {
    /// The id of its nth stream, from zero.
    pub(crate) fn stream(self, nth: u32) -> Option<StreamId> {
        let first = if self == Self::App { 1 } else { 2 };
        nth.checked_mul(2)?.checked_add(first).map(StreamId)
    }

    /// Whether it is the one that opens this stream.
    pub(crate) fn opens(self, stream: StreamId) -> bool {
        (stream.0 % 2 == 1) == (self == Self::App)
    }
}

/// Names a request for good: what has one runs at most once, however often it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [u8; 16]);

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A request of HTTP.
    #[default]
    Http,
    /// Events, until either side ends it.
    Subscribe,
    /// A call of the node manager's own.
    Rpc,
}

/// One header.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Any bytes. Never printed: tokens are sent in headers.
    pub value: Bytes,
}

impl Header {
    /// A header.
    pub fn new(name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), value: Bytes::from(value.into()) }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes", self.name, self.value.len())
    }
}

/// How often and how thoroughly events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// The least time between two messages with events.
    pub min_interval_ms: u32,
    /// Of waiting events of the same topic only the latest is told.
    pub coalesce: bool,
}

/// What goes first when messages are few. Acknowledgements go before all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Command,
    /// Somebody should know.
    Alert,
    /// Figures that the next ones replace.
    Telemetry,
    /// What takes its time.
    Bulk,
}

impl Priority {
    /// All of them, first things first.
    pub const ALL: [Self; 4] = [Self::Command, Self::Alert, Self::Telemetry, Self::Bulk];
}

/// The body of a request.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// All of it, at most [`MAX_WHOLE`].
    Whole(Bytes),
    /// Given by and by; how long it is, where that is known.
    Streamed(Option<u64>),
}

/// The most bytes of a body that is given as a whole.
pub const MAX_WHOLE: usize = 1024 * 1024;

/// A request to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// What it is.
    pub kind: Kind,
    /// Such as `GET`.
    pub method: String,
    /// With its query. Of a subscription: the filter.
    pub path: String,
    /// In their order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Body,
    /// Whether request and body may be compressed: never where a secret and somebody else's text are in one body.
    pub compress: bool,
    /// Needed for whatever changes something.
    pub key: Option<Key>,
    /// When the other side is to refuse it, by its own clock.
    pub not_after: Option<UnixTime>,
    /// How long it is waited for. A subscription has none.
    pub timeout: Option<Duration>,
    /// What goes first.
    pub priority: Priority,
    /// Of a subscription.
    pub pace: Pace,
}

/// How long a request is waited for, unless another time is given.
pub const TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl Request {
    /// An HTTP request without a body that is waited for for five minutes.
    pub fn new(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            kind: Kind::Http,
            method: method.into(),
            path: path.into(),
            headers: Vec::new(),
            body: Body::Empty,
            compress: false,
            key: None,
            not_after: None,
            timeout: Some(TIMEOUT),
            priority: Priority::Command,
            pace: Pace::default(),
        }
    }

    /// Events of a filter, at a pace.
    pub fn subscribe(path: impl Into<String>, pace: Pace) -> Self {
        Self { kind: Kind::Subscribe, timeout: None, pace, ..Self::new("GET", path) }
    }
}

/// Whether a request of this kind and method may do something when it is run again.
pub(crate) fn changes_something(kind: Kind, method: &str) -> bool {
    match kind {
        Kind::Http => !matches!(method, "GET" | "HEAD" | "OPTIONS"),
        Kind::Rpc => true,
        Kind::Subscribe => false,
    }
}

/// The beginning of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As in HTTP, 100 to 599.
    pub status: u16,
    /// In their order.
    pub headers: Vec<Header>,
    /// Whether the body may be compressed.
    pub compress: bool,
    /// What goes first.
    pub priority: Priority,
    /// Whether the request was carried out. What was not may be sent again under its key, and may run then.
    pub ran: bool,
}

impl Answer {
    /// The answer to what was carried out: somebody waits for it, and it is not compressed.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), compress: false, priority: Priority::Command, ran: true }
    }
}

/// Why a side ended a stream early, as told to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Code {
    /// The client wants it no more.
    #[error("cancelled")]
    Cancelled,
    /// The server will not do it; nothing was done.
    #[error("refused")]
    Refused,
    /// Too much is going on at the server; nothing was done.
    #[error("busy")]
    Busy,
    /// It came after its `not_after`; nothing was done.
    #[error("it came too late")]
    Expired,
    /// It changes something and has no key; nothing was done.
    #[error("a request that changes something needs an idempotency key")]
    KeyMissing,
    /// The key belongs to another request; nothing was done.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// It was begun before, and nobody knows how far it came: the server stopped meanwhile.
    #[error("it was begun earlier and may have been done")]
    Indeterminate,
    /// It was done, but its answer is not kept.
    #[error("it was done; its answer is not kept")]
    AnswerLost,
    /// The server failed while it ran.
    #[error("the server failed")]
    Failed,
    /// A body cannot be decoded, or is too long decoded.
    #[error("the body cannot be decoded")]
    BadBody,
    /// A rule of the protocol was broken.
    #[error("a rule of the protocol was broken")]
    Protocol,
    /// The stream brought nothing for too long.
    #[error("nothing came for too long")]
    Idle,
    /// The subscription is over.
    #[error("the subscription is over")]
    Ended,
    /// A code of a later version.
    #[error("code {0}")]
    Other(u32),
}

/// Codes by their number on the wire, from one on.
const CODES: [Code; 13] = [
    Code::Cancelled,
    Code::Refused,
    Code::Busy,
    Code::Expired,
    Code::KeyMissing,
    Code::KeyReused,
    Code::Indeterminate,
    Code::AnswerLost,
    Code::Failed,
    Code::BadBody,
    Code::Protocol,
    Code::Idle,
    Code::Ended,
];

impl From<u32> for Code {
    fn from(number: u32) -> Self {
        let known = (1..).zip(CODES).find(|(known, _)| *known == number);
        known.map_or(Self::Other(number), |(_, code)| code)
    }
}

impl From<Code> for u32 {
    fn from(code: Code) -> Self {
        if let Code::Other(number) = code {
            return number;
        }
        (1..).zip(CODES).find(|(_, known)| *known == code).map_or(0, |(number, _)| number)
    }
}

/// Why a stream ended without being complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// We wanted it no more.
    #[error("cancelled")]
    Cancelled,
    /// It was not complete in time.
    #[error("it took too long")]
    Timeout,
    /// A message was not acknowledged after all tries and is in no store.
    #[error("the other side cannot be reached")]
    Unreachable,
    /// The other side's process began anew. With a key the request can be sent again.
    #[error("the other side was restarted")]
    Restarted,
    /// The other side closed everything.
    #[error("the other side closed the tunnel")]
    Closed,
    /// The other side ended it.
    #[error("{code}")]
    Reset {
        /// Why.
        code: Code,
        /// Its clock, where the code is about time.
        time: Option<UnixTime>,
    },
    /// What came cannot be decoded, or is too long decoded.
    #[error("the body cannot be decoded")]
    BadBody,
    /// The other side broke a rule of the protocol.
    #[error("the other side broke a rule of the protocol")]
    Protocol,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_numbers() {
        for number in 0..40 {
            assert_eq!(u32::from(Code::from(number)), number);
        }
        assert_eq!((u32::from(Code::Cancelled), u32::from(Code::Ended)), (1, 13));
    }

    #[test]
    fn streams_of_the_app_are_odd() {
        let ids = |side: Side| [0, 1, 2].map(|nth| u32::from(side.stream(nth).unwrap()));
        assert_eq!((ids(Side::App), ids(Side::Manager)), ([1, 3, 5], [2, 4, 6]));
        assert!(Side::App.opens(StreamId(5)) && !Side::Manager.opens(StreamId(5)));
        assert_eq!(Side::App.stream(u32::MAX), None);
    }
}
