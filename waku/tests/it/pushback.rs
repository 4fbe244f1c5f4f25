//! Peers that are slow to take messages: nothing is lost to one that catches up, and nothing stops for one that
//! does not.

use std::time::Duration;

use tokio::time::interval;
use waku::{Delivery, Node, PublishError, RelaySubscription, WakuMessage};

use super::raw_peer::{Metadata, Muxer, RawPeer};
use super::scene::{acquainted, address, content_topic, node, pubsub_topic, sees_subscription, within};

const MESSAGES: u16 = 2000;
/// More than sockets and windows hold, all together.
const PAYLOAD_LEN: usize = 20_000;

/// A publisher, the node in the middle, and a peer of it that has stopped reading.
struct Line {
    publisher: Node,
    middle: Node,
    peer: RawPeer,
    frozen: tokio::sync::oneshot::Sender<()>,
}

async fn line() -> Line {
    let middle = node(|_| {}).await;
    let publisher = node(|config| config.static_peers = vec![address(&middle)]).await;
    acquainted(&publisher, &middle).await;
    let mut peer = RawPeer::spawn(Muxer::Yamux, Metadata::good());
    peer.dial(address(&middle)).await;
    sees_subscription(&middle, peer.peer_id, &pubsub_topic()).await;
    // A message that comes through shows that the peer is in the mesh, or will be before the queue is full.
    publish(&publisher, -1).await;
    peer.next_message().await;
    let frozen = peer.freeze().await;
    Line { publisher, middle, peer, frozen }
}

async fn publish(node: &Node, number: i64) {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(PAYLOAD_LEN, 0x5a);
    let message = WakuMessage::new(&content_topic(), payload, number);
    let mut again = interval(Duration::from_millis(20));
    loop {
        again.tick().await;
        match node.relay().publish_to(pubsub_topic(), message.clone()).await {
            Ok(_) => return,
            Err(PublishError::Busy) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn publish_all(node: &Node) {
    for number in 0..MESSAGES {
        publish(node, number.into()).await;
    }
}

async fn read_all(mut inbox: RelaySubscription) {
    let mut count = 0;
    while count < MESSAGES {
        match within("a message", inbox.recv()).await {
            Some(Delivery::Message(_)) => count += 1,
            other => panic!("expected a message, got {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_to_a_peer_that_catches_up() {
    let Line { publisher, middle, mut peer, frozen } = line().await;
    let publishing = tokio::spawn(async move {
        publish_all(&publisher).await;
        publisher
    });
    let mut look = interval(Duration::from_millis(1));
    within("the node waiting for its peer", async {
        while middle.metrics().relay_waited_micros == 0 {
            look.tick().await;
        }
    })
    .await;
    drop(frozen);
    for _ in 0..MESSAGES {
        peer.next_message().await;
    }
    let _publisher = within("the publisher", publishing).await.unwrap();
    assert_eq!(middle.metrics().relay_send_dropped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_catches_up_stops_nobody_else() {
    let Line { publisher, middle, peer: _peer, frozen: _frozen } = line().await;
    let reader = node(|config| {
        config.static_peers = vec![address(&middle)];
        config.subscription_queue_len = MESSAGES.into();
    })
    .await;
    acquainted(&reader, &middle).await;
    let inbox = reader.relay().subscribe(pubsub_topic()).await.unwrap();
    let reading = tokio::spawn(read_all(inbox));
    publish_all(&publisher).await;
    within("the other peer", reading).await.unwrap();
    assert!(middle.metrics().relay_waited_micros > 0, "the node did not wait for the peer at all");
}
