//! What is relayed and what is not.

use std::sync::Arc;

use waku::peers::DisconnectReason;
use waku::proto::Wire as _;
use waku::{Envelope, MetricsSnapshot, Node, PublishError, Validator, Verdict, WakuMessage};

use super::raw_peer::{Metadata, Muxer, RawPeer};
use super::scene::{
    address, content_topic, disconnection, message, next, node, pair, pubsub_topic, sees_subscription,
};

async fn raw_peer_of(node: &Node) -> RawPeer {
    let mut peer = RawPeer::spawn(Muxer::Yamux, Metadata::good());
    peer.dial(address(node)).await;
    peer.sees_subscription(node.local_peer_id()).await;
    sees_subscription(node, peer.peer_id, &pubsub_topic()).await;
    peer
}

#[tokio::test]
async fn never_forwards_what_others_reject_or_score_down() {
    let node = node(|_| {}).await;
    let (sender, mut receiver) = (raw_peer_of(&node).await, raw_peer_of(&node).await);
    let mut inbox = node.relay().subscribe(pubsub_topic()).await.unwrap();

    // Rejected: garbage, payload absent, content topic absent.
    for data in [&b"\x01garbage"[..], b"\x12\x06/a/b/c", b"\x0a\x01x"] {
        sender.publish(data).await;
    }
    // Ignored: payload empty, content topic empty, meta too long.
    for data in [&b"\x0a\x00\x12\x06/a/b/c"[..], b"\x0a\x01x\x12\x00"] {
        sender.publish(data).await;
    }
    sender.publish(message(1).with_meta(vec![0; 65]).encode()).await;
    // Streams keep their order: when this one is through, the others are judged.
    sender.publish(message(2).encode()).await;

    assert_eq!(next(&mut inbox).await.message(), &message(2));
    assert_eq!(receiver.next_message().await, message(2).encode());
    let MetricsSnapshot { relay_rejected, relay_ignored, relay_received, .. } = node.metrics();
    assert_eq!((relay_rejected, relay_ignored, relay_received), (3, 3, 1));
}

#[tokio::test]
async fn forwards_the_very_bytes_that_came() {
    let node = node(|_| {}).await;
    let (sender, mut receiver) = (raw_peer_of(&node).await, raw_peer_of(&node).await);
    // Fields in another order than ours, and one of the future.
    let data = b"\x12\x18/toychat/2/huilong/proto\x0a\x05hello\xc0\x0c\x07";
    sender.publish(data).await;
    assert_eq!(receiver.next_message().await, data);
}

#[tokio::test]
async fn disconnects_a_peer_that_keeps_sending_garbage() {
    let node = node(|config| config.reconnect = super::scene::never()).await;
    let sender = raw_peer_of(&node).await;
    // Eight bytes announced, fewer sent. Each costs 100 times the square of their number: with eleven the
    // score is below -10000.
    for number in 0..12 {
        sender.publish(format!("\u{1}junk {number}")).await;
    }
    let reason = disconnection(&node, sender.peer_id).await;
    assert!(matches!(reason, DisconnectReason::Graylisted { score } if score < -10_000), "{reason}");
    assert_eq!(node.metrics().peers_graylisted, 1);
}

/// Says of each message what its payload asks for.
#[derive(Debug)]
struct ByPayload;

impl Validator for ByPayload {
    fn validate(&self, envelope: &Envelope) -> Verdict {
        match &envelope.message().payload[..] {
            b"reject" => Verdict::Reject,
            b"ignore" => Verdict::Ignore,
            _ => Verdict::Accept,
        }
    }
}

fn saying(payload: &'static str) -> WakuMessage {
    WakuMessage::new(&content_topic(), payload, 1)
}

#[tokio::test]
async fn a_validator_decides_on_messages_from_peers() {
    let node = node(|config| config.validator = Some(Arc::new(ByPayload))).await;
    let (sender, mut receiver) = (raw_peer_of(&node).await, raw_peer_of(&node).await);
    let mut inbox = node.relay().subscribe(pubsub_topic()).await.unwrap();
    sender.publish(saying("accept").encode()).await;
    assert_eq!(next(&mut inbox).await.message(), &saying("accept"));
    assert_eq!(receiver.next_message().await, saying("accept").encode());

    for payload in ["reject", "ignore"] {
        sender.publish(saying(payload).encode()).await;
    }
    sender.publish(saying("accept too").encode()).await;
    assert_eq!(next(&mut inbox).await.message(), &saying("accept too"));
    assert_eq!(receiver.next_message().await, saying("accept too").encode());
}

#[tokio::test]
async fn a_validator_decides_on_own_publishes() {
    let (_a, plain) = pair().await;
    let strict = node(|config| {
        config.validator = Some(Arc::new(ByPayload));
        config.static_peers = vec![address(&plain)];
    })
    .await;
    super::scene::acquainted(&strict, &plain).await;
    for (payload, verdict) in [("reject", Verdict::Reject), ("ignore", Verdict::Ignore)] {
        let refused = strict.relay().publish(saying(payload)).await;
        assert_eq!(refused, Err(PublishError::Refused(verdict)));
    }
    assert_eq!(strict.relay().publish(saying("accept")).await.unwrap().peers, 1);
}
