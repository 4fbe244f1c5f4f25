//! What is asked of a daemon, and what it answers.

use std::path::PathBuf;
use std::time::Duration;

use node_manager::doctor::Report;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// How long an examination may take: services that hang are waited for.
const EXAMINATION: Duration = Duration::from_secs(40);

/// One thing to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// As the host: look for the app that shows this code.
    Pair { code: Secret, compare_digits: bool, allow_clock_skew: bool },
    /// As the app: wait for a host on this code.
    Offer { code: Secret, compare_digits: bool, allow_clock_skew: bool },
    /// As the app: the six digits that a person typed, for the only host that waits for them unless one is named.
    Digits { peer: Option<String>, digits: String },
    /// End the pairing under way.
    Cancel,
    /// Everything there is to know.
    Status,
    /// Everything there is to know about one peer.
    Show { peer: String },
    /// Give a peer a name on this side, or take it away.
    Rename { peer: String, name: Option<String> },
    /// As the host: let an app do this, too.
    Grant { peer: String, grants: Vec<String> },
    /// As the host: do not let an app do this any more.
    Withdraw { peer: String, grants: Vec<String> },
    /// End a pairing.
    Revoke { peer: String },
    /// Measure a round trip, as soon as there is a session. Without a name, to the only peer there is.
    Ping { peer: Option<String>, timeout_ms: u64 },
    /// As the host: say how it is, with these files in place of the service's own.
    Doctor { config: Option<PathBuf>, services: Option<PathBuf> },
    /// Tell what happens from now on.
    Watch,
}

impl Request {
    /// How long it may take by itself.
    pub(super) fn waits_for(&self) -> Duration {
        match self {
            Self::Ping { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
            Self::Doctor { .. } => EXAMINATION,
            _ => Duration::ZERO,
        }
    }
}

/// A text that is not printed and is wiped when it is no longer needed.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "response", rename_all = "snake_case")]
pub(crate) enum Response {
    Done,
    Status(Box<Status>),
    Peer(Box<PeerStatus>),
    Pong { name: String, round_trip_ms: f64 },
    Doctor(Box<Report>),
}

/// The line that answers a request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Ok(Response),
    Failed(Failure),
}

impl From<Result<Response, Failure>> for Answer {
    fn from(result: Result<Response, Failure>) -> Self {
        match result {
            Ok(response) => Self::Ok(response),
            Err(failure) => Self::Failed(failure),
        }
    }
}

impl From<Answer> for Result<Response, Failure> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Ok(response) => Ok(response),
            Answer::Failed(failure) => Err(failure),
        }
    }
}

/// Everything there is to know about a service.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// `host` or `app`.
    pub(crate) part: String,
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    pub(crate) version: String,
    /// Whether a daemon answered; otherwise this is what the vault holds.
    pub(crate) running: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) network: Option<NetworkStatus>,
    pub(crate) peers: Vec<PeerStatus>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NetworkStatus {
    pub(crate) peer_id: String,
    pub(crate) cluster: u16,
    pub(crate) listening: Vec<String>,
    /// Connected Waku nodes.
    pub(crate) connected: usize,
    pub(crate) static_nodes: Vec<StaticNodeStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StaticNodeStatus {
    pub(crate) address: String,
    pub(crate) connected: bool,
    /// Why it is not connected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) problem: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerStatus {
    pub(crate) pairing: String,
    /// What to call it: its name on this side, or else its own.
    pub(crate) name: String,
    /// What it calls itself.
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    /// `pending`, `keyed` or `confirmed`.
    pub(crate) stage: String,
    /// Whether a person compared the six digits.
    pub(crate) compared: bool,
    /// The six digits, for comparing them later. The app tells them only once the pairing stands.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) digits: Option<String>,
    /// Unix seconds.
    pub(crate) paired_at: u64,
    /// Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) last_seen: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) session: Option<SessionStatus>,
    /// On the host: what it may do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) grants: Option<String>,
    /// On the app's side: where its services answer on this machine.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionStatus {
    pub(crate) id: String,
    pub(crate) silent_for_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) round_trip_ms: Option<f64>,
}
