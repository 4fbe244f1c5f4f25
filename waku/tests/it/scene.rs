//! Nodes for tests, and waiting for them without sleeping.

use std::time::Duration;

use tokio::time::timeout;
use waku::peers::Backoff;
use waku::{
    Config, ContentTopic, Delivery, Envelope, Keypair, Multiaddr, Node, PeerId, PeerList, PubsubTopic,
    RelaySubscription, Sharding, WakuMessage,
};

/// A test that waits longer than this has failed.
const GUARD: Duration = Duration::from_secs(30);

/// Awaits something that must happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(GUARD, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const WS: &str = "/ip4/127.0.0.1/tcp/0/ws";

/// Shard 0 of cluster 0.
pub(crate) fn sharding() -> Sharding {
    Sharding::fixed(0, [0]).unwrap()
}

pub(crate) fn pubsub_topic() -> PubsubTopic {
    "/waku/2/rs/0/0".parse().unwrap()
}

pub(crate) fn content_topic() -> ContentTopic {
    "/toychat/2/huilong/proto".parse().unwrap()
}

/// A message that no other call makes.
pub(crate) fn message(number: i64) -> WakuMessage {
    WakuMessage::new(&content_topic(), format!("message {number}"), number)
}

/// A configuration that listens on TCP and tries unreachable peers again quickly.
pub(crate) fn config() -> Config {
    let mut config = Config::new(Keypair::generate(), sharding());
    config.listen_addresses = vec![TCP.parse().unwrap()];
    config.reconnect.first = Duration::from_millis(20);
    config.reconnect.max = Duration::from_millis(200);
    config
}

/// Reconnection that never happens within a test.
pub(crate) fn never() -> Backoff {
    let never = Duration::from_secs(24 * 60 * 60);
    Backoff { first: never, max: never, stable_after: never }
}

pub(crate) async fn node(change: impl FnOnce(&mut Config)) -> Node {
    let mut config = config();
    change(&mut config);
    Node::spawn(config).await.unwrap()
}

/// A node that does not relay and knows what these peers serve.
pub(crate) async fn light_client(peers: impl IntoIterator<Item = (PeerId, Multiaddr)>) -> Node {
    let (ids, addresses): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
    let client = node(|config| {
        config.relay = false;
        config.static_peers = addresses;
    })
    .await;
    for id in ids {
        let is_known = |peers: &PeerList| peers.get(id).is_some_and(|peer| !peer.protocols.is_empty());
        peers_until(&client, "what a peer serves", is_known).await;
    }
    client
}

pub(crate) fn address(node: &Node) -> Multiaddr {
    node.listen_addresses().first().unwrap().clone()
}

/// Waits until a node's peers are as wanted.
pub(crate) async fn peers_until(node: &Node, what: &str, wanted: impl FnMut(&PeerList) -> bool) -> PeerList {
    let mut watch = node.peers().watch();
    within(what, watch.wait_for(wanted)).await.unwrap().clone()
}

/// Waits until a node knows that a peer is subscribed to a topic.
pub(crate) async fn sees_subscription(node: &Node, peer: PeerId, topic: &PubsubTopic) {
    let is_subscribed = |peers: &PeerList| peers.get(peer).is_some_and(|peer| peer.topics.contains(topic));
    peers_until(node, "a peer's subscription", is_subscribed).await;
}

/// Waits until two nodes know of each other that they are subscribed to the topic of all tests.
pub(crate) async fn acquainted(a: &Node, b: &Node) {
    sees_subscription(a, b.local_peer_id(), &pubsub_topic()).await;
    sees_subscription(b, a.local_peer_id(), &pubsub_topic()).await;
}

/// Two nodes that are connected and subscribed.
pub(crate) async fn pair() -> (Node, Node) {
    let a = node(|_| {}).await;
    let b = node(|config| config.static_peers = vec![address(&a)]).await;
    acquainted(&a, &b).await;
    (a, b)
}

/// The next message of a subscription.
pub(crate) async fn next(subscription: &mut RelaySubscription) -> Envelope {
    match within("a message", subscription.recv()).await {
        Some(Delivery::Message(envelope)) => envelope,
        other => panic!("expected a message, got {other:?}"),
    }
}

/// A peer's last disconnection, waited for.
pub(crate) async fn disconnection(node: &Node, peer: PeerId) -> waku::peers::DisconnectReason {
    let peers = peers_until(node, "a disconnection", |peers| peers.last_disconnection(peer).is_some()).await;
    peers.last_disconnection(peer).unwrap().reason.clone()
}
