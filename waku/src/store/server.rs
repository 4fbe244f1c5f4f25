//! What a store answers: a request becomes a question to the archive, and a page an answer.

use std::ops::Range;

use waku_proto::PubsubTopic;
use waku_proto::store::{Direction, KeyValue, QueryRequest, QueryResponse, Status};

use super::MAX_PAGE_LEN;
use super::archive::{Criteria, DEFAULT_PAGE_LEN, Entry, Page, Query, QueryError, Selection};
use crate::net::codec::Incoming;
use crate::net::exchange::UNREAD_REQUEST_ID;

/// Content topics that may be asked for at once; the cost of a page grows with them. nwaku takes ten, and any
/// number where it is the first page.
const MAX_TOPICS_ANSWERED: usize = 100;
/// What an entry takes beside its message and its pubsub topic, at most: a hash and five fields' heads.
const ENTRY_OVERHEAD: usize = 64;

/// Why a request is not answered with a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) reason: String,
}

impl Refusal {
    fn bad(reason: &dyn ToString) -> Self {
        Self { status: Status::BadRequest, reason: reason.to_string() }
    }

    /// The archive failed. How is for the node's own log.
    pub(super) fn archive_failed() -> Self {
        Self { status: Status::BadResponse, reason: "archive error: it failed".to_owned() }
    }
}

impl From<&QueryError> for Refusal {
    fn from(error: &QueryError) -> Self {
        match error {
            // The words are nwaku's, which tools look for.
            QueryError::UnknownCursor { .. } => {
                let reason = "BAD_RESPONSE: archive error: DRIVER_ERROR: cursor not found".to_owned();
                Self { status: Status::BadResponse, reason }
            }
            QueryError::Archive(_) => Self::archive_failed(),
        }
    }
}

/// What the archive is asked for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    Ask(Query),
    /// Nothing can match.
    Nothing,
}

/// A request's id, and what is to be done about it.
pub(super) fn read(request: Incoming<QueryRequest>) -> (String, Result<Plan, Refusal>) {
    match request {
        Ok(request) => (request.request_id.clone(), plan(request)),
        Err(error) => (UNREAD_REQUEST_ID.to_owned(), Err(Refusal::bad(&error))),
    }
}

fn plan(request: QueryRequest) -> Result<Plan, Refusal> {
    let QueryRequest { include_data, cursor, direction, limit, message_hashes, .. } = request;
    // js-waku sends the pubsub topic with hashes too. They are of that topic, or nothing is found.
    let has_criteria =
        !request.content_topics.is_empty() || request.time_start.is_some() || request.time_end.is_some();
    let selection = if message_hashes.is_empty() {
        if request.content_topics.len() > MAX_TOPICS_ANSWERED {
            return Err(Refusal::bad(&format!("more than {MAX_TOPICS_ANSWERED} content topics")));
        }
        let pubsub_topic = match request.pubsub_topic.as_deref().map(str::parse::<PubsubTopic>) {
            Some(Ok(topic)) => Some(topic),
            None => None,
            // No message is relayed there.
            Some(Err(_)) => return Ok(Plan::Nothing),
        };
        Selection::Content(Criteria {
            pubsub_topic,
            content_topics: request.content_topics.into_iter().collect(),
            time_start: request.time_start,
            time_end: request.time_end,
        })
    } else if has_criteria {
        return Err(Refusal::bad(&"message hashes do not go with content topics or times"));
    } else {
        Selection::Hashes(message_hashes)
    };
    Ok(Plan::Ask(Query { selection, include_data, cursor, direction, limit: page_len(limit) }))
}

/// How many messages a page has for what the client asks.
fn page_len(asked: Option<u64>) -> usize {
    match asked.map(usize::try_from) {
        None | Some(Ok(0)) => DEFAULT_PAGE_LEN,
        Some(asked) => asked.map_or(MAX_PAGE_LEN, |asked| asked.min(MAX_PAGE_LEN)),
    }
}

/// As much of a page as has `max_bytes`, but at least one message: those next to the page before it. Returns what
/// it takes on the wire too, about.
pub(super) fn fit(mut page: Page, direction: Direction, max_bytes: usize) -> (Page, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut count_in = |entry: &Entry| {
        let more = bytes + size(entry);
        let fits = count == 0 || more <= max_bytes;
        if fits {
            (count, bytes) = (count + 1, more);
        }
        fits
    };
    let len = page.entries.len();
    let kept: Range<usize> = match direction {
        Direction::Forward => {
            _ = page.entries.iter().all(&mut count_in);
            0..count
        }
        Direction::Backward => {
            _ = page.entries.iter().rev().all(&mut count_in);
            len - count..len
        }
    };
    if kept.len() < len {
        page.entries = page.entries.drain(kept).collect();
        let edge = match direction {
            Direction::Forward => page.entries.last(),
            Direction::Backward => page.entries.first(),
        };
        page.cursor = edge.map(|entry| entry.hash);
    }
    (page, bytes)
}

/// Bytes of an entry on the wire, about.
fn size(entry: &Entry) -> usize {
    let data = entry.envelope.as_ref();
    ENTRY_OVERHEAD + data.map_or(0, |data| data.bytes().len() + data.pubsub_topic().as_str().len())
}

/// The answer, with a page or without.
pub(super) fn answer(request_id: String, outcome: Result<Page, Refusal>) -> QueryResponse {
    match outcome {
        Ok(Page { entries, cursor }) => QueryResponse {
            request_id,
            status: Status::Ok,
            status_desc: "OK".to_owned(),
            messages: entries.into_iter().map(key_value).collect(),
            cursor,
        },
        Err(Refusal { status, reason }) => {
            QueryResponse { request_id, status, status_desc: reason, messages: Vec::new(), cursor: None }
        }
    }
}

fn key_value(Entry { hash, envelope }: Entry) -> KeyValue {
    KeyValue {
        message_hash: hash,
        message: envelope.as_ref().map(|envelope| envelope.message().clone()),
        pubsub_topic: envelope.map(|envelope| envelope.pubsub_topic().as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waku_proto::{EncodedMessage, MessageHash, WakuMessage, Wire as _};

    use super::*;
    use crate::Envelope;
    use crate::net::codec::BadRequest;

    fn request() -> QueryRequest {
        QueryRequest {
            request_id: "an id".to_owned(),
            include_data: true,
            pubsub_topic: None,
            content_topics: Vec::new(),
            time_start: None,
            time_end: None,
            message_hashes: Vec::new(),
            cursor: None,
            direction: Direction::Forward,
            limit: None,
        }
    }

    fn query(request: QueryRequest) -> Query {
        match read(Ok(request)) {
            (id, Ok(Plan::Ask(query))) if id == "an id" => query,
            other => panic!("{other:?}"),
        }
    }

    fn entry(number: i64, payload_len: usize) -> Entry {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), vec![0; payload_len], number);
        let envelope = Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message));
        Entry { hash: envelope.hash(), envelope: Some(envelope) }
    }

    #[test]
    fn pages_have_twenty_messages_unless_asked_and_never_more_than_a_hundred() {
        let len = |limit| query(QueryRequest { limit, ..request() }).limit;
        assert_eq!([None, Some(0)].map(len), [20, 20]);
        assert_eq!([1, 100, 101, u64::MAX].map(|limit| len(Some(limit))), [1, 100, 100, 100]);
    }

    #[test]
    fn criteria_are_handed_on_as_they_are() {
        let topics = ["/a/1/b/c".to_owned(), String::new(), "no topic".to_owned(), "/a/1/b/c".to_owned()];
        let hash = MessageHash::from([1; 32]);
        let asked = query(QueryRequest {
            include_data: false,
            pubsub_topic: Some("/waku/2/rs/0/0".to_owned()),
            content_topics: topics.to_vec(),
            time_start: Some(i64::MIN),
            time_end: Some(-1),
            cursor: Some(hash),
            direction: Direction::Backward,
            ..request()
        });
        let criteria = Criteria {
            pubsub_topic: Some("/waku/2/rs/0/0".parse().unwrap()),
            content_topics: topics.into(),
            time_start: Some(i64::MIN),
            time_end: Some(-1),
        };
        let expected = Query {
            selection: Selection::Content(criteria),
            include_data: false,
            cursor: Some(hash),
            direction: Direction::Backward,
            limit: 20,
        };
        assert_eq!(asked, expected);
    }

    #[test]
    fn hashes_mix_with_a_pubsub_topic_and_with_nothing_else() {
        let hashes = vec![MessageHash::from([1; 32])];
        let by_hash = QueryRequest { message_hashes: hashes.clone(), ..request() };
        let pubsub_topic = Some("/waku/2/rs/0/0".to_owned());
        for request in [by_hash.clone(), QueryRequest { pubsub_topic, ..by_hash.clone() }] {
            assert_eq!(query(request).selection, Selection::Hashes(hashes.clone()));
        }
        for mixed in [
            QueryRequest { content_topics: vec![String::new()], ..by_hash.clone() },
            QueryRequest { time_start: Some(0), ..by_hash.clone() },
            QueryRequest { time_end: Some(0), ..by_hash },
        ] {
            assert_eq!(read(Ok(mixed.clone())).1.unwrap_err().status, Status::BadRequest, "{mixed:?}");
        }
    }

    #[test]
    fn refuses_more_than_a_hundred_content_topics() {
        let asking = |count| QueryRequest { content_topics: vec!["/a/1/b/c".to_owned(); count], ..request() };
        assert!(matches!(query(asking(100)).selection, Selection::Content(_)));
        assert_eq!(read(Ok(asking(101))).1.unwrap_err().status, Status::BadRequest);
    }

    #[test]
    fn nothing_is_found_on_a_pubsub_topic_that_is_none() {
        let asked = QueryRequest { pubsub_topic: Some("no topic".to_owned()), ..request() };
        assert_eq!(read(Ok(asked)), ("an id".to_owned(), Ok(Plan::Nothing)));
    }

    #[test]
    fn what_cannot_be_read_is_a_bad_request_without_an_id() {
        let malformed = BadRequest::Message(QueryRequest::decode(b"\xff"[..].into()).unwrap_err());
        let (id, refused) = read(Err(malformed));
        assert_eq!((id.as_str(), refused.unwrap_err().status), ("N/A", Status::BadRequest));
    }

    #[test]
    fn every_answer_says_how_it_went() {
        let response = answer("an id".to_owned(), Ok(Page::default()));
        assert_eq!((response.status, response.status_desc.as_str()), (Status::Ok, "OK"));
        let unknown = QueryError::UnknownCursor { cursor: [7; 32].into() };
        let response = answer("an id".to_owned(), Err(Refusal::from(&unknown)));
        assert_eq!((response.request_id.as_str(), response.status), ("an id", Status::BadResponse));
        assert!(response.status_desc.ends_with("DRIVER_ERROR: cursor not found"), "{response:?}");
        let failed = QueryError::Archive(super::super::archive::ArchiveError::Storage("/a/path".into()));
        let response = answer(String::new(), Err(Refusal::from(&failed)));
        assert_eq!(response.status, Status::BadResponse);
        assert!(!response.status_desc.contains("path"), "{response:?}");
    }

    #[test]
    fn a_page_of_hashes_has_no_data() {
        let hash = entry(1, 1).hash;
        let page = Page { entries: vec![Entry { hash, envelope: None }], cursor: None };
        let expected = KeyValue { message_hash: hash, message: None, pubsub_topic: None };
        assert_eq!(answer(String::new(), Ok(page)).messages, [expected]);
    }

    #[test]
    fn a_page_that_fits_is_left_alone() {
        let page = Page { entries: vec![entry(1, 100), entry(2, 100)], cursor: Some([9; 32].into()) };
        let (fitted, bytes) = fit(page.clone(), Direction::Forward, 1000);
        assert_eq!(fitted, page);
        let wire = answer(String::new(), Ok(page)).encode().len();
        assert!((wire - 100..=wire + 100).contains(&bytes), "{bytes} for {wire}");
    }

    proptest! {
        #[test]
        fn a_page_that_is_too_large_loses_what_is_farthest_from_the_page_before(
            lens in prop::collection::vec(0..2000_usize, 0..20),
            is_forward: bool,
            has_more: bool,
            max_bytes in 0..10_000_usize,
        ) {
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            let mut entries: Vec<Entry> = (0..).zip(lens).map(|(number, len)| entry(number, len)).collect();
            if !is_forward {
                entries.reverse();
            }
            // Now in the order in which they are read.
            let in_order = |page: &Page| {
                let mut entries = page.entries.clone();
                if !is_forward {
                    entries.reverse();
                }
                entries
            };
            let whole = Page {
                entries: if is_forward { entries.clone() } else { entries.iter().rev().cloned().collect() },
                cursor: entries.last().filter(|_| has_more).map(|last| last.hash),
            };
            let (fitted, bytes) = fit(whole.clone(), direction, max_bytes);
            let kept = in_order(&fitted);
            prop_assert!(entries.starts_with(&kept));
            prop_assert_eq!(bytes, kept.iter().map(size).sum::<usize>());
            prop_assert!(kept.len() <= 1 || bytes <= max_bytes);
            prop_assert_eq!(kept.is_empty(), entries.is_empty());
            if kept.len() == entries.len() {
                prop_assert_eq!(fitted, whole);
            } else {
                prop_assert!(bytes + size(&entries[kept.len()]) > max_bytes);
                prop_assert_eq!(fitted.cursor, kept.last().map(|last| last.hash));
            }
        }
    }
}
