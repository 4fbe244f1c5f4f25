//! A message's way between gossipsub and the subscriptions of this node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use tokio::sync::Notify;
use waku_proto::{Bytes, GossipId, PubsubTopic, relay};

use super::command::{Published, TopicChange, Unpublished};
use super::flow::Flows;
use super::pushback::Pushback;
use crate::config::MAX_RPC_OVERHEAD;
use crate::metrics::Metrics;
use crate::relay::RelayPeer;
use crate::relay::behaviour::{Gossipsub, PUBLISH_THRESHOLD, gossip_topic, topic_hash, topic_score_params};
use crate::relay::fan_out::{FanOut, Interest, SubscriptionId};
use crate::relay::outbox::Outbox;
use crate::relay::pool::{Judged, Pool};
use crate::relay::queue::{Reader, queue};
use crate::relay::tap::Tap;
use crate::relay::topics::TopicUsers;
use crate::relay::validate;
use crate::{Config, Envelope, Verdict};

/// Where a message waiting for its verdict came from.
#[derive(Debug)]
pub(crate) struct Origin {
    id: MessageId,
    source: PeerId,
}

/// The relay's state beside gossipsub's own.
#[derive(Debug)]
pub(crate) struct Router {
    local: PeerId,
    fan_out: FanOut,
    taps: Vec<Box<dyn Tap>>,
    topics: TopicUsers,
    outbox: Outbox,
    pushback: Pushback,
    validators: Option<Pool<Origin>>,
    queue_len: usize,
    max_rpc_size: usize,
    deliver_unsent: bool,
    readers_gone: Arc<Notify>,
    metrics: Arc<Metrics>,
}

impl Router {
    pub(crate) fn new(
        config: &Config,
        flows: Flows,
        validators: Option<Pool<Origin>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            local: config.keypair.peer_id(),
            fan_out: FanOut::default(),
            taps: Vec::new(),
            topics: TopicUsers::default(),
            outbox: Outbox::default(),
            pushback: Pushback::new(flows),
            validators,
            queue_len: config.subscription_queue_len,
            max_rpc_size: config.max_rpc_size,
            deliver_unsent: config.deliver_unsent,
            readers_gone: Arc::default(),
            metrics,
        }
    }

    /// Hands every message to this tap from now on.
    pub(crate) fn add_tap(&mut self, tap: impl Tap + 'static) {
        self.taps.push(Box::new(tap));
    }

    /// Notified when [`Router::sweep`] has something to do.
    pub(crate) fn readers_gone(&self) -> Arc<Notify> {
        Arc::clone(&self.readers_gone)
    }

    /// The pubsub topics the node is subscribed to.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &PubsubTopic> {
        self.topics.topics()
    }

    /// What gossipsub thinks of these peers, and what it shares with them.
    pub(crate) fn peers(&self, gossipsub: &Gossipsub, peers: impl Iterator<Item = PeerId>) -> Vec<RelayPeer> {
        let peer = |peer_id| RelayPeer {
            peer_id,
            score: gossipsub.peer_score(&peer_id).unwrap_or_default(),
            mesh: BTreeSet::new(),
        };
        let mut peers: BTreeMap<PeerId, RelayPeer> = peers.map(|id| (id, peer(id))).collect();
        for topic in self.topics.topics() {
            for id in gossipsub.mesh_peers(&topic_hash(topic)) {
                if let Some(peer) = peers.get_mut(id) {
                    peer.mesh.insert(topic.clone());
                }
            }
        }
        peers.into_values().collect()
    }

    /// Judges a message from a peer, at once or later through the validator.
    pub(crate) fn on_message(
        &mut self,
        gossipsub: &mut Gossipsub,
        id: &MessageId,
        source: PeerId,
        message: gossipsub::Message,
    ) {
        // Only topics of ours come here; all of them parse.
        let Ok(topic) = message.topic.as_str().parse::<PubsubTopic>() else {
            self.refuse(gossipsub, id, &source, Verdict::Ignore);
            return;
        };
        let limit = self.max_rpc_size.saturating_add(MAX_RPC_OVERHEAD);
        match (validate::inbound(topic, Bytes::from(message.data), limit), &self.validators) {
            (Err(flaw), _) => {
                tracing::debug!(%source, %flaw, "message not relayed");
                self.refuse(gossipsub, id, &source, flaw.verdict());
            }
            (Ok(envelope), None) => self.conclude(gossipsub, id, &source, &envelope, Verdict::Accept),
            (Ok(envelope), Some(pool)) => {
                let origin = Origin { id: id.clone(), source };
                if pool.submit(origin, envelope).is_err() {
                    self.metrics.relay_validation_overflow.increment();
                    self.refuse(gossipsub, id, &source, Verdict::Ignore);
                }
            }
        }
    }

    /// Takes a verdict of the validator.
    pub(crate) fn on_judged(&mut self, gossipsub: &mut Gossipsub, judged: &Judged<Origin>) {
        let Origin { id, source } = &judged.origin;
        self.conclude(gossipsub, id, source, &judged.envelope, judged.verdict);
    }

    fn conclude(
        &mut self,
        gossipsub: &mut Gossipsub,
        id: &MessageId,
        source: &PeerId,
        envelope: &Envelope,
        verdict: Verdict,
    ) {
        self.count(verdict);
        // nwaku closes its stream at an RPC over the limit: such a message is not passed on.
        let size = relay::rpc_size(envelope.pubsub_topic(), envelope.bytes().len());
        let is_local = verdict == Verdict::Accept && size > self.max_rpc_size;
        report(gossipsub, id, source, if is_local { Verdict::Ignore } else { verdict });
        if verdict == Verdict::Accept {
            let topic = topic_hash(envelope.pubsub_topic());
            let mesh = gossipsub.mesh_peers(&topic).filter(|peer| *peer != source && !is_local);
            self.pushback.queued(mesh, size, Instant::now());
            self.deliver(envelope, Some(*source));
        }
    }

    /// True while the node should take in nothing more, so that what it has taken in is not lost to peers
    /// that are slow.
    pub(crate) fn waits_for_peers(&mut self, now: Instant) -> bool {
        let (waits, waited) = self.pushback.waits(now);
        self.metrics.relay_waited_micros.add(waited.as_micros().try_into().unwrap_or(u64::MAX));
        waits
    }

    /// How many of the messages that a full queue had no room for are lost: a publisher that is told that all
    /// are full keeps its message.
    pub(crate) fn lost(&mut self, unqueued: usize) -> usize {
        self.outbox.lost(unqueued)
    }

    fn count(&self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Accept => &self.metrics.relay_received,
            Verdict::Reject => &self.metrics.relay_rejected,
            Verdict::Ignore => &self.metrics.relay_ignored,
        };
        counter.increment();
    }

    /// Ends the way of a message that is not delivered.
    fn refuse(&self, gossipsub: &mut Gossipsub, id: &MessageId, source: &PeerId, verdict: Verdict) {
        self.count(verdict);
        report(gossipsub, id, source, verdict);
    }

    fn deliver(&self, envelope: &Envelope, source: Option<PeerId>) {
        self.metrics.relay_reader_missed.add(self.fan_out.deliver(envelope));
        for tap in &self.taps {
            tap.push(envelope, source);
        }
    }

    /// Publishes a message of our own; `peers` are those subscribed to its topic.
    pub(crate) fn publish(
        &mut self,
        gossipsub: &mut Gossipsub,
        envelope: &Envelope,
        peers: &[PeerId],
    ) -> Result<Published, Unpublished> {
        let now = Instant::now();
        if self.outbox.is_resting(now) {
            self.metrics.relay_publish_busy.increment();
            return Err(Unpublished::Busy);
        }
        let topic = topic_hash(envelope.pubsub_topic());
        match gossipsub.publish(topic, envelope.bytes().to_vec()) {
            Ok(_) => {}
            Err(gossipsub::PublishError::AllQueuesFull(queues)) => {
                self.outbox.overflowed(GossipId::of(envelope.bytes()), queues, now);
                self.metrics.relay_publish_busy.increment();
                return Err(Unpublished::Busy);
            }
            Err(gossipsub::PublishError::Duplicate) => self.publish_again(gossipsub, envelope, now)?,
            // The size is checked against a smaller limit before, and there is nothing to sign or transform.
            Err(error) => {
                tracing::debug!(%error, "message not published");
                if self.deliver_unsent {
                    self.deliver(envelope, None);
                }
                return Err(Unpublished::NoPeers);
            }
        }
        self.metrics.relay_published.increment();
        let is_sent_to =
            |peer: &&PeerId| gossipsub.peer_score(peer).is_none_or(|score| score >= PUBLISH_THRESHOLD);
        let sent_to = peers.iter().filter(is_sent_to);
        let size = relay::rpc_size(envelope.pubsub_topic(), envelope.bytes().len());
        self.pushback.queued(sent_to.clone(), size, now);
        self.deliver(envelope, None);
        Ok(Published { peers: sent_to.count() })
    }

    /// Sends what gossipsub holds for a duplicate although it never went out.
    fn publish_again(
        &mut self,
        gossipsub: &mut Gossipsub,
        envelope: &Envelope,
        now: Instant,
    ) -> Result<(), Unpublished> {
        let id = GossipId::of(envelope.bytes());
        if !self.outbox.take_unsent(id, now) {
            return Err(Unpublished::Duplicate);
        }
        // Accepted once more, the message goes to the mesh. Without a mesh it would go nowhere.
        let mesh = gossipsub.mesh_peers(&topic_hash(envelope.pubsub_topic())).count();
        let message_id = MessageId::from(id.as_bytes().as_slice());
        let is_sent = mesh > 0
            && gossipsub.report_message_validation_result(
                &message_id,
                &self.local,
                MessageAcceptance::Accept,
            );
        if is_sent { Ok(()) } else { Err(Unpublished::NoPeers) }
    }

    /// Opens a subscription.
    pub(crate) fn subscribe(
        &mut self,
        gossipsub: &mut Gossipsub,
        interest: Interest,
    ) -> (SubscriptionId, Reader) {
        for topic in interest.pubsub_topics() {
            self.join(gossipsub, &topic);
        }
        let (writer, reader) = queue(self.queue_len, Arc::clone(&self.readers_gone));
        (self.fan_out.add(writer, interest), reader)
    }

    /// Changes the content topics of a subscription; false when it has none.
    pub(crate) fn change_topics(
        &mut self,
        gossipsub: &mut Gossipsub,
        id: SubscriptionId,
        change: TopicChange,
    ) -> bool {
        let Some(Interest::ContentTopics(topics)) = self.fan_out.interest(id) else {
            return false;
        };
        let before = Interest::ContentTopics(topics.clone());
        let mut topics = topics.clone();
        match change {
            TopicChange::Add(added) => topics.extend(added),
            TopicChange::Remove(removed) => topics.retain(|topic, _| !removed.contains(topic)),
        }
        let after = Interest::ContentTopics(topics);
        // Joined first, so that a topic in both is never left in between.
        for topic in after.pubsub_topics() {
            self.join(gossipsub, &topic);
        }
        for topic in before.pubsub_topics() {
            self.leave(gossipsub, &topic);
        }
        self.fan_out.set_interest(id, after);
        true
    }

    /// Ends the subscriptions nobody reads any more.
    pub(crate) fn sweep(&mut self, gossipsub: &mut Gossipsub) {
        for interest in self.fan_out.sweep() {
            for topic in interest.pubsub_topics() {
                self.leave(gossipsub, &topic);
            }
        }
    }

    /// Needs a topic, once more or for the first time.
    pub(crate) fn join(&mut self, gossipsub: &mut Gossipsub, topic: &PubsubTopic) {
        if !self.topics.acquire(topic) {
            return;
        }
        let gossip_topic = gossip_topic(topic);
        if let Err(error) = gossipsub.subscribe(&gossip_topic) {
            tracing::error!(%topic, %error, "cannot subscribe");
        }
        if let Err(error) = gossipsub.set_topic_params(gossip_topic, topic_score_params()) {
            tracing::error!(%topic, %error, "cannot score");
        }
    }

    fn leave(&mut self, gossipsub: &mut Gossipsub, topic: &PubsubTopic) {
        if self.topics.release(topic) {
            gossipsub.unsubscribe(&gossip_topic(topic));
        }
    }
}

fn report(gossipsub: &mut Gossipsub, id: &MessageId, source: &PeerId, verdict: Verdict) {
    let acceptance = match verdict {
        Verdict::Accept => MessageAcceptance::Accept,
        Verdict::Reject => MessageAcceptance::Reject,
        Verdict::Ignore => MessageAcceptance::Ignore,
    };
    // False when gossipsub has forgotten the message: then it is only not forwarded.
    gossipsub.report_message_validation_result(id, source, acceptance);
}
