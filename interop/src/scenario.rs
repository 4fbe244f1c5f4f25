//! What our node and another implementation must be able to do together.

mod agreement;
mod chain;
mod discovery;
mod filter;
mod lightpush;
mod noise;
mod pairing;
mod payload;
mod peers;
mod reconnect;
mod relay;
mod store;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use futures::future::LocalBoxFuture;
use tokio::time::{MissedTickBehavior, interval, timeout};
use waku::{
    Config, ContentTopic, Delivery, Multiaddr, Node, PeerId, PeerList, PubsubTopic, RelaySubscription, Shard,
    WakuMessage,
};

use crate::line::{Op, Peers, Start};
use crate::peer::{Implementation, PATIENCE, Peer};

pub use self::chain::through_the_browser;

/// The cluster of all scenarios: nobody's.
pub const CLUSTER: u16 = 99;

/// What our node is in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The same as the other.
    Peer,
    /// It is asked.
    Service,
    /// It asks.
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Peer => "peer",
            Self::Service => "service",
            Self::Client => "client",
        })
    }
}

/// Where a scenario plays.
pub struct Scene<'a> {
    /// The other implementation.
    pub foreign: &'a dyn Implementation,
    /// Where files of the run go.
    pub folder: &'a Path,
}

/// One thing to do together.
pub struct Scenario {
    /// The specification, as the matrix names it.
    pub protocol: &'static str,
    /// What our node is.
    pub role: Role,
    /// What is shown.
    pub name: &'static str,
    /// Plays it.
    pub run: for<'a> fn(&'a Scene<'a>) -> LocalBoxFuture<'a, Result<()>>,
}

macro_rules! scenarios {
    ($($protocol:literal, $role:ident, $name:literal, $run:path;)+) => {
        /// Every scenario between our node and one implementation.
        pub const SCENARIOS: &[Scenario] = &[
            $(Scenario { protocol: $protocol, role: Role::$role, name: $name, run: |scene| Box::pin($run(scene)) },)+
        ];
    };
}

scenarios! {
    "11/RELAY", Peer, "relay-both-ways", relay::both_ways;
    "11/RELAY", Peer, "relay-awkward-fields", relay::awkward_fields;
    "11/RELAY", Peer, "relay-largest-message", relay::largest_message;
    "11/RELAY", Peer, "relay-line-through-ours", relay::line_through_ours;
    "11/RELAY", Peer, "relay-line-through-theirs", relay::line_through_theirs;
    "11/RELAY", Peer, "relay-foreign-restarts", reconnect::foreign_restarts;
    "11/RELAY", Peer, "relay-ours-restarts", reconnect::ours_restarts;
    "12/FILTER", Service, "filter-served", filter::served;
    "12/FILTER", Service, "filter-many-pushes-served", filter::many_pushes_served;
    "12/FILTER", Service, "filter-expiry-served", filter::expiry_served;
    "12/FILTER", Client, "filter-asked", filter::asked;
    "12/FILTER", Client, "filter-many-pushes-asked", filter::many_pushes_asked;
    "19/LIGHTPUSH", Service, "lightpush-served", lightpush::served;
    "19/LIGHTPUSH", Service, "lightpush-autosharded-served", lightpush::autosharded_served;
    "19/LIGHTPUSH", Service, "lightpush-without-peers-served", lightpush::without_peers_served;
    "19/LIGHTPUSH", Service, "lightpush-too-large-served", lightpush::too_large_served;
    "19/LIGHTPUSH", Service, "lightpush-bad-topic-served", lightpush::bad_topic_served;
    "19/LIGHTPUSH", Service, "lightpush-v2-served", lightpush::version_2_served;
    "19/LIGHTPUSH", Client, "lightpush-asked", lightpush::asked;
    "19/LIGHTPUSH", Client, "lightpush-without-peers-asked", lightpush::without_peers_asked;
    "13/STORE", Service, "store-pages-forward", store::pages_forward;
    "13/STORE", Service, "store-pages-backward", store::pages_backward;
    "13/STORE", Service, "store-by-content-topic", store::by_content_topic;
    "13/STORE", Service, "store-by-time", store::by_time;
    "13/STORE", Service, "store-by-hash", store::by_hash;
    "13/STORE", Service, "store-hashes-alone", store::hashes_alone;
    "13/STORE", Service, "store-nothing-found", store::nothing_found;
    "13/STORE", Service, "store-unknown-cursor", store::unknown_cursor;
    "66/METADATA", Peer, "metadata-told", peers::metadata_told;
    "66/METADATA", Peer, "metadata-mismatch", peers::metadata_mismatch;
    "34/PEER-EXCHANGE", Service, "peer-exchange-served", peers::exchange_served;
    "34/PEER-EXCHANGE", Client, "peer-exchange-asked", peers::exchange_asked;
    "33/DISCV5", Peer, "discv5-theirs-found", discovery::theirs_found;
    "33/DISCV5", Peer, "discv5-ours-found", discovery::ours_found;
    "31/ENR", Peer, "enr-of-ours-read", peers::record_of_ours_read;
    "31/ENR", Peer, "enr-of-theirs-read", peers::record_of_theirs_read;
    "14/MESSAGE", Peer, "hashes-agree", agreement::hashes;
    "51/RELAY-SHARDING", Peer, "shards-agree", agreement::shards;
    "26/PAYLOAD", Peer, "payload-symmetric", payload::symmetric;
    "26/PAYLOAD", Peer, "payload-asymmetric", payload::asymmetric;
    "35/NOISE", Peer, "noise-k1k1", noise::k1k1;
    "35/NOISE", Peer, "noise-xk1", noise::xk1;
    "35/NOISE", Peer, "noise-xx", noise::xx;
    "35/NOISE", Peer, "noise-xxpsk0", noise::xxpsk0;
    "35/NOISE", Peer, "noise-waku-pairing", noise::waku_pairing;
    "pairing", Peer, "pairing-through-theirs", pairing::through_theirs;
}

/// Our node and a foreign one, connected.
struct Pair {
    node: Node,
    peer: Peer,
}

impl Pair {
    /// Starts both, and connects the foreign one to ours.
    async fn start(scene: &Scene<'_>, config: Config, start: Start) -> Result<Self> {
        let mut peer = Peer::start(scene.foreign, start).await?;
        let node = Node::spawn(config).await?;
        peer.connect(&address_for(&node, &peer)?).await?;
        let id = peer.id()?;
        until(&node, |peers| peers.get(id).is_some_and(|peer| !peer.protocols.is_empty())).await?;
        Ok(Self { node, peer })
    }

    /// Starts both as relays of a shard, each knowing that the other is.
    async fn relaying(scene: &Scene<'_>) -> Result<(Self, RelaySubscription)> {
        let mut pair = Self::start(scene, crate::ours::config(CLUSTER)?, Start::relay(CLUSTER)).await?;
        let inbox = pair.node.relay().subscribe(topic()).await?;
        pair.peer.subscribe(&topic()).await?;
        pair.meshed().await?;
        Ok((pair, inbox))
    }

    /// Returns when each knows that the other is on the shard.
    async fn meshed(&mut self) -> Result<()> {
        let id = self.peer.id()?;
        relays(&self.node, id).await?;
        hears(&mut self.peer, self.node.local_peer_id()).await
    }

    /// The peer id of our node, as text.
    fn ours(&self) -> String {
        self.node.local_peer_id().to_string()
    }

    async fn end(self) -> Result<()> {
        self.node.shutdown().await;
        self.peer.stop().await
    }
}

/// A relay of ours that has nobody but one node, on the shard of all scenarios.
async fn behind(address: Multiaddr, node: PeerId) -> Result<(Node, RelaySubscription)> {
    let mut config = crate::ours::config(CLUSTER)?;
    config.static_peers = vec![address];
    let behind = Node::spawn(config).await?;
    let inbox = behind.relay().subscribe(topic()).await?;
    relays(&behind, node).await?;
    Ok((behind, inbox))
}

/// The shard of all scenarios.
fn topic() -> PubsubTopic {
    topic_in(CLUSTER)
}

/// Shard 0 of a cluster.
fn topic_in(cluster: u16) -> PubsubTopic {
    Shard::new(cluster, 0).expect("shard 0 is in any cluster").into()
}

/// A content topic of the shard of all scenarios, by autosharding over eight shards.
fn content_topic() -> Result<ContentTopic> {
    content_topics(1)?.pop().context("none was found")
}

/// So many content topics of the shard of all scenarios.
fn content_topics(count: usize) -> Result<Vec<ContentTopic>> {
    let sharding = waku::Sharding::auto(CLUSTER, 8)?;
    let mut found = Vec::new();
    for number in 0.. {
        let candidate: ContentTopic = format!("/interop-{number}/1/scenario/proto").parse()?;
        if found.len() == count {
            break;
        }
        if sharding.pubsub_topic(&candidate)? == topic() {
            found.push(candidate);
        }
    }
    Ok(found)
}

/// Unix time in nanoseconds.
fn now() -> Result<i64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos().try_into()?)
}

/// A message of now.
fn message(payload: impl Into<waku::Bytes>) -> Result<WakuMessage> {
    Ok(WakuMessage::new(&content_topic()?, payload, now()?))
}

/// The address of our node that a foreign one can dial: browsers dial WebSocket alone.
fn address_for(node: &Node, peer: &Peer) -> Result<Multiaddr> {
    let only_dials = peer.started().addresses.is_empty();
    let is_websocket = |address: &Multiaddr| address.to_string().contains("/ws");
    let mut addresses = node.listen_addresses().into_iter();
    addresses.find(|address| is_websocket(address) == only_dials).context("our node does not listen")
}

/// Returns when our node's peers are as wanted.
async fn until(node: &Node, is_so: impl FnMut(&PeerList) -> bool) -> Result<()> {
    let mut peers = node.peers().watch();
    let waited = timeout(PATIENCE, peers.wait_for(is_so)).await.map(|peers| peers.map(|_| ()));
    match waited {
        Ok(done) => Ok(done?),
        Err(_) => bail!("not within {PATIENCE:?}; the peers of our node: {:?}", node.peers().list()),
    }
}

/// Returns when our node knows that a peer relays the shard.
async fn relays(node: &Node, peer: PeerId) -> Result<()> {
    until(node, |peers| peers.get(peer).is_some_and(|peer| peer.topics.contains(&topic())))
        .await
        .context("our node does not learn that the other is on the shard")
}

/// Returns when a foreign relay knows that a node relays the shard.
async fn hears(peer: &mut Peer, node: PeerId) -> Result<()> {
    let node = node.to_string();
    eventually("the other does not learn that our node is on the shard", async || {
        let heard: Peers = peer.ask(Op::RelayPeers { pubsub_topic: topic().to_string() }).await?;
        Ok(heard.peers.contains(&node))
    })
    .await
}

/// Asks again and again, for what nobody tells by himself.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asked = async {
        while !is_so().await? {
            ticks.tick().await;
        }
        Ok(())
    };
    timeout(PATIENCE, asked).await.map_err(|_| anyhow!("{what}, within {PATIENCE:?}"))?
}

/// The next message of a subscription of ours.
async fn next(inbox: &mut RelaySubscription) -> Result<WakuMessage> {
    read(inbox.recv()).await
}

/// The message of a delivery that is to come.
async fn read(delivery: impl Future<Output = Option<Delivery>>) -> Result<WakuMessage> {
    let delivery = timeout(PATIENCE, delivery).await;
    match delivery.map_err(|_| anyhow!("nothing came to our node within {PATIENCE:?}"))? {
        Some(Delivery::Message(envelope)) => Ok(envelope.message().clone()),
        Some(Delivery::Missed(count)) => bail!("our node missed {count} messages"),
        None => bail!("our node stopped"),
    }
}
