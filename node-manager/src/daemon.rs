//! `run` and `app run`: the service that keeps sessions with everybody paired.

use std::sync::Arc;

use node_manager::Service;
use waku_pairing::party::Part;

use crate::args::{Global, RunArgs};
use crate::control::{Notice, Server, Watch};
use crate::failure::Failure;
use crate::settings;
use crate::signals::Signals;

/// Runs until a signal asks it to stop; a second one is obeyed at once.
pub(crate) async fn run(global: &Global, part: Part, args: &RunArgs) -> Result<(), Failure> {
    let config = settings::service(global, part, Some(&args.label))?;
    let network = args.network.network()?;
    let mut signals = Signals::new()?;
    let service = Arc::new(Service::start(&config, network).await?);
    let server = Server::open(&config.data_dir)?;
    announce(&service).await;
    let mut watch = Watch::local(&service);
    tokio::select! {
        () = server.run(&service) => {}
        () = log_notices(&mut watch) => {
            return Err(Failure::other("the service ended by itself").hint("the log says why; start it again"));
        }
        signal = signals.next() => tracing::info!(signal, "stopping"),
    }
    drop(server);
    signals.unless_interrupted(service.stop()).await?;
    tracing::info!("stopped");
    Ok(())
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
