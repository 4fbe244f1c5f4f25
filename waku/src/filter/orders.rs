//! What the handles want of the client's task.

use std::collections::HashMap;

use tokio::sync::{mpsc, oneshot, watch};
use waku_proto::PubsubTopic;

use super::client::FilterGap;
use super::subscription::FilterSubscribeError;
use crate::net::command::TopicChange;
use crate::relay::fan_out::SubscriptionId;
use crate::relay::queue::Reader;
use crate::{PeerId, Stopped};

/// Orders on their way to the task; whoever sends more waits.
const LEN: usize = 64;

/// The way to the task, and its end there.
pub(super) fn orders() -> (Orders, mpsc::Receiver<Command>) {
    let (sender, receiver) = mpsc::channel(LEN);
    (Orders(sender), receiver)
}

/// The way to the task. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Orders(mpsc::Sender<Command>);

impl Orders {
    /// Gives an order and waits for its answer.
    pub(super) async fn order<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.0.send(command(reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

/// What a handle wants of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Subscribe {
        topics: HashMap<Box<str>, PubsubTopic>,
        reply: oneshot::Sender<Result<Opened, FilterSubscribeError>>,
    },
    Change {
        id: SubscriptionId,
        change: TopicChange,
        reply: oneshot::Sender<Result<(), FilterSubscribeError>>,
    },
    /// Answered when pushes are taken accordingly.
    ByHand {
        peer: PeerId,
        change: HandChange,
        reply: oneshot::Sender<()>,
    },
    Inbox {
        reply: oneshot::Sender<Reader>,
    },
}

/// A change of what is asked of a service node by hand.
#[derive(Debug)]
pub(crate) enum HandChange {
    Add(PubsubTopic, Vec<Box<str>>),
    Remove(PubsubTopic, Vec<Box<str>>),
    RemoveAll,
}

/// A subscription as the task gives it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) id: SubscriptionId,
    pub(super) reader: Reader,
    pub(super) service_peers: watch::Receiver<usize>,
    pub(super) gaps: watch::Receiver<Vec<FilterGap>>,
}
