//! What every archive promises, tested on each, and what tests of archives share.

mod any_query;

use std::sync::Arc;

use waku_proto::store::Direction;
use waku_proto::{EncodedMessage, MessageHash, WakuMessage};

use super::disk::tests::in_memory;
use super::*;

pub(super) const TOPIC: &str = "/chat/1/one/proto";
pub(super) const OTHER_TOPIC: &str = "/chat/1/two/proto";
pub(super) const SHARD: &str = "/waku/2/rs/1/0";
pub(super) const OTHER_SHARD: &str = "/waku/2/rs/1/1";

pub(super) fn envelope_on(pubsub_topic: &str, content_topic: &str, timestamp: i64) -> Envelope {
    let message = WakuMessage {
        payload: "hello".into(),
        content_topic: content_topic.to_owned(),
        version: None,
        timestamp: Some(timestamp),
        meta: None,
        rate_limit_proof: None,
        ephemeral: None,
    };
    Envelope::new(pubsub_topic.parse().unwrap(), EncodedMessage::encode(message))
}

pub(super) fn envelope(timestamp: i64) -> Envelope {
    envelope_on(SHARD, TOPIC, timestamp)
}

pub(super) fn envelopes(timestamps: impl IntoIterator<Item = i64>) -> Vec<Envelope> {
    timestamps.into_iter().map(envelope).collect()
}

pub(super) fn everything() -> Query {
    Query { limit: usize::MAX, ..Query::new(Selection::Content(Criteria::default())) }
}

/// The timestamps of all messages.
pub(super) fn timestamps(archive: &dyn Archive) -> Vec<i64> {
    timestamps_of(&archive.query(&everything()).unwrap())
}

fn timestamps_of(page: &Page) -> Vec<i64> {
    let timestamp = |entry: &Entry| entry.envelope.as_ref().unwrap().message().timestamp.unwrap_or_default();
    page.entries.iter().map(timestamp).collect()
}

/// An empty archive of each kind.
fn archives() -> Vec<Arc<dyn Archive>> {
    #[cfg(feature = "sqlite")]
    let others: [Arc<dyn Archive>; 1] = [Arc::new(sqlite::tests::Temporary::new())];
    #[cfg(not(feature = "sqlite"))]
    let others = [];
    faithful_archives().into_iter().chain(others).collect()
}

/// Those that keep the bytes of a message.
fn faithful_archives() -> Vec<Arc<dyn Archive>> {
    vec![Arc::new(MemoryArchive::new(u64::MAX, u64::MAX)), Arc::new(in_memory())]
}

fn content(criteria: Criteria) -> Query {
    Query { limit: 100, ..Query::new(Selection::Content(criteria)) }
}

#[test]
fn a_message_comes_back_with_all_its_fields_and_those_of_future_versions() {
    let message = WakuMessage {
        payload: "secret".into(),
        content_topic: TOPIC.to_owned(),
        version: Some(1),
        timestamp: Some(7),
        meta: Some("meta".into()),
        rate_limit_proof: Some("proof".into()),
        ephemeral: Some(false),
    };
    let mut bytes = EncodedMessage::encode(message.clone()).bytes().to_vec();
    // Field 99, a number.
    bytes.extend([0x98, 0x06, 0x2a]);
    let envelope =
        Envelope::new(SHARD.parse().unwrap(), EncodedMessage::decode(bytes.clone().into()).unwrap());
    for archive in faithful_archives() {
        archive.insert(std::slice::from_ref(&envelope)).unwrap();
        let page = archive.query(&everything()).unwrap();
        let kept = page.entries[0].envelope.as_ref().unwrap();
        assert_eq!(kept.message(), &message, "{archive:?}");
        assert_eq!(kept.bytes(), &bytes, "{archive:?}");
        assert_eq!(kept.pubsub_topic().as_str(), SHARD);
        assert_eq!((page.entries[0].hash, kept.hash()), (envelope.hash(), envelope.hash()));
    }
}

#[test]
fn a_message_is_kept_once_and_as_it_came_first() {
    for archive in archives() {
        let first = envelope(1);
        let stripped = first.message().clone().with_rate_limit_proof("another");
        let second = Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(stripped));
        assert_eq!(first.hash(), second.hash(), "the proof is not hashed");
        let batch = [first.clone(), second.clone(), envelope(2)];
        assert_eq!(archive.insert(&batch[..1]).unwrap(), Inserted { new: 1, known: 0 });
        assert_eq!(archive.insert(&batch).unwrap(), Inserted { new: 1, known: 2 }, "{archive:?}");
        assert_eq!(archive.insert(&batch).unwrap(), Inserted { new: 0, known: 3 }, "{archive:?}");
        assert_eq!(archive.stats().unwrap().messages, 2);
        let page = archive.query(&everything()).unwrap();
        assert_eq!(page.entries[0].envelope, Some(first), "{archive:?}");
    }
}

#[test]
fn of_two_messages_with_one_hash_in_a_batch_the_first_is_kept() {
    for archive in archives() {
        let first = envelope(1);
        let stripped = first.message().clone().with_rate_limit_proof("another");
        let second = Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(stripped));
        assert_eq!(archive.insert(&[first.clone(), second]).unwrap(), Inserted { new: 1, known: 1 });
        let page = archive.query(&everything()).unwrap();
        assert_eq!(page.entries[0].envelope, Some(first), "{archive:?}");
    }
}

#[test]
fn a_message_without_timestamp_stands_at_zero_as_in_its_hash() {
    let mut message = envelope(0).message().clone();
    message.timestamp = None;
    let timeless = Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(message));
    for archive in archives() {
        archive.insert(&[envelope(-1), envelope(1), timeless.clone()]).unwrap();
        let page = archive.query(&everything()).unwrap();
        assert_eq!(page.entries[1].envelope.as_ref(), Some(&timeless), "{archive:?}");
    }
}

#[test]
fn messages_are_ordered_by_time_from_the_first_moment_to_the_last() {
    let order = [i64::MIN, i64::MIN + 1, -256, -1, 0, 1, 255, 256, i64::MAX - 1, i64::MAX];
    for archive in archives() {
        archive.insert(&envelopes(order.into_iter().rev())).unwrap();
        assert_eq!(timestamps(&*archive), order, "{archive:?}");
        let stats = archive.stats().unwrap();
        assert_eq!((stats.oldest, stats.newest), (Some(i64::MIN), Some(i64::MAX)));
    }
}

#[test]
fn both_ends_of_a_span_are_included_as_in_nwaku() {
    for archive in archives() {
        archive.insert(&envelopes(1..=5)).unwrap();
        let span = |start, end| content(Criteria { time_start: start, time_end: end, ..Criteria::default() });
        for (query, expected) in [
            (span(Some(2), Some(4)), &[2, 3, 4][..]),
            (span(Some(4), None), &[4, 5]),
            (span(None, Some(2)), &[1, 2]),
            (span(Some(3), Some(3)), &[3]),
            (span(Some(4), Some(3)), &[]),
        ] {
            assert_eq!(timestamps_of(&archive.query(&query).unwrap()), expected, "{archive:?} {query:?}");
        }
    }
}

#[test]
fn pages_follow_each_other_both_ways_and_are_always_oldest_first() {
    for archive in archives() {
        archive.insert(&envelopes(1..=5)).unwrap();
        let mut query = Query { limit: 2, ..everything() };
        for (direction, expected) in [
            (Direction::Forward, [&[1, 2][..], &[3, 4], &[5]]),
            (Direction::Backward, [&[4, 5], &[2, 3], &[1]]),
        ] {
            (query.direction, query.cursor) = (direction, None);
            for (at, expected) in expected.into_iter().enumerate() {
                let page = archive.query(&query).unwrap();
                assert_eq!(timestamps_of(&page), expected, "{archive:?} {direction:?}");
                let edge = match direction {
                    Direction::Forward => page.entries.last(),
                    Direction::Backward => page.entries.first(),
                };
                let next = edge.map(|entry| entry.hash).filter(|_| at < 2);
                assert_eq!(page.cursor, next, "{archive:?} {direction:?}");
                query.cursor = page.cursor;
            }
        }
    }
}

#[test]
fn a_last_page_that_is_full_has_no_cursor() {
    for archive in archives() {
        archive.insert(&envelopes(1..=4)).unwrap();
        for direction in [Direction::Forward, Direction::Backward] {
            let page = archive.query(&Query { limit: 4, direction, ..everything() }).unwrap();
            assert_eq!((page.entries.len(), page.cursor), (4, None), "{archive:?} {direction:?}");
        }
    }
}

#[test]
fn a_cursor_that_is_not_kept_is_told() {
    for archive in archives() {
        archive.insert(&envelopes([1])).unwrap();
        let unknown = MessageHash::from([0; 32]);
        let hashes = Query::new(Selection::Hashes(vec![envelope(1).hash()]));
        for query in [everything(), hashes] {
            let query = Query { cursor: Some(unknown), ..query };
            match archive.query(&query) {
                Err(QueryError::UnknownCursor { cursor }) => assert_eq!(cursor, unknown),
                other => panic!("{archive:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_cursor_may_be_a_message_that_the_query_does_not_select() {
    for archive in archives() {
        let other = envelope_on(SHARD, OTHER_TOPIC, 2);
        archive.insert(&[envelope(1), other.clone(), envelope(3)]).unwrap();
        let topic = Criteria { content_topics: [TOPIC.to_owned()].into(), ..Criteria::default() };
        let query = Query { cursor: Some(other.hash()), ..content(topic) };
        assert_eq!(timestamps_of(&archive.query(&query).unwrap()), [3], "{archive:?}");
        let query = Query { direction: Direction::Backward, ..query };
        assert_eq!(timestamps_of(&archive.query(&query).unwrap()), [1], "{archive:?}");
    }
}

#[test]
fn a_content_topic_is_found_on_every_pubsub_topic_it_is_used_on() {
    for archive in archives() {
        let batch = [
            envelope_on(SHARD, TOPIC, 1),
            envelope_on(OTHER_SHARD, TOPIC, 2),
            envelope_on(SHARD, OTHER_TOPIC, 3),
            envelope_on(OTHER_SHARD, TOPIC, 4),
        ];
        archive.insert(&batch).unwrap();
        let criteria = Criteria { content_topics: [TOPIC.to_owned()].into(), ..Criteria::default() };
        assert_eq!(timestamps_of(&archive.query(&content(criteria.clone())).unwrap()), [1, 2, 4]);
        let criteria = Criteria { pubsub_topic: OTHER_SHARD.parse().ok(), ..criteria };
        assert_eq!(timestamps_of(&archive.query(&content(criteria.clone())).unwrap()), [2, 4], "{archive:?}");
        let criteria = Criteria { content_topics: [OTHER_TOPIC.to_owned()].into(), ..criteria };
        assert_eq!(timestamps_of(&archive.query(&content(criteria)).unwrap()), [0_i64; 0], "{archive:?}");
    }
}

#[test]
fn a_topic_that_ends_in_another_is_not_the_other() {
    for archive in archives() {
        archive.insert(&[envelope_on(SHARD, "a", 1), envelope_on(SHARD, "ab", 2)]).unwrap();
        for (topic, expected) in [("a", &[1][..]), ("ab", &[2]), ("b", &[]), ("", &[])] {
            let criteria = Criteria { content_topics: [topic.to_owned()].into(), ..Criteria::default() };
            assert_eq!(timestamps_of(&archive.query(&content(criteria)).unwrap()), expected, "{archive:?}");
        }
    }
}

#[test]
fn a_content_topic_as_long_as_a_message_is_found() {
    let topic = "t".repeat(140_000);
    for archive in archives() {
        archive.insert(&[envelope_on(SHARD, &topic, 1), envelope(2)]).unwrap();
        let criteria = Criteria { content_topics: [topic.clone()].into(), ..Criteria::default() };
        assert_eq!(timestamps_of(&archive.query(&content(criteria)).unwrap()), [1], "{archive:?}");
    }
}

#[test]
fn hashes_alone_come_without_data() {
    for archive in archives() {
        archive.insert(&envelopes(1..=2)).unwrap();
        let page = archive.query(&Query { include_data: false, ..everything() }).unwrap();
        let expected = [1, 2].map(|at| Entry { hash: envelope(at).hash(), envelope: None });
        assert_eq!(page.entries, expected, "{archive:?}");
    }
}

#[test]
fn hashes_asked_for_twice_or_not_kept_are_no_trouble() {
    for archive in archives() {
        archive.insert(&envelopes(1..=3)).unwrap();
        let hash = |at| envelope(at).hash();
        let query = Query::new(Selection::Hashes(vec![hash(3), hash(1), hash(9), hash(3)]));
        assert_eq!(timestamps_of(&archive.query(&query).unwrap()), [1, 3], "{archive:?}");
    }
}

#[test]
fn an_empty_archive_has_nothing() {
    for archive in archives() {
        assert_eq!(archive.query(&everything()).unwrap(), Page::default(), "{archive:?}");
        assert_eq!(archive.stats().unwrap(), Stats::default(), "{archive:?}");
        assert_eq!(archive.insert(&[]).unwrap(), Inserted::default());
        assert_eq!(archive.prune(&Keep { messages: Some(0), ..Keep::default() }, 10).unwrap(), 0);
    }
}

#[test]
fn the_oldest_are_deleted_and_no_more_than_asked_for_at_a_time() {
    for archive in archives() {
        archive.insert(&envelopes(1..=10)).unwrap();
        let keep = Keep { since: Some(6), ..Keep::default() };
        assert_eq!(archive.prune(&keep, 2).unwrap(), 2);
        assert_eq!(timestamps(&*archive), [3, 4, 5, 6, 7, 8, 9, 10], "{archive:?}");
        assert_eq!(archive.prune(&keep, 100).unwrap(), 3);
        assert_eq!(timestamps(&*archive), [6, 7, 8, 9, 10], "{archive:?}");
        let keep = Keep { messages: Some(3), ..Keep::default() };
        assert_eq!(archive.prune(&keep, 100).unwrap(), 2);
        assert_eq!(timestamps(&*archive), [8, 9, 10], "{archive:?}");
        let bytes = archive.stats().unwrap().bytes;
        let keep = Keep { bytes: Some(bytes - 1), ..Keep::default() };
        assert_eq!(archive.prune(&keep, 100).unwrap(), 1);
        assert_eq!(timestamps(&*archive), [9, 10], "{archive:?}");
    }
}

#[test]
fn whichever_limit_is_exceeded_deletes() {
    for archive in archives() {
        archive.insert(&envelopes(1..=10)).unwrap();
        let keep = Keep { since: Some(3), messages: Some(5), bytes: Some(u64::MAX) };
        assert_eq!(archive.prune(&keep, 100).unwrap(), 5, "{archive:?}");
        let keep = Keep { since: Some(8), messages: Some(5), bytes: Some(u64::MAX) };
        assert_eq!(archive.prune(&keep, 100).unwrap(), 2, "{archive:?}");
    }
}

#[test]
fn what_was_deleted_is_found_by_nothing_and_counts_no_more() {
    for archive in archives() {
        let gone = envelope(1);
        archive.insert(std::slice::from_ref(&gone)).unwrap();
        assert_eq!(archive.prune(&Keep { messages: Some(0), ..Keep::default() }, 10).unwrap(), 1);
        assert_eq!(archive.stats().unwrap(), Stats::default(), "{archive:?}");
        let hashes = Query::new(Selection::Hashes(vec![gone.hash()]));
        let topic = Criteria { content_topics: [TOPIC.to_owned()].into(), ..Criteria::default() };
        let shard = Criteria { pubsub_topic: SHARD.parse().ok(), ..Criteria::default() };
        for query in [everything(), hashes, content(topic), content(shard)] {
            assert_eq!(archive.query(&query).unwrap(), Page::default(), "{archive:?} {query:?}");
        }
        assert_eq!(archive.insert(&[gone]).unwrap().new, 1);
    }
}

#[test]
fn a_policy_deletes_everything_it_does_not_keep_in_one_go() {
    for archive in archives() {
        archive.insert(&envelopes(0..2_500)).unwrap();
        let policy: RetentionPolicy = "capacity:10".parse().unwrap();
        assert_eq!(policy.apply(&*archive, 0).unwrap(), 2_490, "{archive:?}");
        assert_eq!(timestamps(&*archive), (2_490..2_500).collect::<Vec<_>>());
    }
}

#[test]
fn a_full_memory_archive_forgets_the_oldest() {
    let archive = MemoryArchive::new(3, u64::MAX);
    archive.insert(&envelopes([5, 1, 4, 2, 3])).unwrap();
    assert_eq!(timestamps(&archive), [3, 4, 5]);
    archive.insert(&envelopes([1])).unwrap();
    assert_eq!(timestamps(&archive), [3, 4, 5]);
    archive.insert(&envelopes([6])).unwrap();
    assert_eq!(timestamps(&archive), [4, 5, 6]);
}

#[test]
fn a_memory_archive_stays_within_its_bytes() {
    let archive = MemoryArchive::new(u64::MAX, 10_000);
    archive.insert(&envelopes(0..1_000)).unwrap();
    let stats = archive.stats().unwrap();
    assert!(stats.bytes <= 10_000 && stats.messages > 10, "{stats:?}");
    assert_eq!(stats.newest, Some(999));
}
