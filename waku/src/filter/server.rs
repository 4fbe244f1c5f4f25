//! A filter service node's decisions: who has subscribed to what, and who gets a message. No I/O, no clock.
//!
//! # Differences from nwaku
//! - A request that cannot be read is answered with status 400; nwaku closes the stream in silence.
//! - A pubsub topic or a content topic that nobody could publish on is refused with status 400.
//! - Unsubscribing from criteria is refused with status 404 only when the peer had none of them.
//! - A message is known by its gossip id when it is not pushed twice: its hash does not cover the proof, so
//!   that a message could be held back by a copy with another proof.
//! - Where there is no room for one more subscriber, one that is not connected makes room.

mod criteria;
mod pushed;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use waku_proto::filter::{MAX_CONTENT_TOPICS, Status, SubscribeRequest, SubscribeResponse, SubscribeType};
use waku_proto::{GossipId, PubsubTopic};

use self::criteria::{ClientId, Criteria};
use self::pushed::PushedBefore;
use crate::metrics::Metrics;
use crate::net::codec::Incoming;
use crate::net::exchange::UNREAD_REQUEST_ID;
use crate::{Envelope, PeerId};

/// Longest content topic in bytes. No specification has a limit; with the number of subscribers and criteria
/// this bounds the memory they take.
const MAX_CONTENT_TOPIC_LEN: usize = 256;

/// What subscribers may take.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) subscribers: usize,
    /// Of each subscriber.
    pub(crate) criteria: usize,
    /// How long a subscriber may be silent.
    pub(crate) timeout: Duration,
}

/// All subscribers of a service node.
#[derive(Debug)]
pub(crate) struct Server {
    limits: Limits,
    clients: HashMap<PeerId, Client>,
    peers: HashMap<ClientId, PeerId>,
    next_id: ClientId,
    criteria: Criteria,
    pushed: PushedBefore,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Client {
    id: ClientId,
    topics: HashMap<PubsubTopic, HashSet<Arc<str>>>,
    /// When it last subscribed or pinged.
    heard: Instant,
}

impl Client {
    fn criteria(&self) -> usize {
        self.topics.values().map(HashSet::len).sum()
    }
}

/// Why a request is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Unreadable,
    NoCriteria,
    TooManyTopics,
    BadPubsubTopic,
    BadContentTopic,
    NoSubscription,
    TooManyCriteria,
    TooManySubscribers,
}

impl Refusal {
    fn status(self) -> Status {
        match self {
            Self::Unreadable
            | Self::NoCriteria
            | Self::TooManyTopics
            | Self::BadPubsubTopic
            | Self::BadContentTopic => Status::BadRequest,
            Self::NoSubscription => Status::NotFound,
            Self::TooManyCriteria | Self::TooManySubscribers => Status::Unavailable,
        }
    }

    /// In the manner of nwaku, whose clients show it to people.
    fn description(self) -> &'static str {
        match self {
            Self::Unreadable => "BAD_REQUEST: the request cannot be read",
            Self::NoCriteria => "BAD_REQUEST: a pubsub topic and content topics are needed",
            Self::TooManyTopics => "BAD_REQUEST: exceeds maximum content topics: 100",
            Self::BadPubsubTopic => "BAD_REQUEST: the pubsub topic is not valid",
            Self::BadContentTopic => "BAD_REQUEST: a content topic is empty or too long",
            Self::NoSubscription => "NOT_FOUND: peer has no subscriptions",
            Self::TooManyCriteria => "SERVICE_UNAVAILABLE: the peer has as many criteria as it may",
            Self::TooManySubscribers => "SERVICE_UNAVAILABLE: the node has as many subscribers as it may",
        }
    }
}

/// The criteria of one request.
struct Asked<'a> {
    pubsub_topic: PubsubTopic,
    content_topics: BTreeSet<&'a str>,
}

impl<'a> Asked<'a> {
    fn new(request: &'a SubscribeRequest) -> Result<Self, Refusal> {
        let pubsub_topic = request.pubsub_topic.as_deref().ok_or(Refusal::NoCriteria)?;
        if request.content_topics.is_empty() {
            return Err(Refusal::NoCriteria);
        }
        if request.content_topics.len() > MAX_CONTENT_TOPICS {
            return Err(Refusal::TooManyTopics);
        }
        let is_bad = |topic: &String| topic.is_empty() || topic.len() > MAX_CONTENT_TOPIC_LEN;
        if request.content_topics.iter().any(is_bad) {
            return Err(Refusal::BadContentTopic);
        }
        Ok(Self {
            pubsub_topic: pubsub_topic.parse().map_err(|_| Refusal::BadPubsubTopic)?,
            content_topics: request.content_topics.iter().map(String::as_str).collect(),
        })
    }
}

impl Server {
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            clients: HashMap::new(),
            peers: HashMap::new(),
            next_id: ClientId::default(),
            criteria: Criteria::default(),
            pushed: PushedBefore::default(),
            metrics,
        }
    }

    /// How long a subscriber may be silent.
    pub(crate) fn timeout(&self) -> Duration {
        self.limits.timeout
    }

    /// Carries out a request of a peer.
    pub(crate) fn answer(
        &mut self,
        peer: PeerId,
        request: &Incoming<SubscribeRequest>,
        is_connected: impl Fn(&PeerId) -> bool,
        now: Instant,
    ) -> SubscribeResponse {
        let (request_id, outcome) = match request {
            Ok(request) => (&*request.request_id, self.carry_out(peer, request, is_connected, now)),
            Err(_) => (UNREAD_REQUEST_ID, Err(Refusal::Unreadable)),
        };
        let (status, description) = match outcome {
            Ok(()) => (Status::Ok, "OK"),
            Err(refusal) => (refusal.status(), refusal.description()),
        };
        // A peer that looks whether its subscription is still there does nothing wrong.
        if matches!(status, Status::BadRequest | Status::Unavailable) {
            self.metrics.filter_requests_refused.increment();
        }
        SubscribeResponse {
            request_id: request_id.to_owned(),
            status,
            status_desc: Some(description.to_owned()),
        }
    }

    fn carry_out(
        &mut self,
        peer: PeerId,
        request: &SubscribeRequest,
        is_connected: impl Fn(&PeerId) -> bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        match request.kind {
            SubscribeType::Ping => {
                self.clients.get_mut(&peer).ok_or(Refusal::NoSubscription)?.heard = now;
                Ok(())
            }
            SubscribeType::Subscribe => self.subscribe(peer, &Asked::new(request)?, is_connected, now),
            SubscribeType::Unsubscribe => self.unsubscribe(peer, &Asked::new(request)?),
            SubscribeType::UnsubscribeAll => {
                if !self.remove(&peer) {
                    return Err(Refusal::NoSubscription);
                }
                self.metrics.filter_subscribers_left.increment();
                Ok(())
            }
        }
    }

    fn subscribe(
        &mut self,
        peer: PeerId,
        asked: &Asked<'_>,
        is_connected: impl Fn(&PeerId) -> bool,
        now: Instant,
    ) -> Result<(), Refusal> {
        let client = self.clients.get(&peer);
        let known = client.and_then(|client| client.topics.get(&asked.pubsub_topic));
        let is_new = |topic: &&&str| known.is_none_or(|known| !known.contains(**topic));
        let added = asked.content_topics.iter().filter(is_new).count();
        if client.map_or(0, Client::criteria) + added > self.limits.criteria {
            return Err(Refusal::TooManyCriteria);
        }
        if client.is_none() {
            self.make_room(is_connected)?;
            self.next_id = self.next_id.next();
            self.peers.insert(self.next_id, peer);
            self.metrics.filter_subscribers_added.increment();
        }
        let new = || Client { id: self.next_id, topics: HashMap::new(), heard: now };
        let client = self.clients.entry(peer).or_insert_with(new);
        client.heard = now;
        let topics = client.topics.entry(asked.pubsub_topic.clone()).or_default();
        for topic in &asked.content_topics {
            topics.insert(self.criteria.add(&asked.pubsub_topic, topic, client.id));
        }
        Ok(())
    }

    /// Sees to it that there is room for one more subscriber.
    fn make_room(&mut self, is_connected: impl Fn(&PeerId) -> bool) -> Result<(), Refusal> {
        if self.clients.len() < self.limits.subscribers {
            return Ok(());
        }
        let gone = self.clients.iter().filter(|(peer, _)| !is_connected(peer));
        let longest = gone.min_by_key(|(_, client)| client.heard).map(|(peer, _)| *peer);
        self.remove(&longest.ok_or(Refusal::TooManySubscribers)?);
        self.metrics.filter_subscribers_displaced.increment();
        Ok(())
    }

    fn unsubscribe(&mut self, peer: PeerId, asked: &Asked<'_>) -> Result<(), Refusal> {
        let client = self.clients.get_mut(&peer).ok_or(Refusal::NoSubscription)?;
        let topics = client.topics.get_mut(&asked.pubsub_topic).ok_or(Refusal::NoSubscription)?;
        let removed: Vec<_> = asked.content_topics.iter().filter_map(|topic| topics.take(*topic)).collect();
        if removed.is_empty() {
            return Err(Refusal::NoSubscription);
        }
        for topic in removed {
            self.criteria.remove(&asked.pubsub_topic, &topic, client.id);
        }
        if topics.is_empty() {
            client.topics.remove(&asked.pubsub_topic);
        }
        if client.topics.is_empty() {
            self.remove(&peer);
            self.metrics.filter_subscribers_left.increment();
        }
        Ok(())
    }

    /// Removes a subscriber that did not take what was pushed to it.
    pub(crate) fn give_up(&mut self, peer: &PeerId) {
        if self.remove(peer) {
            self.metrics.filter_subscribers_failed.increment();
        }
    }

    /// Removes the subscribers that were silent for too long.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let timeout = self.limits.timeout;
        let is_silent = |client: &Client| now.saturating_duration_since(client.heard) >= timeout;
        let silent: Vec<_> =
            self.clients.iter().filter(|(_, client)| is_silent(client)).map(|(peer, _)| *peer).collect();
        for peer in silent {
            self.remove(&peer);
            self.metrics.filter_subscribers_expired.increment();
        }
    }

    /// Removes a subscriber with everything it has asked for; false when it is none.
    fn remove(&mut self, peer: &PeerId) -> bool {
        let Some(client) = self.clients.remove(peer) else {
            return false;
        };
        self.peers.remove(&client.id);
        for (pubsub_topic, content_topics) in &client.topics {
            for topic in content_topics {
                self.criteria.remove(pubsub_topic, topic, client.id);
            }
        }
        true
    }

    /// Those to whom a message is to be pushed: who asked for it and did not get it in the last two minutes.
    pub(crate) fn receivers(&mut self, envelope: &Envelope, now: Instant) -> Vec<PeerId> {
        let content_topic = &envelope.message().content_topic;
        let Some(wanted_by) = self.criteria.clients(envelope.pubsub_topic(), content_topic) else {
            return Vec::new();
        };
        let fresh = self.pushed.fresh(GossipId::of(envelope.bytes()), wanted_by, now);
        fresh.iter().filter_map(|id| self.peers.get(id).copied()).collect()
    }

    /// Every subscriber with its criteria: pubsub topic and content topic.
    pub(crate) fn subscribers(&self) -> impl Iterator<Item = (PeerId, Vec<(PubsubTopic, Arc<str>)>)> {
        self.clients.iter().map(|(peer, client)| {
            let criteria = client.topics.iter().flat_map(|(pubsub_topic, topics)| {
                topics.iter().map(|topic| (pubsub_topic.clone(), Arc::clone(topic)))
            });
            (*peer, criteria.collect())
        })
    }
}

#[cfg(test)]
mod tests;
