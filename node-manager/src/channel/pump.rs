//! The task beside a channel: it moves what comes in, watches who is there, and has stores asked for what was missed.

use std::collections::BTreeSet;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use waku::{ContentTopic, Delivery, Envelope, FilterGap, Node, PeerList, PubsubTopic};
use waku_noise_session::time::{Instant, UnixTime};
use waku_pairing::channel::ChannelEvent;

use super::clock::{PartyClock, unix_now};
use super::gaps::{Ask, Gaps};
use super::history::{History, HistoryError};
use super::inlet::{Inflow, Inlet};
use super::services::Services;
use super::skew::{Differ, Skew};
use super::{Mode, Wanted};

/// How long service nodes may take to take new topics before something is said without hearing what is answered.
const LISTEN_PATIENCE: Duration = Duration::from_secs(5);

type Asking = Pin<Box<dyn Future<Output = (Ask, Result<usize, HistoryError>)> + Send>>;

pub(super) struct Pump {
    node: Node,
    mode: Mode,
    inlet: Inlet,
    wanted: watch::Receiver<Wanted>,
    /// The version of the topics that are received on, for what is published after them.
    settled: watch::Sender<u64>,
    subscribed: Wanted,
    /// Until when service nodes are waited for, while they do not have all topics.
    patience: Option<Instant>,
    incoming: mpsc::Sender<ChannelEvent>,
    /// Whether there is somebody to publish to.
    up: bool,
    services: Services,
    clock: PartyClock,
    gaps: Gaps,
    asking: Option<Asking>,
    /// Whether it was said that there is no store.
    told_storeless: bool,
    skew: Skew,
    history: History,
}

/// What the pump is given.
pub(super) struct Parts {
    pub(super) node: Node,
    pub(super) mode: Mode,
    pub(super) inlet: Inlet,
    pub(super) wanted: watch::Receiver<Wanted>,
    pub(super) settled: watch::Sender<u64>,
    pub(super) incoming: mpsc::Sender<ChannelEvent>,
    pub(super) history: History,
    /// Since when nothing was received on the topics of the beginning.
    pub(super) since: Option<UnixTime>,
}

impl Pump {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { node, mode, inlet, wanted, settled, incoming, history, since } = parts;
        let clock = PartyClock::start();
        let gaps = Gaps::new(clock.now(), since);
        Self {
            node,
            mode,
            inlet,
            wanted,
            settled,
            subscribed: Wanted::default(),
            patience: None,
            incoming,
            up: false,
            services: Services::default(),
            clock,
            gaps,
            asking: None,
            told_storeless: false,
            skew: Skew::default(),
            history,
        }
    }

    /// Works until the node stops.
    pub(super) async fn run(mut self) {
        let mut peers = self.node.peers().watch();
        peers.mark_changed();
        loop {
            self.ask_stores();
            let wake = self.patience.map_or_else(|| self.wake(), |patience| patience.min(self.wake()));
            tokio::select! {
                biased;
                Ok(()) = self.wanted.changed() => self.change_topics().await,
                Ok(()) = peers.changed() => {
                    let list = peers.borrow_and_update().clone();
                    self.look_at_peers(&list);
                }
                (ask, answer) = answer(&mut self.asking) => self.handle_answer(&ask, &answer),
                () = poll_fn(|cx| self.clock.poll_deadline(Some(wake), cx)) => self.handle_timeout(),
                inflow = self.inlet.next() => match inflow {
                    Inflow::Delivery(Delivery::Message(envelope)) => self.handle_message(&envelope),
                    Inflow::Delivery(Delivery::Missed(count)) => self.handle_missed(count),
                    Inflow::Coverage => self.look_whether_listening(),
                    Inflow::Gaps(gaps) => self.handle_gaps(&gaps),
                    Inflow::End => return self.hand_in(ChannelEvent::Closed),
                },
            }
        }
    }

    fn wake(&self) -> Instant {
        // Without a store nothing is asked before the peers change.
        let tick = self.gaps.next_tick();
        if self.services.store { self.gaps.poll_timeout() } else { tick }
    }

    fn handle_timeout(&mut self) {
        let now = self.clock.now();
        self.gaps.handle_timeout(now);
        if self.patience.is_some_and(|patience| patience <= now.instant) {
            tracing::debug!("no service node has taken all content topics in time");
            self.settle();
        }
    }

    async fn change_topics(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.subscribed, wanted);
        let Wanted { topics, .. } = &self.subscribed;
        let new: Vec<_> = topics.difference(&before.topics).cloned().collect();
        let gone: Vec<_> = before.topics.difference(topics).cloned().collect();
        if let Err(error) = self.inlet.change(new, gone, topics.len()).await {
            tracing::error!(%error, "cannot change the content topics received on");
        }
        let now = self.clock.now();
        self.gaps.set_topics(now, &self.subscribed.topics, self.mode == Mode::Light);
        self.patience = Some(now.instant + LISTEN_PATIENCE);
        self.look_whether_listening();
        if self.mode == Mode::Relay {
            let is_heard = self.is_heard(&self.node.peers().list());
            self.gaps.set_hearing(now, is_heard);
        }
    }

    /// What waits for the topics to be received on may go.
    fn settle(&mut self) {
        self.patience = None;
        self.settled.send_replace(self.subscribed.version);
    }

    fn look_whether_listening(&mut self) {
        if !self.inlet.is_listening() {
            return;
        }
        self.settle();
        if self.mode == Mode::Light && self.services.filter && !self.subscribed.topics.is_empty() {
            self.gaps.set_hearing(self.clock.now(), true);
        }
    }

    fn look_at_peers(&mut self, peers: &PeerList) {
        let (now, services) = (self.clock.now(), Services::from(peers));
        let before = std::mem::replace(&mut self.services, services);
        let up = match self.mode {
            Mode::Relay => self.is_heard(peers),
            Mode::Light => services.filter && services.lightpush,
        };
        match self.mode {
            Mode::Relay => self.gaps.set_hearing(now, up),
            Mode::Light if !services.filter => self.gaps.set_hearing(now, false),
            Mode::Light => self.look_whether_listening(),
        }
        if let Some(missing) = services.missing.filter(|_| self.mode == Mode::Light && services != before) {
            tracing::error!("{missing}; connect to a node that serves both to a light client");
        }
        if services.store && !before.store {
            self.told_storeless = false;
            self.gaps.hurry(now);
        }
        if up && !self.up {
            self.hand_in(ChannelEvent::Up);
        }
        self.up = up;
    }

    /// Whether a connected relay peer is where our topics are.
    fn is_heard(&self, peers: &PeerList) -> bool {
        peers.connected.iter().any(|peer| peer.topics.iter().any(|topic| self.is_ours(topic)))
    }

    fn is_ours(&self, topic: &PubsubTopic) -> bool {
        let (sharding, topics) = (self.node.sharding(), &self.subscribed.topics);
        topics.iter().any(|content_topic| sharding.pubsub_topic(content_topic).as_ref() == Ok(topic))
    }

    fn handle_message(&mut self, envelope: &Envelope) {
        let message = envelope.message();
        let is_new = self.history.note(envelope.hash());
        if is_new && let Some(Differ { by, is_ahead }) = self.skew.note(message.timestamp, unix_now()) {
            let than_ours = if is_ahead { "ahead of" } else { "behind" };
            tracing::warn!(
                "the other side's clock is {} s {than_ours} this machine's. Stores keep nothing that is stamped more \
                than 20 s off their clock: set the clock that is wrong",
                by.as_secs()
            );
        }
        self.hand_in(ChannelEvent::Message(message.clone()));
    }

    fn handle_missed(&mut self, count: u64) {
        tracing::warn!(count, "messages came faster than they could be read; stores are asked for them");
        let now = self.clock.now();
        self.gaps.open(now, &self.subscribed.topics, now.unix);
    }

    fn handle_gaps(&mut self, gaps: &[FilterGap]) {
        let now = self.clock.now();
        for gap in gaps {
            let since = gap.from.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let topics: BTreeSet<ContentTopic> =
                gap.content_topics.iter().filter_map(|topic| topic.parse().ok()).collect();
            self.gaps.open(now, &topics, UnixTime::from_epoch(since));
        }
    }

    fn ask_stores(&mut self) {
        let now = self.clock.now();
        if self.services.store {
            if let Some(ask) = self.gaps.next_ask(now) {
                let history = self.history.clone();
                self.asking = Some(Box::pin(async move {
                    let answer = history.catch_up(&ask).await;
                    (ask, answer)
                }));
            }
        } else if self.up && !self.told_storeless && self.gaps.wants_to_ask(now) {
            self.told_storeless = true;
            tracing::info!(
                "no connected node serves a store: what was published while this side was away does not come after"
            );
        }
    }

    fn handle_answer(&mut self, ask: &Ask, answer: &Result<usize, HistoryError>) {
        self.asking = None;
        match answer {
            Ok(0) => tracing::debug!(topics = ask.topics.len(), "stores have nothing that was missed"),
            Ok(count) => tracing::info!(count, "caught up with what was published meanwhile"),
            Err(error) => tracing::debug!(%error, "what was missed cannot be had yet"),
        }
        self.gaps.handle_answer(self.clock.now(), ask, answer.is_ok());
    }

    fn hand_in(&self, event: ChannelEvent) {
        if self.incoming.try_send(event).is_err() && !self.incoming.is_closed() {
            tracing::warn!("the party is behind; a message was dropped");
        }
    }
}

async fn answer(asking: &mut Option<Asking>) -> (Ask, Result<usize, HistoryError>) {
    match asking {
        Some(asking) => asking.await,
        None => pending().await,
    }
}
