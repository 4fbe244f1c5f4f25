//! Starting and stopping.

use std::net::TcpListener;

use waku::peers::AddPeerError;
use waku::{ListenError, Multiaddr, Node, PublishError, SpawnError, Stopped, SubscribeError};

use super::scene::{address, config, message, node, pair, pubsub_topic, within};

async fn spawn_on(listen: &str) -> Result<Node, SpawnError> {
    let mut config = config();
    config.listen_addresses = vec![listen.parse().unwrap()];
    Node::spawn(config).await
}

/// The listening address without the peer id.
fn bare(node: &Node) -> Multiaddr {
    address(node).into_iter().filter(|protocol| protocol.tag() != "p2p").collect()
}

#[tokio::test]
async fn shutdown_frees_the_port_at_once() {
    let (a, b) = pair().await;
    let listen = bare(&a).to_string();
    within("the shutdown", a.shutdown()).await;
    let again = spawn_on(&listen).await.unwrap();
    assert_eq!(bare(&again).to_string(), listen);
    drop(b);
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("/ip4/127.0.0.1/tcp/{}", other.local_addr().unwrap().port());
    let error = spawn_on(&listen).await.unwrap_err();
    assert!(
        matches!(&error, SpawnError::Listen(ListenError::InUse { address }) if address.to_string() == listen),
        "{error}"
    );
    assert!(error.to_string().contains(&listen), "{error}");
}

#[tokio::test]
async fn two_nodes_do_not_share_a_port() {
    let a = node(|_| {}).await;
    let error = spawn_on(&bare(&a).to_string()).await.unwrap_err();
    assert!(matches!(&error, SpawnError::Listen(ListenError::InUse { .. })), "{error}");
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on_are_named_in_the_error() {
    for listen in ["/ip4/127.0.0.1/udp/0", "/dns4/localhost/tcp/0", "/memory/1"] {
        let error = spawn_on(listen).await.unwrap_err();
        assert!(
            matches!(&error, SpawnError::Listen(ListenError::Unsupported { address }) if address.to_string() == listen),
            "{error}"
        );
    }
    // An address of no interface of this machine (TEST-NET-3).
    let error = spawn_on("/ip4/203.0.113.1/tcp/0").await.unwrap_err();
    assert!(matches!(&error, SpawnError::Listen(ListenError::Io { .. })), "{error}");
}

#[tokio::test]
async fn after_shutdown_everything_says_that_the_node_has_stopped() {
    let (a, _b) = pair().await;
    let mut inbox = a.relay().subscribe(pubsub_topic()).await.unwrap();
    within("the shutdown", a.shutdown()).await;
    within("the second shutdown", a.shutdown()).await;
    within("the end", a.stopped()).await;
    assert_eq!(within("the subscription's end", inbox.recv()).await, None);
    assert_eq!(a.relay().publish(message(1)).await, Err(PublishError::Stopped(Stopped)));
    let refused = a.relay().subscribe(pubsub_topic()).await.map(drop);
    assert_eq!(refused, Err(SubscribeError::Stopped(Stopped)));
    let refused = a.peers().add_static("/ip4/127.0.0.1/tcp/1".parse().unwrap()).await;
    assert_eq!(refused, Err(AddPeerError::Stopped(Stopped)));
}

#[tokio::test]
async fn shutdown_closes_the_connections() {
    let (a, b) = pair().await;
    within("the shutdown", a.shutdown()).await;
    super::scene::peers_until(&b, "the peer's end", |peers| peers.connected.is_empty()).await;
}

#[tokio::test]
async fn the_node_stops_with_its_last_handle() {
    let (a, b) = pair().await;
    let (relay, mut inbox) = (a.relay(), a.relay().subscribe(pubsub_topic()).await.unwrap());
    drop(a);
    // A handle is left.
    assert_eq!(relay.publish(message(1)).await.unwrap().peers, 1);
    drop(relay);
    super::scene::next(&mut inbox).await;
    assert_eq!(within("the subscription's end", inbox.recv()).await, None);
    super::scene::peers_until(&b, "the peer's end", |peers| peers.connected.is_empty()).await;
}
