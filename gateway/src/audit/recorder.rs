//! The audit log on a thread of its own, for whoever must not wait for a disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::entry::Entry;
use super::file::Log;

/// Entries that wait for the disk. Those that nobody waits for are dropped, and counted, when there is no room.
const QUEUE: usize = 1024;

/// An entry is not on disk.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RecordError(String);

struct Job {
    entry: Entry,
    durable: bool,
    /// Who waits for the outcome.
    told: Option<oneshot::Sender<Result<(), RecordError>>>,
}

/// Writes entries. When the last copy is dropped, what waits is written and the thread ends.
#[derive(Debug, Clone)]
pub struct Recorder {
    jobs: mpsc::Sender<Job>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// Lets a log be written from now on.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(log: Log) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        thread::Builder::new().name("audit".to_owned()).spawn(move || write(log, waiting))?;
        Ok(Self { jobs, dropped: Arc::default() })
    }

    /// Hands an entry over; `durable` when it is to be on disk as soon as it is written.
    pub fn note(&self, entry: Entry, durable: bool) {
        if self.jobs.try_send(Job { entry, durable, told: None }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when an entry is on disk.
    ///
    /// # Errors
    /// When it is not, and what it is about must not happen.
    pub async fn ensure(&self, entry: Entry) -> Result<(), RecordError> {
        let gone = || RecordError("the audit log is not written any more".to_owned());
        let (sender, done) = oneshot::channel();
        self.jobs.send(Job { entry, durable: true, told: Some(sender) }).await.map_err(|_| gone())?;
        done.await.unwrap_or_else(|_| Err(gone()))
    }

    /// How many entries were dropped for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write(mut log: Log, mut waiting: mpsc::Receiver<Job>) {
    while let Some(Job { entry, durable, told }) = waiting.blocking_recv() {
        let outcome = log.append(&entry, durable);
        if let Err(error) = &outcome {
            tracing::warn!(%error, "an entry of the audit log is lost");
        }
        if let Some(told) = told {
            _ = told.send(outcome.map_err(|error| RecordError(error.to_string())));
        }
    }
}
