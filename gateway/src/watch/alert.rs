//! Alerts: told once when something has been wrong for a while, and once when it has been right again for a while.

use serde::Serialize;

use super::rules::{Verdict, verdict};
use super::sample::Sample;

/// When something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Fewer peers are too few. Default: 10.
    pub min_peers: u64,
    /// More slots behind are too many. Default: 8.
    pub max_sync_distance: u64,
    /// A disk that is full in fewer days fills too fast. Default: 7.
    pub disk_days: u64,
    /// A clock that is off by more milliseconds is wrong. Default: 1000.
    pub max_clock_offset_ms: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { min_peers: 10, max_sync_distance: 8, disk_days: 7, max_clock_offset_ms: 1000 }
    }
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// The node is behind the chain.
    OutOfSync,
    /// The node has too few peers.
    PeersLow,
    /// Validators missed attestations.
    MissedAttestations,
    /// The disk is full soon.
    DiskFilling,
    /// The host's clock is wrong.
    ClockDrift,
    /// A service does not answer.
    ServiceDown {
        /// Its place in the configuration.
        #[serde(skip)]
        index: usize,
        /// Its name.
        name: String,
    },
}

impl Kind {
    /// What to do about it, in a line.
    pub fn runbook(&self) -> &'static str {
        match self {
            Self::OutOfSync => {
                "Look at the node's log and peers, and whether the execution client is in sync."
            }
            Self::PeersLow => {
                "Check the connection and that the node's TCP and UDP port (9000) is open to the outside."
            }
            Self::MissedAttestations => {
                "Check that node, validator and execution client run and are in sync, then the clock and the host's load."
            }
            Self::DiskFilling => "Prune the execution client's database, or give the node a larger disk.",
            Self::ClockDrift => "Check that a time service runs: `timedatectl status`, `chronyc tracking`.",
            Self::ServiceDown { .. } => {
                "Look at it on the host: `systemctl status`, `journalctl -u`; then at memory and disk."
            }
        }
    }

    /// Minutes that it has to be wrong, and right, before that is told.
    fn patience(&self) -> (u64, u64) {
        match self {
            Self::OutOfSync => (3, 3),
            Self::PeersLow | Self::ClockDrift => (5, 5),
            // Counted over a time of its own.
            Self::MissedAttestations => (0, 5),
            Self::DiskFilling => (30, 60),
            Self::ServiceDown { .. } => (2, 2),
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
    /// How it was when it was told.
    pub text: String,
    /// What to do about it.
    pub runbook: &'static str,
    /// Since when, in minutes since 1970.
    pub since: u64,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Something is wrong.
    Raised(Alert),
    /// It is right again.
    Cleared(Alert),
}

/// One kind of alert over time.
#[derive(Debug, Clone)]
struct Watched {
    kind: Kind,
    /// Since when every sample said the same, and whether that is bad.
    same_since: Option<(bool, u64)>,
    raised: Option<Alert>,
}

/// All alerts over time.
#[derive(Debug, Clone)]
pub struct Alerts {
    thresholds: Thresholds,
    watched: Vec<Watched>,
}

impl Alerts {
    /// Watches the host, the node and the services of these names, in the order of the configuration.
    pub fn new(thresholds: Thresholds, services: impl IntoIterator<Item = String>) -> Self {
        let services = services.into_iter().enumerate().take(32);
        let services = services.map(|(index, name)| Kind::ServiceDown { index, name });
        let kinds =
            [Kind::OutOfSync, Kind::PeersLow, Kind::MissedAttestations, Kind::DiskFilling, Kind::ClockDrift];
        let watched = kinds.into_iter().chain(services);
        let watched = watched.map(|kind| Watched { kind, same_since: None, raised: None }).collect();
        Self { thresholds, watched }
    }

    /// Looks at samples, the newest last and new since the last call, and says what has changed.
    pub fn observe(&mut self, samples: &[Sample]) -> Vec<Change> {
        let Some(now) = samples.last().map(|sample| sample.minute) else { return Vec::new() };
        let thresholds = self.thresholds;
        let changes = self.watched.iter_mut().map(|watched| {
            let verdict = verdict(&watched.kind, &thresholds, samples);
            watched.observe(now, verdict)
        });
        changes.flatten().collect()
    }

    /// Goes through samples of an earlier run without telling anything, so that nothing is told twice.
    pub fn replay(&mut self, samples: &[Sample]) {
        for end in 1..=samples.len() {
            _ = self.observe(samples.get(..end).unwrap_or_default());
        }
    }

    /// What is wrong now.
    pub fn raised(&self) -> impl Iterator<Item = &Alert> {
        self.watched.iter().filter_map(|watched| watched.raised.as_ref())
    }
}

impl Watched {
    fn observe(&mut self, now: u64, verdict: Verdict) -> Option<Change> {
        let is_bad = match &verdict {
            Verdict::Bad(_) => true,
            Verdict::Good => false,
            Verdict::Open => {
                self.same_since = None;
                return None;
            }
        };
        let since = match self.same_since {
            // A clock that was put back begins anew.
            Some((was_bad, since)) if was_bad == is_bad && since <= now => since,
            _ => now,
        };
        self.same_since = Some((is_bad, since));
        let (until_raised, until_cleared) = self.kind.patience();
        match (verdict, &self.raised) {
            (Verdict::Bad(text), None) if now - since >= until_raised => {
                let alert = Alert { kind: self.kind.clone(), text, runbook: self.kind.runbook(), since };
                self.raised = Some(alert.clone());
                Some(Change::Raised(alert))
            }
            (Verdict::Good, Some(_)) if now - since >= until_cleared => {
                self.raised.take().map(Change::Cleared)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
