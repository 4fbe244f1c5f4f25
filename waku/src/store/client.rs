//! Asks for page after page, and takes nothing on trust that it can check.

use std::collections::HashSet;

use thiserror::Error;
use waku_proto::store::{Direction, KeyValue, QueryRequest, QueryResponse, Status};
use waku_proto::{EncodedMessage, MessageHash};

use super::archive::{Criteria, Entry, Page, Query, Selection};
use super::{MAX_CONTENT_TOPICS, MAX_PAGE_LEN};
use crate::Envelope;

/// Why an answer brings no page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("{status} {reason}")]
    Refused { status: Status, reason: String },
    #[error("pages follow each other without anything new")]
    NoProgress,
}

impl Fault {
    /// True when the same request may be answered after a pause.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Refused { status: Status::TooManyRequests | Status::Unavailable, .. })
    }
}

/// More content topics than deployed stores take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooManyTopics {
    pub(super) count: usize,
}

/// A query on its way from page to page.
#[derive(Debug)]
pub(super) struct Paging {
    query: Query,
    /// Messages that may still come.
    left: usize,
    /// What has come: nwaku repeats messages at the edges of pages, and others may do worse.
    seen: HashSet<MessageHash>,
    /// Messages left out because they are not what they are said to be, or were not asked for.
    refused: u64,
    has_ended: bool,
}

impl Paging {
    /// At most so many messages of a query.
    pub(super) fn new(query: Query, at_most: usize) -> Result<Self, TooManyTopics> {
        if let Selection::Content(Criteria { content_topics, .. }) = &query.selection
            && content_topics.len() > MAX_CONTENT_TOPICS
        {
            return Err(TooManyTopics { count: content_topics.len() });
        }
        let has_ended = at_most == 0 || query.selection == Selection::Hashes(Vec::new());
        Ok(Self { query, left: at_most, seen: HashSet::new(), refused: 0, has_ended })
    }

    /// What to ask next; `None` at the end.
    pub(super) fn request(&self, request_id: String) -> Option<QueryRequest> {
        if self.has_ended {
            return None;
        }
        let limit = self.query.limit.clamp(1, MAX_PAGE_LEN).min(self.left);
        let mut request = QueryRequest {
            request_id,
            include_data: self.query.include_data,
            pubsub_topic: None,
            content_topics: Vec::new(),
            time_start: None,
            time_end: None,
            message_hashes: Vec::new(),
            cursor: self.query.cursor,
            direction: self.query.direction,
            limit: Some(limit as u64),
        };
        match &self.query.selection {
            Selection::Hashes(hashes) => request.message_hashes.clone_from(hashes),
            Selection::Content(criteria) => {
                request.pubsub_topic = criteria.pubsub_topic.as_ref().map(|topic| topic.as_str().to_owned());
                request.content_topics = criteria.content_topics.iter().cloned().collect();
                request.time_start = criteria.time_start;
                request.time_end = criteria.time_end;
            }
        }
        Some(request)
    }

    /// Takes the answer. After a fault the same may be asked again.
    pub(super) fn take(&mut self, response: QueryResponse) -> Result<Page, Fault> {
        let QueryResponse { status, status_desc: reason, messages, mut cursor, .. } = response;
        if !status.is_success() {
            return Err(Fault::Refused { status, reason });
        }
        let mut entries = Vec::new();
        for found in messages {
            match self.check(found) {
                Some(entry) if self.seen.insert(entry.hash) => entries.push(entry),
                Some(_) => {}
                None => self.refused += 1,
            }
        }
        if entries.is_empty() && cursor.is_some() {
            return Err(Fault::NoProgress);
        }
        let surplus = entries.len().saturating_sub(self.left);
        if surplus > 0 {
            cursor = match self.query.direction {
                Direction::Forward => {
                    entries.truncate(self.left);
                    entries.last()
                }
                Direction::Backward => {
                    entries.drain(..surplus);
                    entries.first()
                }
            }
            .map(|edge| edge.hash);
        }
        self.left -= entries.len();
        self.has_ended = self.left == 0 || cursor.is_none();
        self.query.cursor = cursor;
        Ok(Page { entries, cursor })
    }

    /// How many messages were left out since this was last asked, because they are not what they are said to be or
    /// were not asked for.
    pub(super) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// A message found, if it is one of those asked for and its hash is its own.
    fn check(&self, found: KeyValue) -> Option<Entry> {
        let hash = found.message_hash;
        let envelope = if self.query.include_data {
            let (message, topic) = (found.message?, found.pubsub_topic?.parse().ok()?);
            let envelope = Envelope::new(topic, EncodedMessage::encode(message));
            Some(envelope).filter(|envelope| envelope.hash() == hash).map(Some)?
        } else {
            None
        };
        let is_asked_for = match &self.query.selection {
            Selection::Hashes(hashes) => hashes.contains(&hash),
            Selection::Content(criteria) => {
                envelope.as_ref().is_none_or(|envelope| is_met(criteria, envelope))
            }
        };
        is_asked_for.then_some(Entry { hash, envelope })
    }
}

fn is_met(criteria: &Criteria, envelope: &Envelope) -> bool {
    let (message, topics) = (envelope.message(), &criteria.content_topics);
    let timestamp = message.timestamp.unwrap_or_default();
    criteria.pubsub_topic.as_ref().is_none_or(|topic| topic == envelope.pubsub_topic())
        && (topics.is_empty() || topics.contains(&message.content_topic))
        && criteria.time_start.is_none_or(|start| start <= timestamp)
        && criteria.time_end.is_none_or(|end| timestamp <= end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waku_proto::{WakuMessage, Wire as _};

    use super::super::archive::{Archive as _, MemoryArchive};
    use super::super::server::{self, Plan};
    use super::*;

    fn topic() -> waku_proto::ContentTopic {
        "/a/1/b/c".parse().unwrap()
    }

    fn found(message: WakuMessage) -> KeyValue {
        let encoded = EncodedMessage::encode(message);
        KeyValue {
            message_hash: encoded.hash(&"/waku/2/rs/0/0".parse().unwrap()),
            message: Some(encoded.message().clone()),
            pubsub_topic: Some("/waku/2/rs/0/0".to_owned()),
        }
    }

    fn numbered(number: i64) -> KeyValue {
        found(WakuMessage::new(&topic(), "x", number))
    }

    fn response(numbers: impl IntoIterator<Item = i64>, cursor: Option<i64>) -> QueryResponse {
        QueryResponse {
            request_id: "not ours".to_owned(),
            status: Status::Ok,
            status_desc: "OK".to_owned(),
            messages: numbers.into_iter().map(numbered).collect(),
            cursor: cursor.map(|number| numbered(number).message_hash),
        }
    }

    fn paging(at_most: usize) -> Paging {
        Paging::new(Query::new(Selection::Content(Criteria::default())), at_most).unwrap()
    }

    fn times_of(page: &Page) -> Vec<i64> {
        page.entries
            .iter()
            .map(|entry| entry.envelope.as_ref().unwrap().message().timestamp.unwrap())
            .collect()
    }

    #[test]
    fn follows_the_cursor_until_there_is_none() {
        let mut paging = paging(100);
        assert_eq!(paging.request(String::new()).unwrap().cursor, None);
        let first = paging.take(response(1..=3, Some(3))).unwrap();
        assert_eq!(times_of(&first), [1, 2, 3]);
        assert_eq!(paging.request(String::new()).unwrap().cursor, Some(numbered(3).message_hash));
        let last = paging.take(response(4..=4, None)).unwrap();
        assert_eq!((times_of(&last), last.cursor), (vec![4], None));
        assert_eq!(paging.request(String::new()), None);
    }

    #[test]
    fn drops_what_pages_share() {
        let mut paging = paging(100);
        paging.take(response(1..=3, Some(3))).unwrap();
        let page = paging.take(response(2..=5, None)).unwrap();
        assert_eq!((times_of(&page), paging.take_refused()), (vec![4, 5], 0));
    }

    #[test]
    fn pages_that_bring_nothing_new_end_with_an_error() {
        // The same cursor for ever, a page with a cursor alone, two cursors in turn.
        let mut same = paging(100);
        same.take(response(1..=3, Some(3))).unwrap();
        assert_eq!(same.take(response(1..=3, Some(3))), Err(Fault::NoProgress));
        assert_eq!(paging(100).take(response([], Some(3))), Err(Fault::NoProgress));
        let mut turning = paging(100);
        turning.take(response(1..=2, Some(2))).unwrap();
        turning.take(response(3..=4, Some(4))).unwrap();
        assert_eq!(turning.take(response(1..=2, Some(2))), Err(Fault::NoProgress));
    }

    #[test]
    fn takes_no_more_messages_than_it_was_told_and_can_be_gone_on_with() {
        let mut forward = paging(4);
        assert_eq!(forward.request(String::new()).unwrap().limit, Some(4));
        forward.take(response(1..=3, Some(3))).unwrap();
        assert_eq!(forward.request(String::new()).unwrap().limit, Some(1));
        let last = forward.take(response(4..=9, None)).unwrap();
        assert_eq!((times_of(&last), last.cursor), (vec![4], Some(numbered(4).message_hash)));
        assert_eq!(forward.request(String::new()), None);

        let query =
            Query { direction: Direction::Backward, ..Query::new(Selection::Content(Criteria::default())) };
        let mut backward = Paging::new(query, 2).unwrap();
        let page = backward.take(response(1..=3, None)).unwrap();
        assert_eq!((times_of(&page), page.cursor), (vec![2, 3], Some(numbered(2).message_hash)));
        assert_eq!(paging(0).request(String::new()), None);
    }

    #[test]
    fn pages_asked_for_have_one_to_a_hundred_messages() {
        let limit = |limit| {
            let query = Query { limit, ..Query::new(Selection::Content(Criteria::default())) };
            Paging::new(query, usize::MAX).unwrap().request(String::new()).unwrap().limit
        };
        assert_eq!([0, 1, 100, 101].map(limit), [1, 1, 100, 100].map(Some));
    }

    #[test]
    fn leaves_out_messages_that_are_not_what_they_are_said_to_be() {
        let good = numbered(1);
        let cases = [
            KeyValue { message_hash: [7; 32].into(), ..good.clone() },
            KeyValue { pubsub_topic: Some("/waku/2/rs/0/1".to_owned()), ..good.clone() },
            KeyValue { pubsub_topic: None, ..good.clone() },
            KeyValue { pubsub_topic: Some("no topic".to_owned()), ..good.clone() },
            KeyValue { message: None, ..good.clone() },
            KeyValue { message: numbered(2).message, ..good.clone() },
        ];
        let refused = cases.len() as u64;
        let messages = cases.into_iter().chain([good]).collect();
        let mut paging = paging(100);
        let page = paging.take(QueryResponse { messages, ..response([], None) }).unwrap();
        assert_eq!((times_of(&page), paging.take_refused()), (vec![1], refused));
        assert_eq!(paging.take_refused(), 0);
    }

    #[test]
    fn leaves_out_messages_that_were_not_asked_for() {
        let criteria = Criteria {
            pubsub_topic: Some("/waku/2/rs/0/0".parse().unwrap()),
            content_topics: ["/a/1/b/c".to_owned()].into(),
            time_start: Some(2),
            time_end: Some(3),
        };
        let mut paging = Paging::new(Query::new(Selection::Content(criteria)), 100).unwrap();
        let mut answer = response(1..=4, None);
        answer.messages.push(found(WakuMessage::new(&"/another/1/topic/c".parse().unwrap(), "x", 2)));
        let page = paging.take(answer).unwrap();
        assert_eq!((times_of(&page), paging.take_refused()), (vec![2, 3], 3));

        let hashes = vec![numbered(1).message_hash];
        let query = Query { include_data: false, ..Query::new(Selection::Hashes(hashes.clone())) };
        let mut paging = Paging::new(query, 100).unwrap();
        let page = paging.take(response(1..=2, None)).unwrap();
        let expected = Page { entries: vec![Entry { hash: hashes[0], envelope: None }], cursor: None };
        assert_eq!((page, paging.take_refused()), (expected, 1));
    }

    #[test]
    fn an_error_is_told_and_the_same_may_be_asked_again() {
        for (status, is_passing) in [
            (Status::TooManyRequests, true),
            (Status::Unavailable, true),
            (Status::BadRequest, false),
            (Status::BadResponse, false),
            (Status::Other(504), false),
        ] {
            let mut paging = paging(100);
            paging.take(response(1..=3, Some(3))).unwrap();
            let fault = paging.take(QueryResponse { status, ..response([], None) }).unwrap_err();
            assert_eq!(fault, Fault::Refused { status, reason: "OK".to_owned() });
            assert_eq!(fault.is_passing(), is_passing, "{status}");
            assert_eq!(paging.request(String::new()).unwrap().cursor, Some(numbered(3).message_hash));
        }
    }

    #[test]
    fn refuses_more_than_ten_content_topics() {
        let query = |count: usize| {
            let content_topics = (0..count).map(|number| format!("/a/1/{number}/c")).collect();
            Query::new(Selection::Content(Criteria { content_topics, ..Criteria::default() }))
        };
        assert!(Paging::new(query(10), 1).is_ok());
        assert_eq!(Paging::new(query(11), 1).unwrap_err(), TooManyTopics { count: 11 });
    }

    #[test]
    fn no_hashes_are_not_asked_for() {
        // Without hashes a request is one for everything.
        let paging = Paging::new(Query::new(Selection::Hashes(Vec::new())), 100).unwrap();
        assert_eq!(paging.request(String::new()), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_the_end_comes_and_no_message_twice(
            answers in prop::collection::vec((prop::collection::vec(0..12_i64, 0..6), 0..12_i64, any::<bool>()), 40),
            at_most in 0..20_usize,
            is_forward: bool,
        ) {
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            let query = Query { direction, ..Query::new(Selection::Content(Criteria::default())) };
            let mut paging = Paging::new(query, at_most).unwrap();
            let (mut taken, mut asked) = (Vec::new(), 0);
            for (numbers, cursor, has_more) in answers {
                if paging.request(String::new()).is_none() {
                    break;
                }
                asked += 1;
                match paging.take(response(numbers, has_more.then_some(cursor))) {
                    Ok(page) => taken.extend(page.entries.into_iter().map(|entry| entry.hash)),
                    Err(fault) => {
                        prop_assert_eq!(fault, Fault::NoProgress);
                        break;
                    }
                }
            }
            prop_assert!(asked <= 13 && taken.len() <= at_most, "{} asked, {} taken", asked, taken.len());
            let distinct: HashSet<_> = taken.iter().collect();
            prop_assert_eq!(distinct.len(), taken.len());
        }

        #[test]
        fn client_and_server_bring_all_of_an_archive_in_order(
            times in prop::collection::btree_set(0..1_000_i64, 0..60),
            (start, end) in (0..1_000_i64, 0..1_000_i64),
            (limit, at_most) in (0..30_usize, 0..80_usize),
            max_bytes in 0..2_000_usize,
            is_forward: bool,
        ) {
            let archive = MemoryArchive::new(1_000, 1 << 30);
            let message = |at| EncodedMessage::encode(WakuMessage::new(&topic(), "x", at));
            let envelope = |at| Envelope::new("/waku/2/rs/0/0".parse().unwrap(), message(at));
            archive.insert(&times.iter().map(|at| envelope(*at)).collect::<Vec<_>>()).unwrap();

            let criteria =
                Criteria { time_start: Some(start), time_end: Some(end), ..Criteria::default() };
            let direction = if is_forward { Direction::Forward } else { Direction::Backward };
            let query = Query { direction, limit, ..Query::new(Selection::Content(criteria)) };
            let (mut paging, mut found) = (Paging::new(query, at_most).unwrap(), Vec::new());
            while let Some(request) = paging.request("id".to_owned()) {
                let request = QueryRequest::decode(request.encode()).unwrap();
                let (id, Ok(Plan::Ask(query))) = server::read(Ok(request)) else { panic!("not asked") };
                let (page, _) = server::fit(archive.query(&query).unwrap(), direction, max_bytes);
                let response = QueryResponse::decode(server::answer(id, Ok(page)).encode()).unwrap();
                let mut page = times_of(&paging.take(response).unwrap());
                if !is_forward {
                    page.reverse();
                }
                found.extend(page);
            }
            let mut expected: Vec<_> = times.into_iter().filter(|at| (start..=end).contains(at)).collect();
            if !is_forward {
                expected.reverse();
            }
            expected.truncate(at_most);
            prop_assert_eq!(found, expected);
            prop_assert_eq!(paging.take_refused(), 0);
        }
    }
}
