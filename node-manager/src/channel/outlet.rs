//! Where messages go out: relay, or lightpush at service nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use waku::proto::lightpush::Status;
use waku::proto::protocol_id::{LIGHTPUSH, LIGHTPUSH_V2};
use waku::{LightpushError, Node, PeerId, PublishError, WakuMessage};

use super::{History, Mode};

/// How long a message is offered to a node whose queues are full.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before it is offered again.
const BUSY_RETRY: Duration = Duration::from_millis(20);
/// How long service nodes may take to publish a message, all together.
const PUSH_WITHIN: Duration = Duration::from_secs(20);
/// Messages that are with service nodes at the same time.
const SIDE_BY_SIDE: usize = 8;

/// A message to be published.
pub(super) struct Outgoing {
    /// The content topics to be received on by then, by their version.
    pub(super) version: u64,
    pub(super) message: WakuMessage,
}

/// Publishes, in the order of the requests.
pub(super) struct Outlet {
    pub(super) node: Node,
    pub(super) mode: Mode,
    pub(super) history: History,
    pub(super) outgoing: mpsc::Receiver<Outgoing>,
    /// The version of the content topics that are received on.
    pub(super) settled: watch::Receiver<u64>,
}

impl Outlet {
    /// Works until nothing more can come and all is published.
    pub(super) async fn run(mut self) {
        let mut pushes = JoinSet::new();
        let mut topic = String::new();
        let told = Arc::new(AtomicBool::new(false));
        while let Some(Outgoing { version, message }) = self.outgoing.recv().await {
            // Who speaks is listening already.
            if self.settled.wait_for(|settled| *settled >= version).await.is_err() {
                return;
            }
            self.history.note_published(&message);
            if self.mode == Mode::Relay {
                relay(&self.node, message).await;
                continue;
            }
            // Service nodes take their time. What is said on one topic may be overtaken there, but no handshake by what
            // follows it on another.
            if message.content_topic != topic {
                topic.clone_from(&message.content_topic);
                while pushes.join_next().await.is_some() {}
            }
            while pushes.len() >= SIDE_BY_SIDE {
                pushes.join_next().await;
            }
            pushes.spawn(push(self.node.clone(), message, Arc::clone(&told)));
        }
        while pushes.join_next().await.is_some() {}
    }
}

async fn relay(node: &Node, message: WakuMessage) {
    let give_up = Instant::now() + BUSY_PATIENCE;
    loop {
        match node.relay().publish(message.clone()).await {
            Err(PublishError::Busy) if Instant::now() < give_up => {
                sleep_until(Instant::now() + BUSY_RETRY).await;
            }
            Ok(_) => return,
            Err(error @ PublishError::NoPeers) => return tracing::debug!(%error, "not published"),
            Err(error) => return tracing::warn!(%error, "not published"),
        }
    }
}

/// Publishes through service nodes. `told` is whether it was said that the only one relays to nobody.
async fn push(node: Node, message: WakuMessage, told: Arc<AtomicBool>) {
    let pubsub_topic =
        message.content_topic.parse().ok().and_then(|topic| node.sharding().pubsub_topic(&topic).ok());
    if let (Some(only), Some(pubsub_topic)) = (only_server(&node), pubsub_topic) {
        let lightpush = node.lightpush().with_timeout(PUSH_WITHIN);
        match lightpush.publish_via(only, Some(pubsub_topic), message.clone()).await {
            // Tried again it would only be told the same. It hands the message to its own clients, as nwaku does.
            Err(LightpushError::Refused { status: Status::NoPeersToRelay, .. }) => {
                if !told.swap(true, Ordering::Relaxed) {
                    tracing::info!(
                        peer = %only,
                        "the only node that serves lightpush relays to nobody: only its own clients hear this side"
                    );
                }
                return;
            }
            Ok(_) | Err(LightpushError::Duplicate { .. }) => return told.store(false, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "tried again"),
        }
    }
    match node.lightpush().with_timeout(PUSH_WITHIN).publish(message).await {
        Ok(_) | Err(LightpushError::Duplicate { .. }) => {}
        // That nobody is connected who serves it is said when it becomes so.
        Err(error @ (LightpushError::NoServicePeer | LightpushError::Stopped(_))) => {
            tracing::debug!(%error, "not published");
        }
        Err(error) => tracing::warn!(%error, "not published"),
    }
}

/// The connected node that serves lightpush, if there is just one.
fn only_server(node: &Node) -> Option<PeerId> {
    let serving = |protocol| node.peers().serving(protocol, None);
    let mut servers: Vec<PeerId> = [LIGHTPUSH, LIGHTPUSH_V2].into_iter().flat_map(serving).collect();
    servers.sort_unstable();
    servers.dedup();
    match servers.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}
