//! Channels over real nodes on loopback.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use waku::proto::EncodedMessage;
use waku::store::archive::{Archive, MemoryArchive};
use waku::{
    Config, Envelope, FilterConfig, Keypair, LightpushConfig, Multiaddr, Sharding, StoreConfig, unix_nanos,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const ANYWHERE: &str = "/ip4/127.0.0.1/tcp/0";

/// What a node between the sides serves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Serves {
    Relay,
    All,
    AllButStore,
}

fn config() -> Config {
    Config::new(Keypair::generate(), Sharding::fixed(0, [0]).unwrap())
}

/// A node between the sides: alone it hands what it cannot relay to its own clients, as nwaku does.
async fn between(serves: Serves, address: &str, others: &[&Node]) -> Node {
    let mut config = config();
    config.listen_addresses = vec![address.parse().unwrap()];
    config.static_peers = others.iter().flat_map(|other| other.listen_addresses()).collect();
    config.deliver_unsent = true;
    if serves != Serves::Relay {
        config.filter = Some(FilterConfig::default());
        config.lightpush = Some(LightpushConfig::default());
    }
    if serves == Serves::All {
        let archive: Arc<dyn Archive> = Arc::new(MemoryArchive::new(1000, 1 << 20));
        config.store = Some(StoreConfig::new(archive));
    }
    Node::spawn(config).await.unwrap()
}

/// One side.
struct Side {
    node: Node,
    channel: WakuChannel,
    history: History,
}

impl Side {
    async fn new(mode: Mode, nodes: &[&Node], since: Option<UnixTime>) -> Self {
        let mut config = config();
        config.relay = mode == Mode::Relay;
        config.static_peers = nodes.iter().flat_map(|node| node.listen_addresses()).collect();
        let node = Node::spawn(config).await.unwrap();
        let Opened { channel, history, .. } = WakuChannel::open(&node, mode, since).await.unwrap();
        Self { node, channel, history }
    }

    async fn on(mode: Mode, nodes: &[&Node], topic: &ContentTopic) -> Self {
        let mut side = Self::new(mode, nodes, None).await;
        side.channel.subscribe(topic.clone());
        side.until_up().await;
        side
    }

    async fn next(&mut self) -> ChannelEvent {
        timeout(PATIENCE, poll_fn(|cx| self.channel.poll_event(cx))).await.expect("something comes")
    }

    async fn until_up(&mut self) {
        while self.next().await != ChannelEvent::Up {}
    }

    /// The next message's payload.
    async fn message(&mut self) -> String {
        loop {
            match self.next().await {
                ChannelEvent::Message(message) => return String::from_utf8(message.payload.into()).unwrap(),
                ChannelEvent::Closed => panic!("the channel closed"),
                ChannelEvent::Up => {}
            }
        }
    }

    /// Waits for a message with this payload.
    async fn hear(&mut self, payload: &str) {
        while self.message().await != payload {}
    }

    /// Publishes a message for stores to keep.
    fn say(&mut self, topic: &ContentTopic, payload: &str) {
        self.channel.publish(WakuMessage::new(topic, payload.to_owned(), unix_nanos()));
    }

    /// Waits until a store has what was said.
    async fn until_stored(&self, payload: &str) {
        let is_stored = async { while self.history.has_stored(payload.as_bytes()).await != Ok(true) {} };
        timeout(PATIENCE, is_stored).await.expect("stores keep it");
    }

    async fn until_alone(&self) {
        let mut peers = self.node.peers().watch();
        let gone = peers.wait_for(|peers| peers.connected.is_empty());
        drop(timeout(PATIENCE, gone).await.expect("the connection is seen to be gone").unwrap());
    }

    async fn move_to(&self, from: &[Multiaddr], to: &Node) {
        for address in from {
            self.node.peers().remove_static(address.clone()).await.unwrap();
        }
        for address in to.listen_addresses() {
            self.node.peers().add_static(address).await.unwrap();
        }
    }
}

fn topic(name: &str) -> ContentTopic {
    format!("/channel/1/{name}/proto").parse().unwrap()
}

fn ago(secs: u64) -> UnixTime {
    UnixTime::from_secs(clock::unix_now().as_secs() - secs)
}

#[tokio::test(flavor = "multi_thread")]
async fn light_clients_behind_one_node_hear_each_other_and_those_that_relay() {
    for (one, other) in [(Mode::Light, Mode::Light), (Mode::Light, Mode::Relay)] {
        let between = between(Serves::AllButStore, ANYWHERE, &[]).await;
        let topic = topic("talk");
        let (mut one, mut other) =
            (Side::on(one, &[&between], &topic).await, Side::on(other, &[&between], &topic).await);
        // Who speaks hears already, so neither can miss an answer.
        one.say(&topic, "here");
        one.hear("here").await;
        other.say(&topic, "there");
        one.hear("there").await;
        one.say(&topic, "and back");
        other.hear("and back").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_client_publishes_once_its_new_topics_are_received_on() {
    let between = between(Serves::AllButStore, ANYWHERE, &[]).await;
    let mut side = Side::on(Mode::Light, &[&between], &topic("first")).await;
    for name in ["second", "third"] {
        let topic = topic(name);
        side.channel.subscribe(topic.clone());
        // Nobody keeps it: it comes back only if the topic was received on when it was said.
        side.channel.publish(WakuMessage::new(&topic, name, unix_nanos()).with_ephemeral());
        side.hear(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_node_that_goes_is_stood_in_for_by_the_other() {
    let one = between(Serves::AllButStore, ANYWHERE, &[]).await;
    let two = between(Serves::AllButStore, ANYWHERE, &[&one]).await;
    let topic = topic("two");
    let mut side = Side::on(Mode::Light, &[&one, &two], &topic).await;
    let mut peer = Side::on(Mode::Relay, &[&two], &topic).await;
    one.shutdown().await;
    side.say(&topic, "through the other");
    peer.hear("through the other").await;
    peer.say(&topic, "and back");
    side.hear("and back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_node_that_restarts_is_found_again() {
    for mode in [Mode::Light, Mode::Relay] {
        let first = between(Serves::All, ANYWHERE, &[]).await;
        let address = first.listen_addresses()[0].to_string();
        let address = address.split("/p2p/").next().unwrap().to_owned();
        let topic = topic("again");
        let mut side = Side::new(mode, &[], None).await;
        side.node.peers().add_static(address.parse().unwrap()).await.unwrap();
        side.channel.subscribe(topic.clone());
        side.until_up().await;
        first.shutdown().await;
        side.until_alone().await;
        let again = between(Serves::All, &address, &[]).await;
        side.until_up().await;
        let mut peer = Side::on(Mode::Light, &[&again], &topic).await;
        peer.say(&topic, "welcome back");
        side.hear("welcome back").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_while_the_network_was_down_comes_after() {
    for mode in [Mode::Light, Mode::Relay] {
        let near = between(Serves::AllButStore, ANYWHERE, &[]).await;
        let far = between(Serves::All, ANYWHERE, &[&near]).await;
        let topic = topic("away");
        let mut away = Side::on(mode, &[&near], &topic).await;
        let mut peer = Side::on(Mode::Relay, &[&far], &topic).await;
        peer.say(&topic, "heard");
        away.hear("heard").await;

        let addresses = near.listen_addresses();
        near.shutdown().await;
        away.until_alone().await;
        peer.say(&topic, "missed");
        peer.until_stored("missed").await;
        away.move_to(&addresses, &far).await;
        // What was heard live does not come again.
        assert_eq!(away.message().await, "missed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_the_process_began_comes_after() {
    for mode in [Mode::Light, Mode::Relay] {
        let between = between(Serves::All, ANYWHERE, &[]).await;
        let topic = topic("restart");
        // Said long ago: nobody relays it any more.
        let said = |payload: &'static str, at: UnixTime| {
            let timestamp = i64::try_from(at.as_nanos()).unwrap();
            let message = EncodedMessage::encode(WakuMessage::new(&topic, payload, timestamp));
            Envelope::new(between.sharding().pubsub_topic(&topic).unwrap(), message)
        };
        let said = [said("too old", ago(3700)), said("before", ago(1800)), said("lately", ago(2))];
        between.store().archive().unwrap().insert(&said).unwrap();
        let mut side = Side::new(mode, &[&between], Some(ago(3600))).await;
        side.channel.subscribe(topic.clone());
        assert_eq!([side.message().await, side.message().await], ["before", "lately"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_found_by_its_payload_or_its_hash_and_handed_in_once() {
    let between = between(Serves::All, ANYWHERE, &[]).await;
    let topic = topic("find");
    let mut peer = Side::on(Mode::Light, &[&between], &topic).await;
    peer.say(&topic, "kept");
    peer.until_stored("kept").await;
    assert_eq!(peer.history.has_stored(b"never said").await, Ok(false));
    peer.channel.publish(WakuMessage::new(&topic, "fleeting", unix_nanos()).with_ephemeral());
    peer.hear("fleeting").await;
    assert_eq!(peer.history.has_stored(b"fleeting").await, Ok(false));

    // It does not receive on the topic.
    let mut side = Side::on(Mode::Relay, &[&between], &self::topic("other")).await;
    let fetched = side.history.fetch([topic.clone()], ago(60)).await.unwrap();
    assert!(fetched.is_all);
    let [kept] = &fetched.messages[..] else { panic!("{fetched:?}") };
    assert_eq!((&*kept.payload, kept.content_topic.as_str()), (&b"kept"[..], topic.as_str()));
    let hash = EncodedMessage::encode(kept.clone()).hash(&side.node.sharding().pubsub_topic(&topic).unwrap());
    assert_eq!(side.history.find([7; 32].into()).await, Ok(false));
    for _ in 0..2 {
        assert_eq!(side.history.find(hash).await, Ok(true));
    }
    side.hear("kept").await;
    assert!(side.channel.inbox.try_recv().is_err(), "it comes once");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_everything_else_works_and_whoever_asks_is_told() {
    let between = between(Serves::AllButStore, ANYWHERE, &[]).await;
    let topic = topic("storeless");
    let mut side = Side::new(Mode::Light, &[&between], Some(ago(3600))).await;
    side.channel.subscribe(topic.clone());
    side.until_up().await;
    side.say(&topic, "heard");
    side.hear("heard").await;
    assert_eq!(side.history.has_stored(b"heard").await, Err(HistoryError::NoStore));
    assert_eq!(side.history.find([7; 32].into()).await, Err(HistoryError::NoStore));
    assert_eq!(side.history.fetch([topic], ago(60)).await, Err(HistoryError::NoStore));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_topics_than_a_store_takes_are_refused() {
    let between = between(Serves::Relay, ANYWHERE, &[]).await;
    let side = Side::on(Mode::Relay, &[&between], &topic("many")).await;
    let topics = (0..11).map(|number| topic(&number.to_string()));
    let refused = side.history.fetch(topics, ago(60)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the query has 11 content topics, stores take 10");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_closes_with_its_node() {
    for mode in [Mode::Light, Mode::Relay] {
        let mut side = Side::new(mode, &[], None).await;
        side.node.shutdown().await;
        assert_eq!(side.next().await, ChannelEvent::Closed);
    }
}
