//! Who peers are, and who else is there: 66/WAKU2-METADATA, 34/WAKU2-PEER-EXCHANGE, 31/WAKU2-ENR.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use waku::{
    Announcement, Capabilities, Keypair, Multiaddr, Node, NodeRecord, PeerExchangeConfig, RelayShards, Shard,
};

use super::{CLUSTER, Pair, Scene, address_for, eventually, topic, until};
use crate::line::{Exchanged, Op, Peers, Record, Start, Told};
use crate::ours;
use crate::peer::Peer;

/// Each learns the cluster of the other, and the other the shards of ours.
pub(super) async fn metadata_told(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, _inbox) = Pair::relaying(scene).await?;
    let id = pair.peer.id()?;
    until(&pair.node, |peers| peers.get(id).is_some_and(|peer| peer.cluster == Some(CLUSTER))).await?;
    let peer = pair.ours();
    let told: Told = pair.peer.ask(Op::Metadata { peer }).await?;
    ensure!(told.cluster == Some(CLUSTER), "{told:?}");
    ensure!(told.shards == [0], "{told:?}");
    pair.end().await
}

/// A peer of another cluster does not stay connected.
pub(super) async fn metadata_mismatch(scene: &Scene<'_>) -> Result<()> {
    let node = Node::spawn(ours::config(CLUSTER)?).await?;
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER - 1)).await?;
    // It may be refused before it is said to be connected.
    let _ = peer.connect(&address_for(&node, &peer)?).await;
    let id = peer.id()?;
    until(&node, |peers| peers.get(id).is_none() && peers.last_disconnection(id).is_some()).await?;
    let ours = node.local_peer_id().to_string();
    eventually("it believes to be connected", async || {
        let connected: Peers = peer.ask(Op::Peers).await?;
        Ok(!connected.peers.contains(&ours))
    })
    .await?;
    node.shutdown().await;
    peer.stop().await
}

/// Our node gives the records of the relay peers it knows.
pub(super) async fn exchange_served(scene: &Scene<'_>) -> Result<()> {
    let mut config = ours::config(CLUSTER)?;
    config.peer_exchange = Some(PeerExchangeConfig::default());
    let mut pair = Pair::start(scene, config, Start::light(CLUSTER)).await?;
    let record = known_relay(&pair.node).await?;
    let peer = pair.ours();
    let exchanged: Exchanged = pair.peer.ask(Op::PeerExchange { peer, count: 5 }).await?;
    let given = exchanged.records.contains(&record.to_string())
        || exchanged.peers.contains(&record.peer_id().to_string());
    ensure!(given, "{exchanged:?} lacks {record}");
    pair.end().await
}

/// Lets a node know a relay by its record, as discovery would.
async fn known_relay(node: &Node) -> Result<NodeRecord> {
    let record = record()?;
    let peer = waku::peers::NewPeer::from_record(&record, waku::peers::PeerOrigin::Discv5);
    ensure!(node.peers().add([peer]).await? == 1, "the record brings no peer that can be dialled");
    Ok(record)
}

/// The record of a relay that nobody runs.
fn record() -> Result<NodeRecord> {
    let announcement = Announcement {
        seq: 1,
        ip4: Some(Ipv4Addr::LOCALHOST),
        tcp4: Some(60_000),
        multiaddrs: vec!["/ip4/127.0.0.1/tcp/60001/ws".parse()?],
        capabilities: Capabilities::RELAY.with(Capabilities::STORE),
        shards: Some(RelayShards::new(CLUSTER, [0, 5])?),
        ..Announcement::default()
    };
    Ok(announcement.sign(&Keypair::generate())?.record)
}

/// A foreign node gives a record that our node reads.
pub(super) async fn exchange_asked(scene: &Scene<'_>) -> Result<()> {
    let record = record()?;
    let start = Start { peer_exchange: vec![record.to_string()], ..Start::relay(CLUSTER) };
    let pair = Pair::start(scene, ours::config(CLUSTER)?, start).await?;
    let given = pair.node.peers().exchange(pair.peer.id()?, 5).await?;
    ensure!(given.contains(&record), "{given:?} lacks {record}");
    pair.end().await
}

/// The foreign implementation reads in a record of ours what we put into it.
pub(super) async fn record_of_ours_read(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    let record = record()?;
    let read: Record = peer.ask(Op::Enr { record: record.to_string() }).await?;
    ensure!(read.peer_id == record.peer_id().to_string(), "{read:?}");
    ensure!(read.cluster == Some(CLUSTER) && read.shards == [0, 5], "{read:?}");
    ensure!(read.waku2.is_none_or(|waku2| waku2 == record.capabilities().0), "{read:?}");
    for address in ["/ip4/127.0.0.1/tcp/60000", "/ip4/127.0.0.1/tcp/60001/ws"] {
        let with_id = format!("{address}/p2p/{}", record.peer_id());
        ensure!(
            read.addresses.iter().any(|read| read == address || *read == with_id),
            "{read:?} lacks {address}"
        );
    }
    peer.stop().await
}

/// Our node reads in a foreign node's record who and where it is.
pub(super) async fn record_of_theirs_read(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::relay(CLUSTER)).await?;
    peer.subscribe(&topic()).await?;
    let Some(text) = peer.started().enr.clone() else {
        bail!(crate::peer::Failure::Unsupported("it has no record".to_owned()));
    };
    let record: NodeRecord = text.parse()?;
    ensure!(record.peer_id() == peer.id()?, "{record} is of {}", record.peer_id());
    ensure!(record.capabilities().contains(Capabilities::RELAY), "{record} is of no relay");
    let shards = record.shards().context("the record has no shards")?;
    ensure!(shards.shards().eq([Shard::new(CLUSTER, 0)?]), "{shards:?}");
    let (address, id) = (peer.address()?, peer.id()?);
    let addresses: Vec<Multiaddr> = record.addresses();
    let bare = |address: &Multiaddr| address.to_string().replace(&format!("/p2p/{id}"), "");
    ensure!(addresses.iter().any(|read| bare(read) == bare(&address)), "{addresses:?} lack {address}");
    peer.stop().await
}
