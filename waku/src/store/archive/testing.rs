//! Messages for the tests of what feeds an archive.

use waku_proto::{EncodedMessage, WakuMessage};

use super::{Archive, Criteria, Query, Selection};
use crate::Envelope;

pub(super) const TOPIC: &str = "/chat/1/one/proto";
pub(super) const SHARD: &str = "/waku/2/rs/1/0";

pub(super) fn envelope(timestamp: i64) -> Envelope {
    let message = WakuMessage::new(&TOPIC.parse().unwrap(), "hello", timestamp);
    Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(message))
}

pub(super) fn envelopes(timestamps: impl IntoIterator<Item = i64>) -> Vec<Envelope> {
    timestamps.into_iter().map(envelope).collect()
}

/// The timestamps of all messages of an archive, in order.
pub(super) fn timestamps(archive: &dyn Archive) -> Vec<i64> {
    let everything = Query { limit: usize::MAX, ..Query::new(Selection::Content(Criteria::default())) };
    let entries = archive.query(&everything).unwrap().entries;
    entries.iter().map(|entry| entry.envelope.as_ref().unwrap().message().timestamp.unwrap()).collect()
}
