//! What is said inside a session: frames in an envelope of protobuf, one envelope per message.
//!
//! The pairing's own frames (ping, pong, control) share the envelope: their fields have other numbers, and each side
//! passes over what is not its own. An envelope without an epoch is the pairing's alone.

mod scan;
mod wire;

use bytes::Bytes;

use crate::request::{Header, Key, Kind, Pace, StreamId};

/// The longest message: what one Noise message carries (602 blocks of 248 bytes).
pub const MAX_MESSAGE: usize = 602 * 248;
/// Frames of one envelope.
pub const MAX_FRAMES: usize = 256;
/// Ranges of one acknowledgement.
pub const MAX_RANGES: usize = 64;
/// Headers of a request or of an answer.
pub const MAX_HEADERS: usize = 64;
/// Bytes of all headers together.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Bytes of a path with its query.
pub const MAX_PATH: usize = 8 * 1024;
/// Bytes of a method.
pub const MAX_METHOD: usize = 32;
/// The largest offset in a body.
pub const MAX_OFFSET: u64 = 1 << 53;

/// One message.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// What it says.
    pub frames: Vec<Frame>,
    /// What came.
    pub ack: Option<Ack>,
    /// The sender's process; zero in an envelope that is the pairing's.
    pub epoch: u64,
    /// The process it is for, or zero where the sender does not know it yet.
    pub to: u64,
}

/// One thing said.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// Begins a stream.
    Open(Open),
    /// Begins an answer.
    Head(Head),
    /// A part of a body.
    Data(Data),
    /// A body may be sent up to an offset.
    Credit {
        /// Which stream's.
        stream: StreamId,
        /// Up to where, in bytes from the body's start.
        limit: u64,
    },
    /// A stream is over before its end.
    Reset {
        /// Which.
        stream: StreamId,
        /// Why, see [`crate::request::Code`].
        code: u32,
        /// The sender's clock in Unix milliseconds, or zero.
        time: u64,
    },
    /// An event of a subscription.
    Event(Event),
    /// Asks for a pong: the pairing's to answer.
    Ping(u64),
    /// Answers a ping.
    Pong(u64),
    /// All streams are over.
    Close,
    /// A frame of the pairing.
    Control(Bytes),
}

/// The beginning of a stream.
#[derive(Clone, PartialEq, Eq)]
pub struct Open {
    /// Its id: odd from the app, even from the manager.
    pub stream: StreamId,
    /// What it is for.
    pub kind: Kind,
    /// Such as `GET`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// In their order.
    pub headers: Vec<Header>,
    /// With one it runs at most once.
    pub key: Option<Key>,
    /// Unix milliseconds from which on it is refused.
    pub not_after: Option<u64>,
    /// How long the body is, where that is known.
    pub body_len: Option<u64>,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// Of a subscription.
    pub pace: Pace,
}

/// The beginning of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// Of which stream.
    pub stream: StreamId,
    /// As in HTTP, 100 to 599.
    pub status: u16,
    /// In their order.
    pub headers: Vec<Header>,
    /// How the body is encoded.
    pub encoding: Encoding,
}

/// A part of a body, as encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    /// Of which stream.
    pub stream: StreamId,
    /// Where it begins.
    pub offset: u64,
    /// The part.
    pub bytes: Bytes,
    /// Whether the body ends here.
    pub fin: bool,
}

/// An event of a subscription.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The subscription.
    pub stream: StreamId,
    /// Its place among those sent, from zero.
    pub seq: u64,
    /// What it says.
    pub bytes: Bytes,
    /// How many before it are not told.
    pub missed: u64,
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As it is.
    #[default]
    Identity,
    /// In pieces of zstd, see [`crate::body`].
    Zstd,
}

/// What came on a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    /// The newest index.
    pub largest: u64,
    /// First and last index of what came, newest first.
    pub received: Vec<(u64, u64)>,
    /// Milliseconds from the newest message's arrival to this.
    pub delay_ms: u32,
    /// Bytes of bodies that may be sent and not yet acknowledged.
    pub window: u32,
}

/// Why bytes are no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than a message can be.
    #[error("{0} bytes are more than a message has")]
    TooLong(usize),
    /// More frames, ranges or headers than there may be.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Not the protobuf it should be.
    #[error("not an envelope: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Not even protobuf.
    #[error("not protobuf")]
    Malformed,
    /// A field has a value that it cannot have.
    #[error("the field {0} has a value that it cannot have")]
    Field(&'static str),
}

impl Envelope {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads a message. Frames of kinds that this version does not know are passed over.
    ///
    /// # Errors
    /// [`DecodeError`]; counts and lengths are checked before anything of their size is allocated.
    pub fn decode(plaintext: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(plaintext)
    }
}

impl Frame {
    /// Bytes it adds to an envelope.
    pub fn encoded_len(&self) -> usize {
        wire::frame_len(self)
    }
}

impl Ack {
    /// Bytes it adds to an envelope.
    pub(crate) fn encoded_len(&self) -> usize {
        wire::ack_len(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(stream: u32) -> Open {
        Open {
            stream: StreamId::from(stream),
            kind: Kind::Subscribe,
            method: "GET".to_owned(),
            path: "/eth/v1/events?topics=head".to_owned(),
            headers: vec![Header::new("accept", "text/event-stream")],
            key: Some(Key([7; 16])),
            not_after: Some(1_760_000_000_000),
            body_len: Some(0),
            encoding: Encoding::Zstd,
            pace: Pace { min_interval_ms: 1000, coalesce: true },
        }
    }

    fn every_frame() -> Vec<Frame> {
        let stream = StreamId::from(3);
        let headers = vec![Header::new("content-type", "application/json")];
        vec![
            Frame::Open(open(3)),
            Frame::Head(Head { stream, status: 200, headers, encoding: Encoding::Zstd }),
            Frame::Data(Data { stream, offset: 9, bytes: Bytes::from_static(b"body"), fin: true }),
            Frame::Credit { stream, limit: 1 << 18 },
            Frame::Reset { stream, code: 3, time: 1_760_000_000_000 },
            Frame::Event(Event { stream, seq: 4, bytes: Bytes::from_static(b"head"), missed: 2 }),
            Frame::Ping(7),
            Frame::Pong(8),
            Frame::Close,
            Frame::Control(Bytes::from_static(&[0x22, 0])),
        ]
    }

    #[test]
    fn reads_what_it_wrote() {
        let ack = Ack { largest: 9, received: vec![(8, 9), (0, 6)], delay_ms: 300, window: 1 << 20 };
        let envelope = Envelope { frames: every_frame(), ack: Some(ack), epoch: 5, to: 6 };
        assert!(Envelope::decode(&envelope.encode()) == Ok(envelope));
    }

    #[test]
    fn tells_what_a_frame_adds() {
        for frame in every_frame() {
            let len = frame.encoded_len();
            let envelope = Envelope { frames: vec![frame], ..Envelope::default() };
            assert_eq!(envelope.encode().len(), len);
        }
    }

    #[test]
    fn shares_its_bytes_with_the_frames_of_the_pairing() {
        let pairing_ping = [0x0a, 0x04, 0x3a, 0x02, 0x08, 0x07];
        let envelope = Envelope::decode(&pairing_ping).unwrap();
        assert!(envelope.frames == [Frame::Ping(7)] && envelope.epoch == 0);
        assert_eq!(envelope.encode(), pairing_ping);
        // Control { unpair: {} }
        let unpair = [0x0a, 0x04, 0x52, 0x02, 0x22, 0x00];
        let envelope = Envelope::decode(&unpair).unwrap();
        assert!(envelope.frames == [Frame::Control(Bytes::from_static(&[0x22, 0]))]);
        assert_eq!(envelope.encode(), unpair);
    }

    #[test]
    fn passes_over_frames_of_later_versions() {
        // An empty frame, one of kind 99, a ping.
        let bytes = [&[0x0a, 0][..], &[0x0a, 3, 0x9a, 0x06, 0], &[0x0a, 4, 0x3a, 2, 8, 7]].concat();
        assert!(Envelope::decode(&bytes).unwrap().frames == [Frame::Ping(7)]);
    }

    fn error_of(frame: Frame) -> DecodeError {
        let envelope = Envelope { frames: vec![frame], ..Envelope::default() };
        Envelope::decode(&envelope.encode()).err().expect("it is to be refused")
    }

    #[test]
    fn refuses_what_is_longer_than_it_may_be() {
        let with = |change: &dyn Fn(&mut Open)| {
            let mut open = open(1);
            change(&mut open);
            error_of(Frame::Open(open))
        };
        assert_eq!(with(&|open| open.path = "a".repeat(MAX_PATH + 1)), DecodeError::Field("path"));
        assert_eq!(with(&|open| open.method = "A".repeat(MAX_METHOD + 1)), DecodeError::Field("method"));
        let many = vec![Header::new("a", "b"); MAX_HEADERS + 1];
        assert_eq!(
            with(&|open| open.headers.clone_from(&many)),
            DecodeError::TooMany { what: "headers", limit: MAX_HEADERS }
        );
        let long = Header::new("a", "b".repeat(MAX_HEADER_BYTES));
        assert_eq!(with(&|open| open.headers = vec![long.clone()]), DecodeError::Field("headers"));
        let pings = Envelope { frames: vec![Frame::Ping(1); MAX_FRAMES + 1], ..Envelope::default() };
        let too_many = DecodeError::TooMany { what: "frames", limit: MAX_FRAMES };
        assert!(Envelope::decode(&pings.encode()) == Err(too_many));
        assert!(Envelope::decode(&vec![0; MAX_MESSAGE + 1]) == Err(DecodeError::TooLong(MAX_MESSAGE + 1)));
    }

    #[test]
    fn counts_the_headers_of_a_frame_that_is_given_in_pieces() {
        // A frame with two `open` fields: protobuf puts them together.
        let half = |count: usize| {
            let headers = [0x2a, 0].repeat(count);
            [&[0x0a, u8::try_from(headers.len()).unwrap()][..], &headers].concat()
        };
        let frame = [half(40), half(40)].concat();
        let bytes = [&[0x0a, 0xa4, 0x01][..], &frame].concat();
        assert_eq!(frame.len(), 0xa4);
        let too_many = DecodeError::TooMany { what: "headers", limit: MAX_HEADERS };
        assert!(Envelope::decode(&bytes) == Err(too_many));
    }

    #[test]
    fn refuses_values_that_mean_nothing() {
        let stream = StreamId::from(1);
        let data = |offset| Data { stream, offset, bytes: Bytes::from_static(b"ab"), fin: false };
        assert_eq!(error_of(Frame::Data(data(u64::MAX))), DecodeError::Field("offset"));
        assert_eq!(error_of(Frame::Credit { stream, limit: MAX_OFFSET + 1 }), DecodeError::Field("credit"));
        let head = Head { stream, status: 99, headers: vec![], encoding: Encoding::Identity };
        assert_eq!(error_of(Frame::Head(head)), DecodeError::Field("status"));
        let zero = Frame::Credit { stream: StreamId::from(0), limit: 1 };
        assert_eq!(error_of(zero), DecodeError::Field("stream"));
    }

    #[test]
    fn refuses_ranges_out_of_order() {
        for received in [vec![(5, 4)], vec![(1, 2), (4, 5)], vec![(4, 5), (3, 3)], vec![(4, 6)]] {
            let ack = Ack { largest: 5, received, ..Ack::default() };
            let envelope = Envelope { ack: Some(ack), ..Envelope::default() };
            assert!(Envelope::decode(&envelope.encode()) == Err(DecodeError::Field("received")));
        }
    }
}
