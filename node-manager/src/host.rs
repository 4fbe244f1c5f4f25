//! The host's side of HTTP over Waku: paired apps' requests, answered by the services of this machine as far as the
//! configuration and the pairing's grants allow, and by the manager itself.

mod files;
mod grants;
mod observed;
mod own;
mod serve;
mod services;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use waku_gateway::audit::{self, AuditError, Recorder};
use waku_gateway::policy::Grants;
use waku_gateway::watch::{HistoryError, Watch, WatchConfig};
use waku_gateway::{Caller, Config, Gateway};
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::party::Event;
use waku_pairing::record::PairingId;
use waku_supervisor::Supervisor;

use crate::channel::Mode;
use crate::doctor::{Doctor, Started};
use crate::service::Service;
use crate::tunnels::Requested;
use crate::vault::{Vault, VaultError};
pub use files::{FileError, Files};
pub use grants::{GrantBook, GrantError};
pub use observed::{AlertEntry, Observed};
pub(crate) use own::{HISTORY_TYPE, values};
pub(crate) use serve::SUBSCRIBE;

/// Requests that wait to be looked at; of more, apps are told that the host is busy.
const REQUESTS: usize = 256;
/// Requests, subscriptions among them, that are being answered at once.
const MAX_SERVED: usize = 2048;
/// The audit log's name in the data directory.
const AUDIT: &str = "audit.log";
/// The folder for what child processes write.
const LOGS: &str = "logs";
/// The name of the day of figures.
const HISTORY: &str = "history.bin";
/// The time between two looks at the host and the node.
const MINUTE: Duration = Duration::from_secs(60);

/// What a host is told.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// What apps may ask, of which services.
    pub gateway: Config,
    /// Where audit log, figures, alerts and grants are: the vault's directory.
    pub data_dir: PathBuf,
    /// What the host calls itself.
    pub label: String,
    /// Where `gateway` and `services` were read from.
    pub files: Files,
    /// As the service was told.
    pub message_budget: Option<(u32, Duration)>,
    /// As the service's network has it.
    pub mode: Mode,
    /// The services that apps may start and stop.
    pub services: Option<waku_supervisor::Config>,
    /// The time between two looks at the host and the node: a minute, but for tests.
    pub watch_every: Duration,
}

impl HostConfig {
    /// The defaults.
    pub fn new(gateway: Config, data_dir: impl Into<PathBuf>, label: impl Into<String>) -> Self {
        Self {
            gateway,
            data_dir: data_dir.into(),
            label: label.into(),
            files: Files::default(),
            message_budget: None,
            mode: Mode::Relay,
            services: None,
            watch_every: MINUTE,
        }
    }
}

/// The host's side, before it is at work.
pub struct Host {
    inner: Arc<Inner>,
    files: Files,
    started: Started,
    watch: Watch,
    observed: watch::Sender<Observed>,
    requested: mpsc::Receiver<Requested>,
    supervisor: Option<Supervisor>,
}

struct Inner {
    gateway: Gateway,
    supervisor: Option<Supervisor>,
    recorder: Recorder,
    grants: GrantBook,
    audit_path: PathBuf,
    label: String,
    /// Names and mounts.
    services: Vec<(String, String)>,
    observed: watch::Receiver<Observed>,
}

/// A host's side at work. Dropped, it stops at once.
pub struct Hosting {
    doctor: Doctor,
    serving: JoinHandle<()>,
    watching: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    grants: GrantBook,
    supervisor: Option<Supervisor>,
}

impl Host {
    /// Opens what a host keeps. The sender is for [`ServiceConfig::requested`](crate::ServiceConfig).
    ///
    /// # Errors
    /// [`HostError`]; nothing is left running then.
    pub fn open(config: HostConfig) -> Result<(Self, mpsc::Sender<Requested>), HostError> {
        let HostConfig { gateway: gateway_config, data_dir, label, files, .. } = config;
        let (supervised, watch_every) = (config.services, config.watch_every);
        let started = Started {
            config: gateway_config.clone(),
            services: supervised.clone(),
            budget: config.message_budget,
            mode: config.mode,
        };
        Vault::prepare_directory(&data_dir)?;
        let audit_path = audit_path(&data_dir);
        let log = audit::Log::open(&audit_path, gateway_config.audit)?;
        let recorder = Recorder::start(log).map_err(HostError::Thread)?;
        let grants = GrantBook::open(&data_dir)?;
        let watch = Watch::start(WatchConfig {
            policy: gateway_config.policy.clone(),
            thresholds: gateway_config.thresholds,
            disk_path: gateway_config.disk_path.clone(),
            history: history_path(&data_dir),
            every: watch_every,
        })?;
        let supervisor =
            supervised.map(|services| Supervisor::new(services, &data_dir.join(LOGS))).transpose()?;
        let services = gateway_config.policy.services().iter();
        let services = services.map(|service| (service.name.clone(), service.mount.clone())).collect();
        let (observed, watched) = watch::channel(Observed::open(&data_dir, &watch)?);
        let inner = Arc::new(Inner {
            gateway: Gateway::new(gateway_config, Some(recorder.clone())),
            supervisor: supervisor.clone(),
            recorder,
            grants,
            audit_path,
            label,
            services,
            observed: watched,
        });
        let (sender, requested) = mpsc::channel(REQUESTS);
        Ok((Self { inner, files, started, watch, observed, requested, supervisor }, sender))
    }

    /// Answers the requests of a service from now on.
    pub fn start(self, service: &Service) -> Hosting {
        let Self { inner, files, started, watch, observed, requested, supervisor } = self;
        let doctor = Doctor::new(service, files, started, observed.subscribe(), supervisor.clone());
        let (stop, stopping) = watch::channel(false);
        let grants = inner.grants.clone();
        let party = service.party().clone();
        let watching = tokio::spawn(observed::follow(watch, observed, party.clone(), stopping));
        let serving = tokio::spawn(serve_all(inner, party, doctor.clone(), requested));
        Hosting { doctor, serving, watching: Some(watching), stop, grants, supervisor }
    }
}

/// Where the day of figures of a data directory is.
pub(crate) fn history_path(data_dir: &Path) -> PathBuf {
    data_dir.join(HISTORY)
}

/// Where the audit log of a data directory is.
pub fn audit_path(data_dir: &Path) -> PathBuf {
    data_dir.join(AUDIT)
}

impl Hosting {
    /// What pairings may do.
    pub fn grants(&self) -> &GrantBook {
        &self.grants
    }

    /// Says how the host is.
    pub fn doctor(&self) -> &Doctor {
        &self.doctor
    }

    /// Stops, with everything saved.
    pub async fn stop(mut self) {
        self.serving.abort();
        self.stop.send_replace(true);
        if let Some(watching) = self.watching.take() {
            // It ends by itself when everything is saved.
            _ = watching.await;
        }
        if let Some(supervisor) = &self.supervisor {
            supervisor.shutdown().await;
        }
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        self.serving.abort();
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

async fn serve_all(
    inner: Arc<Inner>,
    party: Party,
    doctor: Doctor,
    mut requested: mpsc::Receiver<Requested>,
) {
    let mut running = JoinSet::new();
    let mut events = party.events();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Unpaired { peer, .. }) => inner.forget(peer.pairing),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            next = requested.recv(), if running.len() < MAX_SERVED => match next {
                Some(next) => _ = running.spawn(serve::serve(Arc::clone(&inner), party.clone(), doctor.clone(), next)),
                None => return,
            },
            Some(ended) = running.join_next(), if !running.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "answering a request failed");
                }
            }
        }
    }
}

impl Inner {
    /// Nobody is paired under this name any more, nor ever will be again.
    fn forget(&self, pairing: PairingId) {
        if let Err(error) = self.grants.set(pairing, Grants::default()) {
            // It is a line in a file that means nothing now.
            tracing::warn!(%error, "the grants of a pairing that was ended are still written down");
        }
    }

    /// Whose request it is, with what it may do at this moment.
    async fn caller(&self, party: &Party, pairing: PairingId) -> Option<Caller> {
        let peers = party.peers().await.ok()?;
        let peer = peers.iter().find(|peer| peer.pairing == pairing)?;
        Some(Caller {
            pairing: pairing_text(pairing),
            name: peer.name().to_string(),
            grants: self.grants.of(pairing),
        })
    }
}

/// How a pairing is written in files.
pub(crate) fn pairing_text(pairing: PairingId) -> String {
    data_encoding::HEXLOWER.encode(pairing.as_bytes())
}

/// Why a host cannot answer requests.
#[derive(Debug, Error)]
pub enum HostError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] VaultError),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The figures of the last day cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What pairings may do cannot be read.
    #[error(transparent)]
    Grants(#[from] GrantError),
    /// The services cannot be looked after.
    #[error(transparent)]
    Supervisor(#[from] waku_supervisor::Error),
    /// The system has no thread left.
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
    /// The alerts that were told cannot be read.
    #[error("cannot use {}: {error}", .path.display())]
    Alerts {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}
