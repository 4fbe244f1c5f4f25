//! `run` and `app run`: the service that keeps sessions with everybody paired, and carries requests over them.

use std::fs;
use std::io;
use std::sync::Arc;

use node_manager::app::{App, AppConfig, Forward, InboxError, LocalToken};
use node_manager::host::{FileError, Files, Host, HostConfig, HostError};
use node_manager::{Service, ServiceConfig};
use waku_pairing::party::Part;
use zeroize::Zeroizing;

use crate::args::{AppRunArgs, Global, HostRunArgs, RunArgs, TokenArgs};
use crate::control::{Notice, Room, Server, Watch};
use crate::failure::{Failure, Kind};
use crate::page::Page;
use crate::readiness;
use crate::settings;
use crate::signals::Signals;
use crate::terminal::print_line;

/// The longest token file that is read, in bytes.
const MAX_TOKEN: u64 = 4096;

/// `run`: the host's side.
pub(crate) async fn host(global: &Global, args: &HostRunArgs) -> Result<(), Failure> {
    let mut config = settings::service(global, Part::NodeManager, Some(&args.run.label))?;
    let network = args.run.network.network()?;
    let mut signals = Signals::new()?;
    let files = Files { config: args.config.clone(), services: args.services.clone() };
    let gateway = files.config(&config.data_dir)?;
    settle_in(&mut config, &args.run);
    let host_config = HostConfig {
        services: files.services(&config.data_dir)?,
        files,
        message_budget: config.message_budget,
        mode: network.mode,
        ..HostConfig::new(gateway, &config.data_dir, config.label.to_string())
    };
    let (host, requested) = Host::open(host_config)?;
    config.requested = Some(requested);
    let service = Service::start(&config, network).await?;
    let hosting = host.start(&service);
    let room = Arc::new(Room::of_host(service, hosting.grants().clone(), hosting.doctor().clone()));
    let ended = run(&room, &mut signals).await;
    let stopped = signals.unless_interrupted(async {
        room.service.stop().await;
        hosting.stop().await;
    });
    stopped.await?;
    tracing::info!("stopped");
    ended
}

/// `app run`: the app's side.
pub(crate) async fn app(global: &Global, args: &AppRunArgs) -> Result<(), Failure> {
    let mut config = settings::service(global, Part::App, Some(&args.run.label))?;
    let network = args.run.network.network()?;
    let mut signals = Signals::new()?;
    settle_in(&mut config, &args.run);
    let app_config = AppConfig { token: token(&args.token)?, ports: args.endpoints.clone() };
    let service = Service::start(&config, network).await?;
    let app = App::start(app_config, &service).await?;
    let room = Arc::new(Room::of_app(service, app.endpoints()));
    let ended = match page(args.web, &room, app.forward()).await {
        Ok(_page) => run(&room, &mut signals).await,
        Err(failure) => Err(failure),
    };
    drop(app);
    signals.unless_interrupted(room.service.stop()).await?;
    tracing::info!("stopped");
    ended
}

/// Serves the page, if it is wanted.
async fn page(port: Option<u16>, room: &Arc<Room>, forward: &Forward) -> Result<Option<Page>, Failure> {
    let Some(port) = port else { return Ok(None) };
    let page = Page::start(port, Arc::clone(room), forward.clone()).await?;
    // Not to the log, which others may read.
    print_line(format_args!("The page: {}", *page.url()));
    Ok(Some(page))
}

fn settle_in(config: &mut ServiceConfig, args: &RunArgs) {
    config.message_budget = args.message_budget.map(|budget| (budget.0, budget.1));
}

/// Runs until a signal asks it to stop; a second one is obeyed at once.
async fn run(room: &Arc<Room>, signals: &mut Signals) -> Result<(), Failure> {
    let server = Server::open(room.service.data_dir())?;
    announce(&room.service).await;
    readiness::up();
    let mut watch = Watch::local(&room.service);
    tokio::select! {
        () = server.run(room) => {}
        () = log_notices(&mut watch) => {
            return Err(Failure::other("the service ended by itself").hint("the log says why; start it again"));
        }
        signal = signals.next() => tracing::info!(signal, "stopping"),
    }
    readiness::stopping();
    Ok(())
}

/// The token that a file has.
pub(crate) fn token(args: &TokenArgs) -> Result<Option<LocalToken>, Failure> {
    let Some(path) = &args.local_token_file else { return Ok(None) };
    let failed = |error: io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    if fs::metadata(path).map_err(failed)?.len() > MAX_TOKEN {
        return Err(Failure::usage(format!("{} is no token: it is too long", path.display())));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let token = LocalToken::new(Zeroizing::new(text.trim().to_owned()));
    let token = token.map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display())).hint("make one with `openssl rand -hex 32`")
    })?;
    Ok(Some(token))
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::usage(error)
    }
}

impl From<InboxError> for Failure {
    fn from(error: InboxError) -> Self {
        Self::new(Kind::Vault, error)
            .hint("restore it, or move it away: it holds alerts that were told, and nothing else")
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        if let HostError::Directory(error) = error {
            return node_manager::StartError::from(error).into();
        }
        Self::new(Kind::Vault, error)
            .hint("check that the disk has room and that the data directory may be written to")
    }
}

async fn announce(service: &Service) {
    let peers = service.party().peers().await.map_or(0, |peers| peers.len());
    let node = service.node().expect("a daemon is on the network");
    tracing::info!(
        label = %service.label(), fingerprint = %service.fingerprint(), peers, peer_id = %node.local_peer_id(),
        listening = ?node.listen_addresses(), "running",
    );
}

async fn log_notices(watch: &mut Watch) {
    while let Some(notice) = watch.next().await {
        match notice {
            Notice::Network { connected, static_nodes } => {
                let problems: Vec<_> = static_nodes
                    .iter()
                    .filter_map(|node| Some(format!("{}: {}", node.address, node.problem.as_ref()?)))
                    .collect();
                tracing::info!(connected, ?problems, "network");
            }
            Notice::ShowDigits { peer, .. } => {
                tracing::info!(
                    name = peer.name,
                    fingerprint = peer.fingerprint,
                    "an app asks to be paired; `status` shows the digits"
                );
            }
            Notice::AskDigits { peer } => {
                tracing::info!(
                    name = peer.name,
                    fingerprint = peer.fingerprint,
                    "a host waits for the digits it shows to be typed in"
                );
            }
            Notice::Confirmed { peer, compared } => {
                tracing::info!(name = peer.name, fingerprint = peer.fingerprint, compared, "paired");
            }
            Notice::PairingFailed { failure, .. } => tracing::warn!(reason = failure.message, "no pairing"),
            Notice::SessionUp { pairing, session } => tracing::info!(pairing, session, "session up"),
            Notice::SessionDown { pairing } => tracing::info!(pairing, "session down"),
            Notice::Unpaired { peer, by_peer, alarm } => {
                let alarm = alarm.as_deref();
                tracing::warn!(name = peer.name, fingerprint = peer.fingerprint, by_peer, alarm, "unpaired");
            }
            Notice::StoreFailed => {
                tracing::error!("the vault cannot be written; nothing that rests on it is said")
            }
            notice => tracing::debug!(?notice, "step"),
        }
    }
}
