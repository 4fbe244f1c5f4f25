//! Messages between nodes.

use waku::proto::message::MessageError;
use waku::proto::{Wire as _, relay};
use waku::{Bytes, DEFAULT_MAX_RPC_SIZE, PublishError, Sharding, WakuMessage};

use super::raw_peer::{Metadata, Muxer, RawPeer};
use super::scene::{
    WS, acquainted, address, content_topic, message, next, node, pair, peers_until, pubsub_topic,
    sees_subscription, within,
};

#[tokio::test]
async fn two_nodes_relay_both_ways() {
    let (a, b) = pair().await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let number = if from.local_peer_id() == a.local_peer_id() { 1 } else { 2 };
        let mut inbox = to.relay().subscribe(pubsub_topic()).await.unwrap();
        let receipt = from.relay().publish(message(number)).await.unwrap();
        let envelope = next(&mut inbox).await;
        assert_eq!(envelope.message(), &message(number));
        assert_eq!(envelope.pubsub_topic(), &pubsub_topic());
        assert_eq!((receipt.hash, receipt.peers), (envelope.hash(), 1));
    }
    assert_eq!((a.metrics().relay_received, a.metrics().relay_published), (1, 1));
}

#[tokio::test]
async fn a_message_crosses_the_node_in_the_middle() {
    let middle = node(|_| {}).await;
    let one = node(|config| config.static_peers = vec![address(&middle)]).await;
    let other = node(|config| config.static_peers = vec![address(&middle)]).await;
    acquainted(&one, &middle).await;
    acquainted(&middle, &other).await;
    let mut inbox = other.relay().subscribe(pubsub_topic()).await.unwrap();
    // Forwarding goes to the mesh, which forms at a heartbeat; the message waits in the middle's cache.
    one.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &message(1));
    assert_eq!(other.peers().list().connected.len(), 1);
}

#[tokio::test]
async fn what_was_published_before_the_end_still_leaves() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(pubsub_topic()).await.unwrap();
    // More than a socket takes at once.
    let large = |number| WakuMessage::new(&content_topic(), vec![0x5a; 100_000], number);
    for number in 0..20 {
        a.relay().publish(large(number)).await.unwrap();
    }
    a.shutdown().await;
    for number in 0..20 {
        assert_eq!(next(&mut inbox).await.message(), &large(number));
    }
}

#[tokio::test]
async fn relays_over_websocket() {
    let a = node(|config| config.listen_addresses = vec![WS.parse().unwrap()]).await;
    assert!(address(&a).to_string().contains("/ws/p2p/"), "{}", address(&a));
    let b = node(|config| config.static_peers = vec![address(&a)]).await;
    acquainted(&a, &b).await;
    let mut inbox = a.relay().subscribe(pubsub_topic()).await.unwrap();
    b.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}

#[tokio::test]
async fn relays_with_peers_that_speak_one_muxer_only() {
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        let node = node(|_| {}).await;
        let mut peer = RawPeer::spawn(muxer, Metadata::good());
        peer.dial(address(&node)).await;
        peer.sees_subscription(node.local_peer_id()).await;
        sees_subscription(&node, peer.peer_id, &pubsub_topic()).await;

        let mut inbox = node.relay().subscribe(pubsub_topic()).await.unwrap();
        peer.publish(message(1).encode()).await;
        assert_eq!(next(&mut inbox).await.message(), &message(1), "{muxer:?}");
        node.relay().publish(message(2)).await.unwrap();
        assert_eq!(peer.next_message().await, message(2).encode(), "{muxer:?}");
    }
}

/// A message whose RPC has exactly `size` bytes.
fn message_of_rpc_size(size: usize, number: i64) -> WakuMessage {
    let of_len = |len| WakuMessage::new(&content_topic(), vec![0x5a; len], number);
    let rpc_size = |len| relay::rpc_size(&pubsub_topic(), of_len(len).encode().len());
    // Near the limit all length prefixes have their final size, so one step is enough.
    let guess = size - 200;
    let len = guess + size - rpc_size(guess);
    assert_eq!(rpc_size(len), size);
    of_len(len)
}

#[tokio::test]
async fn passes_the_largest_message_and_refuses_a_byte_more() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(pubsub_topic()).await.unwrap();
    let limit = DEFAULT_MAX_RPC_SIZE;
    let largest = message_of_rpc_size(limit, 1);
    a.relay().publish(largest.clone()).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &largest);

    let too_large = message_of_rpc_size(limit + 1, 2);
    let refused = a.relay().publish(too_large).await;
    assert_eq!(refused, Err(PublishError::TooLarge { size: limit + 1, limit }));
}

#[tokio::test]
async fn a_message_larger_than_the_network_allows_is_delivered_but_not_forwarded() {
    let node = node(|_| {}).await;
    let mut peers = [Muxer::Yamux, Muxer::Yamux].map(|muxer| RawPeer::spawn(muxer, Metadata::good()));
    for peer in &mut peers {
        peer.dial(address(&node)).await;
        peer.sees_subscription(node.local_peer_id()).await;
        sees_subscription(&node, peer.peer_id, &pubsub_topic()).await;
    }
    let [sender, mut receiver] = peers;
    let mut inbox = node.relay().subscribe(pubsub_topic()).await.unwrap();
    for size in [DEFAULT_MAX_RPC_SIZE + 1, DEFAULT_MAX_RPC_SIZE + waku::MAX_RPC_OVERHEAD] {
        let large = message_of_rpc_size(size, 1);
        sender.publish(large.clone().encode()).await;
        assert_eq!(next(&mut inbox).await.message(), &large);
    }
    // nwaku would close its stream at the first of them. Streams keep their order.
    sender.publish(message(2).encode()).await;
    assert_eq!(receiver.next_message().await, message(2).encode());
}

#[tokio::test]
async fn a_burst_of_40_large_messages_arrives_whole() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(pubsub_topic()).await.unwrap();
    for number in 0..40 {
        a.relay().publish(message_of_rpc_size(DEFAULT_MAX_RPC_SIZE - 100, number)).await.unwrap();
    }
    let mut numbers = Vec::new();
    for _ in 0..40 {
        numbers.push(next(&mut inbox).await.message().timestamp.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn own_publishes_reach_own_subscriptions() {
    let (a, _b) = pair().await;
    let mut inbox = a.relay().subscribe(content_topic()).await.unwrap();
    let receipt = a.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.hash(), receipt.hash);
}

#[tokio::test]
async fn publishing_without_peers_is_an_error_and_can_be_tried_again() {
    let a = node(|_| {}).await;
    assert_eq!(a.relay().publish(message(1)).await, Err(PublishError::NoPeers));
    let b = node(|config| config.static_peers = vec![address(&a)]).await;
    acquainted(&a, &b).await;
    assert_eq!(a.relay().publish(message(1)).await.unwrap().peers, 1);
}

#[tokio::test]
async fn publishing_the_same_bytes_twice_is_an_error() {
    let (a, _b) = pair().await;
    a.relay().publish(message(1)).await.unwrap();
    assert_eq!(a.relay().publish(message(1)).await, Err(PublishError::Duplicate));
}

#[tokio::test]
async fn refuses_to_publish_what_others_refuse_to_relay() {
    let (a, _b) = pair().await;
    let empty = WakuMessage { payload: Bytes::new(), ..message(1) };
    let refused = a.relay().publish(empty).await;
    assert_eq!(refused, Err(PublishError::Invalid(MessageError::EmptyPayload)));
    let long_meta = message(1).with_meta(vec![0; 65]);
    let refused = a.relay().publish(long_meta).await;
    assert_eq!(refused, Err(PublishError::Invalid(MessageError::MetaTooLong { len: 65 })));
    let no_topic = WakuMessage { content_topic: "toychat".to_owned(), ..message(1) };
    assert!(matches!(a.relay().publish(no_topic).await, Err(PublishError::ContentTopic(_))));
}

#[tokio::test]
async fn autosharded_messages_go_to_the_shard_of_their_content_topic() {
    let auto = || Sharding::auto(1, 8).unwrap();
    let a = node(|config| config.sharding = auto()).await;
    let b = node(|config| {
        config.sharding = auto();
        config.static_peers = vec![address(&a)];
    })
    .await;
    // nwaku's vector for this content topic.
    let shard_3 = "/waku/2/rs/1/3".parse().unwrap();
    sees_subscription(&b, a.local_peer_id(), &shard_3).await;
    let mut inbox = a.relay().subscribe(content_topic()).await.unwrap();
    b.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.pubsub_topic(), &shard_3);
    let peers = peers_until(&b, "the peer's shards", |peers| !peers.connected[0].shards.is_empty()).await;
    assert_eq!(peers.connected[0].shards, (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_publisher_that_is_too_fast_is_told_and_may_try_again() {
    let node = node(|_| {}).await;
    let mut peer = RawPeer::spawn(Muxer::Yamux, Metadata::good());
    peer.dial(address(&node)).await;
    peer.sees_subscription(node.local_peer_id()).await;
    sees_subscription(&node, peer.peer_id, &pubsub_topic()).await;

    // Nobody reads what the peer sees: sooner or later every queue on the way is full.
    let numbered = |number| WakuMessage::new(&content_topic(), vec![0x5a; 4096], number);
    let mut number = 0;
    let refused = loop {
        match node.relay().publish(numbered(number)).await {
            Ok(receipt) => assert_eq!(receipt.peers, 1),
            Err(error) => break error,
        }
        number += 1;
    };
    assert_eq!(refused, PublishError::Busy);
    assert_eq!(node.metrics().relay_publish_busy, 1);

    // The peer reads again, and the message goes through in the end.
    let relay = node.relay();
    let retry = async {
        loop {
            match relay.publish(numbered(number)).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error, PublishError::Busy),
            }
            tokio::task::yield_now().await;
        }
    };
    let arrival = async { while peer.next_message().await != numbered(number).encode() {} };
    within("the message", async { tokio::join!(retry, arrival) }).await;
}
