//! The promises of nwaku's file: what nwaku wrote is found, what is written nwaku can read, and what is not
//! understood stays as it is.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, params};
use tempfile::TempDir;
use waku_proto::store::Direction;
use waku_proto::{EncodedMessage, MessageHash, WakuMessage};

use super::super::tests::{
    OTHER_SHARD, OTHER_TOPIC, SHARD, TOPIC, envelope, envelope_on, envelopes, everything, timestamps,
};
use super::super::{Criteria, Selection};
use super::*;

/// An archive in a folder that lives as long.
#[derive(Debug)]
pub(crate) struct Temporary {
    archive: SqliteArchive,
    folder: TempDir,
}

impl Temporary {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self { archive: open(&folder).unwrap(), folder }
    }

    pub(crate) fn verify(&self) {
        self.archive.verify().unwrap();
        assert!(path(&self.folder).exists());
    }
}

impl Archive for Temporary {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        self.archive.insert(batch)
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        self.archive.query(query)
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        self.archive.prune(keep, at_most)
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        self.archive.stats()
    }
}

/// What a message counts in a new file.
pub(crate) fn len(envelope: &Envelope) -> u64 {
    rows::len(envelope, rows::NEW_PAGE_LEN.into())
}

/// What comes back of a message.
pub(crate) fn as_kept(envelope: &Envelope) -> Envelope {
    let message = envelope.message();
    let message = WakuMessage {
        version: message.version.filter(|version| *version != 0),
        timestamp: message.timestamp.filter(|timestamp| *timestamp != 0),
        meta: message.meta.clone().filter(|meta| !meta.is_empty()),
        rate_limit_proof: None,
        ephemeral: None,
        ..message.clone()
    };
    Envelope::new(envelope.pubsub_topic().clone(), EncodedMessage::encode(message))
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("store.sqlite3")
}

fn open(folder: &TempDir) -> Result<SqliteArchive, SqliteOpenError> {
    let options = SqliteOptions { busy_timeout: Duration::ZERO, ..SqliteOptions::default() };
    SqliteArchive::open(path(folder), options)
}

fn everything_in(archive: &SqliteArchive) -> Page {
    archive.query(&everything()).unwrap()
}

/// The table as nwaku's migrations leave it at a version, and the indexes of its driver at that version.
fn schema_of_nwaku(version: i64) -> &'static str {
    match version {
        8 => {
            "CREATE TABLE \"message\" (pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
                version INTEGER NOT NULL, timestamp INTEGER NOT NULL, id BLOB, messageHash BLOB,
                storedAt INTEGER NOT NULL, CONSTRAINT messageIndex PRIMARY KEY (messageHash)) WITHOUT ROWID;
            CREATE INDEX i_ts ON Message (storedAt);
            CREATE INDEX i_query ON Message (contentTopic, pubsubTopic, storedAt, id)"
        }
        9 => {
            "CREATE TABLE \"message\" (pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
                version INTEGER NOT NULL, timestamp INTEGER NOT NULL, id BLOB, messageHash BLOB,
                storedAt INTEGER NOT NULL, meta BLOB, CONSTRAINT messageIndex PRIMARY KEY (messageHash))
                WITHOUT ROWID;
            CREATE INDEX i_ts ON Message (storedAt);
            CREATE INDEX i_query ON Message (contentTopic, pubsubTopic, storedAt, id)"
        }
        10 => {
            "CREATE TABLE \"message\" (pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
                version INTEGER NOT NULL, id BLOB, messageHash BLOB, timestamp INTEGER NOT NULL, meta BLOB,
                CONSTRAINT messageIndex PRIMARY KEY (messageHash)) WITHOUT ROWID;
            CREATE INDEX i_ts ON Message (timestamp)"
        }
        // With its migration turned off, nwaku makes the table in one step, and numbers nothing.
        0 => {
            "CREATE TABLE Message (messageHash BLOB NOT NULL PRIMARY KEY, pubsubTopic BLOB NOT NULL,
                contentTopic BLOB NOT NULL, payload BLOB, version INTEGER NOT NULL, timestamp INTEGER NOT NULL,
                meta BLOB) WITHOUT ROWID;
            CREATE INDEX i_ts ON Message (timestamp)"
        }
        // Up to v0.22.
        _ => {
            "CREATE TABLE message (pubsubTopic BLOB NOT NULL, contentTopic BLOB NOT NULL, payload BLOB,
                version INTEGER NOT NULL, timestamp INTEGER NOT NULL, id BLOB, storedAt INTEGER NOT NULL,
                CONSTRAINT messageIndex PRIMARY KEY (storedAt, id, pubsubTopic)) WITHOUT ROWID"
        }
    }
}

/// Puts a message into the file as nwaku does: topics as bytes, empty bytes as NULL.
fn put_as_nwaku(connection: &Connection, version: i64, envelope: &Envelope) {
    let message = envelope.message();
    let filled = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
    let (hash, timestamp) = (*envelope.hash().as_bytes(), message.timestamp.unwrap_or_default());
    let (pubsub, content) =
        (envelope.pubsub_topic().as_str().as_bytes().to_vec(), message.content_topic.as_bytes().to_vec());
    let (payload, number) = (filled(&message.payload), message.version.unwrap_or_default());
    let meta = filled(message.meta.as_deref().unwrap_or_default());
    match version {
        8 => connection.execute(
            "INSERT INTO Message (id, messageHash, storedAt, contentTopic, payload, pubsubTopic, version, timestamp)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![&hash[..], &hash[..], timestamp, content, payload, pubsub, number, timestamp],
        ),
        9 => connection.execute(
            "INSERT INTO Message (id, messageHash, storedAt, contentTopic, payload, pubsubTopic, version, timestamp,
             meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![&hash[..], &hash[..], timestamp, content, payload, pubsub, number, timestamp, meta],
        ),
        _ => connection.execute(
            "INSERT INTO Message (messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![&hash[..], pubsub, content, payload, number, timestamp, meta],
        ),
    }
    .unwrap();
}

/// A file as nwaku leaves it behind at a schema version.
fn file_of_nwaku(version: i64, messages: &[Envelope]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let connection = Connection::open(path(&folder)).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(schema_of_nwaku(version)).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    for message in messages {
        put_as_nwaku(&connection, version, message);
    }
    folder
}

/// Messages that differ in everything the table keeps.
fn various() -> Vec<Envelope> {
    let message = |payload: &'static [u8], topic: &str, meta: Option<&'static [u8]>, timestamp| WakuMessage {
        payload: payload.into(),
        content_topic: topic.to_owned(),
        version: Some(2).filter(|_| meta.is_some()),
        timestamp: Some(timestamp),
        meta: meta.map(Into::into),
        rate_limit_proof: None,
        ephemeral: None,
    };
    let on = |shard: &str, message| Envelope::new(shard.parse().unwrap(), EncodedMessage::encode(message));
    vec![
        on(SHARD, message(b"one", TOPIC, None, 1)),
        on(OTHER_SHARD, message(b"two", TOPIC, Some(b"meta"), 2)),
        on(SHARD, message(b"", OTHER_TOPIC, Some(b"\0"), 3)),
        on(SHARD, message(&[0x5a; 100_000], OTHER_TOPIC, None, 4)),
        on(
            SHARD,
            message(b"five", "/\u{fc}/1/\u{1f980}/proto", Some(&[0xff; 64]), 1_700_000_000_000_000_000),
        ),
    ]
}

/// Hash, pubsub topic, content topic, payload, version, timestamp and meta.
type Columns = (Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>, i64, i64, Vec<u8>);

/// What nwaku v0.35 and later asks a file at its start and of every message.
fn read_as_nwaku(folder: &TempDir) -> Vec<Columns> {
    let connection = Connection::open(path(folder)).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 10);
    connection.execute_batch("CREATE INDEX IF NOT EXISTS i_ts ON Message (timestamp)").unwrap();
    let mut statement = connection
        .prepare(
            "SELECT messageHash, pubsubTopic, contentTopic, payload, version, timestamp, meta FROM Message
             ORDER BY timestamp ASC, messageHash ASC",
        )
        .unwrap();
    let bytes = |value: Option<Vec<u8>>| value.unwrap_or_default();
    let rows = statement.query_map([], |row| {
        let (payload, meta) = (bytes(row.get(3)?), bytes(row.get(6)?));
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, payload, row.get(4)?, row.get(5)?, meta))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_nwaku_kept_is_found_and_is_what_its_hash_says() {
    for version in [0, 9, 10] {
        let expected = various();
        let folder = file_of_nwaku(version, &expected);
        let archive = open(&folder).unwrap();
        let page = everything_in(&archive);
        let found: Vec<_> = page.entries.iter().map(|entry| entry.envelope.clone().unwrap()).collect();
        assert_eq!(found, expected, "version {version}");
        for entry in &page.entries {
            assert_eq!(entry.hash, entry.envelope.as_ref().unwrap().hash(), "version {version}");
        }
        let topic = Criteria { content_topics: [OTHER_TOPIC.to_owned()].into(), ..Criteria::default() };
        let page = archive.query(&Query::new(Selection::Content(topic))).unwrap();
        assert_eq!(page.entries.len(), 2, "version {version}");
        let known = archive.insert(&expected).unwrap();
        assert_eq!(known, Inserted { new: 0, known: expected.len() }, "version {version}");
        archive.verify().unwrap();
    }
}

#[test]
fn a_file_without_meta_gets_the_column() {
    let expected: Vec<_> = various().into_iter().filter(|message| message.message().meta.is_none()).collect();
    let folder = file_of_nwaku(8, &expected);
    let archive = open(&folder).unwrap();
    let page = everything_in(&archive);
    assert!(page.entries.iter().map(|entry| entry.envelope.as_ref().unwrap()).eq(&expected));
    archive.insert(&various()).unwrap();
    assert_eq!(everything_in(&archive).entries.len(), various().len());
    archive.verify().unwrap();
}

#[test]
fn a_file_of_nwaku_goes_on_as_an_archive() {
    for version in [0, 8, 9, 10] {
        let folder = file_of_nwaku(version, &envelopes(1..=5));
        let archive = open(&folder).unwrap();
        archive.insert(&envelopes(4..=8)).unwrap();
        let page = archive.query(&Query { limit: 3, ..everything() }).unwrap();
        let next = archive.query(&Query { limit: 3, cursor: page.cursor, ..everything() }).unwrap();
        assert_eq!((page.entries.len(), next.entries[0].hash), (3, envelope(4).hash()));
        assert_eq!(archive.prune(&Keep { since: Some(3), ..Keep::default() }, 10).unwrap(), 2);
        let stats = archive.stats().unwrap();
        drop(archive);
        let archive = open(&folder).unwrap();
        assert_eq!(timestamps(&archive), [3, 4, 5, 6, 7, 8], "version {version}");
        assert_eq!(archive.stats().unwrap(), stats);
        archive.verify().unwrap();
    }
}

#[test]
fn nwaku_reads_what_was_kept_and_goes_on() {
    for version in [-1, 0, 9, 10] {
        let folder = if version < 0 { TempDir::new().unwrap() } else { file_of_nwaku(version, &[]) };
        let expected = various();
        open(&folder).unwrap().insert(&expected).unwrap();
        let rows = read_as_nwaku(&folder);
        for (row, envelope) in rows.iter().zip(&expected) {
            let message = envelope.message();
            assert_eq!(row.0, envelope.hash().as_bytes(), "version {version}");
            assert_eq!(row.1, envelope.pubsub_topic().as_str().as_bytes());
            assert_eq!(row.2, message.content_topic.as_bytes());
            assert_eq!(row.3, message.payload);
            assert_eq!(row.4, i64::from(message.version.unwrap_or_default()));
            assert_eq!(Some(row.5), message.timestamp);
            assert_eq!(row.6, message.meta.as_deref().unwrap_or_default());
        }
        assert_eq!(rows.len(), expected.len());
        put_as_nwaku(&Connection::open(path(&folder)).unwrap(), 10, &envelope(9));
        let archive = open(&folder).unwrap();
        assert_eq!(archive.stats().unwrap().messages, expected.len() as u64 + 1);
        archive.verify().unwrap();
    }
}

#[test]
fn the_table_of_a_new_file_is_that_of_nwaku() {
    let columns = |folder: &TempDir| {
        let connection = Connection::open(path(folder)).unwrap();
        let mut statement = connection
            .prepare("SELECT name, type, \"notnull\", pk FROM pragma_table_info('Message')")
            .unwrap();
        let column = |row: &rusqlite::Row<'_>| {
            let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
            Ok((name, kind, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
        };
        statement.query_map([], column).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let new = TempDir::new().unwrap();
    open(&new).unwrap();
    assert_eq!(columns(&new), columns(&file_of_nwaku(10, &[])));
    let old = file_of_nwaku(9, &[]);
    open(&old).unwrap();
    assert_eq!(columns(&new), columns(&old));
}

#[test]
fn what_nwaku_wrote_and_deleted_in_between_is_counted() {
    let folder = file_of_nwaku(10, &envelopes(1..=5));
    open(&folder).unwrap();
    let connection = Connection::open(path(&folder)).unwrap();
    connection.execute_batch("DELETE FROM Message WHERE timestamp < 3").unwrap();
    put_as_nwaku(&connection, 10, &envelope_on(SHARD, &"t".repeat(2_000), 6));
    put_as_nwaku(&connection, 10, &envelope(7));
    drop(connection);
    let archive = open(&folder).unwrap();
    let stats = archive.stats().unwrap();
    assert_eq!((stats.messages, stats.oldest, stats.newest), (5, Some(3), Some(7)));
    archive.verify().unwrap();
}

#[test]
fn a_message_that_is_not_what_its_hash_says_is_found_by_its_row() {
    let folder = file_of_nwaku(10, &envelopes([1, 3]));
    let (shown, stored) = (envelope(2), MessageHash::from([0xab; 32]));
    let connection = Connection::open(path(&folder)).unwrap();
    put_as_nwaku(&connection, 10, &shown);
    let rename = "UPDATE Message SET messageHash = ? WHERE timestamp = 2";
    connection.execute(rename, [stored.as_bytes()]).unwrap();
    drop(connection);
    let archive = open(&folder).unwrap();
    let page = everything_in(&archive);
    assert_eq!(page.entries[1].hash, stored);
    assert_eq!(page.entries[1].envelope, Some(shown));
    let by_hash = archive.query(&Query::new(Selection::Hashes(vec![stored]))).unwrap();
    assert_eq!(by_hash.entries, page.entries[1..2]);
    let behind = archive.query(&Query { cursor: Some(stored), ..everything() }).unwrap();
    assert_eq!(behind.entries, page.entries[2..]);
    assert_eq!(archive.prune(&Keep { messages: Some(1), ..Keep::default() }, 10).unwrap(), 2);
    archive.verify().unwrap();
}

#[test]
fn a_topic_that_is_no_text_is_no_trouble() {
    let folder = file_of_nwaku(10, &envelopes([1]));
    let connection = Connection::open(path(&folder)).unwrap();
    connection.execute("UPDATE Message SET contentTopic = ?", [&b"a\xff"[..]]).unwrap();
    drop(connection);
    let page = everything_in(&open(&folder).unwrap());
    assert_eq!(page.entries[0].envelope.as_ref().unwrap().message().content_topic, "a\u{fffd}");
}

#[test]
fn a_row_that_makes_no_sense_is_told() {
    for change in ["messageHash = x'00'", "pubsubTopic = x'00'", "contentTopic = 1"] {
        let folder = file_of_nwaku(10, &envelopes([1]));
        let connection = Connection::open(path(&folder)).unwrap();
        connection.execute(&format!("UPDATE Message SET {change}"), []).unwrap();
        drop(connection);
        let damaged = match open(&folder) {
            Ok(archive) => {
                matches!(archive.query(&everything()), Err(QueryError::Archive(ArchiveError::Damaged { .. })))
            }
            Err(error) => matches!(error, SqliteOpenError::Damaged { .. }),
        };
        assert!(damaged, "{change}");
    }
}

#[test]
fn a_message_loses_what_the_table_has_no_room_for() {
    let message = WakuMessage {
        version: Some(0),
        timestamp: Some(7),
        meta: Some("".into()),
        rate_limit_proof: Some("proof".into()),
        ephemeral: Some(false),
        ..envelope(7).message().clone()
    };
    let given = Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(message));
    let archive = Temporary::new();
    archive.insert(std::slice::from_ref(&given)).unwrap();
    let page = archive.query(&everything()).unwrap();
    assert_eq!(page.entries[0].envelope, Some(envelope(7)));
    assert_eq!(page.entries[0].hash, given.hash());
}

/// The files of a folder and what is in them.
fn content(folder: &TempDir) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut content: Vec<_> = entries
        .filter(|path| !path.to_str().unwrap().ends_with("-shm"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    content.sort();
    content
}

#[test]
fn a_version_that_is_not_known_is_named_and_left_alone() {
    for (version, schema, text) in [
        (11, 10, "schema version 11, and 10 (nwaku v0.35 to v0.38) is the last one known here"),
        (7, 7, "schema version 7, and 8 (nwaku v0.23) is the first one"),
        // As nwaku from v0.14 to v0.18 left it.
        (0, 7, "schema version 0, and 8 (nwaku v0.23) is the first one"),
    ] {
        let folder = file_of_nwaku(schema, &[]);
        let connection = Connection::open(path(&folder)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        let before = content(&folder);
        let error = open(&folder).unwrap_err().to_string();
        assert!(error.contains(text) && error.contains("left as it is"), "{error}");
        assert!(content(&folder) == before, "version {version}: it was not left as it was");
    }
}

#[test]
fn a_file_refused_keeps_the_log_that_a_crash_left() {
    let folder = file_of_nwaku(10, &[]);
    let connection = Connection::open(path(&folder)).unwrap();
    connection.pragma_update(None, "user_version", 11).unwrap();
    put_as_nwaku(&connection, 10, &envelope(1));
    let crashed = TempDir::new().unwrap();
    for name in ["store.sqlite3", "store.sqlite3-wal"] {
        fs::copy(folder.path().join(name), crashed.path().join(name)).unwrap();
    }
    let before = content(&crashed);
    assert!(before[1].1.len() > 4_096, "there is no log");
    assert!(matches!(open(&crashed), Err(SqliteOpenError::Newer { found: 11, .. })));
    assert!(content(&crashed) == before, "it was not left as it was");
}

#[test]
fn a_file_that_is_no_archive_is_refused_and_left_alone() {
    let other = |version: i64, table: &str| {
        let folder = TempDir::new().unwrap();
        let connection = Connection::open(path(&folder)).unwrap();
        connection.execute_batch(table).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        fs::read(path(&folder)).unwrap()
    };
    let archive = fs::read(path(&file_of_nwaku(10, &envelopes(1..=50)))).unwrap();
    let mut no_header = archive.clone();
    no_header[..16].fill(0);
    let contents = [
        b"something else entirely".to_vec(),
        vec![0; 4_096],
        no_header,
        archive[..archive.len() / 2].to_vec(),
        // nwaku's file of peers, and other tables.
        other(1, "CREATE TABLE Peer (peerId BLOB PRIMARY KEY, storedInfo BLOB) WITHOUT ROWID"),
        other(0, "CREATE TABLE other (name TEXT)"),
        other(10, "CREATE TABLE other (name TEXT)"),
        other(10, "CREATE TABLE message (messageHash BLOB PRIMARY KEY, payload BLOB)"),
        other(9, schema_of_nwaku(10)),
        other(10, schema_of_nwaku(9)),
    ];
    for (number, content) in contents.iter().enumerate() {
        let folder = TempDir::new().unwrap();
        fs::write(path(&folder), content).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, SqliteOpenError::Damaged { .. }), "{number}: {error}");
        assert!(fs::read(path(&folder)).unwrap() == *content, "{number}: it was not left as it was");
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let folder = file_of_nwaku(9, &envelopes(1..=3));
    let connection = Connection::open(path(&folder)).unwrap();
    // A column that an index needs cannot be dropped.
    connection.execute_batch("CREATE INDEX other ON Message (timestamp)").unwrap();
    drop(connection);
    let before = content(&folder);
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, SqliteOpenError::Database { .. }), "{error}");
    assert!(content(&folder) == before, "it was not left as it was");
}

#[test]
fn an_empty_file_becomes_an_archive_for_a_crash_may_leave_one() {
    let folder = TempDir::new().unwrap();
    fs::write(path(&folder), b"").unwrap();
    open(&folder).unwrap().insert(&envelopes([1])).unwrap();
    assert_eq!(timestamps(&open(&folder).unwrap()), [1]);
}

#[test]
fn a_new_file_and_its_log_are_for_their_owner_alone() {
    let folder = TempDir::new().unwrap();
    let archive = open(&folder).unwrap();
    archive.insert(&envelopes([1])).unwrap();
    for name in ["store.sqlite3", "store.sqlite3-wal", "store.sqlite3-shm"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_folder_that_is_missing_is_told_and_not_made() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing");
    let error = SqliteArchive::open(missing.join("store.sqlite3"), SqliteOptions::default()).unwrap_err();
    assert!(
        matches!(&error, SqliteOpenError::File { error, .. } if error.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
    assert!(!missing.exists());
}

#[test]
fn another_writer_is_told_and_waited_for_no_longer_than_asked() {
    let folder = file_of_nwaku(10, &envelopes([1]));
    let archive = open(&folder).unwrap();
    let other = Connection::open(path(&folder)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(open(&folder), Err(SqliteOpenError::InUse { .. })));
    let error = archive.insert(&envelopes([2])).unwrap_err().to_string();
    assert!(error.contains("another process writes to the archive"), "{error}");
    assert_eq!(timestamps(&archive), [1], "readers do not wait");
    other.execute_batch("ROLLBACK").unwrap();
    archive.insert(&envelopes([2])).unwrap();
    assert_eq!(timestamps(&archive), [1, 2]);
}

#[test]
fn readers_and_the_writer_do_not_wait_for_each_other() {
    let archive = Temporary::new();
    archive.insert(&envelopes(1..=10)).unwrap();
    let opened = archive.archive.opened.read().unwrap();
    let opened = opened.as_ref().unwrap();
    let in_use = opened.read(|connection| {
        let query = everything();
        let snapshot = snapshot::Snapshot::of(connection, archive.archive.path(), &query).unwrap();
        let before = search::answer(&snapshot, &query).unwrap();
        archive.insert(&envelopes(11..=20)).unwrap();
        assert_eq!(timestamps(&archive).len(), 20);
        (before, search::answer(&snapshot, &query).unwrap())
    });
    assert_eq!(in_use.0.entries.len(), 10);
    assert_eq!(in_use.0, in_use.1, "a page comes from one moment");
}

#[test]
fn more_readers_than_connections_take_turns() {
    let archive = Temporary::new();
    archive.insert(&envelopes(1..=100)).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..16).map(|_| scope.spawn(|| timestamps(&archive).len())).collect();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() == 100));
    });
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    let archive = Temporary::new();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for batch in 0..30 {
                archive.insert(&envelopes(batch * 10..(batch + 1) * 10)).unwrap();
            }
            is_done.store(true, Ordering::SeqCst);
        });
        let mut seen = Vec::new();
        while !is_done.load(Ordering::SeqCst) {
            let found = timestamps(&archive);
            assert_eq!(found.len() % 10, 0, "{found:?}");
            seen.push(found.len());
        }
        assert!(seen.is_sorted(), "{seen:?}");
    });
    assert_eq!(timestamps(&archive), (0..300).collect::<Vec<_>>());
}

#[test]
fn calls_fail_while_the_file_is_not_where_it_was() {
    let folder = file_of_nwaku(10, &envelopes(1..=3));
    let archive = open(&folder).unwrap();
    let aside = folder.path().join("aside");
    fs::rename(path(&folder), &aside).unwrap();
    for _ in 0..2 {
        let error = archive.insert(&envelopes([4])).unwrap_err();
        assert!(error.to_string().contains("store.sqlite3"), "{error}");
        assert!(matches!(archive.query(&everything()), Err(QueryError::Archive(ArchiveError::Storage(_)))));
        assert!(archive.stats().is_err() && archive.prune(&Keep::default(), 1).is_err());
        assert!(!path(&folder).exists(), "it was made anew");
    }
    fs::rename(&aside, path(&folder)).unwrap();
    archive.insert(&envelopes([5])).unwrap();
    assert_eq!(timestamps(&archive), [1, 2, 3, 5]);
}

#[test]
fn what_is_counted_is_about_what_the_file_takes() {
    let new = || TempDir::new().unwrap();
    let folders =
        [new(), new(), new(), file_of_nwaku(10, &[]), file_of_nwaku(10, &[]), file_of_nwaku(10, &[])];
    for (payload, folder) in [100, 1_000, 5_000, 100, 1_000, 5_000].into_iter().zip(folders) {
        let archive = open(&folder).unwrap();
        for first in (0..2_000).step_by(100) {
            let message =
                |at| WakuMessage { payload: vec![1; payload].into(), ..envelope(at).message().clone() };
            let batch = (first..first + 100).map(|at| EncodedMessage::encode(message(at)));
            let batch: Vec<_> = batch.map(|message| Envelope::new(SHARD.parse().unwrap(), message)).collect();
            archive.insert(&batch).unwrap();
        }
        let counted = archive.stats().unwrap().bytes;
        drop(archive);
        let file = fs::metadata(path(&folder)).unwrap().len();
        assert!(counted <= file && file < counted * 5 / 3, "{payload}: {counted} counted, {file} on disk");
    }
}

#[test]
fn the_room_of_deleted_messages_is_used_again_or_given_back() {
    let folder = TempDir::new().unwrap();
    let archive = open(&folder).unwrap();
    let keep = Keep { messages: Some(500), ..Keep::default() };
    let mut sizes = Vec::new();
    for round in 0..10 {
        archive.insert(&envelopes(round * 500..(round + 1) * 500)).unwrap();
        archive.prune(&keep, usize::MAX).unwrap();
        let free = "PRAGMA wal_checkpoint(TRUNCATE)";
        Connection::open(path(&folder)).unwrap().query_row(free, [], |_| Ok(())).unwrap();
        sizes.push(fs::metadata(path(&folder)).unwrap().len());
    }
    assert!(sizes[9] <= sizes[4] * 11 / 10, "{sizes:?}");
    archive.prune(&Keep { messages: Some(10), ..Keep::default() }, usize::MAX).unwrap();
    drop(archive);
    let options = SqliteOptions { vacuum: true, ..SqliteOptions::default() };
    let archive = SqliteArchive::open(path(&folder), options).unwrap();
    assert_eq!(timestamps(&archive), (4_990..5_000).collect::<Vec<_>>());
    archive.verify().unwrap();
    drop(archive);
    let size = fs::metadata(path(&folder)).unwrap().len();
    assert!(size < sizes[9] / 3, "{size} of {sizes:?}");
}

#[test]
fn an_index_or_a_total_that_does_not_fit_is_found() {
    for change in [
        "UPDATE waku_rs_totals SET bytes = bytes + 1",
        "UPDATE waku_rs_totals SET messages = messages + 1",
        "PRAGMA writable_schema = ON;
         DELETE FROM message WHERE timestamp = 2",
    ] {
        let folder = file_of_nwaku(10, &envelopes(1..=3));
        let archive = open(&folder).unwrap();
        archive.verify().unwrap();
        Connection::open(path(&folder)).unwrap().execute_batch(change).unwrap();
        let error = archive.verify().unwrap_err();
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{change}: {error}");
    }
}

#[test]
fn a_page_reads_no_more_than_its_places() {
    use self::snapshot::{List, NEXT_PUBSUB_TOPIC};
    let folder = file_of_nwaku(9, &various());
    open(&folder).unwrap();
    let connection = Connection::open(path(&folder)).unwrap();
    let plan = |sql: &str| {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
        let step = steps.next().unwrap().unwrap();
        assert!(steps.next().is_none(), "{sql}");
        step
    };
    let (content, pubsub) = (Vec::new(), Vec::new());
    let span = "(timestamp,messageHash)>(?,?) AND (timestamp,messageHash)<(?,?))";
    for (list, topics) in [
        (List::All, "("),
        (List::Pubsub(pubsub.clone()), "(pubsubTopic=? AND "),
        (List::Topics { content, pubsub }, "(contentTopic=? AND pubsubTopic=? AND "),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            let plan = plan(&list.sql(direction));
            assert!(plan.starts_with("SEARCH message USING COVERING INDEX"), "{plan}");
            assert!(plan.ends_with(&format!("{topics}{span}")), "{plan}");
        }
    }
    let plan = plan(NEXT_PUBSUB_TOPIC);
    assert!(plan.ends_with("waku_rs_by_topics (contentTopic=? AND pubsubTopic>?)"), "{plan}");
}
