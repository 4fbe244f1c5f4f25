//! Static peers, addresses and connection limits.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use waku::peers::{AddPeerError, Direction, DisconnectReason, StaticPeerInfo, StaticPeerState};
use waku::{Keypair, Multiaddr, Node, PeerList, SpawnError};

use super::scene::{
    TCP, acquainted, address, disconnection, message, never, next, node, pair, peers_until, pubsub_topic,
    within,
};

fn only(peers: &PeerList) -> &StaticPeerInfo {
    let [peer] = &peers.static_peers[..] else { panic!("one static peer expected: {peers:?}") };
    peer
}

/// An address nobody listens on, until something is bound to it.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn port_of(address: &Multiaddr) -> u16 {
    let port = address.iter().find_map(|protocol| match protocol {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    port.unwrap()
}

async fn node_on(port: u16, keypair: &Keypair) -> Node {
    node(|config| {
        config.keypair = keypair.clone();
        config.listen_addresses = vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()];
    })
    .await
}

#[tokio::test]
async fn an_unreachable_static_peer_is_tried_until_it_appears() {
    let port = free_port();
    let absent: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let a = node(|config| config.static_peers = vec![absent.clone()]).await;
    let peers = peers_until(&a, "three failures", |peers| only(peers).failures >= 3).await;
    let error = only(&peers).last_error.clone().unwrap();
    assert!(error.contains("refused") && error.contains(&absent.to_string()), "{error}");
    assert!(a.metrics().dials_failed >= 3);

    let b = node_on(port, &Keypair::generate()).await;
    acquainted(&a, &b).await;
    let peers = a.peers().list();
    let peer = only(&peers);
    assert_eq!((peer.state, peer.peer_id), (StaticPeerState::Connected, Some(b.local_peer_id())));
    assert_eq!(peer.last_error, None);
}

#[tokio::test]
async fn a_static_peer_that_restarts_is_connected_again() {
    let keypair = Keypair::generate();
    let b = node_on(0, &keypair).await;
    let port = port_of(&address(&b));
    let a = node(|config| config.static_peers = vec![address(&b)]).await;
    acquainted(&a, &b).await;

    b.shutdown().await;
    peers_until(&a, "the peer's end", |peers| peers.connected.is_empty()).await;
    let b = node_on(port, &keypair).await;
    acquainted(&a, &b).await;
    let mut inbox = b.relay().subscribe(pubsub_topic()).await.unwrap();
    a.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}

#[tokio::test]
async fn static_peers_can_be_added_and_removed_at_run_time() {
    let (a, b) = (node(|_| {}).await, node(|_| {}).await);
    a.peers().add_static(address(&b)).await.unwrap();
    acquainted(&a, &b).await;
    assert!(a.peers().remove_static(address(&b)).await.unwrap());
    assert!(!a.peers().remove_static(address(&b)).await.unwrap());
    // The connection stays, but is not made again.
    assert_eq!(a.peers().list().connected.len(), 1);
    b.shutdown().await;
    let peers = peers_until(&a, "the peer's end", |peers| peers.connected.is_empty()).await;
    assert_eq!(peers.static_peers, []);
}

#[tokio::test]
async fn a_node_is_not_its_own_static_peer() {
    let a = node(|_| {}).await;
    assert_eq!(a.peers().add_static(address(&a)).await, Err(AddPeerError::OwnPeerId));
    // Without the peer id it shows only when dialled.
    let anonymous = address(&a).into_iter().filter(|p| p.tag() != "p2p").collect();
    a.peers().add_static(anonymous).await.unwrap();
    let peers = peers_until(&a, "an error", |peers| only(peers).last_error.is_some()).await;
    let error = only(&peers).last_error.clone().unwrap();
    assert!(error.contains("this node itself"), "{error}");
}

#[tokio::test]
async fn another_node_than_expected_is_not_accepted_and_named() {
    let b = node(|_| {}).await;
    let expected = Keypair::generate().peer_id();
    let address: Multiaddr = address(&b)
        .to_string()
        .replace(&b.local_peer_id().to_string(), &expected.to_string())
        .parse()
        .unwrap();
    let a = node(|config| config.static_peers = vec![address]).await;
    let peers = peers_until(&a, "an error", |peers| only(peers).last_error.is_some()).await;
    let error = only(&peers).last_error.clone().unwrap();
    assert!(error.contains(&b.local_peer_id().to_string()), "{error}");
    assert!(a.peers().list().connected.is_empty());
}

#[tokio::test]
async fn addresses_that_cannot_be_dialled_are_refused_at_once() {
    let a = node(|_| {}).await;
    for text in ["/ip4/127.0.0.1/udp/1", "/ip4/127.0.0.1", "/memory/1", "/tcp/1"] {
        let address: Multiaddr = text.parse().unwrap();
        let unsupported = AddPeerError::Unsupported { address: address.clone() };
        assert_eq!(a.peers().add_static(address.clone()).await, Err(unsupported.clone()));

        let mut config = super::scene::config();
        config.static_peers = vec![address];
        let error = Node::spawn(config).await.unwrap_err();
        assert!(matches!(&error, SpawnError::StaticPeer(cause) if *cause == unsupported), "{error}");
    }
}

#[tokio::test]
async fn names_are_looked_up_when_dialled() {
    let b = node(|_| {}).await;
    let by_name: Multiaddr =
        address(&b).to_string().replace("/ip4/127.0.0.1", "/dns4/localhost").parse().unwrap();
    let a = node(|config| config.static_peers = vec![by_name]).await;
    acquainted(&a, &b).await;
}

#[tokio::test]
async fn the_list_tells_who_a_peer_is() {
    let b = node(|config| config.agent = "tester/1".to_owned()).await;
    let a = node(|config| {
        config.ping_interval = Duration::from_millis(50);
        config.static_peers = vec![address(&b)];
    })
    .await;
    let is_complete = |peers: &PeerList| {
        peers.connected.iter().any(|peer| {
            peer.agent.is_some()
                && peer.round_trip.is_some()
                && peer.cluster.is_some()
                && !peer.topics.is_empty()
        })
    };
    let peers = peers_until(&a, "everything about the peer", is_complete).await;
    let peer = peers.get(b.local_peer_id()).unwrap();
    assert_eq!((peer.agent.as_deref(), peer.direction), (Some("tester/1"), Direction::Outbound));
    assert_eq!(peer.addresses, [address(&b)]);
    for protocol in ["/vac/waku/relay/2.0.0", "/vac/waku/metadata/1.0.0", "/ipfs/ping/1.0.0"] {
        assert!(peer.protocols.iter().any(|known| known == protocol), "{:?}", peer.protocols);
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_refused() {
    let full = node(|config| config.limits.total = 1).await;
    let first = node(|config| config.static_peers = vec![address(&full)]).await;
    acquainted(&full, &first).await;
    let second = node(|config| {
        config.static_peers = vec![address(&full)];
        config.reconnect = never();
    })
    .await;
    // The dialler finishes its handshake before it learns that there is no room.
    let gone = |peers: &PeerList| {
        peers.last_disconnection(full.local_peer_id()).is_some() || only(peers).last_error.is_some()
    };
    peers_until(&second, "the refusal", gone).await;
    assert!(full.metrics().connections_refused >= 1);
    assert_eq!(full.peers().list().connected.len(), 1);
}

#[tokio::test]
async fn static_peers_are_connected_beyond_the_limit() {
    let b = node(|_| {}).await;
    let full = node(|config| {
        config.limits.total = 1;
    })
    .await;
    let first = node(|config| config.static_peers = vec![address(&full)]).await;
    acquainted(&full, &first).await;
    full.peers().add_static(address(&b)).await.unwrap();
    acquainted(&full, &b).await;
    assert_eq!(full.peers().list().connected.len(), 2);
}

#[tokio::test]
async fn nodes_that_dial_each_other_stay_connected() {
    let (a, b) = (node(|_| {}).await, node(|_| {}).await);
    let (to_b, to_a) = (a.peers(), b.peers());
    let (first, second) = tokio::join!(to_b.add_static(address(&b)), to_a.add_static(address(&a)));
    first.and(second).unwrap();
    acquainted(&a, &b).await;
    let mut inbox = b.relay().subscribe(pubsub_topic()).await.unwrap();
    a.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}

#[tokio::test]
async fn a_peer_that_closes_is_remembered_as_closed() {
    let (a, b) = pair().await;
    b.shutdown().await;
    let reason = disconnection(&a, b.local_peer_id()).await;
    assert!(matches!(reason, DisconnectReason::Closed(_)), "{reason}");
}

#[tokio::test]
async fn listens_on_several_addresses() {
    let a = node(|config| {
        config.listen_addresses =
            vec![TCP.parse().unwrap(), super::scene::WS.parse().unwrap(), TCP.parse().unwrap()];
    })
    .await;
    assert_eq!(a.listen_addresses().len(), 3);
    for address in a.listen_addresses() {
        let b = node(|config| config.static_peers = vec![address]).await;
        acquainted(&a, &b).await;
    }
}

#[tokio::test]
async fn a_websocket_message_is_refused_by_its_announced_size() {
    let a = node(|config| config.listen_addresses = vec![super::scene::WS.parse().unwrap()]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port_of(&address(&a)))).await.unwrap();
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.push(within("the response", stream.read_u8()).await.unwrap());
    }
    assert!(response.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&response));
    // A whole binary message, masked as a client's must be, with 2 MiB announced and none of them sent.
    let header = [&[0x82, 0x80 | 127][..], &(2u64 << 20).to_be_bytes(), &[0; 4]].concat();
    stream.write_all(&header).await.unwrap();
    // Long before a handshake that takes too long is given up.
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest);
    let _ = tokio::time::timeout(Duration::from_secs(5), end).await.expect("the connection was not closed");
}
