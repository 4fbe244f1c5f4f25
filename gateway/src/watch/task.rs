//! The task that measures.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::alert::{Alert, Alerts, Change, Thresholds};
use super::clock::ClockEstimate;
use super::file::{HistoryError, HistoryFile};
use super::history::History;
use super::host::HostProbe;
use super::node::{NodeProbe, now_ms, number};
use super::sample::{Column, Sample};
use crate::events::{Notice, Pace, Source as _, Subscription};
use crate::policy::Policy;

/// Changes that wait for whoever takes them. What has no room is still among the raised alerts.
const CHANGES: usize = 64;
/// Samples between two savings.
const SAVE_EVERY: u32 = 5;

/// What a watch is told.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// Whose services are asked.
    pub policy: Policy,
    /// When something is wrong.
    pub thresholds: Thresholds,
    /// A folder on the disk that is watched.
    pub disk_path: PathBuf,
    /// Where the day is kept.
    pub history: PathBuf,
    /// The time between two samples: a minute, but for tests.
    pub every: Duration,
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something is wrong, or right again.
    Change(Change),
    /// There is a sample more.
    Measured,
}

/// A watch at work, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    changes: mpsc::Receiver<Change>,
    measured: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    file: HistoryFile,
}

#[derive(Debug)]
struct State {
    history: History,
    alerts: Alerts,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn save(self: &Arc<Self>) -> io::Result<()> {
        let (shared, history) = (Arc::clone(self), self.state().history.clone());
        let saved = tokio::task::spawn_blocking(move || shared.file.save(&history)).await;
        saved.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl Watch {
    /// Begins to measure, from where an earlier run stopped.
    ///
    /// # Errors
    /// When the history is there and cannot be used.
    pub fn start(config: WatchConfig) -> Result<Self, HistoryError> {
        let (file, history) = HistoryFile::open(&config.history)?;
        let probe = NodeProbe::new(&config.policy);
        let mut alerts = Alerts::new(config.thresholds, probe.names());
        alerts.replay(history.samples());
        let state = Mutex::new(State { history, alerts });
        let shared = Arc::new(Shared { state, file });
        let (sender, changes) = mpsc::channel(CHANGES);
        let (measured, receiver) = watch::channel(0);
        let measuring = Measuring {
            shared: Arc::clone(&shared),
            disk: config.disk_path,
            host: HostProbe::default(),
            node: probe,
            clock: None,
            heads: None,
            changes: sender,
            measured,
            unsaved: 0,
        };
        let task = tokio::spawn(measuring.run(ticks(config.every)));
        Ok(Self { shared, changes, measured: receiver, task })
    }

    /// The next change; nothing when the watch has ended. Giving up waiting loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// Returns when a sample was taken since the last call; `false` when the watch has ended.
    pub async fn measured(&mut self) -> bool {
        self.measured.changed().await.is_ok()
    }

    /// What happens next, a change or a sample; nothing when the watch has ended. Giving up waiting loses nothing.
    pub async fn news(&mut self) -> Option<News> {
        tokio::select! {
            biased;
            Some(change) = self.changes.recv() => Some(News::Change(change)),
            Ok(()) = self.measured.changed() => Some(News::Measured),
            else => None,
        }
    }

    /// What is wrong now.
    pub fn raised(&self) -> Vec<Alert> {
        self.shared.state().alerts.raised().cloned().collect()
    }

    /// Ends the watch with everything saved. Dropping it loses the last minutes.
    ///
    /// # Errors
    /// When the history is not on disk.
    pub async fn stop(self) -> io::Result<()> {
        self.task.abort();
        self.shared.save().await
    }

    /// The last day, to be sent with [`History::encode`].
    pub fn history(&self) -> History {
        self.shared.state().history.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every.max(Duration::from_millis(1)));
    // A host that slept has one sample to take, not all that it missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct Measuring {
    shared: Arc<Shared>,
    disk: PathBuf,
    host: HostProbe,
    node: NodeProbe,
    clock: Option<ClockEstimate>,
    heads: Option<Subscription>,
    changes: mpsc::Sender<Change>,
    measured: watch::Sender<u64>,
    unsaved: u32,
}

impl Measuring {
    async fn run(mut self, mut ticks: Interval) {
        loop {
            tokio::select! {
                _ = ticks.tick() => self.measure().await,
                notice = next(&mut self.heads) => self.head(&notice),
            }
        }
    }

    async fn measure(&mut self) {
        let minute = u64::try_from(now_ms() / 60_000).unwrap_or_default();
        let mut sample = Sample::new(minute);
        self.host.measure(&mut sample, &self.disk);
        self.node.measure(&mut sample).await;
        if sample.get(Column::SyncDistance).is_none_or(|distance| distance > 1) {
            // The blocks of a node that catches up are old, and tell nothing about the clock.
            (self.clock, self.heads) = (None, None);
        } else if self.heads.is_none() {
            self.clock = self.node.clock().await;
            self.heads = self.listen().await;
        }
        sample.set(Column::ClockOffset, self.clock.as_ref().and_then(ClockEstimate::offset_ms));
        let changes = {
            let mut state = self.shared.state();
            state.history.push(sample);
            let State { history, alerts } = &mut *state;
            alerts.observe(history.samples())
        };
        for change in changes {
            if let Err(error) = self.changes.try_send(change) {
                tracing::warn!(%error, "a change of the alerts was not taken in time");
            }
        }
        self.unsaved += 1;
        if self.unsaved >= SAVE_EVERY {
            match self.shared.save().await {
                Ok(()) => self.unsaved = 0,
                Err(error) => tracing::warn!(%error, "the history is not saved"),
            }
        }
        self.measured.send_modify(|count| *count += 1);
    }

    async fn listen(&mut self) -> Option<Subscription> {
        self.clock.as_ref()?;
        let first = self.node.open().await?;
        Some(Subscription::start(first, self.node.clone(), vec!["head".to_owned()], Pace::per_second(10.0)))
    }

    fn head(&mut self, notice: &Notice) {
        let (Notice::Event { data, .. }, Some(clock)) = (notice, &mut self.clock) else { return };
        let slot = serde_json::from_str(data).ok().and_then(|head| number(&head, &["slot"]));
        if let Some(slot) = slot.and_then(|slot| u64::try_from(slot).ok()) {
            clock.block(slot, now_ms());
        }
    }
}

async fn next(heads: &mut Option<Subscription>) -> Notice {
    match heads {
        Some(heads) => heads.next().await,
        None => std::future::pending().await,
    }
}
