//! A party's [`Channel`] over a Waku node.
//!
//! The channel itself never waits; a task beside it, the pump, does the waiting. What either cannot take is dropped and
//! counted: parties repeat themselves.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant as Clock, Sleep, sleep, sleep_until};
use waku::{
    ContentTopic, Delivery, Node, PeerList, PublishError, PubsubTopic, RelayFilter, RelaySubscription,
    WakuMessage,
};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::channel::{Channel, ChannelEvent};

/// Messages of the party that wait to be published.
const OUTBOX: usize = 256;
/// Messages from the network that wait for the party.
const INBOX: usize = 1024;
/// How long a message is offered to a node whose queues are full.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before it is offered again.
const BUSY_RETRY: Duration = Duration::from_millis(20);

/// A party's way to the network.
pub(crate) struct WakuChannel {
    topics: watch::Sender<BTreeSet<ContentTopic>>,
    outbox: mpsc::Sender<WakuMessage>,
    inbox: mpsc::Receiver<ChannelEvent>,
    clock: PartyClock,
}

impl WakuChannel {
    /// Opens a channel on a node. The task ends when the channel is dropped and everything in it has been published,
    /// or when the node stops.
    pub(crate) async fn open(node: &Node) -> Result<(Self, JoinHandle<()>), waku::SubscribeError> {
        let subscription = node.relay().subscribe(RelayFilter::ContentTopics(BTreeSet::new())).await?;
        let (topics, wanted) = watch::channel(BTreeSet::new());
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let (incoming, inbox) = mpsc::channel(INBOX);
        let pump = Pump {
            node: node.clone(),
            subscription,
            subscribed: BTreeSet::new(),
            wanted,
            outgoing,
            incoming,
            up: false,
        };
        Ok((Self { topics, outbox, inbox, clock: PartyClock::start() }, tokio::spawn(pump.run())))
    }
}

impl Channel for WakuChannel {
    fn subscribe(&mut self, topic: ContentTopic) {
        self.topics.send_modify(|topics| _ = topics.insert(topic));
    }

    fn unsubscribe(&mut self, topic: ContentTopic) {
        self.topics.send_modify(|topics| _ = topics.remove(&topic));
    }

    fn publish(&mut self, message: WakuMessage) {
        if self.outbox.try_send(message).is_err() {
            tracing::warn!("too much to publish at once; a message was dropped and will be repeated");
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        self.inbox.poll_recv(cx).map(|event| event.unwrap_or(ChannelEvent::Closed))
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        self.clock.poll_deadline(deadline, cx)
    }
}

/// No network at all: for looking at and changing what is kept.
pub(crate) struct NoChannel(PartyClock);

impl NoChannel {
    pub(crate) fn new() -> Self {
        Self(PartyClock::start())
    }
}

impl Channel for NoChannel {
    fn subscribe(&mut self, _: ContentTopic) {}

    fn unsubscribe(&mut self, _: ContentTopic) {}

    fn publish(&mut self, _: WakuMessage) {}

    fn poll_event(&mut self, _: &mut Context<'_>) -> Poll<ChannelEvent> {
        Poll::Pending
    }

    fn now(&self) -> Now {
        self.0.now()
    }

    /// Never: without a network there is nobody to call.
    fn poll_deadline(&mut self, _: Option<Instant>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

struct PartyClock {
    started: Clock,
    sleep: Pin<Box<Sleep>>,
}

impl PartyClock {
    fn start() -> Self {
        Self { started: Clock::now(), sleep: Box::pin(sleep(Duration::ZERO)) }
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::from_origin(self.started.elapsed()), unix: UnixTime::from_epoch(unix) }
    }

    fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let at = self.started + deadline.since_origin();
        if self.sleep.deadline() != at {
            self.sleep.as_mut().reset(at);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// Moves messages between a channel and its node.
struct Pump {
    node: Node,
    subscription: RelaySubscription,
    subscribed: BTreeSet<ContentTopic>,
    wanted: watch::Receiver<BTreeSet<ContentTopic>>,
    outgoing: mpsc::Receiver<WakuMessage>,
    incoming: mpsc::Sender<ChannelEvent>,
    /// Whether there is somebody to publish to.
    up: bool,
}

impl Pump {
    async fn run(mut self) {
        let mut peers = self.node.peers().watch();
        peers.mark_changed();
        loop {
            tokio::select! {
                biased;
                // Topics before messages: who speaks is listening already.
                Ok(()) = self.wanted.changed() => self.change_topics().await,
                Ok(()) = peers.changed() => {
                    let list = peers.borrow_and_update().clone();
                    self.look_for_listeners(&list);
                }
                delivery = self.subscription.recv() => match delivery {
                    Some(Delivery::Message(envelope)) => {
                        self.hand_in(ChannelEvent::Message(envelope.message().clone()));
                    }
                    Some(Delivery::Missed(count)) => {
                        tracing::warn!(count, "messages came faster than they could be read; some were missed");
                    }
                    None => return self.hand_in(ChannelEvent::Closed),
                },
                message = self.outgoing.recv() => match message {
                    Some(message) => self.publish(message).await,
                    None => return,
                },
            }
        }
    }

    async fn change_topics(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        let new: Vec<_> = wanted.difference(&self.subscribed).cloned().collect();
        let gone: Vec<_> = self.subscribed.difference(&wanted).cloned().collect();
        let added = self.subscription.add_content_topics(new).await;
        let removed = self.subscription.remove_content_topics(gone).await;
        if let Err(error) = added.and(removed) {
            tracing::error!(%error, "cannot change the content topics received on");
        }
        self.subscribed = wanted;
    }

    fn look_for_listeners(&mut self, peers: &PeerList) {
        let up = peers.connected.iter().any(|peer| peer.topics.iter().any(|topic| self.is_ours(topic)));
        if up && !self.up {
            self.hand_in(ChannelEvent::Up);
        }
        self.up = up;
    }

    fn is_ours(&self, topic: &PubsubTopic) -> bool {
        let sharding = self.node.sharding();
        self.subscribed.iter().any(|content_topic| sharding.pubsub_topic(content_topic).as_ref() == Ok(topic))
    }

    async fn publish(&mut self, message: WakuMessage) {
        let give_up = Clock::now() + BUSY_PATIENCE;
        loop {
            match self.node.relay().publish(message.clone()).await {
                Err(PublishError::Busy) if Clock::now() < give_up => {
                    sleep_until(Clock::now() + BUSY_RETRY).await
                }
                Ok(_) => return,
                Err(error @ PublishError::NoPeers) => return tracing::debug!(%error, "not published"),
                Err(error) => return tracing::warn!(%error, "not published"),
            }
        }
    }

    fn hand_in(&self, event: ChannelEvent) {
        if self.incoming.try_send(event).is_err() && !self.incoming.is_closed() {
            tracing::warn!("the party is behind; a message was dropped");
        }
    }
}
