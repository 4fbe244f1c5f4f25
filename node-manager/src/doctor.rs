//! `node-manager doctor`: is this host as a validator's host should be, and if not, what is to be done?
//!
//! A check reads something, and judges it without further I/O. [`Doctor`] examines a host at work, for its own commands and for
//! paired apps; [`examine_alone`] what can be seen of one whose service does not run.

mod clock;
mod disk;
mod keeping;
mod listeners;
mod network;
mod pairings;
mod report;
mod secrets;
mod services;
mod units;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use waku_gateway::watch::{Alert, Alerts, Column, History, HistoryFile, Sample};
use waku_pairing::hello::Label;
use waku_pairing::party::Part;
use waku_supervisor::Supervisor;

use crate::channel::Mode;
use crate::host::{Files, Observed, history_path};
use crate::service::{Network, Service, ServiceConfig};
use crate::tunnels::Tunnels;
use crate::vault;
use network::{Reached, Spending};
use pairings::Pairing;
pub use report::{Finding, Report, State};
use units::Looking;

/// Apps that ask again sooner are told the same.
const RECENT: Duration = Duration::from_secs(10);
/// Minutes after which a sample tells nothing about now.
const STALE: u64 = 10;

/// What is known of the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Vault {
    /// Open in the service that examines.
    InService,
    Opens,
    Missing,
    /// Another process has it.
    InUse,
    Fails(String),
}

/// What only the service can tell, or whoever takes its place.
struct Told {
    vault: Vault,
    pairings: Option<Vec<Pairing>>,
    reached: Option<Result<Reached, String>>,
    spending: Option<Spending>,
    /// How far the clock is ahead by the newest blocks, in milliseconds.
    offset_ms: Option<i64>,
    raised: Vec<Alert>,
    /// What the service was started with.
    running: Option<Started>,
    looking: Looking,
}

/// What a service was started with.
#[derive(Clone)]
pub(crate) struct Started {
    pub(crate) config: waku_gateway::Config,
    pub(crate) services: Option<waku_supervisor::Config>,
    pub(crate) budget: Option<(u32, Duration)>,
    pub(crate) mode: Mode,
}

/// Examines a host at work. Copies are one and the same.
#[derive(Clone)]
pub struct Doctor(Arc<Inner>);

struct Inner {
    data_dir: PathBuf,
    files: Files,
    started: Started,
    at: Instant,
    party: waku_pairing::endpoint::Handle,
    node: Option<waku::Node>,
    tunnels: Option<Tunnels>,
    observed: watch::Receiver<Observed>,
    supervisor: Option<Supervisor>,
    /// The last examination that was made for an app.
    recent: Mutex<Option<(Instant, Report)>>,
}

impl Doctor {
    /// The doctor of a host that has just started.
    pub(crate) fn new(
        service: &Service,
        files: Files,
        started: Started,
        observed: watch::Receiver<Observed>,
        supervisor: Option<Supervisor>,
    ) -> Self {
        Self(Arc::new(Inner {
            data_dir: service.data_dir().to_owned(),
            files,
            started,
            at: Instant::now(),
            party: service.party().clone(),
            node: service.node().cloned(),
            tunnels: service.tunnels().cloned(),
            observed,
            supervisor,
            recent: Mutex::new(None),
        }))
    }

    /// Examines the host. Files that are named are looked at in place of those that the service was started with.
    pub async fn examine(&self, named: Files) -> Report {
        let files = Files {
            config: named.config.or_else(|| self.0.files.config.clone()),
            services: named.services.or_else(|| self.0.files.services.clone()),
        };
        examine(&self.0.data_dir, &files, self.told().await).await
    }

    /// The same for an app: one examination at a time, and not more often than every ten seconds.
    pub(crate) async fn recent(&self) -> Report {
        let mut recent = self.0.recent.lock().await;
        match &*recent {
            Some((at, report)) if at.elapsed() < RECENT => report.clone(),
            _ => {
                let report = self.examine(Files::default()).await;
                *recent = Some((Instant::now(), report.clone()));
                report
            }
        }
    }

    async fn told(&self) -> Told {
        let inner = &self.0;
        let peers = inner.party.peers().await.unwrap_or_default();
        let (offset_ms, raised) = {
            let observed = inner.observed.borrow();
            (offset(&observed.history), observed.raised.clone())
        };
        let mut sent = 0_u64;
        for peer in &peers {
            if let Some(tunnels) = &inner.tunnels
                && let Some(figures) = tunnels.figures(peer.pairing).await
            {
                sent = sent.saturating_add(figures.counters.sent).saturating_add(figures.counters.repeated);
            }
        }
        let spending = inner.node.as_ref().map(|node| Spending {
            cluster: node.sharding().cluster(),
            budget: inner.started.budget,
            sent,
            running_for: inner.at.elapsed(),
        });
        Told {
            vault: Vault::InService,
            pairings: Some(peers.iter().map(Pairing::from).collect()),
            reached: inner
                .node
                .as_ref()
                .map(|node| Ok(Reached::new(&node.peers().list(), inner.started.mode))),
            spending,
            offset_ms,
            raised,
            running: Some(inner.started.clone()),
            looking: inner.supervisor.clone().map_or(Looking::Alone, Looking::InService),
        }
    }
}

/// Examines a host whose service does not run. With a network its nodes are dialled, to see whether they can be reached.
pub async fn examine_alone(data_dir: &Path, files: &Files, network: Option<Network>) -> Report {
    let directory = keeping::directory(data_dir);
    let (vault, pairings) = open(data_dir).await;
    let reached = match network {
        Some(network) => Some(network::reach(network).await),
        None => None,
    };
    let history = HistoryFile::look(&history_path(data_dir)).unwrap_or_default();
    let is_fresh = newest(&history).is_some();
    let raised = match files.config(data_dir) {
        Ok(config) if is_fresh => {
            let names = config.policy.services().iter().map(|service| service.name.clone());
            let mut alerts = Alerts::new(config.thresholds, names);
            alerts.replay(history.samples());
            alerts.raised().cloned().collect()
        }
        _ => Vec::new(),
    };
    let told = Told {
        vault,
        pairings,
        reached,
        spending: None,
        offset_ms: offset(&history),
        raised,
        running: None,
        looking: Looking::Alone,
    };
    let mut report = examine(data_dir, files, told).await;
    // Opening a vault mends what is open to others.
    if let Some(finding) = report.findings.iter_mut().find(|finding| finding.check == directory.check) {
        *finding = directory;
    }
    report
}

/// Opens the vault, if there is one, and closes it again.
async fn open(data_dir: &Path) -> (Vault, Option<Vec<Pairing>>) {
    match vault::Vault::exists(data_dir) {
        Ok(true) => {}
        Ok(false) => return (Vault::Missing, None),
        Err(error) => return (keeping::of_vault(error), None),
    }
    let config = ServiceConfig::new(Part::NodeManager, Label::sanitized("doctor"), data_dir);
    let service = match Service::start_offline(&config) {
        Ok(service) => service,
        Err(crate::StartError::Vault(error)) => return (keeping::of_vault(error), None),
        Err(error) => return (Vault::Fails(error.to_string()), None),
    };
    let peers = service.party().peers().await.unwrap_or_default();
    service.stop().await;
    (Vault::Opens, Some(peers.iter().map(Pairing::from).collect()))
}

async fn examine(data_dir: &Path, files: &Files, told: Told) -> Report {
    let (config, listed) = (files.config(data_dir), files.services(data_dir));
    let running = told.running.as_ref();
    // What is wrong in the file keeps nobody from looking at what it was before.
    let good = config.as_ref().ok().or(running.map(|running| &running.config));
    let disk_path = good.map_or(Path::new("/"), |config| config.disk_path.as_path());
    let services = async {
        match good {
            Some(config) => services::check(config, &told.raised).await,
            None => vec![Finding::not_checked(
                "services",
                "it is not known where they listen",
                "mend what apps may ask",
            )],
        }
    };
    let (clock, services, units) = futures::future::join3(
        clock::check(told.offset_ms, &told.raised),
        services,
        units::check(listed.as_ref().ok().and_then(Option::as_ref), told.looking),
    )
    .await;
    let mut findings = vec![clock];
    findings.extend(disk::check(disk_path, data_dir, &told.raised));
    findings.push(keeping::directory(data_dir));
    findings.push(keeping::vault(&told.vault));
    findings.push(keeping::config(files, data_dir, &config, running.map(|running| &running.config)));
    findings.push(keeping::services(files, data_dir, &listed, running.map(|running| &running.services)));
    findings.extend(services);
    if let Some(config) = good {
        findings.extend(listeners::check(config));
        findings.extend(secrets::check(config));
    }
    findings.extend(units);
    findings.extend(network::check(told.reached.as_ref()));
    findings.push(network::budget(told.spending));
    findings.extend(pairings::check(told.pairings.as_deref(), running.is_some()));
    let at = unix_now();
    Report { at, version: env!("CARGO_PKG_VERSION").to_owned(), running: running.is_some(), findings }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The newest sample, if it tells something about now.
fn newest(history: &History) -> Option<&Sample> {
    let now = unix_now() / 60;
    history.samples().last().filter(|sample| sample.minute.abs_diff(now) <= STALE)
}

fn offset(history: &History) -> Option<i64> {
    newest(history)?.get(Column::ClockOffset)
}
