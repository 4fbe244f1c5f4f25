//! What the handles ask of the driver.

use std::collections::HashMap;

use libp2p::Multiaddr;
use tokio::sync::oneshot;
use waku_proto::PubsubTopic;

use crate::Envelope;
use crate::peers::AddPeerError;
use crate::relay::fan_out::{Interest, SubscriptionId};
use crate::relay::queue::Reader;

/// One request to the driver, most with a place for the answer. A dropped place means the node has stopped.
#[derive(Debug)]
pub(crate) enum Command {
    Relay(RelayCommand),
    AddStaticPeer {
        address: Multiaddr,
        reply: oneshot::Sender<Result<(), AddPeerError>>,
    },
    /// Answered with false when there is no such static peer.
    RemoveStaticPeer {
        address: Multiaddr,
        reply: oneshot::Sender<bool>,
    },
}

/// A request to the relay of a node that has one.
#[derive(Debug)]
pub(crate) enum RelayCommand {
    Publish {
        envelope: Envelope,
        reply: oneshot::Sender<Result<Published, Unpublished>>,
    },
    Subscribe {
        interest: Interest,
        reply: oneshot::Sender<(SubscriptionId, Reader)>,
    },
    /// Answered with false when the subscription has no content topics to change.
    ChangeTopics {
        id: SubscriptionId,
        change: TopicChange,
        reply: oneshot::Sender<bool>,
    },
}

impl From<RelayCommand> for Command {
    fn from(command: RelayCommand) -> Self {
        Self::Relay(command)
    }
}

#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) peers: usize,
}

#[derive(Debug)]
pub(crate) enum Unpublished {
    NoPeers,
    Duplicate,
    Busy,
}

#[derive(Debug)]
pub(crate) enum TopicChange {
    Add(HashMap<Box<str>, PubsubTopic>),
    Remove(Vec<Box<str>>),
}
