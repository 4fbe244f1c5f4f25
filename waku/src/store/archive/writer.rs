//! The task that keeps what comes, apart from the path that messages are relayed on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::inbox::{BATCH_LEN, Inbox, Load, Refusal, admit};
use super::priority::giving_way;
use super::{Archive, ArchiveError, Keep, PRUNE_LEN, RetentionPolicy};
use crate::metrics::Metrics;
use crate::{Envelope, MetricsSnapshot};

/// Most messages that wait, when nothing else is said.
pub const DEFAULT_INBOX_MESSAGES: usize = 32_768;
/// Most bytes of messages that wait, when nothing else is said.
pub const DEFAULT_INBOX_BYTES: usize = 64 << 20;
/// How long messages are kept when nothing else is said: two days, as in nwaku.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Time from one deletion of old messages to the next, as in nwaku.
pub const DEFAULT_RETENTION_INTERVAL: Duration = Duration::from_secs(30 * 60);

/// Most that is inserted at a time. A larger batch costs less a message, and its failure costs more.
const BATCH: Load = Load { messages: BATCH_LEN, bytes: 8 << 20 };
/// An insertion of so many messages shows that they come quickly. Small batches cost the relay more of the processor than
/// large ones, so then there is time from the begin of that insertion to the next, unless a whole batch waits.
const BUSY_LEN: usize = 16;
const REST: Duration = Duration::from_millis(100);
/// Time from a failed insertion to the next attempt: first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// How a writer works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterConfig {
    /// Most messages that wait to be kept, [`DEFAULT_INBOX_MESSAGES`].
    pub inbox_messages: usize,
    /// Most bytes of messages that wait to be kept, [`DEFAULT_INBOX_BYTES`].
    pub inbox_bytes: usize,
    /// What is deleted; by default what is older than [`DEFAULT_MAX_AGE`].
    pub retention: RetentionPolicy,
    /// Time from one deletion to the next, [`DEFAULT_RETENTION_INTERVAL`]; the first is at the start.
    pub retention_interval: Duration,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            inbox_messages: DEFAULT_INBOX_MESSAGES,
            inbox_bytes: DEFAULT_INBOX_BYTES,
            retention: RetentionPolicy { max_age: Some(DEFAULT_MAX_AGE), ..RetentionPolicy::default() },
            retention_interval: DEFAULT_RETENTION_INTERVAL,
        }
    }
}

/// Keeps messages in an archive as they come. Cheap to clone; it stops when it is told to, or when the last clone
/// is dropped, and everything it has taken is inserted before it ends.
///
/// What waits is inserted in batches, as soon as the batch before it is; while much comes, ten times a second. On Linux
/// an insertion gives way to whatever else wants the processor, unless the inbox fills. When the archive fails,
/// the batch is tried again until it succeeds, later and later, and what finds no room in the meantime is dropped. Everything
/// is counted, in the `waku_archive_…` counters.
///
/// ```
/// use std::sync::Arc;
/// use waku::store::archive::{Archive, ArchiveWriter, MemoryArchive, WriterConfig};
/// use waku::{Envelope, Shard, WakuMessage, proto::EncodedMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let clock = || 1_681_964_442_000_000_000;
/// let archive = Arc::new(MemoryArchive::new(25_000, 100 << 20));
/// let writer = ArchiveWriter::spawn(archive.clone(), &WriterConfig::default(), clock);
///
/// let message = WakuMessage::new(&"/toychat/2/huilong/proto".parse()?, "hello", clock());
/// let topic = Shard::new(1, 0)?.into();
/// writer.try_push(Envelope::new(topic, EncodedMessage::encode(message)))?;
/// writer.shutdown().await;
/// assert_eq!(archive.stats()?.messages, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ArchiveWriter {
    shared: Arc<Shared>,
}

/// Unix time in nanoseconds.
type Clock = dyn Fn() -> i64 + Send + Sync;

/// What all clones share.
struct Shared {
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    now: Arc<Clock>,
    stop: CancellationToken,
    stopped: CancellationToken,
    /// Stops the task when the last clone is gone.
    _stop_on_drop: DropGuard,
}

impl ArchiveWriter {
    /// Starts the task on the current Tokio runtime. `now` tells Unix time in nanoseconds.
    pub fn spawn(
        archive: Arc<dyn Archive>,
        config: &WriterConfig,
        now: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        Self::spawn_counting(archive, config, now, Arc::default())
    }

    /// The same, counting with the other parts of a node.
    pub(crate) fn spawn_counting(
        archive: Arc<dyn Archive>,
        config: &WriterConfig,
        now: impl Fn() -> i64 + Send + Sync + 'static,
        metrics: Arc<Metrics>,
    ) -> Self {
        let limit = Load { messages: config.inbox_messages, bytes: config.inbox_bytes };
        let (inbox, now): (_, Arc<Clock>) = (Arc::new(Inbox::new(limit)), Arc::new(now));
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let task = Task {
            archive,
            inbox: Arc::clone(&inbox),
            metrics: Arc::clone(&metrics),
            retention: config.retention,
            now: Arc::clone(&now),
            stop: stop.clone(),
        };
        let has_stopped = stopped.clone().drop_guard();
        let retention_interval = config.retention_interval.max(Duration::from_millis(1));
        tokio::spawn(async move {
            let mut due = interval(retention_interval);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            task.run(due).await;
            drop(has_stopped);
        });
        let stop_on_drop = stop.clone().drop_guard();
        Self { shared: Arc::new(Shared { inbox, metrics, now, stop, stopped, _stop_on_drop: stop_on_drop }) }
    }

    /// Takes a message that has just come, to keep it soon. Never waits.
    ///
    /// # Errors
    /// When the message is not to be kept, or there is no room for it. It is counted; nothing needs to be done.
    pub fn try_push(&self, envelope: Envelope) -> Result<(), Refusal> {
        let Shared { inbox, metrics, now, .. } = &*self.shared;
        let pushed = admit(&envelope, now()).and_then(|()| inbox.push(envelope));
        match pushed {
            Ok(()) => {}
            Err(Refusal::Ephemeral) => metrics.archive_refused_ephemeral.increment(),
            Err(Refusal::NoTimestamp | Refusal::FarTimestamp) => {
                metrics.archive_refused_timestamp.increment()
            }
            Err(Refusal::Full | Refusal::Stopped) => metrics.archive_dropped.increment(),
        }
        pushed
    }

    /// What has been counted.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.shared.metrics.snapshot()
    }

    /// Takes nothing more, and returns when everything taken is inserted. What an archive that fails does not take
    /// even then is dropped. Stopping twice is fine.
    pub async fn shutdown(&self) {
        self.shared.inbox.close();
        self.shared.stop.cancel();
        self.shared.stopped.cancelled().await;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

struct Task {
    archive: Arc<dyn Archive>,
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    retention: RetentionPolicy,
    now: Arc<Clock>,
    stop: CancellationToken,
}

impl Task {
    async fn run(self, mut due: Interval) {
        // What a deletion that has begun is to keep.
        let mut pruning: Option<Keep> = None;
        let mut rested = Instant::now();
        while !self.stop.is_cancelled() {
            let started = Instant::now();
            if self.insert_some().await >= BUSY_LEN {
                rested = started + REST;
            }
            if let Some(keep) = pruning {
                let is_done = self.prune_some(keep).await;
                pruning = pruning.filter(|_| !is_done);
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.worth_inserting(rested) => {}
                _ = due.tick() => pruning = Some(self.retention.at((self.now)())),
            }
        }
        self.inbox.close();
        while self.insert_some().await > 0 {}
    }

    /// Returns when a batch waits, or anything after the rest.
    async fn worth_inserting(&self, rested: Instant) {
        tokio::select! {
            () = self.inbox.heaped() => {}
            () = sleep_until(rested) => self.inbox.filled().await,
        }
    }

    /// Inserts what waits, as much as a batch takes, and tells how many messages that were.
    async fn insert_some(&self) -> usize {
        let batch = self.inbox.take(BATCH);
        let load = Load::of(&batch);
        if !batch.is_empty() {
            self.insert(batch.into()).await;
            self.inbox.release(load);
        }
        load.messages
    }

    /// Inserts a batch, however often that takes; only a stopped writer gives up.
    async fn insert(&self, batch: Arc<[Envelope]>) {
        let (mut backoff, longest) = BACKOFF;
        for attempt in 1_u64.. {
            let is_last = self.stop.is_cancelled();
            let (archive, envelopes) = (Arc::clone(&self.archive), Arc::clone(&batch));
            let insert = move || archive.insert(&envelopes);
            // Relaying goes first, until the inbox shows that nothing is left over for the archive.
            let inserted = if is_last || self.inbox.is_filling() {
                spawn_blocking(insert).await
            } else {
                giving_way(insert).await
            };
            match flatten(inserted) {
                Ok(inserted) => {
                    self.metrics.archive_inserted.add(inserted.new as u64);
                    self.metrics.archive_duplicates.add(inserted.known as u64);
                    if attempt > 1 {
                        tracing::info!(attempt, "the archive works again");
                    }
                    return;
                }
                Err(error) => {
                    self.metrics.archive_insert_errors.increment();
                    if is_last {
                        self.metrics.archive_dropped.add(batch.len() as u64);
                        tracing::error!(messages = batch.len(), %error, "messages are lost");
                        return;
                    }
                    if attempt == 1 {
                        tracing::error!(%error, "the archive fails; it is tried again");
                    }
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(backoff) => backoff = longest.min(backoff * 2),
            }
        }
    }

    /// Deletes some of what is not to be kept; true when nothing is left of it, or when it did not work.
    async fn prune_some(&self, keep: Keep) -> bool {
        let archive = Arc::clone(&self.archive);
        match flatten(spawn_blocking(move || archive.prune(&keep, PRUNE_LEN)).await) {
            Ok(deleted) => {
                self.metrics.archive_retention_deleted.add(deleted as u64);
                deleted < PRUNE_LEN
            }
            Err(error) => {
                self.metrics.archive_retention_errors.increment();
                tracing::error!(%error, "old messages could not be deleted; the next attempt comes in time");
                true
            }
        }
    }
}

/// A driver that panics has failed.
fn flatten<T>(result: Result<Result<T, ArchiveError>, JoinError>) -> Result<T, ArchiveError> {
    result.unwrap_or_else(|error| Err(ArchiveError::Storage(Box::new(error))))
}

#[cfg(test)]
mod tests;
