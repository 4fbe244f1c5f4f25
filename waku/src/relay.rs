//! Publishing and receiving messages over the relay network (11/WAKU2-RELAY).

pub(crate) mod behaviour;
pub(crate) mod fan_out;
pub(crate) mod outbox;
pub(crate) mod patience;
pub(crate) mod pool;
pub(crate) mod queue;
mod subscription;
pub(crate) mod tap;
pub(crate) mod topics;
pub(crate) mod validate;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::{oneshot, watch};
use waku_proto::content_topic::ParseContentTopicError;
use waku_proto::message::MessageError;
use waku_proto::{ContentTopic, EncodedMessage, MessageHash, PubsubTopic, Shard, WakuMessage, relay};

use self::fan_out::Interest;
use crate::net::command::{Published, RelayCommand, Unpublished};
use crate::node::Shared;
use crate::sharding::{RoutingError, Sharding};
use crate::{Envelope, PeerId, Stopped};

pub use self::subscription::{ChangeTopicsError, RelaySubscription};
pub use self::tap::Tap;
pub use self::validate::{Validator, Verdict};

/// Publishes and subscribes. Cheap to clone; keeps the node running.
///
/// ```
/// use waku::{Config, Delivery, RelayFilter, Keypair, Node, PublishError, Sharding, WakuMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let node = Node::spawn(Config::new(Keypair::generate(), Sharding::fixed(16, [32, 64])?)).await?;
/// let relay = node.relay();
///
/// // Two content topics, on shard 32, the first; later one of them and a new one.
/// let chats: RelayFilter = ["/chat/1/one/proto".parse()?, "/chat/1/two/proto".parse()?].into_iter().collect();
/// let mut inbox = relay.subscribe(chats).await?;
/// inbox.add_content_topics(["/chat/1/three/proto".parse()?]).await?;
/// inbox.remove_content_topics(["/chat/1/two/proto".parse()?]).await?;
///
/// // Nobody is connected.
/// let message = WakuMessage::new(&"/chat/1/one/proto".parse()?, "hello", 1_681_964_442_000_000_000);
/// assert_eq!(relay.publish(message).await, Err(PublishError::NoPeers));
///
/// node.shutdown().await;
/// while let Some(delivery) = inbox.recv().await {
///     match delivery {
///         Delivery::Message(envelope) => println!("{} on {}", envelope.hash(), envelope.pubsub_topic()),
///         Delivery::Missed(count) => println!("{count} messages came too fast"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Relay {
    pub(crate) node: Arc<Shared>,
}

impl Relay {
    /// Publishes a message on the pubsub topic its content topic belongs to.
    ///
    /// The message should have a timestamp; see [`WakuMessage::new`]. Subscriptions of this node get it too.
    /// When it returns, the message is queued for the peers.
    ///
    /// # Errors
    /// When the message must not be published or nobody could be sent it; see [`PublishError`].
    pub async fn publish(&self, message: WakuMessage) -> Result<PublishReceipt, PublishError> {
        let content_topic: ContentTopic = message.content_topic.parse()?;
        let topic = self.node.sharding.pubsub_topic(&content_topic)?;
        self.publish_to(topic, message).await
    }

    /// Publishes a message on a pubsub topic, whether the node is subscribed to it or not.
    ///
    /// # Errors
    /// As [`Relay::publish`]; the content topic may be any text but the empty one.
    pub async fn publish_to(
        &self,
        topic: impl Into<PubsubTopic>,
        message: WakuMessage,
    ) -> Result<PublishReceipt, PublishError> {
        if !self.node.relays {
            return Err(PublishError::NoRelay);
        }
        let (topic, limit) = (topic.into(), self.node.max_rpc_size);
        message.check()?;
        let message = EncodedMessage::encode(message);
        let size = relay::rpc_size(&topic, message.bytes().len());
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let envelope = Envelope::new(topic, message);
        if let Some(judge) = &self.node.judge {
            match judge.judge(envelope.clone()).await {
                Verdict::Accept => {}
                verdict => return Err(PublishError::Refused(verdict)),
            }
        }
        let hash = envelope.hash();
        let (reply, answer) = oneshot::channel();
        self.node.command(RelayCommand::Publish { envelope, reply }).await?;
        let Published { peers } = answer.await.map_err(|_| Stopped)??;
        Ok(PublishReceipt { hash, peers })
    }

    /// Subscribes the node to a pubsub topic without reading its messages: it relays them, and they come to what
    /// else takes them, its archive for example. As long as the membership is kept.
    ///
    /// # Errors
    /// When the node does not relay, or has stopped.
    pub async fn join(&self, topic: impl Into<PubsubTopic>) -> Result<Membership, SubscribeError> {
        Ok(Membership { _subscription: self.open(Interest::Membership(topic.into())).await? })
    }

    /// The pubsub topics the node is subscribed to, watched.
    pub fn watch_topics(&self) -> watch::Receiver<BTreeSet<PubsubTopic>> {
        self.node.topics.clone()
    }

    /// The relay's view of each connected peer, by peer id; nobody when the node does not relay.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn peers(&self) -> Result<Vec<RelayPeer>, Stopped> {
        if !self.node.relays {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.node.command(RelayCommand::Peers { reply }).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// Subscribes to everything on a pubsub topic or shard, or to some content topics.
    ///
    /// The node subscribes to the pubsub topics needed as long as a subscription needs them. Dropping the
    /// subscription ends it.
    ///
    /// # Errors
    /// When a content topic belongs to no pubsub topic, or the node has stopped.
    pub async fn subscribe(
        &self,
        filter: impl Into<RelayFilter>,
    ) -> Result<RelaySubscription, SubscribeError> {
        let interest = interest(&self.node.sharding, filter.into())?;
        self.open(interest).await
    }

    async fn open(&self, interest: Interest) -> Result<RelaySubscription, SubscribeError> {
        if !self.node.relays {
            return Err(SubscribeError::NoRelay);
        }
        let (reply, answer) = oneshot::channel();
        self.node.command(RelayCommand::Subscribe { interest, reply }).await?;
        let (id, reader) = answer.await.map_err(|_| Stopped)?;
        Ok(RelaySubscription::new(id, reader, Arc::downgrade(&self.node)))
    }
}

/// Keeps the node subscribed to a pubsub topic; dropping it leaves the topic, unless somebody else needs it.
#[derive(Debug)]
pub struct Membership {
    _subscription: RelaySubscription,
}

/// What the relay shares with a connected peer, and what it thinks of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayPeer {
    /// Its identity.
    pub peer_id: PeerId,
    /// Gossipsub's score of it; below 0 it is refused some favours, far below everything.
    pub score: f64,
    /// The pubsub topics it is a mesh peer on: those whose messages are sent to it at once.
    pub mesh: BTreeSet<PubsubTopic>,
}

fn interest(sharding: &Sharding, filter: RelayFilter) -> Result<Interest, RoutingError> {
    match filter {
        RelayFilter::PubsubTopic(topic) => Ok(Interest::Topic(topic)),
        RelayFilter::ContentTopics(topics) => Ok(Interest::ContentTopics(routes(sharding, topics)?)),
    }
}

/// Content topics, as messages have them, with the pubsub topics they belong to.
fn routes(
    sharding: &Sharding,
    topics: impl IntoIterator<Item = ContentTopic>,
) -> Result<HashMap<Box<str>, PubsubTopic>, RoutingError> {
    let route = |topic: ContentTopic| Ok((topic.as_str().into(), sharding.pubsub_topic(&topic)?));
    topics.into_iter().map(route).collect()
}

/// What a subscription asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayFilter {
    /// Everything on a pubsub topic.
    PubsubTopic(PubsubTopic),
    /// These content topics, on the pubsub topics they belong to. The set may be empty at first.
    ContentTopics(BTreeSet<ContentTopic>),
}

impl From<PubsubTopic> for RelayFilter {
    fn from(topic: PubsubTopic) -> Self {
        Self::PubsubTopic(topic)
    }
}

impl From<Shard> for RelayFilter {
    fn from(shard: Shard) -> Self {
        Self::PubsubTopic(shard.into())
    }
}

impl From<ContentTopic> for RelayFilter {
    fn from(topic: ContentTopic) -> Self {
        Self::ContentTopics(BTreeSet::from([topic]))
    }
}

impl FromIterator<ContentTopic> for RelayFilter {
    fn from_iter<I: IntoIterator<Item = ContentTopic>>(topics: I) -> Self {
        Self::ContentTopics(topics.into_iter().collect())
    }
}

/// A message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishReceipt {
    /// Its deterministic hash: the name stores know it by.
    pub hash: MessageHash,
    /// Peers it was addressed to. One whose send queue is full does not get it, which is counted
    /// ([`MetricsSnapshot::relay_send_dropped`](crate::MetricsSnapshot::relay_send_dropped)).
    pub peers: usize,
}

/// A message that was not published.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The content topic has no valid form, so no pubsub topic belongs to it.
    #[error(transparent)]
    ContentTopic(#[from] ParseContentTopicError),
    /// No pubsub topic belongs to the content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// Some implementations would refuse to relay the message.
    #[error("the message would not be relayed: {0}")]
    Invalid(#[from] MessageError),
    /// The node's validator does not accept the message.
    #[error("the node's validator says {0:?} to the message")]
    Refused(Verdict),
    /// The message is over the network's limit.
    #[error("the message takes {size} bytes on the wire, at most {limit} are allowed")]
    TooLarge {
        /// Size of the gossipsub RPC that would carry it, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The node does not relay ([`Config::relay`](crate::Config::relay)): publish through lightpush.
    #[error("the node does not relay; publish through lightpush")]
    NoRelay,
    /// No connected peer is subscribed to the topic.
    #[error("no connected peer is subscribed to the pubsub topic")]
    NoPeers,
    /// The very same bytes were published or received in the last two minutes.
    #[error("the message was published already")]
    Duplicate,
    /// The send queues of all peers are full: publishing is faster than the network. Try the message
    /// again after some milliseconds, within five seconds. That needs a subscription to the topic; without
    /// one the same bytes will not be sent.
    #[error("the send queues of all peers are full; publish more slowly")]
    Busy,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<Unpublished> for PublishError {
    fn from(error: Unpublished) -> Self {
        match error {
            Unpublished::NoPeers => Self::NoPeers,
            Unpublished::Duplicate => Self::Duplicate,
            Unpublished::Busy => Self::Busy,
        }
    }
}

/// A subscription that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubscribeError {
    /// No pubsub topic belongs to a content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The node does not relay ([`Config::relay`](crate::Config::relay)): subscribe through filter.
    #[error("the node does not relay; subscribe through filter")]
    NoRelay,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
