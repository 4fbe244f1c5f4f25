//! What the manager has seen of host and node: the day of figures, what is wrong now, and what was told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use waku_gateway::watch::{Alert, Change, History, News, Watch};
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::party::{PeerView, StageView};
use zeroize::Zeroizing;

use super::HostError;
use crate::kept_file;

/// Changes that are kept.
const KEPT: usize = 100;
const FILE: &str = "alerts.json";

/// What was seen.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The last day.
    pub history: History,
    /// What is wrong now.
    pub raised: Vec<Alert>,
    /// What was told, oldest first.
    pub log: Vec<AlertEntry>,
    path: PathBuf,
}

/// An alert that was raised or cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertEntry {
    /// Minutes since 1970.
    pub at: u64,
    /// `raised` or `cleared`, and the alert.
    #[serde(flatten)]
    pub change: serde_json::Value,
}

impl Observed {
    pub(super) fn open(data_dir: &Path, watch: &Watch) -> Result<Self, HostError> {
        let path = data_dir.join(FILE);
        let failed = |error| HostError::Alerts { path: path.clone(), error };
        let log = match kept_file::read(&path).map_err(failed)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            None => Vec::new(),
        };
        Ok(Self { history: watch.history(), raised: watch.raised(), log, path })
    }

    /// Writes a change down, and returns it as it is told.
    fn note(&mut self, change: &Change) -> AlertEntry {
        let at = self.history.samples().last().map_or(0, |sample| sample.minute);
        let change = serde_json::to_value(change).expect("an alert makes JSON");
        let entry = AlertEntry { at, change };
        self.log.push(entry.clone());
        let surplus = self.log.len().saturating_sub(KEPT);
        self.log.drain(..surplus);
        let text = serde_json::to_vec(&self.log).expect("alerts make JSON");
        if let Err(error) = kept_file::replace(&self.path, &text) {
            tracing::warn!(%error, path = %self.path.display(), "the alerts are not kept");
        }
        entry
    }
}

/// Takes up what the watch sees until it is to stop.
pub(super) async fn follow(
    mut watch: Watch,
    observed: watch::Sender<Observed>,
    party: Party,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            news = watch.news() => {
                let Some(news) = news else { return };
                let (history, raised) = (watch.history(), watch.raised());
                let mut entry = None;
                observed.send_modify(|observed| {
                    (observed.history, observed.raised) = (history, raised);
                    if let News::Change(change) = &news {
                        log(change);
                        entry = Some(observed.note(change));
                    }
                });
                if let Some(entry) = entry {
                    write_to_all(&party, &entry).await;
                }
            }
            () = told(&mut stopping) => break,
        }
    }
    if let Err(error) = watch.stop().await {
        tracing::warn!(%error, "the figures of the last minutes are not kept");
    }
}

/// Returns when it is to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // One that has gone without a word has stopped, too.
    _ = stopping.wait_for(|stop| *stop).await;
}

/// Writes to every app, for a store to keep until the app is there.
async fn write_to_all(party: &Party, entry: &AlertEntry) {
    let body = serde_json::to_vec(entry).expect("an alert makes JSON");
    let peers = party.peers().await.unwrap_or_default();
    let stands = |peer: &&PeerView| matches!(peer.stage, StageView::Confirmed { .. });
    for peer in peers.iter().filter(stands) {
        if let Err(error) = party.post(peer.pairing, Zeroizing::new(body.clone())).await {
            tracing::warn!(name = %peer.name(), %error, "an app was not written to about an alert");
        }
    }
}

fn log(change: &Change) {
    match change {
        Change::Raised(alert) => tracing::warn!(alert = alert.text, hint = alert.runbook, "alert"),
        Change::Cleared(alert) => tracing::info!(alert = alert.text, "alert cleared"),
    }
}
