//! 19/WAKU2-LIGHTPUSH, in its versions 3 and 2.

use anyhow::{Result, ensure};
use waku::{Config, LightpushConfig, LightpushError, Node, RelaySubscription, WakuMessage};

use super::relay::same;
use super::{CLUSTER, Pair, Scene, behind, hears, message, next, topic, topic_in, until};
use crate::line::{Message, Op, Pushed, Start};
use crate::ours;
use crate::peer::Failure;

/// A foreign client and our service node, with a relay of ours behind it, on shard 0 of a cluster.
async fn service(scene: &Scene<'_>, cluster: u16) -> Result<(Pair, Node, RelaySubscription)> {
    let pair = alone(scene, cluster).await?;
    let mut config = ours::config(cluster)?;
    config.static_peers = pair.node.listen_addresses().into_iter().take(1).collect();
    let behind = Node::spawn(config).await?;
    let inbox = behind.relay().subscribe(topic_in(cluster)).await?;
    let id = behind.local_peer_id();
    until(&pair.node, |peers| peers.get(id).is_some_and(|peer| peer.topics.contains(&topic_in(cluster))))
        .await?;
    Ok((pair, behind, inbox))
}

/// A foreign client and our service node, which knows nobody else.
async fn alone(scene: &Scene<'_>, cluster: u16) -> Result<Pair> {
    let mut config = ours::config(cluster)?;
    config.lightpush = Some(LightpushConfig::default());
    Pair::start(scene, config, Start::light(cluster)).await
}

async fn push(
    pair: &mut Pair,
    pubsub_topic: Option<String>,
    message: &WakuMessage,
    version: Option<u8>,
) -> Result<Pushed> {
    let peer = pair.ours();
    pair.peer.ask(Op::Lightpush { peer, pubsub_topic, message: Message::from(message), version }).await
}

/// What a foreign client pushes is published.
pub(super) async fn served(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, behind, mut inbox) = service(scene, CLUSTER).await?;
    let message = message("pushed")?.with_meta(vec![1, 2, 3]);
    let pushed = push(&mut pair, Some(topic().to_string()), &message, None).await?;
    ensure!(pushed.accepted, "not accepted: {pushed:?}");
    same(&next(&mut inbox).await?, &message)?;
    behind.shutdown().await;
    pair.end().await
}

/// What a foreign client pushes without a pubsub topic is published where its content topic belongs. In cluster 1, where
/// go-waku knows autosharding too.
pub(super) async fn autosharded_served(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, behind, mut inbox) = service(scene, 1).await?;
    let message = message("pushed without pubsub topic")?;
    let pushed = push(&mut pair, None, &message, None).await?;
    ensure!(pushed.accepted, "not accepted: {pushed:?}");
    same(&next(&mut inbox).await?, &message)?;
    behind.shutdown().await;
    pair.end().await
}

/// A service node without relay peers says so.
pub(super) async fn without_peers_served(scene: &Scene<'_>) -> Result<()> {
    let mut pair = alone(scene, CLUSTER).await?;
    let pushed = push(&mut pair, Some(topic().to_string()), &message("to nobody")?, None).await?;
    ensure!(!pushed.accepted, "accepted: {pushed:?}");
    ensure!(pushed.status.is_none_or(|status| status == 505), "another status than 505: {pushed:?}");
    pair.end().await
}

/// A message that is too large is refused, by the client itself or by our service node.
pub(super) async fn too_large_served(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, behind, mut inbox) = service(scene, CLUSTER).await?;
    let large = message(vec![0x5a; 160 * 1024])?;
    match push(&mut pair, Some(topic().to_string()), &large, None).await {
        Ok(pushed) => {
            ensure!(!pushed.accepted, "accepted: {pushed:?}");
            ensure!(pushed.status.is_none_or(|status| status == 420 || status == 413), "status: {pushed:?}");
        }
        Err(error) => ensure!(is_refusal(&error), "{error:?}"),
    }
    let after = message("after it")?;
    let pushed = push(&mut pair, Some(topic().to_string()), &after, None).await?;
    ensure!(pushed.accepted, "not accepted: {pushed:?}");
    same(&next(&mut inbox).await?, &after)?;
    behind.shutdown().await;
    pair.end().await
}

/// A content topic that belongs nowhere is refused, by the client itself or by our service node.
pub(super) async fn bad_topic_served(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, behind, _inbox) = service(scene, 1).await?;
    let bad = WakuMessage { content_topic: "no content topic".to_owned(), ..message("to nowhere")? };
    match push(&mut pair, None, &bad, None).await {
        Ok(pushed) => ensure!(!pushed.accepted, "accepted: {pushed:?}"),
        Err(error) => ensure!(is_refusal(&error), "{error:?}"),
    }
    behind.shutdown().await;
    pair.end().await
}

/// A client of version 2 is served.
pub(super) async fn version_2_served(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, behind, mut inbox) = service(scene, CLUSTER).await?;
    let message = message("pushed by version 2")?;
    let pushed = push(&mut pair, Some(topic().to_string()), &message, Some(2)).await?;
    ensure!(pushed.accepted, "not accepted: {pushed:?}");
    same(&next(&mut inbox).await?, &message)?;
    behind.shutdown().await;
    pair.end().await
}

/// Our light client and a foreign service node.
async fn client(scene: &Scene<'_>) -> Result<Pair> {
    let config = Config { relay: false, ..ours::config(CLUSTER)? };
    let start = Start { lightpush: true, ..Start::relay(CLUSTER) };
    let mut pair = Pair::start(scene, config, start).await?;
    pair.peer.subscribe(&topic()).await?;
    Ok(pair)
}

/// What our client pushes is published by a foreign service node, in the newest version that both speak.
pub(super) async fn asked(scene: &Scene<'_>) -> Result<()> {
    let mut pair = client(scene).await?;
    let (behind, mut inbox) = behind(pair.peer.address()?, pair.peer.id()?).await?;
    hears(&mut pair.peer, behind.local_peer_id()).await?;
    let message = message("pushed")?;
    pair.node.lightpush().publish_via(pair.peer.id()?, Some(topic()), message.clone()).await?;
    same(&next(&mut inbox).await?, &message)?;
    behind.shutdown().await;
    pair.end().await
}

/// A foreign service node without relay peers says so, and our client tells it.
pub(super) async fn without_peers_asked(scene: &Scene<'_>) -> Result<()> {
    let pair = client(scene).await?;
    let pushed =
        pair.node.lightpush().publish_via(pair.peer.id()?, Some(topic()), message("to nobody")?).await;
    ensure!(matches!(pushed, Err(LightpushError::Refused { .. })), "{pushed:?} instead of a refusal");
    pair.end().await
}

fn is_refusal(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Failure::Refused(_)))
}
