//! 11/WAKU2-RELAY.

use anyhow::{Result, bail, ensure};
use waku::{Node, PublishError, WakuMessage};

use super::{CLUSTER, Pair, Scene, address_for, content_topic, hears, message, next, now, relays, topic};
use crate::line::Start;
use crate::ours;
use crate::peer::Peer;

/// A message of each side arrives at the other.
pub(super) async fn both_ways(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, mut inbox) = Pair::relaying(scene).await?;
    let ours = message("from ours")?;
    pair.node.relay().publish_to(topic(), ours.clone()).await?;
    ensure!(next(&mut inbox).await? == ours, "our own message does not come back first");
    arrives(&mut pair.peer, &ours).await?;

    let theirs = message("from theirs")?;
    pair.peer.publish(&topic(), &theirs).await?;
    same(&next(&mut inbox).await?, &theirs)?;
    pair.end().await
}

/// Whatever fields a message has or lacks, it arrives unchanged.
pub(super) async fn awkward_fields(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, mut inbox) = Pair::relaying(scene).await?;
    for message in awkward_messages()? {
        // Our node gives a message a timestamp when it is published without.
        if message.timestamp.is_some() {
            pair.node.relay().publish_to(topic(), message.clone()).await?;
            next(&mut inbox).await?;
            arrives(&mut pair.peer, &message).await?;
        }
        let mut theirs = message.clone();
        theirs.payload = [b"theirs: ", &*message.payload].concat().into();
        pair.peer.publish(&topic(), &theirs).await?;
        let came = next(&mut inbox).await?;
        // So may theirs.
        let timestamp = if theirs.timestamp.is_none() { came.timestamp } else { theirs.timestamp };
        same(&came, &WakuMessage { timestamp, ..theirs })?;
    }
    pair.end().await
}

/// Messages with and without each optional field, and with values at the edge.
pub(super) fn awkward_messages() -> Result<Vec<WakuMessage>> {
    let (topic, now) = (content_topic()?, now()?);
    let plain = |payload: &'static str| WakuMessage::new(&topic, payload, now);
    Ok(vec![
        plain("plain"),
        plain("with meta").with_meta(vec![7; 64]),
        plain("with one byte of meta").with_meta(vec![0]),
        plain("version 2").with_version(2),
        plain("ephemeral").with_ephemeral(),
        WakuMessage { ephemeral: Some(false), ..plain("not ephemeral, and says so") },
        WakuMessage { version: Some(0), ..plain("version 0, and says so") },
        WakuMessage { timestamp: None, ..plain("without timestamp") },
        plain("umlauts and emoji: \u{e4}\u{f6}\u{fc} \u{1f980}"),
    ])
}

/// A message as large as the network takes arrives both ways; a larger one does not, and harms nothing.
pub(super) async fn largest_message(scene: &Scene<'_>) -> Result<()> {
    let (mut pair, mut inbox) = Pair::relaying(scene).await?;
    let largest = message(vec![0x5a; 150 * 1024 - 512])?;
    pair.node.relay().publish_to(topic(), largest.clone()).await?;
    next(&mut inbox).await?;
    arrives(&mut pair.peer, &largest).await?;
    let largest = message(vec![0xa5; 150 * 1024 - 512])?;
    pair.peer.publish(&topic(), &largest).await?;
    same(&next(&mut inbox).await?, &largest)?;

    let too_large = message(vec![0x5a; 160 * 1024])?;
    let refused = pair.node.relay().publish_to(topic(), too_large.clone()).await;
    ensure!(matches!(refused, Err(PublishError::TooLarge { .. })), "our node published it: {refused:?}");
    // The other refuses it as well, or our node drops it.
    let _ = pair.peer.publish(&topic(), &too_large).await;
    let after = message("after it")?;
    pair.peer.publish(&topic(), &after).await?;
    same(&next(&mut inbox).await?, &after)?;
    pair.end().await
}

/// foreign, ours, foreign: what one end publishes arrives at the other.
pub(super) async fn line_through_ours(scene: &Scene<'_>) -> Result<()> {
    let node = Node::spawn(ours::config(CLUSTER)?).await?;
    let mut inbox = node.relay().subscribe(topic()).await?;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let mut end = Peer::start(scene.foreign, Start::relay(CLUSTER)).await?;
        end.connect(&address_for(&node, &end)?).await?;
        end.subscribe(&topic()).await?;
        relays(&node, end.id()?).await?;
        hears(&mut end, node.local_peer_id()).await?;
        ends.push(end);
    }
    let [left, right] = &mut ends[..] else { bail!("two were started") };
    let there = message("along the line")?;
    left.publish(&topic(), &there).await?;
    same(&next(&mut inbox).await?, &there)?;
    arrives(right, &there).await?;
    let back = message("and back")?;
    right.publish(&topic(), &back).await?;
    same(&next(&mut inbox).await?, &back)?;
    arrives(left, &back).await?;
    for end in ends {
        end.stop().await?;
    }
    node.shutdown().await;
    Ok(())
}

/// ours, foreign, ours: what one end publishes arrives at the other.
pub(super) async fn line_through_theirs(scene: &Scene<'_>) -> Result<()> {
    let mut middle = Peer::start(scene.foreign, Start::relay(CLUSTER)).await?;
    middle.address()?;
    middle.subscribe(&topic()).await?;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let mut config = ours::config(CLUSTER)?;
        config.static_peers = vec![middle.address()?];
        let node = Node::spawn(config).await?;
        let inbox = node.relay().subscribe(topic()).await?;
        relays(&node, middle.id()?).await?;
        hears(&mut middle, node.local_peer_id()).await?;
        ends.push((node, inbox));
    }
    let [(left, left_inbox), (right, right_inbox)] = &mut ends[..] else { bail!("two were started") };
    let there = message("along the line")?;
    left.relay().publish_to(topic(), there.clone()).await?;
    same(&next(left_inbox).await?, &there)?;
    same(&next(right_inbox).await?, &there)?;
    let back = message("and back")?;
    right.relay().publish_to(topic(), back.clone()).await?;
    same(&next(right_inbox).await?, &back)?;
    same(&next(left_inbox).await?, &back)?;
    for (node, _) in ends {
        node.shutdown().await;
    }
    middle.stop().await
}

/// Returns when a message has come to a foreign peer, unchanged. What else comes, its own messages for example, is
/// passed over.
pub(super) async fn arrives(peer: &mut Peer, message: &WakuMessage) -> Result<()> {
    loop {
        let arrival = peer.arrival().await?.message;
        if arrival.payload == message.payload {
            return same(&arrival, message);
        }
    }
}

/// Both are the same message; a field that is absent is its default.
pub(super) fn same(came: &WakuMessage, sent: &WakuMessage) -> Result<()> {
    let shown = |message: &WakuMessage| WakuMessage {
        version: Some(message.version.unwrap_or_default()),
        ephemeral: Some(message.ephemeral.unwrap_or_default()),
        meta: Some(message.meta.clone().unwrap_or_default()),
        ..message.clone()
    };
    ensure!(shown(came) == shown(sent), "{came:?} came, {sent:?} was sent");
    Ok(())
}
