//! 12/WAKU2-FILTER, version 2: a light client has matching messages pushed to it.
//!
//! A service node relays and has subscribers ([`server`] decides, [`service`] works); a client has
//! subscriptions at service nodes ([`client`] decides, [`upkeep`] works).
//!
//! # Differences from the specification
//! - Status codes, limits and timeouts are those deployed: a subscription lives five minutes without a ping,
//!   not one.
//! - A client takes pushes only from peers it has subscribed at, and only of topics it has asked for.
//!
//! # Differences from nwaku
//! See [`server`] for what is answered and [`push`](crate::net::push) for streams. nwaku's client pings and
//! replaces service nodes every 30 s; this one goes by P2P-RELIABILITY.

mod by_hand;
pub(crate) mod client;
mod config;
mod fill;
mod orders;
mod request;
pub(crate) mod server;
pub(crate) mod service;
mod subscription;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use waku_proto::filter::{Status, SubscribeRequest, SubscribeResponse};
use waku_proto::{ContentTopic, PubsubTopic, protocol_id};

use self::orders::{Command, Orders};
use self::service::{FilterService, Questions};
use self::upkeep::Upkeep;
use crate::metrics::Metrics;
use crate::net::codec::{Limits, Protocol};
use crate::net::exchange::{Asker, Refusal, Served, UNREAD_REQUEST_ID};
use crate::net::router::Router;
use crate::net::services::FilterInlets;
use crate::node::Shared;
use crate::peers::PeerList;
use crate::{Config, PeerId, Stopped};

pub use self::client::FilterGap;
pub use self::config::{
    DEFAULT_FILTER_PING_INTERVAL, DEFAULT_GIVE_UP_AFTER, DEFAULT_MAX_CRITERIA, DEFAULT_MAX_SUBSCRIBERS,
    DEFAULT_SERVICE_PEERS, DEFAULT_SUBSCRIPTION_TIMEOUT, FilterClientConfig, FilterConfig,
};
pub use self::request::{FilterPeer, FilterRequestError};
pub use self::subscription::{FilterInbox, FilterSubscribeError, FilterSubscription};

/// What a client asks its service node.
#[derive(Debug)]
pub(crate) enum SubscribeProtocol {}

impl Protocol for SubscribeProtocol {
    const ID: &'static str = protocol_id::FILTER_SUBSCRIBE;
    type Request = SubscribeRequest;
    type Response = SubscribeResponse;
}

impl Served for SubscribeProtocol {
    fn refusal(refusal: Refusal) -> SubscribeResponse {
        let (status, description) = match refusal {
            Refusal::TooManyRequests => {
                (Status::TooManyRequests, "filter request rejected due rate limit exceeded")
            }
            Refusal::Busy => (Status::Unavailable, "SERVICE_UNAVAILABLE: too many requests wait already"),
        };
        SubscribeResponse {
            request_id: UNREAD_REQUEST_ID.to_owned(),
            status,
            status_desc: Some(description.to_owned()),
        }
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        // A hundred content topics may be long; nwaku reads 1.5 MiB.
        max_request: 256 * 1024,
        // What nwaku reads.
        max_response: 64 * 1024,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(10),
        streams: 16,
    }
}

/// Frames of filter push, for messages whose relay RPC may have `max_rpc_size` bytes.
pub(crate) fn max_push(max_rpc_size: usize) -> usize {
    max_rpc_size + 64 * 1024
}

/// The ends of filter that the handles use.
#[derive(Debug)]
pub(crate) struct FilterEnds {
    orders: Orders,
    /// `None` when the node does not serve filter.
    questions: Option<Questions>,
}

impl FilterEnds {
    async fn order<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Stopped> {
        self.orders.order(command).await
    }
}

/// What filter is given by the node.
#[derive(Debug)]
pub(crate) struct FilterParts {
    pub(crate) inlets: FilterInlets,
    pub(crate) asker: Asker<SubscribeProtocol>,
    pub(crate) peers: watch::Receiver<PeerList>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Starts the service, if there are requests to serve, and prepares the client, which is to be run. Both end
/// with the swarm.
pub(crate) fn start(config: &Config, parts: FilterParts, router: &mut Router) -> (FilterEnds, Upkeep) {
    let FilterParts { inlets: FilterInlets { requests, push }, asker, peers, metrics } = parts;
    let questions = requests.map(|requests| {
        let (tap, messages) = service::tap(&metrics);
        router.add_tap(tap);
        let config = config.filter.clone().unwrap_or_default();
        let (lanes, metrics) = (push.lanes.clone(), Arc::clone(&metrics));
        let (service, questions) = FilterService::new(&config, requests, messages, lanes, metrics);
        tokio::spawn(service.run());
        questions
    });
    let queue_len = config.subscription_queue_len;
    let (upkeep, orders) = Upkeep::new(&config.filter_client, queue_len, push, asker, peers, metrics);
    (FilterEnds { orders, questions }, upkeep)
}

/// Receives messages through service nodes, without relaying. Cheap to clone; keeps the node running.
///
/// ```
/// use waku::{Config, Delivery, FilterConfig, Keypair, Node, Sharding, WakuMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let mut config = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
/// config.filter = Some(FilterConfig::default());
/// let service = Node::spawn(config).await?;
/// # let mut other = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// # other.static_peers = service.listen_addresses();
/// # let other = Node::spawn(other).await?;
/// # service.peers().watch().wait_for(|peers| peers.connected.iter().any(|peer| peer.topics.len() == 8)).await?;
///
/// let mut config = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// config.relay = false;
/// config.static_peers = service.listen_addresses();
/// let phone = Node::spawn(config).await?;
///
/// let topic: waku::ContentTopic = "/toychat/2/huilong/proto".parse()?;
/// let mut inbox = phone.filter().subscribe([topic.clone()]).await?;
/// inbox.service_peers().wait_for(|count| *count > 0).await?;
///
/// service.relay().publish(WakuMessage::new(&topic, "hello", 1_681_964_442_000_000_000)).await?;
/// let Some(Delivery::Message(envelope)) = inbox.recv().await else { panic!("nothing came") };
/// assert_eq!(envelope.message().payload, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    pub(crate) node: Arc<Shared>,
}

impl Filter {
    /// Subscribes to content topics, each on the pubsub topic it belongs to.
    ///
    /// The connected peers that serve filter are asked, some for each pubsub topic
    /// ([`FilterClientConfig::service_peers`]); they are pinged, and replaced when they fail. A message that
    /// several of them push comes once. The set may be empty at first. Returns at once:
    /// [`FilterSubscription::service_peers`] tells when messages come.
    ///
    /// # Errors
    /// When a content topic belongs to no pubsub topic, there are too many, or the node has stopped.
    pub async fn subscribe(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<FilterSubscription, FilterSubscribeError> {
        self.open(None, topics).await
    }

    /// Subscribes to content topics on a pubsub topic.
    ///
    /// # Errors
    /// When there are too many, or the node has stopped.
    pub async fn subscribe_on(
        &self,
        pubsub_topic: impl Into<PubsubTopic>,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<FilterSubscription, FilterSubscribeError> {
        self.open(Some(pubsub_topic.into()), topics).await
    }

    async fn open(
        &self,
        pubsub_topic: Option<PubsubTopic>,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<FilterSubscription, FilterSubscribeError> {
        let topics = subscription::routes(&self.node, pubsub_topic.as_ref(), topics)?;
        let opened = self.node.filter.order(|reply| Command::Subscribe { topics, reply }).await??;
        Ok(FilterSubscription::new(opened, pubsub_topic, Arc::downgrade(&self.node)))
    }

    /// One service node, to be asked by hand.
    pub fn at(&self, peer: PeerId) -> FilterPeer {
        FilterPeer { node: Arc::clone(&self.node), peer }
    }

    /// What is pushed to requests by hand ([`Filter::at`]), from now on.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn inbox(&self) -> Result<FilterInbox, Stopped> {
        let reader = self.node.filter.order(|reply| Command::Inbox { reply }).await?;
        Ok(FilterInbox { reader })
    }

    /// Whom this node pushes to, in no order; nobody when it does not serve filter.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn subscribers(&self) -> Result<Vec<FilterSubscriber>, Stopped> {
        let Some(questions) = &self.node.filter.questions else {
            return Ok(Vec::new());
        };
        let (reply, answer) = oneshot::channel();
        questions.send(reply).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

/// A peer that has messages pushed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSubscriber {
    /// The peer.
    pub peer_id: PeerId,
    /// What it asks for: pubsub topic and content topic, as it has written them.
    pub criteria: Vec<(PubsubTopic, Arc<str>)>,
}
