//! A party's [`Channel`] over a Waku node, which relays or is a light client.
//!
//! The channel itself never waits; a task beside it does the waiting. What either cannot take is dropped and said to be:
//! parties repeat themselves. What was published while this side was away is fetched from stores and handed in like
//! what comes live.
//!
//! ```text
//!   party ── subscribe ──► wanted ──► pump ──► inlet: relay, or filter at two service nodes
//!     ▲  └── publish ────► outbox ──► outlet ─► relay, or lightpush; once the topics before it are received on
//!     └───── inbox ◄────── pump ◄──── inlet
//!                 └─────── history ◄─ stores, when `gaps` says that something may have been missed
//! ```

mod clock;
mod gaps;
mod history;
mod inlet;
mod outlet;
mod pump;
mod seen;
mod services;
mod skew;

use std::collections::BTreeSet;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use waku::{ContentTopic, FilterSubscribeError, Node, SubscribeError, WakuMessage};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::channel::{Channel, ChannelEvent};

pub use history::{Fetched, History, HistoryError};

use clock::PartyClock;
use inlet::Inlet;
use outlet::{Outgoing, Outlet};
use pump::{Parts, Pump};

/// Messages of the party that wait to be published.
const OUTBOX: usize = 256;
/// Messages from the network that wait for the party.
const INBOX: usize = 1024;

/// How a side takes part in the Waku network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It relays, for others too.
    #[default]
    Relay,
    /// It relays nothing: it receives through filter and publishes through lightpush, at nodes that serve both.
    Light,
}

/// A party's way to the network.
pub(crate) struct WakuChannel {
    wanted: watch::Sender<Wanted>,
    outbox: mpsc::Sender<Outgoing>,
    inbox: mpsc::Receiver<ChannelEvent>,
    clock: PartyClock,
}

/// The content topics to receive on.
#[derive(Debug, Clone, Default)]
struct Wanted {
    /// Grows with every change.
    version: u64,
    topics: BTreeSet<ContentTopic>,
}

/// A channel could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Relay(#[from] SubscribeError),
    #[error(transparent)]
    Light(#[from] FilterSubscribeError),
}

/// An open channel, and what belongs to it.
pub(crate) struct Opened {
    pub(crate) channel: WakuChannel,
    pub(crate) history: History,
    /// Ends when the channel is dropped and everything in it has been published, or when the node stops.
    pub(crate) task: JoinHandle<()>,
}

impl WakuChannel {
    /// Opens a channel on a node. `since` is when something was last heard of the other side before the process
    /// started: what was published on the first topics from then on is asked of stores.
    pub(crate) async fn open(node: &Node, mode: Mode, since: Option<UnixTime>) -> Result<Opened, OpenError> {
        let inlet = Inlet::open(node, mode).await?;
        let (wanted, topics) = watch::channel(Wanted::default());
        let (settle, settled) = watch::channel(0);
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let (incoming, inbox) = mpsc::channel(INBOX);
        let history = History::new(node.clone(), incoming.downgrade());
        let outlet = Outlet { node: node.clone(), mode, history: history.clone(), outgoing, settled };
        let parts = Parts {
            node: node.clone(),
            mode,
            inlet,
            wanted: topics,
            settled: settle,
            incoming,
            history: history.clone(),
            since,
        };
        let pump = Pump::new(parts);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = pump.run() => {}
                () = outlet.run() => {}
            }
        });
        Ok(Opened { channel: Self { wanted, outbox, inbox, clock: PartyClock::start() }, history, task })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<ContentTopic>)) {
        self.wanted.send_modify(|wanted| {
            change(&mut wanted.topics);
            wanted.version += 1;
        });
    }
}

impl Channel for WakuChannel {
    fn subscribe(&mut self, topic: ContentTopic) {
        self.change(|topics| _ = topics.insert(topic));
    }

    fn unsubscribe(&mut self, topic: ContentTopic) {
        self.change(|topics| _ = topics.remove(&topic));
    }

    fn publish(&mut self, message: WakuMessage) {
        let version = self.wanted.borrow().version;
        if self.outbox.try_send(Outgoing { version, message }).is_err() {
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

#[cfg(test)]
mod tests;
