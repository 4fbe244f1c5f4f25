//! Which requests were begun and what was answered, on disk: what makes a request with a key run once, whatever happens
//! to this process.
//!
//! ```text
//! <data directory>/
//!   requests.redb     0600
//!     meta       "format" -> 1
//!     requests   (pairing id, key: 16 bytes each) -> Entry
//! ```

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use waku_noise_session::time::UnixTime;
use waku_pairing::record::PairingId;
use waku_tunnel::once::{Change, Kept, Outcome, Record};
use waku_tunnel::request::{Header, Key};

const META: TableDefinition<'_, &str, u8> = TableDefinition::new("meta");
const REQUESTS: TableDefinition<'_, (&[u8; 16], &[u8; 16]), &[u8]> = TableDefinition::new("requests");
const FORMAT: u8 = 1;
/// Its name in the data directory.
const FILE: &str = "requests.redb";
/// Changes that wait for the disk.
const JOBS: usize = 1024;
/// Memory for pages: there is little in it.
const CACHE: usize = 1 << 20;

/// The journal of a data directory.
pub struct Journal {
    jobs: mpsc::Sender<Job>,
    answers: Option<mpsc::Sender<Saved>>,
    /// What an earlier process wrote, until it is asked for.
    stored: BTreeMap<PairingId, Vec<Record>>,
    thread: JoinHandle<()>,
}

/// Changes that are on disk, or are not.
pub(super) struct Saved {
    pub(super) pairing: PairingId,
    pub(super) ticket: u64,
    pub(super) durable: bool,
}

struct Job {
    pairing: PairingId,
    what: What,
}

enum What {
    Save(u64, Vec<Change>, mpsc::Sender<Saved>),
    Forget,
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be opened or written.
    #[error("cannot use {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<redb::Error>,
    },
    /// It is of a later version.
    #[error("{} is of format {format}, which this version does not know", .path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u8,
    },
    /// What is in it makes no sense.
    #[error("{} is damaged: an entry cannot be read", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
}

impl Journal {
    /// Opens the journal in a data directory, or makes it. Pairings are those that are known; what is there of others is
    /// removed.
    ///
    /// # Errors
    /// [`JournalError`]. Nothing is changed in a journal that cannot be read.
    pub fn open(directory: &Path, pairings: &[PairingId]) -> Result<Self, JournalError> {
        let path = directory.join(FILE);
        let failed = |error: redb::Error| JournalError::File { path: path.clone(), error: Box::new(error) };
        let database = create(&path).map_err(failed)?;
        if let Some(format) = format_of(&database).map_err(failed)?.filter(|format| *format != FORMAT) {
            return Err(JournalError::Format { path, format });
        }
        let mut stored: BTreeMap<PairingId, Vec<Record>> = BTreeMap::new();
        let mut strays = Vec::new();
        for (pairing, key, bytes) in read(&database).map_err(failed)? {
            let record = decode(key, &bytes).ok_or_else(|| JournalError::Damaged { path: path.clone() })?;
            match pairings.iter().find(|known| *known.as_bytes() == pairing) {
                Some(known) => stored.entry(*known).or_default().push(record),
                None => strays.push((pairing, key)),
            }
        }
        remove(&database, &strays).map_err(failed)?;
        let (jobs, waiting) = mpsc::channel(JOBS);
        let file = path.clone();
        let spawned =
            thread::Builder::new().name("journal".to_owned()).spawn(move || work(&file, database, waiting));
        let thread = spawned.map_err(|error| failed(redb::Error::Io(error)))?;
        Ok(Self { jobs, answers: None, stored, thread })
    }

    /// Returns when everything is on disk and the file is closed. The answers are wanted no more.
    pub(super) async fn close(self, mut answers: mpsc::Receiver<Saved>) {
        let Self { jobs, thread, .. } = self;
        drop(jobs);
        // Whoever waits to give one gives it up.
        answers.close();
        // A thread that panicked has closed the file as well.
        _ = spawn_blocking(|| thread.join()).await;
    }

    pub(super) fn answering(self, answers: mpsc::Sender<Saved>) -> Self {
        Self { answers: Some(answers), ..self }
    }

    /// What an earlier process wrote down for a pairing.
    pub(super) fn take(&mut self, pairing: PairingId) -> Vec<Record> {
        self.stored.remove(&pairing).unwrap_or_default()
    }

    /// Makes changes durable, all or none, and answers; `false` when too many wait: then nothing is done.
    pub(super) fn save(&self, pairing: PairingId, ticket: u64, changes: Vec<Change>) -> bool {
        let Some(answers) = self.answers.clone() else { return false };
        self.jobs.try_send(Job { pairing, what: What::Save(ticket, changes, answers) }).is_ok()
    }

    /// Removes everything of a pairing.
    pub(super) fn forget(&self, pairing: PairingId) {
        // What stays is removed when the journal is opened again.
        _ = self.jobs.try_send(Job { pairing, what: What::Forget });
    }
}

fn create(path: &Path) -> Result<Database, redb::Error> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let database = Database::builder().set_cache_size(CACHE).create_file(file)?;
    if format_of(&database)?.is_none() {
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert("format", FORMAT)?;
        transaction.open_table(REQUESTS)?;
        transaction.commit()?;
    }
    Ok(database)
}

fn format_of(database: &Database) -> Result<Option<u8>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

type Row = ([u8; 16], Key, Vec<u8>);

fn read(database: &Database) -> Result<Vec<Row>, redb::Error> {
    let table = database.begin_read()?.open_table(REQUESTS)?;
    let mut rows = Vec::new();
    for entry in table.iter()? {
        let (name, bytes) = entry?;
        let (pairing, key) = name.value();
        rows.push((*pairing, Key(*key), bytes.value().to_vec()));
    }
    Ok(rows)
}

fn remove(database: &Database, strays: &[([u8; 16], Key)]) -> Result<(), redb::Error> {
    if strays.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(REQUESTS)?;
        for (pairing, key) in strays {
            table.remove((pairing, &key.0))?;
        }
    }
    Ok(transaction.commit()?)
}

/// Carries out what is asked for. After a failed write redb refuses everything until the file is opened again.
fn work(path: &Path, database: Database, mut waiting: mpsc::Receiver<Job>) {
    let mut open = Some(database);
    while let Some(Job { pairing, what }) = waiting.blocking_recv() {
        let done = open.take().map_or_else(|| create(path), Ok).and_then(|database| {
            match &what {
                What::Save(_, changes, _) => apply(&database, pairing, changes)?,
                What::Forget => forget(&database, pairing)?,
            }
            open = Some(database);
            Ok(())
        });
        if let Err(error) = &done {
            tracing::error!(%error, "the journal of requests cannot be written");
        }
        if let What::Save(ticket, _, answers) = what {
            // The driver may have ended.
            _ = answers.blocking_send(Saved { pairing, ticket, durable: done.is_ok() });
        }
    }
}

fn apply(database: &Database, pairing: PairingId, changes: &[Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(REQUESTS)?;
        for change in changes {
            match change {
                Change::Put(record) => {
                    _ = table.insert((pairing.as_bytes(), &record.key.0), encode(record).as_slice())?;
                }
                Change::Remove(key) => _ = table.remove((pairing.as_bytes(), &key.0))?,
            }
        }
    }
    Ok(transaction.commit()?)
}

fn forget(database: &Database, pairing: PairingId) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(REQUESTS)?.retain(|(of, _), _| of != pairing.as_bytes())?;
    Ok(transaction.commit()?)
}

/// A request, as it is kept.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    method: String,
    #[prost(string, tag = "2")]
    path: String,
    /// Unix nanoseconds.
    #[prost(uint64, tag = "3")]
    begun: u64,
    #[prost(enumeration = "State", tag = "4")]
    state: i32,
    #[prost(message, optional, tag = "5")]
    answer: Option<KeptAnswer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum State {
    Begun = 0,
    Answered = 1,
    Lost = 2,
}

#[derive(Clone, PartialEq, Message)]
struct KeptAnswer {
    #[prost(uint32, tag = "1")]
    status: u32,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<KeptHeader>,
    #[prost(bytes = "bytes", tag = "3")]
    body: bytes::Bytes,
    #[prost(bool, tag = "4")]
    compress: bool,
}

#[derive(Clone, PartialEq, Message)]
struct KeptHeader {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: bytes::Bytes,
}

fn encode(record: &Record) -> Vec<u8> {
    let (state, answer) = match &record.outcome {
        None => (State::Begun, None),
        Some(Outcome::Lost) => (State::Lost, None),
        Some(Outcome::Answer(kept)) => {
            let headers = kept
                .headers
                .iter()
                .map(|header| KeptHeader { name: header.name.clone(), value: header.value.clone() });
            let answer = KeptAnswer {
                status: kept.status.into(),
                headers: headers.collect(),
                body: kept.body.clone(),
                compress: kept.compress,
            };
            (State::Answered, Some(answer))
        }
    };
    let (method, path) = (record.method.clone(), record.path.clone());
    Entry { method, path, begun: record.begun.as_nanos(), state: state.into(), answer }.encode_to_vec()
}

fn decode(key: Key, bytes: &[u8]) -> Option<Record> {
    let entry = Entry::decode(bytes).ok()?;
    let outcome = match (State::try_from(entry.state).ok()?, entry.answer) {
        (State::Begun, None) => None,
        (State::Lost, None) => Some(Outcome::Lost),
        (State::Answered, Some(answer)) => Some(Outcome::Answer(Kept {
            status: u16::try_from(answer.status).ok()?,
            headers: answer
                .headers
                .into_iter()
                .map(|KeptHeader { name, value }| Header { name, value })
                .collect(),
            body: answer.body,
            compress: answer.compress,
        })),
        _ => return None,
    };
    let begun = UnixTime::from_epoch(Duration::from_nanos(entry.begun));
    Some(Record { key, method: entry.method, path: entry.path, begun, outcome })
}
