//! What a program that runs a node for others needs: memberships, taps, announced addresses, connecting by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use waku::peers::ConnectError;
use waku::relay::Tap;
use waku::{Envelope, PeerId, PublishError, RelayPeer, Sharding, SubscribeError};

use super::scene::{
    acquainted, address, message, next, node, pair, peers_until, pubsub_topic, sees_subscription, within,
};

/// Passes on what it is shown.
#[derive(Debug)]
struct Shown(mpsc::Sender<Relayed>);

impl Tap for Shown {
    fn push(&self, envelope: &Envelope, source: Option<PeerId>) {
        self.0.try_send((envelope.clone(), source)).unwrap();
    }
}

/// A message and who sent it.
type Relayed = (Envelope, Option<PeerId>);

fn shown() -> (Vec<Arc<dyn Tap>>, mpsc::Receiver<Relayed>) {
    let (sender, receiver) = mpsc::channel(16);
    (vec![Arc::new(Shown(sender))], receiver)
}

#[tokio::test]
async fn a_tap_is_shown_what_peers_send_and_what_the_node_publishes() {
    let (taps, mut seen) = shown();
    let a = node(|config| config.taps = taps).await;
    let b = node(|config| config.static_peers = vec![address(&a)]).await;
    acquainted(&a, &b).await;
    b.relay().publish(message(1)).await.unwrap();
    let (envelope, source) = within("a message", seen.recv()).await.unwrap();
    assert_eq!((envelope.message(), source), (&message(1), Some(b.local_peer_id())));
    a.relay().publish(message(2)).await.unwrap();
    let (envelope, source) = within("a message", seen.recv()).await.unwrap();
    assert_eq!((envelope.message(), source), (&message(2), None));
}

#[tokio::test]
async fn a_message_nobody_can_be_sent_is_delivered_at_home_if_that_is_wanted() {
    for deliver_unsent in [true, false] {
        let (taps, mut seen) = shown();
        let alone = node(|config| {
            config.deliver_unsent = deliver_unsent;
            config.taps = taps;
        })
        .await;
        let mut inbox = alone.relay().subscribe(pubsub_topic()).await.unwrap();
        assert_eq!(alone.relay().publish(message(1)).await, Err(PublishError::NoPeers));
        if deliver_unsent {
            assert_eq!(next(&mut inbox).await.message(), &message(1));
        }
        assert_eq!(seen.try_recv().is_ok(), deliver_unsent);
    }
}

#[tokio::test]
async fn a_membership_relays_a_topic_for_as_long_as_it_is_kept() {
    let unsubscribed = || Sharding::fixed(0, [0]).unwrap().subscribed_to([]).unwrap();
    let a = node(|config| config.sharding = unsubscribed()).await;
    let b = node(|config| {
        config.sharding = unsubscribed();
        config.static_peers = vec![address(&a)];
    })
    .await;
    let mut topics = a.relay().watch_topics();
    assert!(topics.borrow_and_update().is_empty());
    let membership = a.relay().join(pubsub_topic()).await.unwrap();
    assert!(topics.borrow_and_update().contains(&pubsub_topic()));
    sees_subscription(&b, a.local_peer_id(), &pubsub_topic()).await;
    drop(membership);
    within("the topic left", topics.wait_for(BTreeSet::is_empty)).await.unwrap();
    let is_gone = |peers: &waku::PeerList| {
        peers.get(a.local_peer_id()).is_some_and(|peer| !peer.topics.contains(&pubsub_topic()))
    };
    peers_until(&b, "the peer's unsubscription", is_gone).await;
}

#[tokio::test]
async fn a_node_without_relay_joins_nothing_and_has_no_relay_peers() {
    let light = node(|config| config.relay = false).await;
    assert!(matches!(light.relay().join(pubsub_topic()).await, Err(SubscribeError::NoRelay)));
    assert_eq!(light.relay().peers().await, Ok(Vec::new()));
}

#[tokio::test]
async fn the_relay_tells_whom_it_has_in_its_mesh() {
    let (a, b) = pair().await;
    let mut peers = a.peers().watch();
    let relay_peer = async {
        loop {
            // The mesh forms at a heartbeat, and pings tell meanwhile that time goes on.
            let seen: Vec<RelayPeer> = a.relay().peers().await.unwrap();
            if let [peer] = seen.as_slice()
                && peer.mesh.contains(&pubsub_topic())
            {
                return peer.clone();
            }
            b.relay().publish(message(fastrand())).await.unwrap();
            peers.changed().await.unwrap();
        }
    };
    let peer = within("a mesh", relay_peer).await;
    assert_eq!(peer.peer_id, b.local_peer_id());
    assert!(peer.score.is_finite());
}

/// A number that no other call gives.
fn fastrand() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static NEXT: AtomicI64 = AtomicI64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn connects_once_and_tells_whom_or_why_not() {
    let a = node(|_| {}).await;
    let b = node(|_| {}).await;
    assert_eq!(b.peers().connect(address(&a)).await, Ok(a.local_peer_id()));
    assert!(b.peers().list().static_peers.is_empty());
    assert_eq!(b.peers().connect(address(&a)).await, Ok(a.local_peer_id()));
    let gone = address(&a);
    a.shutdown().await;
    let c = node(|_| {}).await;
    assert!(matches!(c.peers().connect(gone).await, Err(ConnectError::NotReached { .. })));
    assert!(c.peers().list().static_peers.is_empty());
    let other = node(|config| config.sharding = Sharding::fixed(7, [0]).unwrap()).await;
    let refused = within("an answer", c.peers().connect(address(&other))).await;
    // Whichever is seen first: the short connection, or its end.
    assert!(refused == Ok(other.local_peer_id()) || matches!(refused, Err(ConnectError::NotReached { .. })));
    let undialable = "/ip4/192.0.2.1/udp/1".parse().unwrap();
    assert!(matches!(c.peers().connect(undialable).await, Err(ConnectError::Address(_))));
}

#[tokio::test]
async fn peers_are_told_the_announced_addresses_instead_of_those_listened_on() {
    let announced: waku::Multiaddr = "/dns4/node.example/tcp/443/wss".parse().unwrap();
    let a = node(|config| config.announced = vec![announced.clone()]).await;
    let b = node(|config| {
        config.static_peers = vec![address(&a)];
        // Else what is said of other places than the peer's own is left out.
        config.max_known_peers = 10;
    })
    .await;
    acquainted(&a, &b).await;
    let is_known =
        |peers: &waku::PeerList| peers.get(a.local_peer_id()).is_some_and(|peer| peer.agent.is_some());
    peers_until(&b, "who the peer is", is_known).await;
    let known = b.peers().known().await.unwrap();
    let peer = known.iter().find(|peer| peer.peer_id == a.local_peer_id()).unwrap();
    assert!(peer.addresses.contains(&announced), "{:?}", peer.addresses);
}
