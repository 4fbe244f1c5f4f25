//! Every way to a node: QUIC, secure WebSocket, circuits through a relay, and finding out whether one is reached.

use futures::StreamExt as _;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, SwarmBuilder, autonat, identify, identity, noise, ping, relay, tcp, yamux};
use tokio::sync::oneshot;
use waku::{Multiaddr, Node, PeerId, Reachability, SpawnError, Tls};

use super::raw_peer::{Answering, answer, answering};
use super::scene::{acquainted, message, next, node, peers_until, pubsub_topic, within};

/// A message from `b` reaches `a`, once they know each other.
async fn relays(a: &Node, b: &Node) {
    acquainted(a, b).await;
    let mut inbox = a.relay().subscribe(pubsub_topic()).await.unwrap();
    let receipt = b.relay().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.hash(), receipt.hash);
}

async fn listening(address: &str) -> Node {
    node(|config| config.listen_addresses = vec![address.parse().unwrap()]).await
}

async fn dialling(addresses: Vec<Multiaddr>) -> Node {
    node(|config| config.static_peers = addresses).await
}

#[tokio::test]
async fn relays_over_quic() {
    for address in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip6/::1/udp/0/quic-v1"] {
        let a = listening(address).await;
        assert!(a.listen_addresses()[0].to_string().contains("/quic-v1/p2p/"), "{:?}", a.listen_addresses());
        let b = dialling(a.listen_addresses()).await;
        relays(&a, &b).await;
    }
}

#[tokio::test]
async fn relays_over_secure_websocket() {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    for address in ["/ip4/127.0.0.1/tcp/0/tls/ws", "/ip4/127.0.0.1/tcp/0/wss"] {
        let a = node(|config| {
            config.listen_addresses = vec![address.parse().unwrap()];
            config.tls = Tls::default().with_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
        })
        .await;
        let b = node(|config| {
            config.static_peers = a.listen_addresses();
            config.tls = Tls::default().with_trusted(chain.as_bytes()).unwrap();
        })
        .await;
        relays(&a, &b).await;

        let stranger = dialling(a.listen_addresses()).await;
        let failed = |peers: &waku::PeerList| peers.static_peers[0].last_error.is_some();
        let peers = peers_until(&stranger, "a certificate nobody trusts", failed).await;
        assert!(peers.static_peers[0].last_error.as_ref().unwrap().contains("UnknownIssuer"), "{peers:?}");
    }
}

#[tokio::test]
async fn secure_websocket_needs_a_certificate() {
    let mut config = super::scene::config();
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0/tls/ws".parse().unwrap()];
    let error = Node::spawn(config).await.unwrap_err();
    assert!(matches!(error, SpawnError::Listen(waku::ListenError::NoCertificate { .. })), "{error}");
}

#[derive(NetworkBehaviour)]
struct Helper {
    relay: relay::Behaviour,
    autonat: autonat::v1::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    metadata: Answering,
}

/// A circuit relay and AutoNAT server that is not ours, on cluster 0. It runs as long as this is kept.
struct Server {
    keypair: identity::Keypair,
    address: Multiaddr,
    _running: oneshot::Sender<()>,
}

impl Server {
    async fn spawn() -> Self {
        Self::run(identity::Keypair::generate_ed25519(), super::scene::TCP.parse().unwrap()).await
    }

    /// Its address with its name.
    fn named(&self) -> Multiaddr {
        self.address.clone().with_p2p(self.keypair.public().to_peer_id()).unwrap()
    }

    async fn run(keypair: identity::Keypair, at: Multiaddr) -> Self {
        let mut swarm = swarm(keypair.clone());
        swarm.listen_on(at).unwrap();
        let address = loop {
            if let SwarmEvent::NewListenAddr { address, .. } =
                within("a listener", swarm.next()).await.unwrap()
            {
                break address;
            }
        };
        // What a relay gives away as its own address.
        swarm.add_external_address(address.clone());
        let (running, mut stopped) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => {
                        if let SwarmEvent::Behaviour(HelperEvent::Metadata(event)) = event {
                            answer(&mut swarm.behaviour_mut().metadata, event);
                        }
                    }
                    _ = &mut stopped => return,
                }
            }
        });
        Self { keypair, address, _running: running }
    }
}

fn swarm(keypair: identity::Keypair) -> Swarm<Helper> {
    let behaviour = |key: &identity::Keypair| {
        let local = key.public().to_peer_id();
        let autonat = autonat::v1::Config { only_global_ips: false, ..Default::default() };
        Helper {
            relay: relay::Behaviour::new(local, relay::Config::default()),
            autonat: autonat::v1::Behaviour::new(local, autonat),
            identify: identify::Behaviour::new(identify::Config::new("/test/1".to_owned(), key.public())),
            ping: ping::Behaviour::default(),
            metadata: answering(),
        }
    };
    SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(behaviour)
        .unwrap()
        .build()
}

/// A node that listens on nothing but a place at a relay, and its address there.
async fn hidden(relay: &Server, hole_punching: bool) -> (Node, Multiaddr) {
    let node = node(|config| {
        if !hole_punching {
            config.listen_addresses.clear();
        }
        config.nat.circuit_relays = vec![relay.named()];
        config.nat.hole_punching = hole_punching;
    })
    .await;
    let is_circuit = |address: &Multiaddr| address.to_string().contains("p2p-circuit");
    let mut addresses = node.watch_listen_addresses();
    within("a place at the relay", addresses.wait_for(|addresses| addresses.iter().any(is_circuit)))
        .await
        .unwrap();
    let address = node.listen_addresses().into_iter().find(is_circuit).unwrap();
    (node, address)
}

#[tokio::test]
async fn relays_with_a_node_behind_a_circuit() {
    let relay = Server::spawn().await;
    let (a, address) = hidden(&relay, false).await;
    let b = dialling(vec![address]).await;
    relays(&a, &b).await;
}

#[tokio::test]
async fn turns_a_circuit_into_a_direct_connection() {
    let relay = Server::spawn().await;
    let (a, address) = hidden(&relay, true).await;
    let b = node(|config| {
        config.static_peers = vec![address];
        config.nat.hole_punching = true;
    })
    .await;
    let is_direct = |peers: &waku::PeerList| {
        let of_a = peers.get(a.local_peer_id()).map(|peer| peer.addresses.clone()).unwrap_or_default();
        of_a.iter().any(|address| !address.to_string().contains("p2p-circuit"))
    };
    peers_until(&b, "a direct connection", is_direct).await;
}

#[tokio::test]
async fn a_lost_place_at_a_relay_is_reserved_again() {
    let relay = Server::spawn().await;
    let (a, address) = hidden(&relay, false).await;
    let (keypair, at) = (relay.keypair.clone(), relay.address.clone());
    drop(relay);
    let mut addresses = a.watch_listen_addresses();
    within("the place lost", addresses.wait_for(Vec::is_empty)).await.unwrap();
    let _again = Server::run(keypair, at).await;
    within("the place back", addresses.wait_for(|addresses| !addresses.is_empty())).await.unwrap();
    assert_eq!(a.listen_addresses(), [address]);
}

#[tokio::test]
async fn finds_out_whether_it_is_reached() {
    let helper = Server::spawn().await;
    let node = node(|config| {
        config.static_peers = vec![helper.named()];
        config.nat.autonat = true;
        config.nat.private_addresses = true;
    })
    .await;
    let mut reachability = node.watch_reachability();
    let is_public = |reachability: &Reachability| matches!(reachability, Reachability::Public(_));
    within("reachability", reachability.wait_for(is_public)).await.unwrap();
}

#[tokio::test]
async fn a_relay_must_say_who_it_is() {
    for address in ["/ip4/127.0.0.1/tcp/1".to_owned(), format!("/memory/1/p2p/{}", PeerId::random())] {
        let mut config = super::scene::config();
        config.nat.circuit_relays = vec![address.parse().unwrap()];
        let error = Node::spawn(config).await.unwrap_err();
        assert!(matches!(error, SpawnError::CircuitRelay { .. }), "{error}");
    }
}
