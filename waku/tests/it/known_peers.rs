//! Peers a node knows of: dialled as needed, kept from one run to the next, parted from when there are too many.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use waku::peers::{DisconnectReason, NewPeer, PeerOrigin, PeerState};
use waku::proto::protocol_id;
use waku::{Config, Keypair, Multiaddr, Node, Sharding, SpawnError};

use super::scene::{
    acquainted, address, config, disconnection, node, peers_until, pubsub_topic, sees_subscription, within,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks for peers all the time, for no more than so many, and goes back to them at once.
fn seeking(config: &mut Config, relay_peers: u32) {
    config.dialing.relay_peers = Some(relay_peers);
    config.dialing.interval = Duration::from_millis(20);
    config.dialing.redial_after = Duration::ZERO;
}

/// A node that dials nobody by itself, on this shard.
async fn passive(shard: u16) -> Node {
    node(|config| {
        config.sharding = Sharding::fixed(0, [shard]).unwrap();
        config.dialing.relay_peers = Some(0);
    })
    .await
}

fn known(node: &Node, shard: u16) -> NewPeer {
    let mut peer = NewPeer::new(node.local_peer_id(), node.listen_addresses());
    (peer.cluster, peer.shards) = (Some(0), vec![shard]);
    peer
}

/// Lets the node look at its peers several times: each time it shows them.
async fn looks(node: &Node) {
    let mut watch = node.peers().watch();
    for _ in 0..10 {
        within("a look at the peers", watch.changed()).await.unwrap();
    }
}

#[tokio::test]
async fn known_peers_are_dialled_up_to_the_target_and_no_further() {
    let a = node(|config| seeking(config, 3)).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(passive(0).await);
    }
    let added = a.peers().add(others.iter().map(|other| known(other, 0))).await.unwrap();
    assert_eq!(added, 5);
    let peers = peers_until(&a, "three peers", |peers| peers.connected.len() == 3).await;
    assert_eq!(peers.known, 5);
    for peer in peers.connected {
        sees_subscription(&a, peer.peer_id, &pubsub_topic()).await;
    }
    looks(&a).await;
    assert_eq!(a.peers().list().connected.len(), 3);
    assert_eq!(a.metrics().peers_dialled, 3);
}

#[tokio::test]
async fn a_lost_peer_is_replaced_by_another() {
    let a = node(|config| seeking(config, 1)).await;
    let (b, c) = (passive(0).await, passive(0).await);
    a.peers().add([known(&b, 0)]).await.unwrap();
    acquainted(&a, &b).await;
    a.peers().add([known(&c, 0)]).await.unwrap();
    b.shutdown().await;
    acquainted(&a, &c).await;
}

#[tokio::test]
async fn peers_of_a_shard_are_dialled_when_the_node_subscribes_to_it() {
    let a = node(|config| seeking(config, 2)).await;
    let b = passive(3).await;
    a.peers().add([known(&b, 3)]).await.unwrap();
    looks(&a).await;
    assert_eq!((a.metrics().peers_dialled, a.peers().list().known), (0, 1));
    let topic: waku::PubsubTopic = "/waku/2/rs/0/3".parse().unwrap();
    let _subscription = a.relay().subscribe(topic.clone()).await.unwrap();
    sees_subscription(&a, b.local_peer_id(), &topic).await;
}

#[tokio::test]
async fn a_peer_that_cannot_be_reached_is_left_alone_until_its_wait_is_over() {
    let absent = Keypair::generate().peer_id();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Multiaddr =
        format!("/ip4/127.0.0.1/tcp/{}", nowhere.local_addr().unwrap().port()).parse().unwrap();
    drop(nowhere);
    let a = node(|config| {
        seeking(config, 2);
        config.dialing.backoff = DAY;
    })
    .await;
    a.peers().add([NewPeer::new(absent, [address.clone()])]).await.unwrap();
    peers_until(&a, "the end of the dial", |peers| peers.dialing == 0 && peers.known == 1).await;
    looks(&a).await;
    let all = a.peers().known().await.unwrap();
    assert_eq!((all[0].state, all[0].failures), (PeerState::CannotConnect, 1));
    assert_eq!((a.metrics().peers_dialled, a.metrics().dials_failed), (1, 1));

    // With hardly any wait it is tried again and again.
    let b = node(|config| {
        seeking(config, 2);
        config.dialing.backoff = Duration::from_millis(1);
    })
    .await;
    b.peers().add([NewPeer::new(absent, [address])]).await.unwrap();
    let mut watch = b.peers().watch();
    let retried = async {
        while b.metrics().dials_failed < 4 {
            watch.changed().await.unwrap();
        }
    };
    within("four failures", retried).await;
}

#[tokio::test]
async fn a_peer_that_turns_out_to_be_of_another_cluster_is_not_dialled_again() {
    let a = node(|config| seeking(config, 2)).await;
    let b = node(|config| {
        config.sharding = Sharding::fixed(1, [0]).unwrap();
        config.dialing.relay_peers = Some(0);
    })
    .await;
    let nothing_known = NewPeer::new(b.local_peer_id(), b.listen_addresses());
    a.peers().add([nothing_known]).await.unwrap();
    disconnection(&a, b.local_peer_id()).await;
    looks(&a).await;
    assert_eq!(a.metrics().peers_dialled, 1);
    assert_eq!(a.peers().known().await.unwrap()[0].cluster, Some(1));
}

#[tokio::test]
async fn what_is_learned_about_a_peer_is_in_the_list() {
    let a = node(|config| seeking(config, 0)).await;
    let b = node(|config| {
        config.static_peers = vec![address(&a)];
        config.agent = "tester/1".to_owned();
    })
    .await;
    acquainted(&a, &b).await;
    peers_until(&a, "identity", |peers| peers.connected.iter().any(|peer| peer.agent.is_some())).await;
    let all = a.peers().known().await.unwrap();
    let [peer] = &all[..] else { panic!("{all:?}") };
    assert_eq!((peer.peer_id, peer.state), (b.local_peer_id(), PeerState::Connected));
    assert_eq!((peer.origin, peer.agent.as_deref()), (PeerOrigin::Connection, Some("tester/1")));
    assert_eq!((peer.cluster, &peer.shards), (Some(0), &vec![0]));
    assert_eq!(peer.speaks(protocol_id::RELAY), Some(true));
    // Where it listens, not where it came from.
    let listens: Vec<Multiaddr> = vec![address(&b).into_iter().filter(|part| part.tag() != "p2p").collect()];
    assert_eq!(peer.addresses, listens);
    assert!(a.peers().forget(b.local_peer_id()).await.unwrap());
    b.shutdown().await;
    peers_until(&a, "the peer forgotten", |peers| peers.known == 0).await;
}

#[tokio::test]
async fn known_peers_are_dialled_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peers");
    let b = passive(0).await;
    let start = || {
        node(|config| {
            seeking(config, 2);
            config.peer_store = Some(path.clone());
        })
    };
    let a = start().await;
    a.peers().add([known(&b, 0)]).await.unwrap();
    acquainted(&a, &b).await;
    a.shutdown().await;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let a = start().await;
    acquainted(&a, &b).await;
    let all = a.peers().known().await.unwrap();
    assert_eq!((all.len(), all[0].origin), (1, PeerOrigin::Application));
}

#[tokio::test]
async fn a_restart_does_not_shorten_the_wait_after_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    let b = passive(0).await;
    let start = || {
        node(|config| {
            seeking(config, 2);
            config.dialing.redial_after = DAY;
            config.peer_store = Some(directory.path().join("peers"));
        })
    };
    let a = start().await;
    a.peers().add([known(&b, 0)]).await.unwrap();
    acquainted(&a, &b).await;
    a.shutdown().await;
    let a = start().await;
    looks(&a).await;
    assert_eq!((a.peers().list().known, a.metrics().peers_dialled), (1, 0));
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_damaged_file_is_kept_aside_and_the_node_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peers");
    fs::write(&path, "waku-peers 1\nrubbish\n").unwrap();
    let a = node(|config| {
        seeking(config, 0);
        config.peer_store = Some(path.clone());
    })
    .await;
    assert_eq!(a.peers().list().known, 0);
    a.peers().add([known(&passive(0).await, 0)]).await.unwrap();
    a.shutdown().await;
    assert_eq!(names(directory.path()), ["peers", "peers.damaged.1"]);
    assert_eq!(fs::read(directory.path().join("peers.damaged.1")).unwrap(), b"waku-peers 1\nrubbish\n");
    let mut again = config();
    again.peer_store = Some(path);
    assert_eq!(Node::spawn(again).await.unwrap().peers().known().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let a = node(|config| {
        seeking(config, 0);
        config.peer_store = Some(directory.path().join("peers"));
    })
    .await;
    a.peers().add([known(&passive(0).await, 0)]).await.unwrap();
    drop(directory);
    a.shutdown().await;
    assert_eq!(a.metrics().peer_store_failed, 1);
}

#[tokio::test]
async fn a_node_that_could_not_save_does_not_start() {
    let mut config = config();
    config.peer_store = Some("/nonexistent/peers".into());
    let error = Node::spawn(config).await.unwrap_err();
    assert!(matches!(error, SpawnError::PeerStore(_)), "{error}");
}

#[tokio::test]
async fn the_worst_inbound_relay_peer_over_the_share_is_parted_from() {
    // 3 connections are for relay, 2 of them for peers that come.
    let full = node(|config| {
        seeking(config, 0);
        config.limits.total = 6;
    })
    .await;
    let on_shard = |shard| {
        let target = address(&full);
        node(move |config| {
            config.sharding = Sharding::fixed(0, [shard]).unwrap();
            config.static_peers = vec![target];
            config.reconnect = super::scene::never();
            config.dialing.relay_peers = Some(0);
        })
    };
    let stranger = on_shard(9).await;
    let (first, second) = (on_shard(0).await, on_shard(0).await);
    acquainted(&full, &first).await;
    acquainted(&full, &second).await;
    assert_eq!(disconnection(&full, stranger.local_peer_id()).await, DisconnectReason::NoRoom);
    looks(&full).await;
    assert_eq!((full.peers().list().connected.len(), full.metrics().peers_parted), (2, 1));
}

#[tokio::test]
async fn a_peer_that_serves_is_found_among_the_known_ones_and_dialled() {
    let a = node(|config| seeking(config, 0)).await;
    let (b, c) = (passive(0).await, passive(3).await);
    let shard = Some(waku::Shard::new(0, 0).unwrap());
    assert_eq!(a.peers().find_serving(protocol_id::METADATA, shard).await.unwrap(), []);
    a.peers().add([known(&b, 0), known(&c, 3)]).await.unwrap();
    let found = within("a search", a.peers().find_serving(protocol_id::METADATA, shard)).await.unwrap();
    assert_eq!(found, [b.local_peer_id()]);
    assert_eq!(a.peers().serving(protocol_id::METADATA, shard), found);
    // Nobody serves it, and b tells so as soon as it is asked what it speaks.
    let nobody = within("a search in vain", a.peers().find_serving(protocol_id::RENDEZVOUS, shard)).await;
    assert_eq!(nobody.unwrap(), []);
}

#[tokio::test]
async fn peers_named_for_services_are_connected_and_asked_first_until_they_fail() {
    let (b, c) = (passive(0).await, passive(0).await);
    let a = node(|config| {
        config.static_peers = vec![address(&b)];
        config.service_peers = vec![address(&c)];
    })
    .await;
    let both = |peers: &waku::PeerList| {
        peers.connected.len() == 2 && peers.connected.iter().all(|peer| peer.agent.is_some())
    };
    peers_until(&a, "both peers", both).await;
    let serving = || a.peers().serving(protocol_id::METADATA, None);
    let (b, c) = (b.local_peer_id(), c.local_peer_id());
    assert!((0..20).all(|_| serving() == [c, b]));
    a.peers().report_failure(c, protocol_id::METADATA);
    assert!((0..20).all(|_| serving() == [b, c]));
    a.peers().report_success(c, protocol_id::METADATA);
    assert_eq!(serving(), [c, b]);
}
