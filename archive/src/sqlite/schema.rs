//! What is in the file: nwaku's table, and what is added to it.
//!
//! ```text
//! message   messageHash (key), pubsubTopic, contentTopic, payload, version, timestamp, meta, and id, which is not used
//!           any more
//! i_ts      timestamp, messageHash                                        nwaku's own index
//! waku_rs_by_pubsub   pubsubTopic, timestamp, messageHash                 ours
//! waku_rs_by_topics   contentTopic, pubsubTopic, timestamp, messageHash   ours
//! waku_rs_totals      one row: how much is kept, and the state of the file that this was counted in
//! ```
//!
//! Topics, hashes and bytes are BLOBs, empty bytes are NULL. nwaku keeps the number of the schema in `user_version`:
//! 10 since v0.35, 9 since v0.28, 8 since v0.23. It does not look at what it does not know, and keeps our indexes filled.
//! When it has written to the file, our totals do not fit any more, and are counted again.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::SqliteOpenError;
use super::rows;

/// The schema version this driver writes.
pub(super) const NWAKU_VERSION: i64 = 10;
/// The first schema version that can be brought up.
pub(super) const OLDEST_VERSION: i64 = 8;

/// nwaku makes the table in ten steps; it ends up with these columns in this order.
const TABLE: &str = "
    CREATE TABLE message (
        pubsubTopic BLOB NOT NULL,
        contentTopic BLOB NOT NULL,
        payload BLOB,
        version INTEGER NOT NULL,
        id BLOB,
        messageHash BLOB,
        timestamp INTEGER NOT NULL,
        meta BLOB,
        CONSTRAINT messageIndex PRIMARY KEY (messageHash)
    ) WITHOUT ROWID";

/// Name and columns of every index.
const INDEXES: [(&str, &str); 3] = [
    ("i_ts", "timestamp"),
    ("waku_rs_by_pubsub", "pubsubTopic, timestamp, messageHash"),
    ("waku_rs_by_topics", "contentTopic, pubsubTopic, timestamp, messageHash"),
];

const TOTALS: &str = "
    CREATE TABLE IF NOT EXISTS waku_rs_totals (
        messages INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        pageSize INTEGER NOT NULL,
        first BLOB,
        last BLOB
    )";

/// What changes when somebody else writes to the file: the hashes of the first and the last message, and the size of
/// pages, on which what a message takes depends.
const STATE: &str = "
    (SELECT page_size FROM pragma_page_size),
    (SELECT messageHash FROM message INDEXED BY i_ts ORDER BY timestamp, messageHash LIMIT 1),
    (SELECT messageHash FROM message INDEXED BY i_ts ORDER BY timestamp DESC, messageHash DESC LIMIT 1)";

const KNOWN: &str = "SELECT messages, bytes, pageSize, first, last FROM waku_rs_totals";

/// Columns of every version, and of single ones. A message's time was once in two columns.
const COLUMNS: [&str; 5] = ["messageHash", "pubsubTopic", "contentTopic", "payload", "version"];
const COLUMNS_8: [&str; 2] = ["timestamp", "storedAt"];
const COLUMNS_9: [&str; 3] = ["timestamp", "storedAt", "meta"];
const COLUMNS_10: [&str; 2] = ["timestamp", "meta"];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A database with nothing in it.
    Nothing,
    /// An archive of a schema version that can be used or brought up. `is_numbered` unless nwaku made it with its
    /// migration turned off.
    Archive { version: i64, is_numbered: bool },
}

/// Looks, and changes nothing.
pub(super) fn look(connection: &Connection, path: &Path) -> Result<Found, SqliteOpenError> {
    let failed = |error| SqliteOpenError::of(path, error);
    let damaged = |what: &str| SqliteOpenError::Damaged { path: path.to_owned(), what: what.to_owned() };
    let found = user_version(connection).map_err(failed)?;
    let columns = columns(connection).map_err(failed)?;
    let key: Vec<_> = columns.iter().filter(|(_, is_key)| *is_key).map(|(name, _)| name.as_str()).collect();
    let has = |names: &[&str]| names.iter().all(|name| columns.iter().any(|(column, _)| column == name));
    let is_keyed = key == ["messageHash"] && has(&COLUMNS);
    let is_recent = is_keyed && has(&COLUMNS_10) && !has(&["storedAt"]);
    match found {
        0 if columns.is_empty() && is_empty(connection).map_err(failed)? => Ok(Found::Nothing),
        0 if is_recent => Ok(Found::Archive { version: NWAKU_VERSION, is_numbered: false }),
        10 if is_recent => Ok(Found::Archive { version: found, is_numbered: true }),
        9 if is_keyed && has(&COLUMNS_9) => Ok(Found::Archive { version: found, is_numbered: true }),
        8 if is_keyed && has(&COLUMNS_8) && !has(&["meta"]) => {
            Ok(Found::Archive { version: found, is_numbered: true })
        }
        11.. => Err(SqliteOpenError::Newer { path: path.to_owned(), found }),
        _ if columns.is_empty() => Err(damaged("it has no table of messages")),
        0..OLDEST_VERSION => Err(SqliteOpenError::Older { path: path.to_owned(), found }),
        _ => Err(damaged("its table of messages is not that of its schema version")),
    }
}

/// Makes the file what this driver works on. Within a transaction: all of it or nothing.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), SqliteOpenError> {
    let failed = |error| SqliteOpenError::of(path, error);
    match look(connection, path)? {
        Found::Nothing => connection.execute_batch(TABLE).map_err(failed)?,
        Found::Archive { version, .. } => bring_up(connection, version, path).map_err(failed)?,
    }
    connection.pragma_update(None, "user_version", NWAKU_VERSION).map_err(failed)?;
    add_indexes(connection, path).map_err(failed)?;
    add_totals(connection, path).map_err(failed)
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Names of the table's columns, and whether they are part of its key.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<(String, bool)>> {
    let mut statement = connection.prepare("SELECT name, pk FROM pragma_table_info('message')")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? != 0)))?.collect()
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

fn bring_up(connection: &Connection, version: i64, path: &Path) -> rusqlite::Result<()> {
    if version == NWAKU_VERSION {
        return Ok(());
    }
    tracing::info!(path = %path.display(), from = version, to = NWAKU_VERSION, "the archive is brought up to date");
    if version == 8 {
        connection.execute_batch("ALTER TABLE message ADD COLUMN meta BLOB")?;
    }
    // From then on a message's one time is the one it was sorted by.
    connection.execute_batch(
        "ALTER TABLE message DROP COLUMN timestamp;
         ALTER TABLE message RENAME COLUMN storedAt TO timestamp",
    )?;
    tracing::info!(path = %path.display(), "the archive is up to date");
    Ok(())
}

fn add_indexes(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    for (name, columns) in INDEXES {
        let is_there = "SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'index' AND name = ?";
        if connection.query_row(is_there, [name], |row| row.get(0))? {
            continue;
        }
        tracing::info!(path = %path.display(), name, "the archive gets an index; with many messages that takes a while");
        connection.execute_batch(&format!("CREATE INDEX {name} ON message ({columns})"))?;
        tracing::info!(path = %path.display(), name, "the archive has the index");
    }
    Ok(())
}

/// What is kept, in numbers, and between which messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Totals {
    messages: i64,
    bytes: i64,
    page_len: i64,
    ends: [Option<[u8; 32]>; 2],
}

impl Totals {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let ends = [row.get(3)?, row.get(4)?];
        Ok(Self { messages: row.get(0)?, bytes: row.get(1)?, page_len: row.get(2)?, ends })
    }
}

/// Counts what is kept, unless it was counted before and only this driver wrote since.
fn add_totals(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    connection.execute_batch(TOTALS)?;
    let known = connection.query_row(KNOWN, [], Totals::of).optional()?;
    let there = format!("SELECT count(*), 0, {STATE} FROM message INDEXED BY i_ts");
    let there = connection.query_row(&there, [], Totals::of)?;
    if known.is_some_and(|known| Totals { bytes: 0, ..known } == there) {
        return Ok(());
    }
    if there.messages > 0 {
        tracing::info!(path = %path.display(), messages = there.messages, "the archive's messages are counted");
    }
    let bytes = rows::count(connection)?;
    connection.execute("DELETE FROM waku_rs_totals", [])?;
    connection
        .execute(&format!("INSERT INTO waku_rs_totals SELECT ?, ?, {STATE}"), [there.messages, bytes])
        .map(drop)
}

/// Counts in what was inserted or deleted.
pub(super) fn change_totals(connection: &Connection, messages: i64, bytes: i64) -> rusqlite::Result<()> {
    let change = format!(
        "UPDATE waku_rs_totals SET messages = max(messages + ?, 0), bytes = max(bytes + ?, 0), (pageSize, first, last) = (SELECT {STATE})"
    );
    connection.prepare_cached(&change)?.execute([messages, bytes]).map(drop)
}

/// The numbers of messages and of bytes.
pub(super) fn totals(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut totals = connection.prepare_cached("SELECT messages, bytes FROM waku_rs_totals")?;
    totals.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The first thing that is wrong with the file, if anything is.
pub(super) fn check(connection: &mut Connection) -> rusqlite::Result<Option<String>> {
    let transaction = connection.transaction()?;
    let found: String = transaction.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(found));
    }
    let counted = transaction.query_row(KNOWN, [], Totals::of)?;
    let bytes = rows::count(&transaction)?;
    let there = format!("SELECT count(*), {bytes}, {STATE} FROM message");
    let there = transaction.query_row(&there, [], Totals::of)?;
    Ok((counted != there).then(|| {
        let (messages, bytes) = (counted.messages, counted.bytes);
        format!(
            "there are {} messages of {} bytes, and {messages} of {bytes} were counted",
            there.messages, there.bytes
        )
    }))
}
