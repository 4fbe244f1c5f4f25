//! A connection that comes back after a restart.

use std::net::TcpListener;

use anyhow::Result;
use data_encoding::HEXLOWER;
use waku::{Keypair, Node};

use super::relay::{arrives, same};
use super::{CLUSTER, Scene, hears, message, next, relays, topic, until};
use crate::line::Start;
use crate::ours;
use crate::peer::Peer;

/// A secret for a node that is to be the same again.
fn secret() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// A port that is free now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The other is stopped and started again, as the same peer at the same address: our node finds it by itself.
pub(super) async fn foreign_restarts(scene: &Scene<'_>) -> Result<()> {
    let start = Start { key: Some(HEXLOWER.encode(&secret()?)), port: free_port()?, ..Start::relay(CLUSTER) };
    let mut peer = Peer::start(scene.foreign, start.clone()).await?;
    let mut config = ours::config(CLUSTER)?;
    config.static_peers = vec![peer.address()?];
    let node = Node::spawn(config).await?;
    let mut inbox = node.relay().subscribe(topic()).await?;
    peer.subscribe(&topic()).await?;
    relays(&node, peer.id()?).await?;

    let id = peer.id()?;
    peer.stop().await?;
    until(&node, |peers| peers.get(id).is_none()).await?;
    let mut peer = Peer::start(scene.foreign, start).await?;
    peer.subscribe(&topic()).await?;
    relays(&node, id).await?;
    hears(&mut peer, node.local_peer_id()).await?;
    let after = message("after the restart")?;
    peer.publish(&topic(), &after).await?;
    same(&next(&mut inbox).await?, &after)?;
    node.shutdown().await;
    peer.stop().await
}

/// Our node is stopped and started again, as the same peer at the same address: messages pass again.
pub(super) async fn ours_restarts(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::relay(CLUSTER)).await?;
    let mut config = ours::config(CLUSTER)?;
    config.keypair = Keypair::from_secret(secret()?)?;
    config.listen_addresses = vec![format!("/ip4/127.0.0.1/tcp/{}", free_port()?).parse()?];
    config.static_peers = vec![peer.address()?];
    peer.subscribe(&topic()).await?;
    for round in 0..2 {
        let node = Node::spawn(config.clone()).await?;
        let mut inbox = node.relay().subscribe(topic()).await?;
        relays(&node, peer.id()?).await?;
        hears(&mut peer, node.local_peer_id()).await?;
        let there = message(format!("to theirs, round {round}"))?;
        node.relay().publish_to(topic(), there.clone()).await?;
        same(&next(&mut inbox).await?, &there)?;
        arrives(&mut peer, &there).await?;
        let back = message(format!("to ours, round {round}"))?;
        peer.publish(&topic(), &back).await?;
        same(&next(&mut inbox).await?, &back)?;
        node.shutdown().await;
    }
    peer.stop().await
}
