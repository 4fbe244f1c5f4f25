//! Subscriptions: what they ask for, how they end, and readers that are behind.

use futures::StreamExt as _;
use waku::relay::ChangeTopicsError;
use waku::{ContentTopic, Delivery, Node, PeerId, PubsubTopic, RelayFilter, Shard, WakuMessage};

use super::scene::{content_topic, message, next, node, pair, peers_until, pubsub_topic, within};

fn other_content_topic() -> ContentTopic {
    "/toychat/2/other/proto".parse().unwrap()
}

/// Waits until a node sees a peer subscribed to exactly these topics.
async fn sees_topics(node: &Node, peer: PeerId, topics: &[&str]) {
    let wanted = topics.iter().map(|topic| topic.parse::<PubsubTopic>().unwrap()).collect();
    peers_until(node, "a peer's topics", |peers| peers.get(peer).is_some_and(|peer| peer.topics == wanted))
        .await;
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed_and_gets_what_comes_later() {
    let a = node(|config| config.subscription_queue_len = 3).await;
    let b = node(|config| config.static_peers = a.listen_addresses()).await;
    super::scene::acquainted(&a, &b).await;
    let mut slow = b.relay().subscribe(pubsub_topic()).await.unwrap();
    let mut own = a.relay().subscribe(pubsub_topic()).await.unwrap();
    for number in 0..10 {
        a.relay().publish(message(number)).await.unwrap();
    }
    // The publisher's own reader has room for three: the others are counted while nobody reads.
    for number in 0..3 {
        assert_eq!(next(&mut own).await.message(), &message(number));
    }
    assert_eq!(within("what was missed", own.recv()).await, Some(Delivery::Missed(7)));
    assert_eq!(a.metrics().relay_reader_missed, 7);
    a.relay().publish(message(10)).await.unwrap();
    assert_eq!(next(&mut own).await.message(), &message(10));
    // A reader with the default room missed nothing.
    for number in 0..=10 {
        assert_eq!(next(&mut slow).await.message(), &message(number));
    }
}

#[tokio::test]
async fn a_subscription_is_a_stream() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(Shard::new(0, 0).unwrap()).await.unwrap();
    a.relay().publish(message(1)).await.unwrap();
    let Some(Delivery::Message(envelope)) = within("a message", inbox.next()).await else {
        panic!("the stream ended")
    };
    assert_eq!(envelope.message(), &message(1));
}

#[tokio::test]
async fn content_topics_can_be_added_and_removed() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(content_topic()).await.unwrap();
    let publish = async |topic: ContentTopic, number| {
        a.relay().publish(WakuMessage::new(&topic, "x", number)).await.unwrap();
    };
    let next_number = async |inbox: &mut _| next(inbox).await.message().timestamp;

    publish(other_content_topic(), 1).await;
    publish(content_topic(), 2).await;
    assert_eq!(next_number(&mut inbox).await, Some(2));

    inbox.add_content_topics([other_content_topic()]).await.unwrap();
    publish(other_content_topic(), 3).await;
    publish(content_topic(), 4).await;
    assert_eq!(next_number(&mut inbox).await, Some(3));
    assert_eq!(next_number(&mut inbox).await, Some(4));

    inbox.remove_content_topics([content_topic()]).await.unwrap();
    publish(content_topic(), 5).await;
    publish(other_content_topic(), 6).await;
    assert_eq!(next_number(&mut inbox).await, Some(6));
}

#[tokio::test]
async fn a_subscription_to_a_whole_topic_has_no_content_topics_to_change() {
    let a = node(|_| {}).await;
    let inbox = a.relay().subscribe(pubsub_topic()).await.unwrap();
    let refused = inbox.add_content_topics([content_topic()]).await;
    assert_eq!(refused, Err(ChangeTopicsError::WholeTopic));
}

#[tokio::test]
async fn the_node_is_on_a_topic_as_long_as_a_subscription_needs_it() {
    let (a, b) = pair().await;
    let peer = b.local_peer_id();
    let other: PubsubTopic = "/waku/2/rs/0/7".parse().unwrap();
    let first = b.relay().subscribe(other.clone()).await.unwrap();
    let second = b.relay().subscribe(other).await.unwrap();
    sees_topics(&a, peer, &["/waku/2/rs/0/0", "/waku/2/rs/0/7"]).await;

    drop(first);
    let third = b.relay().subscribe("/waku/2/rs/0/8".parse::<PubsubTopic>().unwrap()).await.unwrap();
    sees_topics(&a, peer, &["/waku/2/rs/0/0", "/waku/2/rs/0/7", "/waku/2/rs/0/8"]).await;
    drop((second, third));
    sees_topics(&a, peer, &["/waku/2/rs/0/0"]).await;
}

#[tokio::test]
async fn configured_shards_stay_when_their_subscriptions_end() {
    let (a, b) = pair().await;
    drop(b.relay().subscribe(pubsub_topic()).await.unwrap());
    // The other topic's coming and going shows that the first one's end has been dealt with.
    drop(b.relay().subscribe("/waku/2/rs/0/7".parse::<PubsubTopic>().unwrap()).await.unwrap());
    let probe = b.relay().subscribe("/waku/2/rs/0/8".parse::<PubsubTopic>().unwrap()).await.unwrap();
    sees_topics(&a, b.local_peer_id(), &["/waku/2/rs/0/0", "/waku/2/rs/0/8"]).await;
    drop(probe);
}

#[tokio::test]
async fn a_subscription_may_begin_without_content_topics() {
    let (a, b) = pair().await;
    let mut inbox = b.relay().subscribe(RelayFilter::from_iter([])).await.unwrap();
    inbox.add_content_topics([content_topic()]).await.unwrap();
    a.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}
