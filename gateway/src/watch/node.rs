//! The node's figures, asked of its own API.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::clock::ClockEstimate;
use super::sample::{Column, Sample};
use crate::events::Source;
use crate::metrics;
use crate::policy::{Glob, Method, Policy, Service};
use crate::upstream::{self, AnswerBody, Call, CallError, Outgoing};

/// How long a service may take to answer.
const WITHIN: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const MAX_ANSWER: u64 = 256 * 1024;
/// Longest text of metrics, in bytes.
const MAX_METRICS: u64 = 16 * 1024 * 1024;
/// The counter of missed attestations, as Nimbus and Lighthouse have it; one for each validator, or one for all.
const MISSED: &str = "validator_monitor_prev_epoch_on_chain_attester_miss_total";
/// Names of the services in the profile.
const BEACON: &str = "beacon";
const METRICS: &str = "metrics";

/// Asks the services of a policy.
#[derive(Debug, Clone)]
pub(super) struct NodeProbe {
    services: Vec<Service>,
}

/// Something was asked and not answered.
enum Silence {
    /// There is no such service, or it has nothing to say.
    Nothing,
    /// It is down, or hangs.
    Down,
}

impl NodeProbe {
    pub(super) fn new(policy: &Policy) -> Self {
        Self { services: policy.services().to_vec() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.services.iter().map(|service| service.name.clone())
    }

    fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Puts the node's figures into a sample, and which services do not answer.
    pub(super) async fn measure(&self, sample: &mut Sample) {
        let mut hangs = false;
        match self.json("/eth/v1/node/syncing").await {
            Ok(syncing) => {
                sample.set(Column::HeadSlot, number(&syncing, &["data", "head_slot"]));
                sample.set(Column::SyncDistance, number(&syncing, &["data", "sync_distance"]));
            }
            Err(Silence::Down) => hangs = true,
            Err(Silence::Nothing) => {}
        }
        if !hangs {
            if let Ok(peers) = self.json("/eth/v1/node/peer_count").await {
                sample.set(Column::Peers, number(&peers, &["data", "connected"]));
            }
            if let Ok(finality) = self.json("/eth/v1/beacon/states/head/finality_checkpoints").await {
                sample.set(Column::FinalizedEpoch, number(&finality, &["data", "finalized", "epoch"]));
            }
        }
        sample.set(Column::Missed, self.missed().await);
        sample.set(Column::Down, Some(self.down(hangs).await));
    }

    /// Bit by bit, whether a service cannot be reached; a beacon node that hangs counts as well.
    async fn down(&self, beacon_hangs: bool) -> i64 {
        let mut bits = 0;
        for (bit, service) in self.services.iter().take(32).enumerate() {
            let hangs = beacon_hangs && service.name == BEACON;
            if hangs || !is_reachable(service).await {
                bits |= 1 << bit;
            }
        }
        bits
    }

    async fn missed(&self) -> Option<i64> {
        let mut answer = self.get(METRICS, "/metrics", MAX_METRICS).await.ok()?;
        let mut selection = metrics::Selection::new(Glob::parse(MISSED).into_iter().collect(), Vec::new());
        while let Some(piece) = answer.next().await {
            selection.push(&piece.ok()?);
        }
        let kept = selection.finish()?;
        let values: Vec<_> =
            kept.lines().filter_map(metrics::Sample::parse).map(|sample| sample.value).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a cast of floats to integers saturates")]
        let sum = values.iter().sum::<f64>() as i64;
        (!values.is_empty()).then_some(sum)
    }

    /// An estimate for the node's network.
    pub(super) async fn clock(&self) -> Option<ClockEstimate> {
        let genesis = self.json("/eth/v1/beacon/genesis").await.ok()?;
        let spec = self.json("/eth/v1/config/spec").await.ok()?;
        let genesis = number(&genesis, &["data", "genesis_time"])?.checked_mul(1000)?;
        let slot = number(&spec, &["data", "SECONDS_PER_SLOT"])?.checked_mul(1000)?;
        (slot > 0).then(|| ClockEstimate::new(genesis, slot))
    }

    async fn json(&self, target: &str) -> Result<Value, Silence> {
        let mut body = self.get(BEACON, target, MAX_ANSWER).await?;
        let mut text = Vec::new();
        while let Some(piece) = body.next().await {
            let piece: Bytes = piece.map_err(|_| Silence::Down)?;
            text.extend_from_slice(&piece);
        }
        serde_json::from_slice(&text).map_err(|_| Silence::Nothing)
    }

    async fn get(&self, service: &str, target: &str, max_response: u64) -> Result<AnswerBody, Silence> {
        let service = self.service(service).ok_or(Silence::Nothing)?;
        let target = format!("{}{target}", service.base.prefix());
        let call = Call {
            base: &service.base,
            method: Method::Get,
            target: &target,
            headers: &[("accept", "*/*".to_owned())],
            token: None,
            body: Outgoing::None,
            max_response,
            timeout: WITHIN,
        };
        match upstream::call(call).await {
            Ok(answer) if answer.status == 200 => Ok(answer.body),
            Err(CallError::Down(_) | CallError::TimedOut) => Err(Silence::Down),
            _ => Err(Silence::Nothing),
        }
    }
}

async fn is_reachable(service: &Service) -> bool {
    for address in service.base.addresses() {
        if let Ok(Ok(_)) = timeout(WITHIN, TcpStream::connect(address)).await {
            return true;
        }
    }
    false
}

/// The stream of new heads.
impl Source for NodeProbe {
    async fn open(&mut self) -> Option<AnswerBody> {
        self.get(BEACON, "/eth/v1/events?topics=head", u64::MAX).await.ok()
    }
}

/// A number, in JSON as the Beacon API writes it: as text; or plainly.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<i64> {
    let value = path.iter().try_fold(value, |value, key| value.get(key))?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// Milliseconds since 1970 by the host's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
