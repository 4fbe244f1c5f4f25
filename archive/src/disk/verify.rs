//! Whether everything in the file fits together.

use redb::{Database, Error, ReadableTable, ReadableTableMetadata};

use super::super::key::Topics;
use super::tables::{self, Snapshot};

pub(super) fn verify(database: &Database) -> Result<(), Error> {
    let damaged = |what: String| Err(Error::Corrupted(what));
    let tables = Snapshot::of(database)?;
    let (mut messages, mut bytes) = (0, 0_u64);
    for entry in tables.timeline.iter()? {
        let (key, record) = entry?;
        let (at, (pubsub_topic, message)) = (tables::position(key.value()), record.value());
        let topics = Topics::of(&tables::envelope(at, (pubsub_topic, message))?);
        let is_indexed =
            tables.by_hash.get(at.hash.as_bytes())?.is_some_and(|found| found.value() == at.timestamp)
                && tables.by_pubsub.get(&tables::pubsub_place(topics.pubsub, at))?.is_some()
                && tables.by_topics.get(&tables::topics_place(topics, at))?.is_some();
        if !is_indexed {
            return damaged(format!("an index lacks message {}", at.hash));
        }
        messages += 1;
        bytes += tables::len(pubsub_topic, message);
    }
    // Each index has every message: with as many entries it has nothing else.
    for entries in
        [tables.timeline.len()?, tables.by_hash.len()?, tables.by_pubsub.len()?, tables.by_topics.len()?]
    {
        if entries != messages {
            return damaged(format!("there are {messages} messages, and {entries} in an index"));
        }
    }
    match tables.stats()?.bytes {
        counted if counted == bytes => Ok(()),
        counted => damaged(format!("the messages take {bytes} bytes, and {counted} were counted")),
    }
}
