//! Any query to any archive finds what a plain look at every message finds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::*;

const PUBSUB_TOPICS: [&str; 3] = [SHARD, OTHER_SHARD, "/waku/2/named"];
const CONTENT_TOPICS: [&str; 5] = [TOPIC, OTHER_TOPIC, "", "a", "ab"];
/// Few, so that many messages share one, and the ends of the axis.
const TIMESTAMPS: [i64; 8] = [i64::MIN, -2, -1, 0, 1, 2, 1_700_000_000_000_000_000, i64::MAX];

/// What happens to an archive.
#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<Envelope>),
    Prune(Keep, usize),
    Query(Question),
}

/// A query whose hashes are picked from the messages there ever were, when it is asked.
#[derive(Debug, Clone)]
struct Question {
    hashes: Option<Vec<Pick>>,
    criteria: Criteria,
    include_data: bool,
    cursor: Option<Pick>,
    direction: Direction,
    limit: usize,
}

fn any_timestamp() -> impl Strategy<Value = i64> {
    proptest::sample::select(&TIMESTAMPS[..])
}

fn any_envelope() -> impl Strategy<Value = Envelope> {
    let topics =
        (proptest::sample::select(&PUBSUB_TOPICS[..]), proptest::sample::select(&CONTENT_TOPICS[..]));
    (topics, any_timestamp(), 0..8_u8).prop_map(|((pubsub_topic, content_topic), timestamp, payload)| {
        let mut message = envelope_on(pubsub_topic, content_topic, timestamp).message().clone();
        message.payload = vec![payload].into();
        Envelope::new(pubsub_topic.parse().unwrap(), EncodedMessage::encode(message))
    })
}

fn any_keep() -> impl Strategy<Value = Keep> {
    (
        option::weighted(0.3, any_timestamp()),
        option::weighted(0.5, 0..30_u64),
        option::weighted(0.3, 0..9_000_u64),
    )
        .prop_map(|(since, messages, bytes)| Keep { since, messages, bytes })
}

fn any_criteria() -> impl Strategy<Value = Criteria> {
    let pubsub_topic = option::weighted(0.4, proptest::sample::select(&PUBSUB_TOPICS[..]));
    let content_topics = proptest::sample::subsequence(CONTENT_TOPICS.to_vec(), 0..=CONTENT_TOPICS.len());
    let times = (option::of(any_timestamp()), option::of(any_timestamp()));
    (pubsub_topic, content_topics, times).prop_map(|(pubsub_topic, content_topics, (start, end))| Criteria {
        pubsub_topic: pubsub_topic.map(|topic| topic.parse().unwrap()),
        content_topics: content_topics.into_iter().map(str::to_owned).collect(),
        time_start: start,
        time_end: end,
    })
}

fn any_question() -> impl Strategy<Value = Question> {
    let hashes = option::weighted(0.3, vec(any::<Pick>(), 0..12));
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    let cursor = option::of(any::<Pick>());
    (hashes, any_criteria(), any::<bool>(), cursor, direction, 0..12_usize).prop_map(
        |(hashes, criteria, include_data, cursor, direction, limit)| Question {
            hashes,
            criteria,
            include_data,
            cursor,
            direction,
            limit,
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => vec(any_envelope(), 0..25).prop_map(Step::Insert),
        1 => (any_keep(), 1..30_usize).prop_map(|(keep, at_most)| Step::Prune(keep, at_most)),
        8 => any_question().prop_map(Step::Query),
    ]
}

impl Question {
    fn query(&self, ever: &[MessageHash]) -> Query {
        let pick = |pick: &Pick| ever.get(pick.index(ever.len() + 1)).copied().unwrap_or([7; 32].into());
        let hashes = self.hashes.as_ref().map(|picks| Selection::Hashes(picks.iter().map(pick).collect()));
        Query {
            selection: hashes.unwrap_or_else(|| Selection::Content(self.criteria.clone())),
            include_data: self.include_data,
            cursor: self.cursor.as_ref().map(pick),
            direction: self.direction,
            limit: self.limit,
        }
    }
}

/// An archive that looks at every message.
#[derive(Default)]
struct Plain(BTreeMap<(i64, MessageHash), Envelope>);

impl Plain {
    fn insert(&mut self, batch: &[Envelope]) -> Inserted {
        let before = self.0.len();
        for envelope in batch {
            let key = (envelope.message().timestamp.unwrap(), envelope.hash());
            self.0.entry(key).or_insert_with(|| envelope.clone());
        }
        let new = self.0.len() - before;
        Inserted { new, known: batch.len() - new }
    }

    /// `len` tells what a message counts, which is the driver's business.
    fn prune(&mut self, keep: &Keep, at_most: usize, len: impl Fn(&Envelope) -> u64) -> usize {
        for deleted in 0..at_most {
            let Some(((oldest, _), _)) = self.0.first_key_value() else { return deleted };
            let is_old = keep.since.is_some_and(|since| *oldest < since);
            let are_many = keep.messages.is_some_and(|most| self.0.len() as u64 > most);
            let are_large = keep.bytes.is_some_and(|most| self.0.values().map(&len).sum::<u64>() > most);
            if !(is_old || are_many || are_large) {
                return deleted;
            }
            self.0.pop_first();
        }
        at_most
    }

    fn selected(&self, selection: &Selection) -> Vec<&Envelope> {
        let is_wanted = |envelope: &&Envelope| match selection {
            Selection::Hashes(hashes) => hashes.contains(&envelope.hash()),
            Selection::Content(Criteria { pubsub_topic, content_topics, time_start, time_end }) => {
                let message = envelope.message();
                let at = message.timestamp.unwrap();
                pubsub_topic.as_ref().is_none_or(|topic| topic == envelope.pubsub_topic())
                    && (content_topics.is_empty() || content_topics.contains(&message.content_topic))
                    && time_start.is_none_or(|start| start <= at)
                    && time_end.is_none_or(|end| at <= end)
            }
        };
        self.0.values().filter(is_wanted).collect()
    }

    /// The page, or the cursor that is unknown.
    fn query(&self, query: &Query) -> Result<Page, MessageHash> {
        let key = |envelope: &Envelope| (envelope.message().timestamp.unwrap(), envelope.hash());
        let mut found = self.selected(&query.selection);
        if let Some(cursor) = query.cursor {
            let cursor = self.0.keys().find(|(_, hash)| *hash == cursor).ok_or(cursor)?;
            match query.direction {
                Direction::Forward => found.retain(|envelope| key(envelope) > *cursor),
                Direction::Backward => found.retain(|envelope| key(envelope) < *cursor),
            }
        }
        let rest = found.len().saturating_sub(query.limit);
        let on_page = match query.direction {
            Direction::Forward => &found[..found.len() - rest],
            Direction::Backward => &found[rest..],
        };
        let edge = match query.direction {
            Direction::Forward => on_page.last(),
            Direction::Backward => on_page.first(),
        };
        let entry = |envelope: &&Envelope| Entry {
            hash: envelope.hash(),
            envelope: query.include_data.then(|| (*envelope).clone()),
        };
        Ok(Page {
            entries: on_page.iter().map(entry).collect(),
            cursor: edge.filter(|_| rest > 0).map(|envelope| envelope.hash()),
        })
    }
}

/// Does the same to an archive and to a plain one. `len` tells what a message counts, and `as_kept` what comes back of
/// it, which are the driver's business.
fn run(
    archive: &dyn Archive,
    steps: &[Step],
    len: impl Fn(&Envelope) -> u64,
    as_kept: impl Fn(&Envelope) -> Envelope,
) {
    let (mut plain, mut ever) = (Plain::default(), Vec::new());
    for step in steps {
        match step {
            Step::Insert(batch) => {
                assert_eq!(archive.insert(batch).unwrap(), plain.insert(batch));
                ever.extend(batch.iter().map(Envelope::hash));
            }
            Step::Prune(keep, at_most) => {
                assert_eq!(archive.prune(keep, *at_most).unwrap(), plain.prune(keep, *at_most, &len));
            }
            Step::Query(question) => {
                let query = question.query(&ever);
                let page = match archive.query(&query) {
                    Ok(page) => Ok(page),
                    Err(QueryError::UnknownCursor { cursor }) => Err(cursor),
                    Err(QueryError::Archive(error)) => panic!("{error}"),
                };
                let mut expected = plain.query(&query);
                let entries = expected.iter_mut().flat_map(|page| &mut page.entries);
                for envelope in entries.filter_map(|entry| entry.envelope.as_mut()) {
                    *envelope = as_kept(envelope);
                }
                assert_eq!(page, expected, "{query:?}");
            }
        }
        let stats = Stats {
            messages: plain.0.len() as u64,
            bytes: plain.0.values().map(&len).sum(),
            oldest: plain.0.first_key_value().map(|((at, _), _)| *at),
            newest: plain.0.last_key_value().map(|((at, _), _)| *at),
        };
        assert_eq!(archive.stats().unwrap(), stats);
    }
}

/// All pages one after the other, as hashes in the order of the time axis.
fn page_through(archive: &dyn Archive, mut query: Query) -> Vec<MessageHash> {
    let (mut found, mut cursors) = (Vec::new(), BTreeSet::new());
    loop {
        let page = archive.query(&query).unwrap();
        assert!(page.cursor.is_none_or(|cursor| cursors.insert(cursor)), "the same page comes again");
        let hashes = page.entries.iter().map(|entry| entry.hash);
        match query.direction {
            Direction::Forward => found.extend(hashes),
            Direction::Backward => found = hashes.chain(found).collect(),
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

fn pages_are_everything(archive: &dyn Archive, batch: &[Envelope], question: &Question, limit: usize) {
    let mut plain = Plain::default();
    plain.insert(batch);
    let ever: Vec<_> = batch.iter().map(Envelope::hash).collect();
    let query = Query { cursor: None, limit, ..question.query(&ever) };
    let expected: Vec<_> = plain.selected(&query.selection).into_iter().map(Envelope::hash).collect();
    archive.insert(batch).unwrap();
    assert_eq!(page_through(archive, query), expected);
    assert_eq!(expected.iter().collect::<BTreeSet<_>>().len(), expected.len());
}

#[cfg(feature = "sqlite")]
proptest! {
    // Each has a file of its own, and syncs it.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_of_nwaku_finds_what_a_plain_look_finds(steps in vec(any_step(), 1..40)) {
        use crate::sqlite::tests::{Temporary, as_kept, len};
        let archive = Temporary::new();
        run(&archive, &steps, len, as_kept);
        archive.verify();
    }

    #[test]
    fn pages_of_a_file_of_nwaku_together_are_everything_once(
        batch in vec(any_envelope(), 0..60),
        question in any_question(),
        limit in 1..9_usize,
    ) {
        pages_are_everything(&sqlite::tests::Temporary::new(), &batch, &question, limit);
    }
}

proptest! {
    #[test]
    fn a_memory_archive_finds_what_a_plain_look_finds(steps in vec(any_step(), 1..40)) {
        run(&MemoryArchive::new(u64::MAX, u64::MAX), &steps, memory::len, Envelope::clone);
    }

    #[test]
    fn a_file_finds_what_a_plain_look_finds(steps in vec(any_step(), 1..40)) {
        let archive = in_memory();
        let len = |envelope: &Envelope| {
            envelope.bytes().len() as u64 + envelope.pubsub_topic().as_str().len() as u64 + 208
        };
        run(&archive, &steps, len, Envelope::clone);
        archive.verify().unwrap();
    }

    #[test]
    fn pages_together_are_everything_once(
        batch in vec(any_envelope(), 0..60),
        question in any_question(),
        limit in 1..9_usize,
    ) {
        for archive in faithful_archives() {
            pages_are_everything(&*archive, &batch, &question, limit);
        }
    }
}
