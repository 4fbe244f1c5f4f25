//! What the handles ask of the driver.

use std::collections::HashMap;
use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;
use waku_proto::{PubsubTopic, Shard};

use crate::peers::{AddPeerError, KnownPeer, NewPeer};
use crate::relay::RelayPeer;
use crate::relay::fan_out::{Interest, SubscriptionId};
use crate::relay::queue::Reader;
use crate::{Envelope, NodeRecord};

/// One request to the driver, most with a place for the answer. A dropped place means the node has stopped.
#[derive(Debug)]
pub(crate) enum Command {
    Relay(RelayCommand),
    Peers(PeerCommand),
}

/// A request about peers.
#[derive(Debug)]
pub(crate) enum PeerCommand {
    AddStatic {
        address: Multiaddr,
        reply: oneshot::Sender<Result<(), AddPeerError>>,
    },
    /// Answered with false when there is no such static peer.
    RemoveStatic {
        address: Multiaddr,
        reply: oneshot::Sender<bool>,
    },
    /// Answered with how many of them are known now.
    Learn {
        peers: Vec<NewPeer>,
        reply: oneshot::Sender<usize>,
    },
    /// Answered with false when the peer was not known.
    Forget {
        peer: PeerId,
        reply: oneshot::Sender<bool>,
    },
    List {
        reply: oneshot::Sender<Vec<Arc<KnownPeer>>>,
    },
    /// Draws node records to hand on, at most `count`.
    Draw {
        count: usize,
        reply: oneshot::Sender<Vec<NodeRecord>>,
    },
    /// Dials known peers for a service. Answered with how many dials are under way.
    Reach {
        protocol: &'static str,
        shard: Option<Shard>,
        reply: oneshot::Sender<usize>,
    },
}

impl From<PeerCommand> for Command {
    fn from(command: PeerCommand) -> Self {
        Self::Peers(command)
    }
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
    /// Answered with the relay's view of each connected peer.
    Peers {
        reply: oneshot::Sender<Vec<RelayPeer>>,
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
