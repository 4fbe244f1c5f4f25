//! Nodes that find each other: 33/WAKU2-DISCV5.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;
use waku::{Capabilities, Fields, Keypair, Node, NodeRecord, PeerId, RelayShards};
use waku_discovery::discv5::{Config, Discovery, Found};

use super::{CLUSTER, Scene, eventually, until};
use crate::line::{Peers, Start};
use crate::ours;
use crate::peer::{PATIENCE, Peer};

/// Secrets of nodes of the discovery network that are no more than that.
const FIRST: [u8; 32] = [0x51; 32];
const SECOND: [u8; 32] = [0x52; 32];

/// A foreign node joins the discovery network of ours; another one of ours, which knows only the first, finds it there.
pub(super) async fn theirs_found(scene: &Scene<'_>) -> Result<()> {
    let (first, _) = start(FIRST, None, Vec::new()).await?;
    let bootstrap = first.local_record().record.to_string();
    let asks = Start { discv5: Some(vec![bootstrap.clone()]), ..Start::relay(CLUSTER) };
    let peer = Peer::start(scene.foreign, asks).await?;
    let (second, mut found) = start(SECOND, None, vec![bootstrap]).await?;
    let record = until_found(&mut found, peer.id()?).await?;
    ensure!(record.capabilities().contains(Capabilities::RELAY), "{record} is of no relay");
    let shards = record.shards().context("the record has no shards")?;
    ensure!(shards.cluster() == CLUSTER, "{shards:?}");
    second.shutdown().await;
    first.shutdown().await;
    peer.stop().await
}

/// A foreign node finds ours by its record in the discovery network, and connects to it.
pub(super) async fn ours_found(scene: &Scene<'_>) -> Result<()> {
    let secret = FIRST;
    let mut config = ours::config(CLUSTER)?;
    config.keypair = Keypair::from_secret(secret)?;
    let node = Node::spawn(config).await?;
    let address = node.listen_addresses().first().context("it listens nowhere")?.to_string();
    let port = address.split('/').nth(4).context("no port")?.parse()?;
    let (discovery, _found) = start(secret, Some(port), Vec::new()).await?;
    let bootstrap = discovery.local_record().record.to_string();
    let asks = Start { discv5: Some(vec![bootstrap]), ..Start::relay(CLUSTER) };
    let mut peer = Peer::start(scene.foreign, asks).await?;
    let id = peer.id()?;
    until(&node, |peers| peers.get(id).is_some()).await?;
    let ours = node.local_peer_id().to_string();
    eventually("it does not say that it is connected", async || {
        let connected: Peers = peer.ask(crate::line::Op::Peers).await?;
        Ok(connected.peers.contains(&ours))
    })
    .await?;
    discovery.shutdown().await;
    node.shutdown().await;
    peer.stop().await
}

/// A node of the discovery network on loopback; of a relay, if it listens on TCP.
async fn start(secret: [u8; 32], tcp: Option<u16>, bootstrap: Vec<String>) -> Result<(Discovery, Found)> {
    let fields = Fields {
        ip4: Some(Ipv4Addr::LOCALHOST),
        tcp4: tcp,
        shards: Some(RelayShards::new(CLUSTER, [0])?),
        capabilities: Capabilities::RELAY,
        ..Fields::default()
    };
    let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let config = Config { fields, bootstrap, limit_ips: false, ..Config::new(secret, listen) };
    Ok(Discovery::start(config).await?)
}

/// The record of a peer, waited for.
async fn until_found(found: &mut Found, peer: PeerId) -> Result<NodeRecord> {
    let search = async {
        loop {
            let record = found.recv().await.context("discovery has ended")?;
            let record = NodeRecord::from(record);
            if record.peer_id() == peer {
                return Ok(record);
            }
        }
    };
    timeout(PATIENCE, search).await.context("it is not found")?
}
