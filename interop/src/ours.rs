//! Our own node: beside a foreign one, and in its place, which shows that the scenarios themselves hold.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use data_encoding::HEXLOWER;
use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use waku::peers::{NewPeer, PeerOrigin};
use waku::proto::EncodedMessage;
use waku::proto::store::Direction;
use waku::store::archive::{Criteria, Query, Selection};
use waku::{
    Capabilities, Config, ContentTopic, Delivery, Envelope, Fields, FilterConfig, FilterRequestError,
    Keypair, LightpushConfig, LightpushError, Multiaddr, Node, NodeRecord, PeerExchangeConfig, PeerId,
    PubsubTopic, RelayFilter, RelayShards, Sharding, WakuMessage,
};
use waku_discovery::discv5::{self, Discovery};

use crate::line::{Event, Message, Op, Start, StoreOp, Via, hex};
use crate::peer::{Driver, Failure, Implementation};

/// The key of a node that is to be found and was given none.
const SECRET: [u8; 32] = [0x53; 32];
/// Messages that wait to be read by the scenario.
const EVENTS: usize = 4_096;

/// Our node in the foreign peer's place.
pub struct Ours;

impl Implementation for Ours {
    fn name(&self) -> String {
        waku::DEFAULT_AGENT.to_owned()
    }

    fn launch(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let (sender, events) = mpsc::channel(EVENTS);
            Ok(Box::new(OurPeer { node: None, discovery: None, sender, events, readers: VecDeque::new() })
                as Box<dyn Driver>)
        })
    }
}

/// The defaults of the scenarios: a node on loopback that listens on TCP and WebSocket.
///
/// # Errors
/// When there is no such cluster.
pub fn config(cluster: u16) -> Result<Config> {
    let sharding = Sharding::auto(cluster, 8)?.subscribed_to([0])?;
    let mut config = Config::new(Keypair::generate(), sharding);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?, "/ip4/127.0.0.1/tcp/0/ws".parse()?];
    // Whom a scenario connects, it connects itself.
    config.dialing.relay_peers = Some(0);
    Ok(config)
}

struct OurPeer {
    node: Option<Node>,
    discovery: Option<Discovery>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Relay subscriptions, by topic.
    readers: VecDeque<(PubsubTopic, tokio::task::JoinHandle<()>)>,
}

impl Driver for OurPeer {
    fn ask(&mut self, op: Op) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            let answer = self.answer(op).await;
            answer.map_err(|error| match error.downcast::<Failure>() {
                Ok(failure) => failure,
                Err(error) => Failure::Refused(format!("{error:#}")),
            })
        })
    }

    fn event(&mut self) -> BoxFuture<'_, Result<Event>> {
        Box::pin(async { self.events.recv().await.context("the node is gone") })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            if let Some(discovery) = self.discovery {
                discovery.shutdown().await;
            }
            if let Some(node) = self.node {
                node.shutdown().await;
            }
            Ok(())
        })
    }
}

impl OurPeer {
    fn node(&self) -> Result<&Node> {
        self.node.as_ref().context("it has not been started")
    }

    async fn answer(&mut self, op: Op) -> Result<Value> {
        match op {
            Op::Start(start) => self.start(start).await,
            Op::Connect { address } => self.connect(address.parse()?).await,
            Op::Peers => {
                let peers = self.node()?.peers().list().connected;
                Ok(json!({ "peers": peers.iter().map(|peer| peer.peer_id.to_string()).collect::<Vec<_>>() }))
            }
            Op::RelaySubscribe { pubsub_topic } => self.subscribe(pubsub_topic.parse()?).await,
            Op::RelayUnsubscribe { pubsub_topic } => {
                let topic: PubsubTopic = pubsub_topic.parse()?;
                self.readers.retain(|(subscribed, reader)| {
                    let stays = *subscribed != topic;
                    if !stays {
                        reader.abort();
                    }
                    stays
                });
                Ok(json!({}))
            }
            Op::RelayPeers { pubsub_topic } => {
                let topic: PubsubTopic = pubsub_topic.parse()?;
                let peers = self.node()?.peers().list().connected;
                let on_topic = peers.iter().filter(|peer| peer.topics.contains(&topic));
                Ok(json!({ "peers": on_topic.map(|peer| peer.peer_id.to_string()).collect::<Vec<_>>() }))
            }
            Op::RelayPublish { pubsub_topic, message } => {
                let topic: PubsubTopic = pubsub_topic.parse()?;
                let receipt = self.node()?.relay().publish_to(topic, message.try_into()?).await?;
                Ok(json!({ "hash": hex(receipt.hash) }))
            }
            Op::FilterSubscribe { peer, pubsub_topic, content_topics } => {
                let (topic, content_topics) =
                    (pubsub_topic.parse::<PubsubTopic>()?, parsed(&content_topics)?);
                let subscribed = self.filter_at(&peer)?.subscribe(topic, content_topics).await;
                done(subscribed)
            }
            Op::FilterPing { peer } => done(self.filter_at(&peer)?.ping().await),
            Op::FilterUnsubscribe { peer, pubsub_topic, content_topics } => {
                let (topic, content_topics) =
                    (pubsub_topic.parse::<PubsubTopic>()?, parsed(&content_topics)?);
                done(self.filter_at(&peer)?.unsubscribe(topic, content_topics).await.map(drop))
            }
            Op::FilterUnsubscribeAll { peer } => {
                done(self.filter_at(&peer)?.unsubscribe_all().await.map(drop))
            }
            Op::Lightpush { peer, pubsub_topic, message, version } => {
                ensure!(version.is_none(), Failure::Unsupported("it chooses the version itself".to_owned()));
                let topic = pubsub_topic.as_deref().map(str::parse).transpose()?;
                self.lightpush(peer.parse()?, topic, message.try_into()?).await
            }
            Op::Store(question) => self.store(question).await,
            Op::PeerExchange { peer, count } => {
                let records = self.node()?.peers().exchange(peer.parse()?, usize::try_from(count)?).await?;
                Ok(json!({ "records": records.iter().map(ToString::to_string).collect::<Vec<_>>() }))
            }
            Op::Metadata { peer } => {
                let peer: PeerId = peer.parse()?;
                let is_told =
                    |peers: &waku::PeerList| peers.get(peer).is_some_and(|peer| peer.cluster.is_some());
                let mut peers = self.node()?.peers().watch();
                let peers = peers.wait_for(is_told).await?;
                let peer = peers.get(peer).context("it is not connected")?;
                Ok(json!({ "cluster": peer.cluster, "shards": peer.shards }))
            }
            Op::Hash { pubsub_topic, message } => {
                let message = EncodedMessage::encode(message.try_into()?);
                Ok(json!({ "hash": hex(message.hash(&pubsub_topic.parse()?)) }))
            }
            Op::Shard { content_topic, cluster, shards_in_cluster } => {
                let sharding = Sharding::auto(cluster, shards_in_cluster)?;
                let topic: ContentTopic = content_topic.parse()?;
                Ok(json!({ "pubsub_topic": sharding.pubsub_topic(&topic)?.to_string() }))
            }
            Op::Enr { record } => read_record(&record),
            Op::PayloadSeal { .. } | Op::PayloadOpen { .. } => {
                bail!(Failure::Unsupported("it is a crate of its own".to_owned()))
            }
            Op::NoiseBegin(_)
            | Op::NoiseWrite { .. }
            | Op::NoiseRead { .. }
            | Op::NoiseFinish { .. }
            | Op::NoiseSeal { .. }
            | Op::NoiseOpen { .. } => bail!(Failure::Unsupported("it is a crate of its own".to_owned())),
            Op::Screenshot { .. } => bail!(Failure::Unsupported("it has no page".to_owned())),
        }
    }

    async fn start(&mut self, start: Start) -> Result<Value> {
        let mut config = config(start.cluster)?;
        let secret = match &start.key {
            Some(key) => {
                let secret = HEXLOWER.decode(key.as_bytes())?;
                secret.try_into().map_err(|_| anyhow!("the secret has not 32 bytes"))?
            }
            None => SECRET,
        };
        if start.key.is_some() || start.discv5.is_some() {
            config.keypair = Keypair::from_secret(secret)?;
        }
        config.sharding =
            Sharding::auto(start.cluster, start.shards_in_cluster)?.subscribed_to(start.shards)?;
        config.listen_addresses = vec![format!("/ip4/127.0.0.1/tcp/{}", start.port).parse()?];
        config.relay = start.relay;
        config.filter = start.filter.then(|| FilterConfig {
            subscription_timeout: start
                .filter_timeout_ms
                .map_or(Duration::from_secs(300), Duration::from_millis),
            ..FilterConfig::default()
        });
        config.lightpush = start.lightpush.then(LightpushConfig::default);
        config.peer_exchange = (!start.peer_exchange.is_empty()).then(PeerExchangeConfig::default);
        config.static_peers = start.peers.iter().map(|peer| peer.parse()).collect::<Result<_, _>>()?;
        let discv5 = start.discv5.map(|bootstrap| {
            // Whom it finds, it connects to.
            config.dialing.relay_peers = None;
            (bootstrap, secret)
        });
        let node = Node::spawn(config).await?;
        let records: Vec<NodeRecord> =
            start.peer_exchange.iter().map(|record| record.parse()).collect::<Result<_, _>>()?;
        let known = records.iter().map(|record| NewPeer::from_record(record, PeerOrigin::Discv5));
        node.peers().add(known).await?;
        let mut inbox = node.filter().inbox().await?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while let Some(Delivery::Message(envelope)) = inbox.recv().await {
                if sender.send(arrival(Via::Filter, &envelope)).await.is_err() {
                    break;
                }
            }
        });
        let answer = json!({
            "implementation": waku::DEFAULT_AGENT,
            "peer_id": node.local_peer_id().to_string(),
            "addresses": node.listen_addresses(),
        });
        if let Some((bootstrap, secret)) = discv5 {
            self.discovery = Some(discover(&node, secret, bootstrap).await?);
        }
        self.node = Some(node);
        Ok(answer)
    }

    async fn connect(&mut self, address: Multiaddr) -> Result<Value> {
        let node = self.node()?;
        node.peers().add_static(address.clone()).await?;
        let is_connected = |peers: &waku::PeerList| {
            let known = peers.static_peers.iter().find(|known| known.address == address);
            let connected = known.and_then(|known| peers.get(known.peer_id?));
            connected.is_some_and(|peer| !peer.protocols.is_empty())
        };
        let mut peers = node.peers().watch();
        let peers = peers.wait_for(|peers| is_connected(peers) || !peers.disconnections.is_empty()).await?;
        ensure!(is_connected(&peers), "the connection was closed at once");
        Ok(json!({}))
    }

    async fn subscribe(&mut self, topic: PubsubTopic) -> Result<Value> {
        let mut subscription = self.node()?.relay().subscribe(RelayFilter::from(topic.clone())).await?;
        let sender = self.sender.clone();
        let reader = tokio::spawn(async move {
            while let Some(Delivery::Message(envelope)) = subscription.recv().await {
                if sender.send(arrival(Via::Relay, &envelope)).await.is_err() {
                    break;
                }
            }
        });
        self.readers.push_back((topic, reader));
        Ok(json!({}))
    }

    fn filter_at(&self, peer: &str) -> Result<waku::FilterPeer> {
        Ok(self.node()?.filter().at(peer.parse()?))
    }

    async fn lightpush(
        &self,
        peer: PeerId,
        topic: Option<PubsubTopic>,
        message: WakuMessage,
    ) -> Result<Value> {
        match self.node()?.lightpush().publish_via(peer, topic, message).await {
            Ok(receipt) => Ok(json!({ "accepted": true, "status": 200, "relay_peers": receipt.relay_peers })),
            Err(LightpushError::Refused { status, reason, .. }) => {
                Ok(json!({ "accepted": false, "status": status.code(), "info": reason }))
            }
            Err(error) => bail!(error),
        }
    }

    async fn store(&self, question: StoreOp) -> Result<Value> {
        let hashes: Vec<_> = question.hashes.iter().map(|hash| hash.parse()).collect::<Result<_, _>>()?;
        let time = |time: Option<String>| time.map(|time| time.parse::<i64>()).transpose();
        let selection = if hashes.is_empty() {
            Selection::Content(Criteria {
                pubsub_topic: question.pubsub_topic.map(|topic| topic.parse()).transpose()?,
                content_topics: question.content_topics.into_iter().collect(),
                time_start: time(question.time_start)?,
                time_end: time(question.time_end)?,
            })
        } else {
            Selection::Hashes(hashes)
        };
        let mut query = Query::new(selection);
        query.include_data = question.include_data;
        query.direction = if question.forward { Direction::Forward } else { Direction::Backward };
        query.limit = question.limit.map_or(Ok(20), usize::try_from)?;
        query.cursor = question.cursor.map(|cursor| cursor.parse()).transpose()?;
        let limit = query.limit;
        let mut pages = self.node()?.store().query(question.peer.parse()?, query, limit);
        let page = match pages.try_next().await {
            Ok(page) => page,
            Err(waku::StoreError::Refused { status, reason, .. }) => {
                return Ok(json!({ "status": status.code(), "info": reason }));
            }
            Err(error) => bail!(error),
        };
        let (entries, cursor) = page.map(|page| (page.entries, page.cursor)).unwrap_or_default();
        let messages = entries.iter().map(|entry| {
            let envelope = entry.envelope.as_ref();
            json!({
                "hash": hex(entry.hash),
                "pubsub_topic": envelope.map(|envelope| envelope.pubsub_topic().to_string()),
                "message": envelope.map(|envelope| Message::from(envelope.message())),
            })
        });
        let messages: Vec<Value> = messages.collect();
        Ok(json!({ "status": 200, "messages": messages, "cursor": cursor.map(hex) }))
    }
}

fn arrival(via: Via, envelope: &Envelope) -> Event {
    let pubsub_topic = envelope.pubsub_topic().to_string();
    Event::Message { via, pubsub_topic, message: Message::from(envelope.message()) }
}

fn parsed(topics: &[String]) -> Result<Vec<ContentTopic>> {
    topics.iter().map(|topic| Ok(topic.parse()?)).collect()
}

/// Takes part in discovery for a node on shard 0, and tells it what is found.
async fn discover(node: &Node, secret: [u8; 32], bootstrap: Vec<String>) -> Result<Discovery> {
    let address = node.listen_addresses().first().context("it listens nowhere")?.to_string();
    let fields = Fields {
        ip4: Some(Ipv4Addr::LOCALHOST),
        tcp4: address.split('/').nth(4).and_then(|port| port.parse().ok()),
        shards: Some(RelayShards::new(node.sharding().cluster(), [0])?),
        capabilities: Capabilities::RELAY,
        ..Fields::default()
    };
    let listen = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let config =
        discv5::Config { fields, bootstrap, limit_ips: false, ..discv5::Config::new(secret, listen) };
    let (discovery, mut found) = Discovery::start(config).await?;
    let node = node.clone();
    tokio::spawn(async move {
        while let Some(record) = found.recv().await {
            if node.peers().add([NewPeer::from_record(&record.into(), PeerOrigin::Discv5)]).await.is_err() {
                return;
            }
        }
    });
    Ok(discovery)
}

fn done(outcome: Result<(), FilterRequestError>) -> Result<Value> {
    outcome?;
    Ok(json!({}))
}

/// A node record, as `enr` is answered.
#[derive(Serialize)]
struct Read {
    peer_id: String,
    cluster: Option<u16>,
    shards: Vec<u16>,
    addresses: Vec<String>,
    waku2: u8,
}

fn read_record(text: &str) -> Result<Value> {
    let record: NodeRecord = text.parse()?;
    let shards = record.shards();
    Ok(serde_json::to_value(Read {
        peer_id: record.peer_id().to_string(),
        cluster: shards.as_ref().map(RelayShards::cluster),
        shards: shards.iter().flat_map(RelayShards::shards).map(waku::Shard::index).collect(),
        addresses: record.addresses().iter().map(ToString::to_string).collect(),
        waku2: record.capabilities().0,
    })?)
}
