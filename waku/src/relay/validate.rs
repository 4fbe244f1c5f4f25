//! Which messages are relayed (11/WAKU2-RELAY, 14/WAKU2-MESSAGE).
//!
//! Deployed nodes score a sender down for a message they reject, so what any of them rejects must not be
//! forwarded, and only what all of them reject may cost the sender.

use bytes::Bytes;
use thiserror::Error;
use waku_proto::message::MessageError;
use waku_proto::{Agreement, EncodedMessage, PubsubTopic, WireError, relay};

use crate::Envelope;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Deliver and forward it.
    Accept,
    /// Drop it and score its sender down.
    Reject,
    /// Drop it without blame.
    Ignore,
}

/// A judge of messages whose structure is sound.
///
/// Called on a small pool of blocking threads, for messages from peers and for own publishes alike. It may
/// take its time: gossipsub keeps a message for six seconds. A panic counts as [`Verdict::Ignore`].
pub trait Validator: core::fmt::Debug + Send + Sync + 'static {
    /// Judges one message.
    fn validate(&self, envelope: &Envelope) -> Verdict;
}

/// Why a message from a peer is not relayed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Flaw {
    #[error("its RPC has {size} bytes, at most {limit} are accepted")]
    TooLarge { size: usize, limit: usize },
    #[error("no implementation can read it")]
    Unreadable,
    #[error("only some implementations can read it")]
    Disputed,
    #[error(transparent)]
    Undecodable(#[from] WireError),
    #[error(transparent)]
    Unsafe(#[from] MessageError),
}

impl Flaw {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            // Every implementation rejects these.
            Self::TooLarge { .. } | Self::Unreadable | Self::Undecodable(WireError::Missing { .. }) => {
                Verdict::Reject
            }
            // Some forward these in good faith, others would score us down for them.
            Self::Disputed | Self::Undecodable(_) | Self::Unsafe(_) => Verdict::Ignore,
        }
    }
}

/// Checks the structure of a message from a peer, whose RPC may have `limit` bytes.
pub(crate) fn inbound(topic: PubsubTopic, data: Bytes, limit: usize) -> Result<Envelope, Flaw> {
    let size = relay::rpc_size(&topic, data.len());
    if size > limit {
        return Err(Flaw::TooLarge { size, limit });
    }
    match Agreement::about(&data) {
        Agreement::Readable => {}
        Agreement::Disputed => return Err(Flaw::Disputed),
        Agreement::Unreadable => return Err(Flaw::Unreadable),
    }
    let message = EncodedMessage::decode(data)?;
    message.message().check()?;
    Ok(Envelope::new(topic, message))
}

#[cfg(test)]
mod tests {
    use waku_proto::{WakuMessage, Wire as _};

    use super::*;

    const LIMIT: usize = 150 * 1024;

    fn topic() -> PubsubTopic {
        "/waku/2/rs/0/0".parse().unwrap()
    }

    fn message() -> WakuMessage {
        WakuMessage::new(&"/toychat/2/huilong/proto".parse().unwrap(), "hello", 1)
    }

    fn verdict(data: impl Into<Bytes>) -> Verdict {
        inbound(topic(), data.into(), LIMIT).map_or_else(|flaw| flaw.verdict(), |_| Verdict::Accept)
    }

    #[test]
    fn accepts_a_sound_message_and_keeps_its_bytes() {
        // The sound message and a field of the future.
        let data = [&message().encode()[..], b"\xc0\x0c\x07"].concat();
        let envelope = inbound(topic(), data.clone().into(), LIMIT).unwrap();
        assert_eq!(envelope.bytes(), &data);
        assert_eq!(envelope.message(), &message());
    }

    #[test]
    fn rejects_what_is_no_message() {
        assert_eq!(verdict("\u{1}garbage"), Verdict::Reject);
        assert_eq!(verdict(""), Verdict::Reject);
    }

    #[test]
    fn rejects_absent_payload_or_content_topic() {
        assert_eq!(verdict(b"\x12\x01a".as_slice()), Verdict::Reject);
        assert_eq!(verdict(b"\x0a\x01a".as_slice()), Verdict::Reject);
    }

    #[test]
    fn blames_nobody_for_what_only_some_implementations_read() {
        for more in [
            // Read by go-waku, refused by nwaku: a group, a version of ten bytes.
            &b"\x23\x24"[..],
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            // Read by nwaku, refused by others: field number 0, a varint of 65 bits.
            b"\x00\x00",
            b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            // Read by nwaku and go-waku, not by prost: a version of another wire type.
            b"\x1a\x00",
        ] {
            assert_eq!(verdict([&message().encode()[..], more].concat()), Verdict::Ignore, "{more:?}");
        }
        // Read by nwaku, refused by go-waku: a content topic that is not UTF-8.
        assert_eq!(verdict(b"\x0a\x01a\x12\x01\xff".as_slice()), Verdict::Ignore);
    }

    #[test]
    fn ignores_empty_payload_or_content_topic() {
        assert_eq!(verdict(b"\x0a\x00\x12\x01a".as_slice()), Verdict::Ignore);
        assert_eq!(verdict(b"\x0a\x01a\x12\x00".as_slice()), Verdict::Ignore);
    }

    #[test]
    fn ignores_meta_longer_than_64_bytes() {
        assert_eq!(verdict(message().with_meta(vec![0; 64]).encode()), Verdict::Accept);
        assert_eq!(verdict(message().with_meta(vec![0; 65]).encode()), Verdict::Ignore);
    }

    #[test]
    fn rejects_messages_over_the_limit() {
        let data = message().encode();
        let size = relay::rpc_size(&topic(), data.len());
        assert!(inbound(topic(), data.clone(), size).is_ok());
        let flaw = inbound(topic(), data, size - 1).unwrap_err();
        assert_eq!((flaw.verdict(), flaw), (Verdict::Reject, Flaw::TooLarge { size, limit: size - 1 }));
    }
}
