//! Two nodes on loopback.

use waku::{Config, ContentTopic, Delivery, Keypair, Node, PublishError, Sharding, WakuMessage};

use crate::log::Log;
use crate::secret::Secret;
use crate::story::within;

const SECRETS: [[u8; 32]; 2] = [[0xa1; 32], [0xb2; 32]];
const PAYLOAD: &[u8] = b"payload marker 3f6b";
const META: &[u8] = b"meta marker 91c4";

fn config(secret: [u8; 32]) -> Config {
    let mut config = Config::new(Keypair::from_secret(secret).unwrap(), Sharding::fixed(0, [0]).unwrap());
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    config
}

#[tokio::test]
async fn relaying_logs_neither_payloads_nor_keys() {
    let log = Log::start();
    let [alice, bob] = SECRETS;
    let alice = Node::spawn(config(alice)).await.unwrap();
    let mut config = config(bob);
    config.static_peers = alice.listen_addresses();
    let bob = Node::spawn(config).await.unwrap();

    let topic: ContentTopic = "/log-leak/1/test/proto".parse().unwrap();
    let mut inbox = alice.relay().subscribe(topic.clone()).await.unwrap();
    let mut peers = bob.peers().watch();
    let knows_alice = peers.wait_for(|peers| peers.connected.iter().any(|peer| !peer.topics.is_empty()));
    drop(within("the two nodes to meet", knows_alice).await.unwrap());
    let message = WakuMessage::new(&topic, PAYLOAD, 1).with_meta(META).with_rate_limit_proof(PAYLOAD);
    bob.relay().publish(message.clone()).await.unwrap();
    let delivery = within("the message", inbox.recv()).await;
    assert!(matches!(delivery, Some(Delivery::Message(envelope)) if envelope.message().payload == PAYLOAD));

    assert_eq!(bob.relay().publish(message).await, Err(PublishError::Duplicate));
    let large = WakuMessage::new(&topic, PAYLOAD.repeat(10_000), 2);
    assert!(matches!(bob.relay().publish(large).await, Err(PublishError::TooLarge { .. })));
    alice.shutdown().await;
    bob.shutdown().await;

    assert!(log.lines().iter().any(|line| line.contains("connection opened")), "the nodes' log was not read");
    let [of_alice, of_bob] = SECRETS.map(|secret| Secret::bytes("a node's secret", &secret));
    let (payload, meta) = (Secret::bytes("a payload", PAYLOAD), Secret::bytes("a meta field", META));
    log.assert_without(&[of_alice, of_bob, payload, meta]);
}
