//! What our node and another implementation must be able to do together.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;
use waku::{ContentTopic, Delivery, Node, PeerList, PubsubTopic, Shard, WakuMessage};

use crate::{ForeignPeer, ours};

/// No step takes longer where both sides are well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Relay, both ways: a message of each side arrives at the other unchanged, awkward fields included.
///
/// # Errors
/// With the step that did not hold.
pub async fn relay_both_ways(cluster: u16, peer: &mut impl ForeignPeer) -> Result<()> {
    let topic = PubsubTopic::from(Shard::new(cluster, 0)?);
    peer.subscribe(&topic).await?;
    let node = ours::spawn(cluster, &[peer.address()]).await?;
    let held = timeout(PATIENCE, exchange(&node, peer, &topic)).await;
    node.shutdown().await;
    held.with_context(|| format!("relay with {}: nothing came within {PATIENCE:?}", peer.name()))?
}

async fn exchange(node: &Node, peer: &mut impl ForeignPeer, topic: &PubsubTopic) -> Result<()> {
    let mut inbox = node.relay().subscribe(topic.clone()).await?;
    let subscribed = |peers: &PeerList| peers.connected.iter().any(|peer| peer.topics.contains(topic));
    node.peers().watch().wait_for(subscribed).await?;

    let content_topic: ContentTopic = "/interop/1/relay/proto".parse()?;
    let plain = WakuMessage::new(&content_topic, "from ours", 1_760_000_000_000_000_000);
    let ours = plain.with_version(1).with_meta(vec![7; 64]).with_ephemeral();
    node.relay().publish(ours.clone()).await?;
    ensure!(peer.next_message().await? == ours, "the peer received another message than the one published");

    let theirs = WakuMessage::new(&content_topic, "from theirs", 1_760_000_000_000_000_001);
    peer.publish(topic, theirs.clone()).await?;
    loop {
        match inbox.recv().await.context("our node stopped")? {
            // Our own publish comes back to us first.
            Delivery::Message(envelope) if *envelope.message() == ours => {}
            Delivery::Message(envelope) => {
                ensure!(
                    *envelope.message() == theirs,
                    "our node received another message than the one published"
                );
                return Ok(());
            }
            Delivery::Missed(count) => anyhow::bail!("our node missed {count} messages"),
        }
    }
}
