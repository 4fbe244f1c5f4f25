//! What is in the file.
//!
//! ```text
//! archive     "format" -> 1   "bytes" -> Stats::bytes
//! timeline    timestamp, hash                                -> pubsub topic, message as it came
//! by_hash     hash                                           -> timestamp
//! by_pubsub   pubsub topic, timestamp, hash                  -> nothing
//! by_topics   content topic, pubsub topic, timestamp, hash   -> nothing
//! ```
//!
//! Keys are ordered as bytes: a timestamp is 8 bytes, big-endian, with its sign turned; a hash 32; a topic the 16
//! of its [`TopicKey`].

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    Database, Error, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    Table, TableDefinition, Value, WriteTransaction,
};
use waku_proto::store::Direction;
use waku_proto::{Bytes, EncodedMessage, Envelope, MessageHash};

use super::super::key::{Position, Span, TopicKey, Topics};
use super::super::search::{self, Index, List, Positions};
use super::super::{ArchiveError, Criteria, Inserted, Keep, Stats};
use super::OpenError;

pub(super) type Place = [u8; 40];
pub(super) type PubsubPlace = [u8; 56];
pub(super) type TopicsPlace = [u8; 72];
/// Pubsub topic and message.
type Record = (&'static [u8], &'static [u8]);

pub(super) const ARCHIVE: TableDefinition<&str, u64> = TableDefinition::new("archive");
pub(super) const TIMELINE: TableDefinition<&Place, Record> = TableDefinition::new("timeline");
pub(super) const BY_HASH: TableDefinition<&[u8; 32], i64> = TableDefinition::new("by_hash");
pub(super) const BY_PUBSUB: TableDefinition<&PubsubPlace, ()> = TableDefinition::new("by_pubsub");
pub(super) const BY_TOPICS: TableDefinition<&TopicsPlace, ()> = TableDefinition::new("by_topics");

/// The format this version writes, and the only one it reads.
const FORMAT: u64 = 1;
/// Bytes of a message's keys in all tables, and of its timestamp in `by_hash`.
const KEYS_LEN: u64 = 40 + (32 + 8) + 56 + 72;

pub(super) fn place(Position { timestamp, hash }: Position) -> Place {
    // With the sign turned, negative numbers come before positive ones.
    join(&(timestamp ^ i64::MIN).to_be_bytes(), hash.as_bytes())
}

pub(super) fn pubsub_place(TopicKey(pubsub): TopicKey, position: Position) -> PubsubPlace {
    join(&pubsub.to_be_bytes(), &place(position))
}

pub(super) fn topics_place(Topics { content, pubsub }: Topics, position: Position) -> TopicsPlace {
    join(&content.0.to_be_bytes(), &pubsub_place(pubsub, position))
}

fn join<const A: usize, const B: usize, const N: usize>(first: &[u8; A], second: &[u8; B]) -> [u8; N] {
    const { assert!(A + B == N, "a key is as long as its parts") };
    let mut key = [0; N];
    for (to, from) in key.iter_mut().zip(first.iter().chain(second)) {
        *to = *from;
    }
    key
}

/// The position at the end of a key.
pub(super) fn position(key: &[u8]) -> Position {
    let place: &Place = key.last_chunk().expect("every key ends in a place");
    let (timestamp, hash) = place.split_first_chunk().expect("a place begins with eight bytes");
    let hash: &[u8; 32] = hash.last_chunk().expect("a place ends in a hash");
    Position { timestamp: i64::from_be_bytes(*timestamp) ^ i64::MIN, hash: (*hash).into() }
}

pub(super) fn initialize(database: &Database) -> Result<(), Error> {
    let transaction = begin(database)?;
    transaction.open_table(ARCHIVE)?.insert("format", FORMAT)?;
    Tables::of(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Whether this is a file of [`initialize`], with all its tables.
pub(super) fn check_format(database: &impl ReadableDatabase, path: &Path) -> Result<(), OpenError> {
    let format = || -> Result<_, Error> {
        let archive = database.begin_read()?.open_table(ARCHIVE)?;
        Ok(archive.get("format")?.map(|format| format.value()))
    };
    match format().map_err(|error| OpenError::damaged(path, error))? {
        Some(FORMAT) => Snapshot::of(database).map(drop).map_err(|error| OpenError::damaged(path, error)),
        Some(format) => Err(OpenError::UnknownFormat { path: path.to_owned(), format }),
        None => Err(OpenError::Damaged { path: path.to_owned(), what: "it says no format".to_owned() }),
    }
}

/// A transaction that is on disk when its commit returns, redb's default. Quick repair has two effects: opening the
/// file after a crash need not read all of it, and a commit is synced in two steps, so that no bytes of a stranger
/// can make half of one look whole.
fn begin(database: &Database) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

pub(super) fn insert(database: &Database, batch: &[Envelope]) -> Result<Inserted, Error> {
    let transaction = begin(database)?;
    let mut tables = Tables::of(&transaction)?;
    let new = tables.insert(batch)?;
    tables.finish()?;
    if new > 0 {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(Inserted { new, known: batch.len() - new })
}

pub(super) fn prune(database: &Database, keep: &Keep, at_most: usize) -> Result<usize, Error> {
    let transaction = begin(database)?;
    let mut deleted = 0;
    let mut tables = Tables::of(&transaction)?;
    while deleted < at_most && tables.delete_oldest(keep)? {
        deleted += 1;
    }
    tables.finish()?;
    if deleted > 0 {
        transaction.commit()?;
    } else {
        transaction.abort()?;
    }
    Ok(deleted)
}

/// The tables while they are changed.
struct Tables<'a> {
    archive: Table<'a, &'static str, u64>,
    timeline: Table<'a, &'static Place, Record>,
    by_hash: Table<'a, &'static [u8; 32], i64>,
    by_pubsub: Table<'a, &'static PubsubPlace, ()>,
    by_topics: Table<'a, &'static TopicsPlace, ()>,
    bytes: u64,
}

impl<'a> Tables<'a> {
    fn of(transaction: &'a WriteTransaction) -> Result<Self, Error> {
        let archive = transaction.open_table(ARCHIVE)?;
        let bytes = archive.get("bytes")?.map_or(0, |bytes| bytes.value());
        Ok(Self {
            archive,
            timeline: transaction.open_table(TIMELINE)?,
            by_hash: transaction.open_table(BY_HASH)?,
            by_pubsub: transaction.open_table(BY_PUBSUB)?,
            by_topics: transaction.open_table(BY_TOPICS)?,
            bytes,
        })
    }

    fn finish(mut self) -> Result<(), Error> {
        self.archive.insert("bytes", self.bytes)?;
        Ok(())
    }

    /// How many messages are new. Each table is filled in its own order: neighbours share pages.
    fn insert(&mut self, batch: &[Envelope]) -> Result<usize, Error> {
        let mut new = BTreeMap::new();
        for envelope in batch {
            let at = Position::of(envelope);
            if self.timeline.get(&place(at))?.is_none() {
                new.entry(at).or_insert(envelope);
            }
        }
        let (mut by_hash, mut by_pubsub, mut by_topics) = (Vec::new(), Vec::new(), Vec::new());
        for (&at, envelope) in &new {
            let (pubsub_topic, message) = (envelope.pubsub_topic().as_str().as_bytes(), envelope.bytes());
            self.timeline.insert(&place(at), (pubsub_topic, message.as_ref()))?;
            self.bytes = self.bytes.saturating_add(len(pubsub_topic, message));
            let topics = Topics::of(envelope);
            by_hash.push((at.hash, at.timestamp));
            by_pubsub.push(pubsub_place(topics.pubsub, at));
            by_topics.push(topics_place(topics, at));
        }
        by_hash.sort_unstable();
        for (hash, timestamp) in by_hash {
            self.by_hash.insert(hash.as_bytes(), timestamp)?;
        }
        by_pubsub.sort_unstable();
        for key in by_pubsub {
            self.by_pubsub.insert(&key, ())?;
        }
        by_topics.sort_unstable();
        for key in by_topics {
            self.by_topics.insert(&key, ())?;
        }
        Ok(new.len())
    }

    /// Deletes the oldest message if it lies beyond what is to be kept.
    fn delete_oldest(&mut self, keep: &Keep) -> Result<bool, Error> {
        let Some((key, record)) = self.timeline.first()? else { return Ok(false) };
        let at = position(key.value());
        let messages = self.timeline.len()?;
        let stats = Stats { messages, bytes: self.bytes, oldest: Some(at.timestamp), newest: None };
        if !keep.is_exceeded(&stats) {
            return Ok(false);
        }
        let (pubsub_topic, message) = record.value();
        let topics = Topics::of(&envelope(at, (pubsub_topic, message))?);
        self.bytes = self.bytes.saturating_sub(len(pubsub_topic, message));
        drop((key, record));
        self.timeline.pop_first()?;
        self.by_hash.remove(at.hash.as_bytes())?;
        self.by_pubsub.remove(&pubsub_place(topics.pubsub, at))?;
        self.by_topics.remove(&topics_place(topics, at))?;
        Ok(true)
    }
}

/// What a message takes, as [`Stats::bytes`] counts it.
pub(super) fn len(pubsub_topic: &[u8], message: &[u8]) -> u64 {
    (pubsub_topic.len() + message.len()) as u64 + KEYS_LEN
}

/// A record read back. What does not have the hash it was stored by is not handed out.
pub(super) fn envelope(at: Position, (pubsub_topic, message): (&[u8], &[u8])) -> Result<Envelope, Error> {
    let damaged = || Error::Corrupted(format!("message {} is not what was stored", at.hash));
    let pubsub_topic = str::from_utf8(pubsub_topic).ok().and_then(|topic| topic.parse().ok());
    let message = EncodedMessage::decode(Bytes::copy_from_slice(message));
    let envelope = Envelope::new(pubsub_topic.ok_or_else(damaged)?, message.map_err(|_| damaged())?);
    if Position::of(&envelope) == at { Ok(envelope) } else { Err(damaged()) }
}

/// The tables at one moment.
pub(super) struct Snapshot {
    pub(super) archive: ReadOnlyTable<&'static str, u64>,
    pub(super) timeline: ReadOnlyTable<&'static Place, Record>,
    pub(super) by_hash: ReadOnlyTable<&'static [u8; 32], i64>,
    pub(super) by_pubsub: ReadOnlyTable<&'static PubsubPlace, ()>,
    pub(super) by_topics: ReadOnlyTable<&'static TopicsPlace, ()>,
    /// Keeps the moment's pages from being written over.
    _transaction: ReadTransaction,
}

impl Snapshot {
    pub(super) fn of(database: &impl ReadableDatabase) -> Result<Self, Error> {
        let transaction = database.begin_read()?;
        Ok(Self {
            archive: transaction.open_table(ARCHIVE)?,
            timeline: transaction.open_table(TIMELINE)?,
            by_hash: transaction.open_table(BY_HASH)?,
            by_pubsub: transaction.open_table(BY_PUBSUB)?,
            by_topics: transaction.open_table(BY_TOPICS)?,
            _transaction: transaction,
        })
    }

    pub(super) fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats {
            messages: self.timeline.len()?,
            bytes: self.archive.get("bytes")?.map_or(0, |bytes| bytes.value()),
            oldest: self.timeline.first()?.map(|(key, _)| position(key.value()).timestamp),
            newest: self.timeline.last()?.map(|(key, _)| position(key.value()).timestamp),
        })
    }

    /// The first pubsub topic from `from` on that has a message of this content topic.
    fn pubsub_topic(&self, content: TopicKey, from: TopicKey) -> Result<Option<TopicKey>, ArchiveError> {
        let whole = Span::between(None, None);
        let first = topics_place(Topics { content, pubsub: from }, whole.first);
        let last = topics_place(Topics { content, pubsub: TopicKey::LAST }, whole.last);
        let found = self
            .by_topics
            .range::<&TopicsPlace>(&first..=&last)
            .map_err(failed)?
            .next()
            .transpose()
            .map_err(failed)?;
        Ok(found.map(|(key, _)| pubsub_key(key.value())))
    }
}

impl Index for Snapshot {
    type List = List;

    fn position(&self, hash: &MessageHash) -> Result<Option<Position>, ArchiveError> {
        let timestamp = self.by_hash.get(hash.as_bytes()).map_err(failed)?;
        Ok(timestamp.map(|timestamp| Position { timestamp: timestamp.value(), hash: *hash }))
    }

    fn envelope(&self, at: Position) -> Result<Envelope, ArchiveError> {
        let record = self.timeline.get(&place(at)).map_err(failed)?;
        let record = record.ok_or_else(|| ArchiveError::damaged(format!("message {} is gone", at.hash)))?;
        envelope(at, record.value()).map_err(ArchiveError::from_redb)
    }

    fn lists(&self, criteria: &Criteria) -> Result<Vec<List>, ArchiveError> {
        search::lists(criteria, |content, from| self.pubsub_topic(content, from))
    }

    fn positions(
        &self,
        list: List,
        Span { first, last }: Span,
        direction: Direction,
    ) -> Result<Positions<'_>, ArchiveError> {
        match list {
            List::All => positions(&self.timeline, &[first, last].map(place), direction),
            List::Pubsub(topic) => {
                let ends = [first, last].map(|end| pubsub_place(topic, end));
                positions(&self.by_pubsub, &ends, direction)
            }
            List::Topics(topics) => {
                let ends = [first, last].map(|end| topics_place(topics, end));
                positions(&self.by_topics, &ends, direction)
            }
        }
    }
}

fn positions<V: Value, const N: usize>(
    table: &ReadOnlyTable<&'static [u8; N], V>,
    [first, last]: &[[u8; N]; 2],
    direction: Direction,
) -> Result<Positions<'static>, ArchiveError> {
    let range = table.range::<&[u8; N]>(first..=last).map_err(failed)?;
    let places = range.map(|entry| entry.map(|(key, _)| position(key.value())).map_err(failed));
    Ok(search::seen(places, direction))
}

/// The pubsub topic in a key of `by_topics`.
fn pubsub_key(key: &TopicsPlace) -> TopicKey {
    let place: &PubsubPlace = key.last_chunk().expect("the content topic comes first");
    TopicKey(u128::from_be_bytes(*place.first_chunk().expect("then comes the pubsub topic")))
}

fn failed(error: impl Into<Error>) -> ArchiveError {
    ArchiveError::from_redb(error.into())
}
