//! What hosts told of while this side was away, in `alerts.json` under the data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc;
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::party::Letter;
use waku_pairing::record::PairingId;

use crate::host::{AlertEntry, pairing_text};
use crate::kept_file;

const FILE: &str = "alerts.json";
/// Alerts that are kept of each host.
const KEPT: usize = 100;

/// The alerts of every host, oldest first. Copies are one and the same.
#[derive(Debug, Clone)]
pub struct Inbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    alerts: Mutex<BTreeMap<String, Vec<AlertEntry>>>,
}

/// An inbox that cannot be used.
#[derive(Debug, Error)]
#[error("cannot use {}: {error}", .path.display())]
pub struct InboxError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub error: std::io::Error,
}

impl Inbox {
    /// The inbox of a data directory.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn open(data_dir: &Path) -> Result<Self, InboxError> {
        let path = data_dir.join(FILE);
        let failed = |error| InboxError { path: path.clone(), error };
        let alerts = match kept_file::read(&path).map_err(failed)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            None => BTreeMap::new(),
        };
        Ok(Self(Arc::new(Inner { path, alerts: Mutex::new(alerts) })))
    }

    fn alerts(&self) -> MutexGuard<'_, BTreeMap<String, Vec<AlertEntry>>> {
        self.0.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a host told of, oldest first.
    pub fn of(&self, pairing: PairingId) -> Vec<AlertEntry> {
        self.alerts().get(&pairing_text(pairing)).cloned().unwrap_or_default()
    }

    /// Takes an alert in, if it is news. When this returns without an error it is on disk.
    fn take(&self, pairing: PairingId, entry: AlertEntry) -> Result<bool, InboxError> {
        let mut alerts = self.alerts();
        let mut changed = alerts.clone();
        let of_host = changed.entry(pairing_text(pairing)).or_default();
        if of_host.contains(&entry) {
            return Ok(false);
        }
        of_host.push(entry);
        // Letters come in any order.
        of_host.sort_by_key(|entry| entry.at);
        let surplus = of_host.len().saturating_sub(KEPT);
        of_host.drain(..surplus);
        let text = serde_json::to_vec(&changed).expect("alerts make JSON");
        let failed = |error| InboxError { path: self.0.path.clone(), error };
        kept_file::replace(&self.0.path, &text).map_err(failed)?;
        *alerts = changed;
        Ok(true)
    }
}

/// Reads what hosts write, for as long as the party lives. A letter is acknowledged once it is on disk.
pub(super) async fn read(inbox: Inbox, party: Party, mut letters: mpsc::Receiver<Letter>) {
    while let Some(letter) = letters.recv().await {
        match serde_json::from_slice::<AlertEntry>(&letter.body) {
            Ok(entry) => match inbox.take(letter.pairing, entry.clone()) {
                Ok(true) => tell(&party, &letter, &entry).await,
                Ok(false) => {}
                Err(error) => {
                    // Not acknowledged, it comes again.
                    tracing::error!(%error, "an alert of a host is not kept");
                    continue;
                }
            },
            Err(error) => {
                tracing::warn!(pairing = %letter.pairing, %error, "a host wrote what this version does not know")
            }
        }
        if let Err(error) = party.acknowledge(letter.pairing, letter.id).await {
            tracing::warn!(%error, "a letter will come again");
        }
    }
}

async fn tell(party: &Party, letter: &Letter, entry: &AlertEntry) {
    let peers = party.peers().await.unwrap_or_default();
    let host = peers.iter().find(|peer| peer.pairing == letter.pairing).map(|peer| peer.name().to_string());
    let text = |what: &str| {
        entry.change.get(what).and_then(|alert| alert.get("text")).and_then(|text| text.as_str())
    };
    match (text("raised"), text("cleared")) {
        (Some(alert), _) => tracing::warn!(host, alert, "alert"),
        (None, alert) => tracing::info!(host, alert, "alert cleared"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(at: u64) -> AlertEntry {
        AlertEntry {
            at,
            change: json!({ "raised": { "kind": "out_of_sync", "text": format!("alert {at}") } }),
        }
    }

    #[test]
    fn what_was_told_is_kept_once_and_in_order_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(directory.path()).unwrap();
        let (pairing, other) = (PairingId::from_bytes([1; 16]), PairingId::from_bytes([2; 16]));
        for (at, is_news) in [(3, true), (1, true), (3, false), (2, true)] {
            assert_eq!(inbox.take(pairing, entry(at)).unwrap(), is_news, "{at}");
        }
        let again = Inbox::open(directory.path()).unwrap();
        assert_eq!(again.of(pairing), [entry(1), entry(2), entry(3)]);
        assert_eq!(again.of(other), []);
        for at in 4..=u64::try_from(KEPT).unwrap() + 4 {
            assert!(again.take(pairing, entry(at)).unwrap());
        }
        assert_eq!((again.of(pairing).len(), again.of(pairing)[0].at), (KEPT, 5));
    }
}
