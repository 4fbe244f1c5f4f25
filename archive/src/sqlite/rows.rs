//! Messages as rows, and what they take.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use waku_proto::{Bytes, EncodedMessage, Envelope, MessageHash, PubsubTopic, WakuMessage};

use super::super::key::Position;
use super::super::{Inserted, Keep, Stats};
use super::schema;

/// Messages looked at together when the oldest are deleted.
const PRUNE_CHUNK: i64 = 500;

/// Bytes of a page in a new file. nwaku leaves SQLite's 4096, on which a message of 1 KB has no room beside others: files
/// are three times as large, and pages of messages take three times as long.
pub(super) const NEW_PAGE_LEN: u32 = 8_192;
/// A hash and a timestamp, and what SQLite says of a row's columns, about.
const PLACE_LEN: u64 = 32 + 8 + 12;

/// What a message's variable columns take, in bytes.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    pubsub_topic: u64,
    content_topic: u64,
    payload: u64,
    meta: u64,
}

impl Lengths {
    /// The length of each, in columns from `first` on.
    const COLUMNS: &str =
        "length(pubsubTopic), length(contentTopic), ifnull(length(payload), 0), ifnull(length(meta), 0)";

    fn at(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let length =
            |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, i64>(first + column)?.unsigned_abs());
        Ok(Self {
            pubsub_topic: length(0)?,
            content_topic: length(1)?,
            payload: length(2)?,
            meta: length(3)?,
        })
    }

    fn of(envelope: &Envelope) -> Self {
        let message = envelope.message();
        Self {
            pubsub_topic: envelope.pubsub_topic().as_str().len() as u64,
            content_topic: message.content_topic.len() as u64,
            payload: message.payload.len() as u64,
            meta: message.meta.as_ref().map_or(0, Bytes::len) as u64,
        }
    }

    /// What it takes in the table and in all indexes.
    fn on_disk(self, page_len: u64) -> u64 {
        let topics = self.pubsub_topic + self.content_topic;
        let entries = [topics + self.payload + self.meta, 0, self.pubsub_topic, topics];
        entries.map(|len| on_disk(len + PLACE_LEN, page_len)).iter().sum()
    }
}

/// What a row of so many bytes takes in a table without row ids or in an index: what does not stay with its neighbours
/// has pages of its own. See "Cell Payload Overflow Pages" in <https://www.sqlite.org/fileformat2.html>.
fn on_disk(len: u64, page_len: u64) -> u64 {
    // Never below what SQLite allows, so that nothing here is below 0.
    let page_len = page_len.max(512);
    let (most, least) = ((page_len - 12) * 64 / 255 - 23, (page_len - 12) * 32 / 255 - 23);
    if len <= most {
        return len;
    }
    let room = page_len - 4;
    let rest = least + (len - least) % room;
    let stays = if rest <= most { rest } else { least };
    stays + (len - stays).div_ceil(room) * page_len
}

/// What a message counts, in bytes.
pub(super) fn len(envelope: &Envelope, page_len: u64) -> u64 {
    Lengths::of(envelope).on_disk(page_len)
}

fn page_len(connection: &Connection) -> rusqlite::Result<u64> {
    let len: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(len.unsigned_abs())
}

/// What all messages count, in bytes.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare(&format!("SELECT {} FROM message", Lengths::COLUMNS))?;
    let mut rows = statement.query([])?;
    let (page_len, mut bytes) = (page_len(connection)?, 0_u64);
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(Lengths::at(row, 0)?.on_disk(page_len));
    }
    Ok(signed(bytes))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A transaction that waits for other writers now rather than at its end.
pub(super) fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn insert(connection: &mut Connection, batch: &[Envelope]) -> rusqlite::Result<Inserted> {
    let transaction = begin(connection)?;
    let (page_len, mut new, mut bytes) = (page_len(&transaction)?, 0, 0_u64);
    // The table is in the order of hashes: neighbours share pages. Of equals the first stays first.
    let mut by_hash: Vec<_> = batch.iter().collect();
    by_hash.sort_by_key(|envelope| envelope.hash());
    for envelope in by_hash {
        if insert_one(&transaction, envelope)? {
            new += 1;
            bytes = bytes.saturating_add(len(envelope, page_len));
        }
    }
    if new > 0 {
        schema::change_totals(&transaction, signed(new as u64), signed(bytes))?;
        transaction.commit()?;
    }
    Ok(Inserted { new, known: batch.len() - new })
}

/// nwaku stores empty bytes as NULL.
fn filled(bytes: &Bytes) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes.as_ref())
}

/// Whether it is new.
fn insert_one(connection: &Connection, envelope: &Envelope) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO message (messageHash, timestamp, pubsubTopic, contentTopic, payload, version, meta)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (messageHash) DO NOTHING",
    )?;
    let (Position { timestamp, hash }, message) = (Position::of(envelope), envelope.message());
    let inserted = statement.execute(params![
        hash.as_bytes(),
        timestamp,
        envelope.pubsub_topic().as_str().as_bytes(),
        message.content_topic.as_bytes(),
        filled(&message.payload),
        message.version.unwrap_or_default(),
        message.meta.as_ref().and_then(filled),
    ])?;
    Ok(inserted > 0)
}

pub(super) fn prune(connection: &mut Connection, keep: &Keep, at_most: usize) -> rusqlite::Result<usize> {
    let transaction = begin(connection)?;
    let (messages, bytes) = schema::totals(&transaction)?;
    let mut stats =
        Stats { messages: messages.unsigned_abs(), bytes: bytes.unsigned_abs(), ..Stats::default() };
    let mut deleted = 0;
    while let count = delete_chunk(&transaction, keep, &mut stats, at_most - deleted)?
        && count > 0
    {
        deleted += count;
    }
    if deleted > 0 {
        let change = |before: i64, after: u64| signed(after).saturating_sub(before);
        schema::change_totals(&transaction, change(messages, stats.messages), change(bytes, stats.bytes))?;
        transaction.commit()?;
    }
    Ok(deleted)
}

/// Deletes some of the oldest messages that lie beyond what is to be kept, and takes them out of `stats`.
fn delete_chunk(
    connection: &Connection,
    keep: &Keep,
    stats: &mut Stats,
    at_most: usize,
) -> rusqlite::Result<usize> {
    let limit = i64::try_from(at_most).unwrap_or(i64::MAX).min(PRUNE_CHUNK);
    let (page_len, mut beyond) = (page_len(connection)?, Vec::new());
    let mut oldest = connection.prepare_cached(&format!(
        "SELECT timestamp, messageHash, {} FROM message INDEXED BY i_ts ORDER BY timestamp, messageHash LIMIT ?",
        Lengths::COLUMNS
    ))?;
    let mut rows = oldest.query([limit])?;
    while let Some(row) = rows.next()? {
        stats.oldest = row.get(0)?;
        if !keep.is_exceeded(stats) {
            break;
        }
        beyond.push(row.get::<_, [u8; 32]>(1)?);
        stats.messages = stats.messages.saturating_sub(1);
        stats.bytes = stats.bytes.saturating_sub(Lengths::at(row, 2)?.on_disk(page_len));
    }
    let mut delete = connection.prepare_cached("DELETE FROM message WHERE messageHash = ?")?;
    for hash in &beyond {
        delete.execute([hash])?;
    }
    Ok(beyond.len())
}

pub(super) fn stats(connection: &mut Connection) -> rusqlite::Result<Stats> {
    let transaction = connection.transaction()?;
    let (messages, bytes) = schema::totals(&transaction)?;
    let end = |function: &str| {
        let sql = format!("SELECT {function}(timestamp) FROM message INDEXED BY i_ts");
        transaction.prepare_cached(&sql)?.query_row([], |row| row.get(0))
    };
    Ok(Stats {
        messages: messages.unsigned_abs(),
        bytes: bytes.unsigned_abs(),
        oldest: end("min")?,
        newest: end("max")?,
    })
}

/// The columns of which [`envelope`] makes a message.
pub(super) const COLUMNS: &str = "pubsubTopic, contentTopic, payload, version, timestamp, meta";

/// A row as a message. What is 0 or empty in the row is absent from the message: nwaku stores both alike.
pub(super) fn envelope(row: &Row<'_>) -> rusqlite::Result<Envelope> {
    let bytes = |column: usize| -> rusqlite::Result<&[u8]> {
        let value: ValueRef<'_> = row.get_ref(column)?;
        Ok(value.as_bytes_or_null()?.unwrap_or_default())
    };
    let pubsub_topic = String::from_utf8_lossy(bytes(0)?).parse::<PubsubTopic>();
    let pubsub_topic = pubsub_topic
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, Box::new(error)))?;
    let message = WakuMessage {
        payload: Bytes::copy_from_slice(bytes(2)?),
        // nwaku does not ask whether a topic is text.
        content_topic: String::from_utf8_lossy(bytes(1)?).into_owned(),
        version: u32::try_from(row.get::<_, i64>(3)?).ok().filter(|version| *version != 0),
        timestamp: row.get::<_, Option<i64>>(4)?.filter(|timestamp| *timestamp != 0),
        meta: Some(Bytes::copy_from_slice(bytes(5)?)).filter(|meta| !meta.is_empty()),
        rate_limit_proof: None,
        ephemeral: None,
    };
    Ok(Envelope::new(pubsub_topic, EncodedMessage::encode(message)))
}

/// A row that begins with a timestamp and a hash.
pub(super) fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position { timestamp: row.get(0)?, hash: MessageHash::from(row.get::<_, [u8; 32]>(1)?) })
}
