//! The product: an app and a host that have nothing in common but a foreign relay.

use anyhow::{Context, Result, bail, ensure};
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use node_manager::{Mode, Network, Service, ServiceConfig};
use tokio::sync::broadcast;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use waku::{Multiaddr, PeerList, Sharding};
use waku_pairing::code::Code;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Part, Terms};

use super::{CLUSTER, Scene};
use crate::line::Start;
use crate::peer::{PATIENCE, Peer};

/// Shards of the cluster, of which a pairing uses those its topics belong to.
const SHARDS: u16 = 8;
/// Pings each way once they are paired.
const PINGS: usize = 5;

/// A pairing from the code to the six digits, and pings over its session both ways.
pub(super) async fn through_theirs(scene: &Scene<'_>) -> Result<()> {
    let start = Start { shards: (0..SHARDS).collect(), ..Start::relay(CLUSTER) };
    let mut relay = Peer::start(scene.foreign, start).await?;
    let address = relay.address()?;
    let sharding = Sharding::auto(CLUSTER, SHARDS)?;
    for shard in sharding.subscribed() {
        relay.subscribe(&shard.into()).await?;
    }
    let mut host = Side::start(scene, Part::NodeManager, "host", address.clone()).await?;
    let mut app = Side::start(scene, Part::App, "app", address).await?;

    let code = Code::generate(&mut UnwrapErr(SysRng));
    let keys = spawn_blocking(move || CodeKeys::derive(&code)).await?;
    app.service.party().offer(keys.clone(), Terms::default()).await?;
    host.service.party().pair(keys, Terms::default()).await?;
    let shown = host.hear(|event| match event {
        Event::ShowDigits { peer, digits, .. } => Some((peer.pairing, digits)),
        _ => None,
    });
    let (pairing, digits) = shown.await.context("the host shows no digits")?;
    app.hear(|event| matches!(event, Event::AskDigits(_)).then_some(()))
        .await
        .context("the app asks for none")?;
    app.service.party().digits(pairing, digits).await?;
    host.hear(|event| matches!(event, Event::Confirmed { compared: true, .. }).then_some(())).await?;
    app.hear(|event| matches!(event, Event::Acknowledged { .. }).then_some(())).await?;

    for side in [&host, &app] {
        for _ in 0..PINGS {
            timeout(PATIENCE, side.service.party().ping(pairing))
                .await
                .context("a ping is not answered")??;
        }
    }
    for side in [host, app] {
        let node = side.service.node().context("it is on the network")?;
        ensure!(node.peers().list().connected.len() == 1, "it is connected to more than the relay");
        side.service.stop().await;
    }
    relay.stop().await
}

/// The host or the app.
struct Side {
    service: Service,
    events: broadcast::Receiver<Event>,
}

impl Side {
    async fn start(scene: &Scene<'_>, part: Part, name: &str, relay: Multiaddr) -> Result<Self> {
        let folder = scene.folder.join(name);
        let config = ServiceConfig::new(part, name.parse()?, folder);
        let network = Network {
            sharding: Sharding::auto(CLUSTER, SHARDS)?,
            mode: Mode::Relay,
            static_nodes: vec![relay],
            listen_addresses: Vec::new(),
            keypair: None,
        };
        let service = Service::start(&config, network).await?;
        let events = service.party().events();
        let mut peers = service.node().context("it is on the network")?.peers().watch();
        let heard =
            |peers: &PeerList| peers.connected.iter().any(|peer| peer.topics.len() == usize::from(SHARDS));
        timeout(PATIENCE, peers.wait_for(heard)).await.context("the relay is not on all shards")??;
        Ok(Self { service, events })
    }

    /// The first event of a kind.
    async fn hear<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T> {
        let heard = async {
            loop {
                match self.events.recv().await? {
                    Event::PairingFailed { failure, .. } => bail!("the pairing failed: {failure}"),
                    event => {
                        if let Some(found) = wanted(event) {
                            return Ok(found);
                        }
                    }
                }
            }
        };
        timeout(PATIENCE, heard).await.context("nothing happened in time")?
    }
}
