//! Publishing through a service node: LIGHTPUSH version 3, and 19/WAKU2-LIGHTPUSH (version 2).
//!
//! A node that does not relay, on a phone for example, hands its messages to service nodes that do
//! ([`Lightpush`]). A node that relays can be such a service node ([`LightpushConfig`]).
//!
//! # What a service node answers
//! | Status | When |
//! |---|---|
//! | 200 | relayed, to so many peers: at least one |
//! | 400 | the request cannot be read, names no content topic, or a pubsub topic that is none |
//! | 413 | request or message are over the limit |
//! | 420 | the message is not valid or seen before, or its pubsub topic is not known |
//! | 421 | the node is not subscribed to the pubsub topic |
//! | 429, 503 | asked too often; too much to do |
//! | 505 | nobody to relay to |
//!
//! In version 2 there is success or failure; a failure's reason is in words, nwaku's own where it has some.
//!
//! # Differences from the specification
//! The status codes are the deployed ones: see [`Status`].
//!
//! # Differences from nwaku
//! - 413 and 421 are used; nwaku answers 420 to a message over the limit, and tries to publish on any topic.
//! - A message without timestamp gets the time of its first node; nwaku does the same, where it relays.
//! - No rate limit proofs are made, as in nwaku since July 2026.

mod client;
mod protocol;
mod server;
pub(crate) mod service;
mod words;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use waku_proto::content_topic::ParseContentTopicError;
use waku_proto::lightpush::{Request, Status, v2};
use waku_proto::message::MessageError;
use waku_proto::{ContentTopic, EncodedMessage, MessageHash, PubsubTopic, WakuMessage, relay};

use self::client::{Candidate, Failure, Taken, Tries, Version};
use crate::clock::unix_nanos;
use crate::node::Shared;
use crate::rate_limit::RateLimit;
use crate::request_id::request_id;
use crate::sharding::RoutingError;
use crate::{AskError, PeerId, Peers, Stopped};

pub(crate) use self::protocol::{LightpushProtocol, LightpushV2Protocol, limits};

/// How long publishing may take in all, when nothing else is said: three tries and the pauses between them.
pub const DEFAULT_PUSH_TIMEOUT: Duration = Duration::from_secs(35);
/// How long one service node is waited for, as in js-waku.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a lightpush service node gives. It must relay.
#[derive(Debug, Clone, Default)]
pub struct LightpushConfig {
    /// How often it is asked, each version by itself; default without a limit, as nwaku.
    pub rate_limit: RateLimit,
}

/// Publishes through service nodes: peers that serve lightpush. Cheap to clone; keeps the node
/// running.
///
/// ```
/// use waku::{Config, Delivery, Keypair, LightpushConfig, Node, PeerList, Sharding, WakuMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let sharding = Sharding::auto(1, 8)?;
/// // A service node, and one that relays with it.
/// let mut config = Config::new(Keypair::generate(), sharding.clone());
/// config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
/// config.lightpush = Some(LightpushConfig::default());
/// let service = Node::spawn(config).await?;
/// let mut config = Config::new(Keypair::generate(), sharding.clone());
/// config.static_peers = service.listen_addresses();
/// let relaying = Node::spawn(config).await?;
///
/// // The light client.
/// let mut config = Config::new(Keypair::generate(), sharding);
/// config.relay = false;
/// config.static_peers = service.listen_addresses();
/// let phone = Node::spawn(config).await?;
///
/// let topic: waku::ContentTopic = "/toychat/2/huilong/proto".parse()?;
/// let mut inbox = relaying.relay().subscribe(topic.clone()).await?;
/// let is_heard = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
/// service.peers().watch().wait_for(is_heard).await?;
/// let is_served = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.protocols.is_empty());
/// phone.peers().watch().wait_for(is_served).await?;
///
/// let message = WakuMessage::new(&topic, "hello", 1_681_964_442_000_000_000);
/// let receipt = phone.lightpush().publish(message).await?;
/// assert_eq!(receipt.service_peers, [service.local_peer_id()]);
/// assert_eq!(receipt.relay_peers, Some(1));
///
/// let Some(Delivery::Message(envelope)) = inbox.recv().await else { panic!("nothing came") };
/// assert_eq!(envelope.hash(), receipt.hash);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lightpush {
    node: Arc<Shared>,
    redundancy: usize,
    timeout: Duration,
}

impl Lightpush {
    pub(crate) fn new(node: Arc<Shared>) -> Self {
        Self { node, redundancy: 1, timeout: DEFAULT_PUSH_TIMEOUT }
    }

    /// Publishes each message through so many service nodes at once, at least one, as far as there are so
    /// many. Two are good against one that only says it has published.
    pub fn with_redundancy(mut self, service_peers: usize) -> Self {
        self.redundancy = service_peers.max(1);
        self
    }

    /// How long publishing may take in all; [`DEFAULT_PUSH_TIMEOUT`].
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Publishes a message on the pubsub topic its content topic belongs to.
    ///
    /// Where it may help, another service node is tried, or the same one after a pause: three tries in all, for
    /// each of the nodes that are asked at once. A message without timestamp gets one.
    ///
    /// # Errors
    /// When the message must not be published or no service node takes it; see [`LightpushError`].
    pub async fn publish(&self, message: WakuMessage) -> Result<LightpushReceipt, LightpushError> {
        let topic = self.topic_of(&message)?;
        self.publish_to(topic, message).await
    }

    /// Publishes a message on a pubsub topic.
    ///
    /// # Errors
    /// As [`Lightpush::publish`]; the content topic may be any text but the empty one.
    pub async fn publish_to(
        &self,
        topic: impl Into<PubsubTopic>,
        message: WakuMessage,
    ) -> Result<LightpushReceipt, LightpushError> {
        let topic = topic.into();
        let (message, hash) = self.check(&topic, message)?;
        let request = Push { named: Some(&topic), topic: &topic, message: &message };
        let deadline = Instant::now() + self.timeout;
        let candidates = timeout_at(deadline, self.candidates(&topic)).await;
        let candidates = candidates.unwrap_or(Ok(Vec::new()))?;
        let ways = Tries::deal(&candidates, self.redundancy);
        let endings =
            join_all(ways.into_iter().map(|tries| self.push_along(tries, &request, deadline))).await;
        conclude(hash, endings)
    }

    /// Publishes a message through this peer, once. Without a pubsub topic the peer derives it from the
    /// content topic, as this node's sharding does.
    ///
    /// # Errors
    /// As [`Lightpush::publish`]. That the peer has seen the message before is an error here,
    /// [`LightpushError::Duplicate`].
    pub async fn publish_via(
        &self,
        peer: PeerId,
        pubsub_topic: Option<PubsubTopic>,
        message: WakuMessage,
    ) -> Result<LightpushReceipt, LightpushError> {
        let topic = match &pubsub_topic {
            Some(topic) => topic.clone(),
            None => self.topic_of(&message)?,
        };
        let (message, hash) = self.check(&topic, message)?;
        let request = Push { named: pubsub_topic.as_ref(), topic: &topic, message: &message };
        let candidate = (peer, Version::V3);
        let answer = timeout(self.timeout, self.ask(candidate, &request))
            .await
            .map_err(|_| LightpushError::Timeout)?;
        let taken = answer.map_err(|failure| LightpushError::new(peer, failure))?;
        Ok(LightpushReceipt { hash, service_peers: vec![peer], relay_peers: taken.relay_peers })
    }

    fn topic_of(&self, message: &WakuMessage) -> Result<PubsubTopic, LightpushError> {
        let topic: ContentTopic = message.content_topic.parse()?;
        Ok(self.node.sharding.pubsub_topic(&topic)?)
    }

    /// The message as it will go out, and its hash.
    fn check(
        &self,
        topic: &PubsubTopic,
        mut message: WakuMessage,
    ) -> Result<(WakuMessage, MessageHash), LightpushError> {
        server::stamp(&mut message, unix_nanos());
        message.check()?;
        let encoded = EncodedMessage::encode(message);
        let (size, limit) = (relay::rpc_size(topic, encoded.bytes().len()), self.node.max_rpc_size);
        if size > limit {
            return Err(LightpushError::TooLarge { size, limit });
        }
        Ok((encoded.message().clone(), encoded.hash(topic)))
    }

    /// The service nodes for a topic, best first: those that speak version 3 before the others. Known ones are
    /// dialled when none is connected.
    async fn candidates(&self, topic: &PubsubTopic) -> Result<Vec<Candidate>, Stopped> {
        let (peers, shard) = (self.peers(), topic.shard());
        let mut candidates: Vec<Candidate> = Vec::new();
        for version in [Version::V3, Version::V2] {
            for peer in peers.serving(version.protocol(), shard) {
                if !candidates.iter().any(|(known, _)| *known == peer) {
                    candidates.push((peer, version));
                }
            }
        }
        for version in [Version::V3, Version::V2] {
            if candidates.is_empty() {
                let found = peers.find_serving(version.protocol(), shard).await?;
                candidates = found.into_iter().map(|peer| (peer, version)).collect();
            }
        }
        Ok(candidates)
    }

    fn peers(&self) -> Peers {
        Peers { node: Arc::clone(&self.node) }
    }

    async fn push_along(&self, mut tries: Tries, push: &Push<'_>, deadline: Instant) -> Ending {
        let mut error = LightpushError::NoServicePeer;
        while let Some(client::Try { candidate, after }) = tries.current() {
            let (peer, version) = candidate;
            let attempt = async {
                sleep(after).await;
                self.ask(candidate, push).await
            };
            let failure = match timeout_at(deadline, attempt).await {
                Ok(Ok(taken)) => {
                    return Ending { outcome: Ok((peer, taken)), has_failed: tries.has_failed() };
                }
                Ok(Err(failure)) => failure,
                Err(_) => return Ending { outcome: Err(LightpushError::Timeout), has_failed: true },
            };
            tracing::debug!(%peer, ?failure, "lightpush failed");
            if failure.is_the_peers() {
                self.peers().report_failure(peer, version.protocol());
            }
            if failure == Failure::Seen {
                let outcome = Err(LightpushError::Duplicate { peer });
                return Ending { outcome, has_failed: tries.has_failed() };
            }
            let may_help = tries.fail(&failure);
            error = LightpushError::new(peer, failure);
            if !may_help {
                break;
            }
        }
        Ending { outcome: Err(error), has_failed: tries.has_failed() }
    }

    /// Asks a peer once, in the older version too when it turns out not to speak the newer one.
    async fn ask(&self, (peer, version): Candidate, push: &Push<'_>) -> Result<Taken, Failure> {
        let unsupported = Failure::Unanswered(AskError::Unsupported);
        match self.ask_in(version, peer, push).await {
            Err(failure) if version == Version::V3 && failure == unsupported => {
                self.ask_in(Version::V2, peer, push).await
            }
            answer => answer,
        }
    }

    async fn ask_in(&self, version: Version, peer: PeerId, push: &Push<'_>) -> Result<Taken, Failure> {
        let (askers, request_id, message) = (&self.node.askers, request_id(), push.message.clone());
        let asking = async {
            match version {
                Version::V3 => {
                    let pubsub_topic = push.named.map(|topic| topic.as_str().to_owned());
                    let request = Request { request_id, pubsub_topic, message };
                    askers.lightpush.ask(peer, Vec::new(), request).await.map(client::read)
                }
                Version::V2 => {
                    let pubsub_topic = push.topic.as_str().to_owned();
                    let body = v2::Body::Request { pubsub_topic, message };
                    let request = v2::Rpc { request_id, body };
                    askers.lightpush_v2.ask(peer, Vec::new(), request).await.map(client::read_v2)
                }
            }
        };
        let answer = timeout(ANSWER_WITHIN, asking).await.unwrap_or(Err(AskError::Timeout));
        answer.unwrap_or_else(|error| Err(Failure::Unanswered(error)))
    }
}

/// A message on its way to service nodes.
struct Push<'a> {
    /// The pubsub topic the caller named.
    named: Option<&'a PubsubTopic>,
    /// The pubsub topic it goes to.
    topic: &'a PubsubTopic,
    message: &'a WakuMessage,
}

/// What came of one way through the service nodes.
struct Ending {
    outcome: Result<(PeerId, Taken), LightpushError>,
    /// A try failed, so that what it left may be what others have seen.
    has_failed: bool,
}

fn conclude(hash: MessageHash, endings: Vec<Ending>) -> Result<LightpushReceipt, LightpushError> {
    let taken: Vec<_> = endings.iter().filter_map(|ending| ending.outcome.as_ref().ok()).collect();
    if !taken.is_empty() {
        let service_peers = taken.iter().map(|(peer, _)| *peer).collect();
        let relay_peers = taken.iter().filter_map(|(_, taken)| taken.relay_peers).max();
        return Ok(LightpushReceipt { hash, service_peers, relay_peers });
    }
    let has_failed = endings.iter().any(|ending| ending.has_failed);
    let errors: Vec<_> = endings.into_iter().filter_map(|ending| ending.outcome.err()).collect();
    let seen_by = errors.iter().find_map(|error| match error {
        LightpushError::Duplicate { peer } => Some(*peer),
        _ => None,
    });
    match seen_by {
        Some(peer) if has_failed => {
            Ok(LightpushReceipt { hash, service_peers: vec![peer], relay_peers: None })
        }
        Some(peer) => Err(LightpushError::Duplicate { peer }),
        None => Err(errors.into_iter().next().unwrap_or(LightpushError::NoServicePeer)),
    }
}

/// A message that service nodes have published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LightpushReceipt {
    /// Its deterministic hash: the name stores know it by.
    pub hash: MessageHash,
    /// The service nodes that took it, or have it already.
    pub service_peers: Vec<PeerId>,
    /// To how many relay peers one of them sent it, the largest number; `None` if none said.
    pub relay_peers: Option<u32>,
}

/// A message that was not published, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LightpushError {
    /// The content topic has no valid form, so no pubsub topic belongs to it.
    #[error(transparent)]
    ContentTopic(#[from] ParseContentTopicError),
    /// No pubsub topic belongs to the content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// Some implementations would refuse to relay the message.
    #[error("the message would not be relayed: {0}")]
    Invalid(#[from] MessageError),
    /// The message is over the network's limit.
    #[error("the message takes {size} bytes on the wire, at most {limit} are allowed")]
    TooLarge {
        /// Size of the gossipsub RPC that would carry it, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// No peer that can be reached serves lightpush.
    #[error("no peer that can be reached serves lightpush")]
    NoServicePeer,
    /// The service node has seen the message before, without anything of this attempt having failed.
    #[error("the message was published already, says {peer}")]
    Duplicate {
        /// The service node.
        peer: PeerId,
    },
    /// The service node does not publish the message. Of several that were tried, the last.
    #[error("{peer} did not publish the message: {status} {reason}")]
    Refused {
        /// The service node.
        peer: PeerId,
        /// Its status. In version 2 what comes closest to its words.
        status: Status,
        /// Its reason, in its own words.
        reason: String,
    },
    /// The service node gave no answer. Whether it has published the message may not be known. Of several that
    /// were tried, the last.
    #[error("no answer from {peer}: {error}")]
    Unanswered {
        /// The service node.
        peer: PeerId,
        /// Why.
        error: AskError,
    },
    /// The time was up. Whether the message has been published is not known.
    #[error("publishing took too long")]
    Timeout,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl LightpushError {
    fn new(peer: PeerId, failure: Failure) -> Self {
        match failure {
            Failure::Seen => Self::Duplicate { peer },
            Failure::Refused { status, reason } => Self::Refused { peer, status, reason },
            Failure::Unanswered(AskError::Stopped) => Self::Stopped(Stopped),
            Failure::Unanswered(error) => Self::Unanswered { peer, error },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(relay_peers: Option<u32>) -> Ending {
        Ending { outcome: Ok((PeerId::random(), Taken { relay_peers })), has_failed: false }
    }

    fn ended(error: LightpushError, has_failed: bool) -> Ending {
        Ending { outcome: Err(error), has_failed }
    }

    fn hash() -> MessageHash {
        [7; 32].into()
    }

    #[test]
    fn one_way_that_succeeds_is_a_success() {
        let failed = ended(LightpushError::Timeout, true);
        let receipt = conclude(hash(), vec![failed, taken(Some(2)), taken(Some(5)), taken(None)]).unwrap();
        assert_eq!((receipt.service_peers.len(), receipt.relay_peers), (3, Some(5)));
    }

    #[test]
    fn a_message_seen_before_is_a_success_only_after_a_failure() {
        let peer = PeerId::random();
        let seen = || LightpushError::Duplicate { peer };
        assert_eq!(conclude(hash(), vec![ended(seen(), false)]), Err(seen()));
        let receipt = LightpushReceipt { hash: hash(), service_peers: vec![peer], relay_peers: None };
        assert_eq!(conclude(hash(), vec![ended(seen(), true)]), Ok(receipt.clone()));
        let failed = ended(LightpushError::Timeout, true);
        assert_eq!(conclude(hash(), vec![failed, ended(seen(), false)]), Ok(receipt));
    }

    #[test]
    fn without_a_way_there_is_no_service_peer() {
        assert_eq!(conclude(hash(), vec![]), Err(LightpushError::NoServicePeer));
    }
}
