//! The task that keeps a client's subscriptions alive at service nodes, and hands on what they push.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use getrandom::SysRng;
use rand_core::UnwrapErr;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep_until;
use waku_proto::filter::{Status, SubscribeType};
use waku_proto::{EncodedMessage, PubsubTopic, protocol_id};

use super::by_hand::ByHand;
use super::client::{Ask, Candidate, Client, Failure, FilterGap, Now, Push, Question, Settings};
use super::fill::{Filled, Filler, StoreNodes};
use super::orders::{Command, HandChange, Opened, Orders, orders};
use super::request::{FilterRequestError, ask};
use super::subscription::FilterSubscribeError;
use super::{DEFAULT_MAX_CRITERIA, FilterClientConfig, SubscribeProtocol};
use crate::metrics::Metrics;
use crate::net::command::{PeerCommand, TopicChange};
use crate::net::exchange::Asker;
use crate::net::push::{PushEnds, Pushed};
use crate::node::Shared;
use crate::peers::{PeerInfo, PeerList, Peers};
use crate::relay::fan_out::{FanOut, Interest, SubscriptionId};
use crate::relay::queue::queue;
use crate::{Envelope, PeerId};

/// Gaps shown to a subscription's reader. The oldest are forgotten first.
const MAX_GAPS: usize = 64;
/// Time between two tries to reach peers that are not connected, while there are too few service nodes.
const REACH_INTERVAL: Duration = Duration::from_secs(30);

/// What a subscription's reader can watch.
#[derive(Debug)]
struct Views {
    id: SubscriptionId,
    service_peers: watch::Sender<usize>,
    gaps: watch::Sender<Vec<FilterGap>>,
}

type Asking = Pin<Box<dyn Future<Output = (Ask, Result<(), Failure>)> + Send>>;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Upkeep {
    client: Client,
    by_hand: ByHand,
    fan_out: FanOut,
    views: Vec<Views>,
    asking: FuturesUnordered<Asking>,
    readers_gone: Arc<Notify>,
    orders: mpsc::Receiver<Command>,
    ends: PushEnds,
    asker: Asker<SubscribeProtocol>,
    peers: watch::Receiver<PeerList>,
    filler: Option<Filler>,
    fills_gaps: bool,
    /// When to look again for service nodes that are not connected.
    next_reach: Instant,
    queue_len: usize,
    metrics: Arc<Metrics>,
}

impl Upkeep {
    /// A task that does not run yet, and the way to it.
    pub(super) fn new(
        config: &FilterClientConfig,
        queue_len: usize,
        ends: PushEnds,
        asker: Asker<SubscribeProtocol>,
        peers: watch::Receiver<PeerList>,
        metrics: Arc<Metrics>,
    ) -> (Self, Orders) {
        let (sender, orders) = orders();
        let settings =
            Settings { service_peers: config.service_peers.max(1), ping_interval: config.ping_interval };
        let upkeep = Self {
            client: Client::new(settings),
            by_hand: ByHand::default(),
            fan_out: FanOut::default(),
            views: Vec::new(),
            asking: FuturesUnordered::new(),
            readers_gone: Arc::default(),
            orders,
            ends,
            asker,
            peers,
            filler: None,
            fills_gaps: config.fill_gaps,
            next_reach: Instant::now(),
            queue_len,
            metrics,
        };
        (upkeep, sender)
    }

    /// Works until the node stops.
    pub(crate) async fn run(mut self, node: Weak<Shared>) {
        self.filler = self.fills_gaps.then(|| Filler::new(Arc::new(StoreNodes(node.clone()))));
        let readers_gone = Arc::clone(&self.readers_gone);
        self.look_at_peers();
        loop {
            while let Some(ask) = self.client.next_ask(now(), &mut UnwrapErr(SysRng)) {
                self.ask(ask);
            }
            // Before anything asked for is on its way.
            self.show_changes();
            let reach = self.reach_out(&node);
            let wake = self.client.next_wake().into_iter().chain(reach).min();
            tokio::select! {
                pushed = self.ends.pushes.recv() => match pushed {
                    Some(pushed) => self.on_push(pushed),
                    None => return,
                },
                Some((ask, answer)) = self.asking.next() => self.client.on_answer(&ask, answer, now()),
                Some(command) = self.orders.recv() => self.on_command(command),
                filled = next_filled(&mut self.filler) => self.on_filled(filled),
                Ok(()) = self.peers.changed() => self.look_at_peers(),
                () = readers_gone.notified() => self.sweep(),
                () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
            }
        }
    }

    fn look_at_peers(&mut self) {
        let peers = self.peers.borrow_and_update();
        let is_named = |peer: &PeerInfo| {
            peers.static_peers.iter().any(|named| named.is_service && named.peer_id == Some(peer.peer_id))
        };
        let serving = peers.connected.iter().filter(|peer| serves(peer));
        let candidates =
            serving.map(|peer| Candidate { info: peer.clone(), is_named: is_named(peer) }).collect();
        drop(peers);
        self.client.on_candidates(candidates, now());
    }

    /// Has peers dialled that may serve, while there are too few. Returns when to do so again.
    fn reach_out(&mut self, node: &Weak<Shared>) -> Option<Instant> {
        let shard = self.client.lacking().next()?.shard();
        if self.next_reach > Instant::now() {
            return Some(self.next_reach);
        }
        self.next_reach = Instant::now() + REACH_INTERVAL;
        let peers = Peers { node: node.upgrade()? };
        tokio::spawn(async move {
            let protocol = protocol_id::FILTER_SUBSCRIBE;
            // Fails when the node stops.
            _ = peers.ask(|reply| PeerCommand::Reach { protocol, shard, reply }).await;
        });
        Some(self.next_reach)
    }

    fn ask(&mut self, ask: Ask) {
        // What was asked by hand there is not ours to end.
        let is_spared = ask.question == Question::UnsubscribeAll && self.by_hand.asks(ask.peer);
        let asker = self.asker.clone();
        self.asking.push(Box::pin(async move {
            let answer = if is_spared { Ok(()) } else { answer(&asker, &ask).await };
            (ask, answer)
        }));
    }

    fn show_changes(&mut self) {
        if self.client.take_changed() {
            self.show_awaited();
            for view in &self.views {
                let count = self.service_peers(view.id);
                let is_other = |shown: &mut usize| std::mem::replace(shown, count) != count;
                view.service_peers.send_if_modified(is_other);
            }
        }
        while let Some(gap) = self.client.next_gap() {
            tracing::info!(pubsub_topic = %gap.pubsub_topic, topics = gap.content_topics.len(), "filter gap");
            let unfilled = match &mut self.filler {
                Some(filler) => filler.add(&gap),
                None => Some(gap),
            };
            if let Some(gap) = unfilled {
                self.show_gap(&gap);
            }
        }
    }

    fn show_awaited(&self) {
        let awaited: HashSet<PeerId> =
            self.client.awaited().into_iter().chain(self.by_hand.peers()).collect();
        self.ends.awaited.set(awaited);
    }

    /// How many service nodes know all topics of a subscription.
    fn service_peers(&self, id: SubscriptionId) -> usize {
        let Some(Interest::ContentTopics(topics)) = self.fan_out.interest(id) else {
            return 0;
        };
        let peers = topics.iter().map(|(topic, pubsub_topic)| self.client.service_peers(pubsub_topic, topic));
        peers.min().unwrap_or_default()
    }

    fn on_filled(&mut self, filled: Filled) {
        match filled {
            Filled::GivenUp(gap) => self.show_gap(&gap),
            Filled::Messages(messages) => {
                for envelope in messages {
                    if envelope.message().check().is_ok() && self.client.is_new(envelope.hash()) {
                        self.metrics.filter_filled.increment();
                        self.deliver(&envelope);
                    }
                }
            }
        }
    }

    fn show_gap(&self, gap: &FilterGap) {
        for view in &self.views {
            self.show_gap_in(view, gap);
        }
    }

    fn show_gap_in(&self, view: &Views, gap: &FilterGap) {
        let Some(Interest::ContentTopics(topics)) = self.fan_out.interest(view.id) else {
            return;
        };
        let is_ours = |topic: &&String| topics.get(topic.as_str()) == Some(&gap.pubsub_topic);
        let content_topics: Vec<String> = gap.content_topics.iter().filter(is_ours).cloned().collect();
        if content_topics.is_empty() {
            return;
        }
        view.gaps.send_modify(|shown| {
            shown.push(FilterGap { content_topics, ..gap.clone() });
            let excess = shown.len().saturating_sub(MAX_GAPS);
            shown.drain(..excess);
        });
    }

    fn on_push(&mut self, pushed: Pushed) {
        let Pushed { peer, push } = pushed;
        let Ok(pubsub_topic) = push.pubsub_topic.parse::<PubsubTopic>() else {
            self.metrics.filter_received_invalid.increment();
            return;
        };
        if push.message.check().is_err() {
            self.metrics.filter_received_invalid.increment();
            return;
        }
        let envelope = Envelope::new(pubsub_topic, EncodedMessage::encode(push.message));
        let (pubsub_topic, topic) = (envelope.pubsub_topic(), &envelope.message().content_topic);
        let is_by_hand = self.by_hand.wants(peer, pubsub_topic, topic);
        let judged = self.client.on_push(peer, pubsub_topic, topic, envelope.hash(), SystemTime::now());
        match judged {
            Push::Unwanted if !is_by_hand => {
                self.metrics.filter_received_unwanted.increment();
                return;
            }
            Push::New => self.deliver(&envelope),
            Push::Again => self.metrics.filter_received_again.increment(),
            Push::Unwanted => {}
        }
        self.metrics.filter_received.increment();
        if is_by_hand {
            self.metrics.filter_reader_missed.add(self.by_hand.deliver(&envelope));
        }
    }

    fn deliver(&self, envelope: &Envelope) {
        self.metrics.filter_reader_missed.add(self.fan_out.deliver(envelope));
    }

    fn on_command(&mut self, command: Command) {
        // A reply nobody waits for is no error: the caller gave up. A reader that nobody reads is swept away.
        match command {
            Command::Subscribe { topics, reply } => _ = reply.send(self.subscribe(topics)),
            Command::Change { id, change, reply } => _ = reply.send(self.change(id, change)),
            Command::ByHand { peer, change, reply } => {
                match change {
                    HandChange::Add(pubsub_topic, topics) => self.by_hand.add(peer, &pubsub_topic, topics),
                    HandChange::Remove(pubsub_topic, topics) => {
                        self.by_hand.remove(peer, &pubsub_topic, topics);
                    }
                    HandChange::RemoveAll => self.by_hand.remove_all(peer),
                }
                self.show_awaited();
                _ = reply.send(());
            }
            Command::Inbox { reply } => {
                let (writer, reader) = queue(self.queue_len, Arc::clone(&self.readers_gone));
                self.by_hand.add_reader(writer);
                _ = reply.send(reader);
            }
        }
    }

    fn subscribe(&mut self, topics: HashMap<Box<str>, PubsubTopic>) -> Result<Opened, FilterSubscribeError> {
        self.want(&topics)?;
        let (writer, reader) = queue(self.queue_len, Arc::clone(&self.readers_gone));
        let id = self.fan_out.add(writer, Interest::ContentTopics(topics));
        let (peers_view, service_peers) = watch::channel(self.service_peers(id));
        let (gaps_view, gaps) = watch::channel(Vec::new());
        self.views.push(Views { id, service_peers: peers_view, gaps: gaps_view });
        Ok(Opened { id, reader, service_peers, gaps })
    }

    fn change(&mut self, id: SubscriptionId, change: TopicChange) -> Result<(), FilterSubscribeError> {
        let Some(Interest::ContentTopics(before)) = self.fan_out.interest(id) else {
            return Ok(());
        };
        let (before, mut after) = (before.clone(), before.clone());
        match change {
            TopicChange::Add(added) => after.extend(added),
            TopicChange::Remove(removed) => after.retain(|topic, _| !removed.contains(topic)),
        }
        // Wanted first, so that a topic in both is never let go in between.
        self.want(&after)?;
        self.unwant(&before);
        self.fan_out.set_interest(id, Interest::ContentTopics(after));
        Ok(())
    }

    fn want(&mut self, topics: &HashMap<Box<str>, PubsubTopic>) -> Result<(), FilterSubscribeError> {
        for (topic, pubsub_topic) in topics {
            self.client.want(pubsub_topic, topic);
        }
        let limit = DEFAULT_MAX_CRITERIA;
        if self.client.wanted() > limit {
            self.unwant(topics);
            return Err(FilterSubscribeError::TooManyTopics { limit });
        }
        Ok(())
    }

    fn unwant(&mut self, topics: &HashMap<Box<str>, PubsubTopic>) {
        for (topic, pubsub_topic) in topics {
            self.client.unwant(pubsub_topic, topic);
        }
    }

    /// Ends the subscriptions nobody reads any more.
    fn sweep(&mut self) {
        for interest in self.fan_out.sweep() {
            if let Interest::ContentTopics(topics) = interest {
                self.unwant(&topics);
            }
        }
        self.views.retain(|view| self.fan_out.interest(view.id).is_some());
        self.by_hand.sweep();
    }
}

fn now() -> Now {
    Now { at: Instant::now(), time: SystemTime::now() }
}

fn serves(peer: &PeerInfo) -> bool {
    peer.protocols.iter().any(|protocol| protocol == protocol_id::FILTER_SUBSCRIBE)
}

/// What comes next of the gaps that are filled.
async fn next_filled(filler: &mut Option<Filler>) -> Filled {
    match filler {
        Some(filler) => filler.next().await,
        None => std::future::pending().await,
    }
}

/// Asks a service node.
async fn answer(asker: &Asker<SubscribeProtocol>, question: &Ask) -> Result<(), Failure> {
    let texts = |topics: &[Box<str>]| topics.iter().map(ToString::to_string).collect();
    let on = |pubsub_topic: &PubsubTopic| Some(pubsub_topic.as_str().to_owned());
    let (kind, pubsub_topic, topics) = match &question.question {
        Question::Ping => (SubscribeType::Ping, None, Vec::new()),
        Question::Subscribe(topic, topics) => (SubscribeType::Subscribe, on(topic), texts(topics)),
        Question::Unsubscribe(topic, topics) => (SubscribeType::Unsubscribe, on(topic), texts(topics)),
        Question::UnsubscribeAll => (SubscribeType::UnsubscribeAll, None, Vec::new()),
    };
    let outcome = ask(asker, question.peer, kind, pubsub_topic, topics).await;
    if let Err(error) = &outcome
        && !matches!(error, FilterRequestError::Refused { status: Status::NotFound, .. })
    {
        tracing::debug!(peer = %question.peer, ?kind, %error, "filter request failed");
    }
    outcome.map_err(|error| match error {
        FilterRequestError::Refused { status, .. } => Failure::Status(status),
        FilterRequestError::Ask(_) => Failure::NoAnswer,
    })
}
