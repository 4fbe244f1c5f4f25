//! The peers of a node: who is connected, and whom it stays connected to.

mod backoff;
pub(crate) mod behaviour;
pub(crate) mod book;
mod connect;
pub(crate) mod dial_error;
mod dialer;
mod dialing;
pub(crate) mod file;
pub(crate) mod known;
pub(crate) mod policy;
pub(crate) mod service;
mod slots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{oneshot, watch};

use self::dialer::State;
use crate::net::command::PeerCommand;
use crate::node::Shared;
use crate::{Multiaddr, PeerId, Stopped};

pub use self::backoff::Backoff;
pub use self::book::{Direction, DisconnectReason, Disconnection, PeerInfo};
pub use self::connect::ConnectError;
pub(crate) use self::dialer::peer_id_of;
pub use self::dialing::Dialing;
pub use self::file::PeerStoreError;
pub(crate) use self::known::addresses::ip_of;
pub use self::known::{KnownPeer, NewPeer, PeerOrigin, PeerState};

/// Whether an address is of a kind that nodes dial: TCP, WebSocket or QUIC over an IP address or a name, also through a
/// relay.
pub fn can_dial(address: &Multiaddr) -> bool {
    crate::net::transport::is_dialable(address)
}

/// Looks at and changes a node's peers. Cheap to clone; keeps the node running.
#[derive(Debug, Clone)]
pub struct Peers {
    pub(crate) node: Arc<Shared>,
}

impl Peers {
    /// The peers as they are now.
    pub fn list(&self) -> PeerList {
        self.node.peers.borrow().clone()
    }

    /// The peers, watched: wait with [`watch::Receiver::wait_for`] until they are as you want them.
    pub fn watch(&self) -> watch::Receiver<PeerList> {
        self.node.peers.clone()
    }

    /// Connects to the peer at this address and stays connected to it. The address may end in `/p2p/…`, and
    /// then no other peer is accepted there. Names (`/dns4/…`) are looked up at every dial. Adding an
    /// address again changes nothing.
    ///
    /// Returns at once; whether and why a dial failed is in [`PeerList::static_peers`].
    ///
    /// # Errors
    /// When the address cannot be dialled or names this node, or the node has stopped.
    pub async fn add_static(&self, address: Multiaddr) -> Result<(), AddPeerError> {
        self.ask(|reply| PeerCommand::AddStatic { address, reply }).await?
    }

    /// No longer stays connected to the peer at this address, written as it was added. A connection that is
    /// open stays open. False when there was no such static peer.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn remove_static(&self, address: Multiaddr) -> Result<bool, Stopped> {
        self.ask(|reply| PeerCommand::RemoveStatic { address, reply }).await
    }

    /// Every peer the node knows of, connected or not, by peer id.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn known(&self) -> Result<Vec<Arc<KnownPeer>>, Stopped> {
        self.ask(|reply| PeerCommand::List { reply }).await
    }

    /// Tells the node about peers. It dials them when it needs peers of their kind; a peer to be connected to
    /// in any case is added with [`Peers::add_static`].
    ///
    /// Returns how many of them are known now: this node itself is not, nor is a peer without any address that
    /// can be dialled.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn add(&self, peers: impl IntoIterator<Item = NewPeer>) -> Result<usize, Stopped> {
        let peers = peers.into_iter().collect();
        self.ask(|reply| PeerCommand::Learn { peers, reply }).await
    }

    /// Forgets a known peer. One that is connected stays connected, and is forgotten when it is gone. False
    /// when it was not known.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn forget(&self, peer: PeerId) -> Result<bool, Stopped> {
        self.ask(|reply| PeerCommand::Forget { peer, reply }).await
    }

    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> PeerCommand,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.node.command(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }
}

/// The peers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerList {
    /// The connected peers, by peer id.
    pub connected: Vec<PeerInfo>,
    /// The static peers, by address.
    pub static_peers: Vec<StaticPeerInfo>,
    /// The last 64 disconnections, oldest first.
    pub disconnections: Vec<Disconnection>,
    /// How many peers the node knows of, connected or not; [`Peers::known`] lists them.
    pub known: usize,
    /// How many of them are being dialled, or are about to be.
    pub dialing: usize,
    /// Relay peers the node lacks without knowing anybody to dial, summed over its shards.
    pub lacking: usize,
}

impl PeerList {
    /// A connected peer.
    pub fn get(&self, peer_id: PeerId) -> Option<&PeerInfo> {
        self.connected.iter().find(|peer| peer.peer_id == peer_id)
    }

    /// The last disconnection of a peer.
    pub fn last_disconnection(&self, peer_id: PeerId) -> Option<&Disconnection> {
        self.disconnections.iter().rev().find(|gone| gone.peer_id == peer_id)
    }
}

/// A peer the node stays connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticPeerInfo {
    /// The address it was added by.
    pub address: Multiaddr,
    /// Its identity: from the address, or from the present connection.
    pub peer_id: Option<PeerId>,
    /// Where the node is with it.
    pub state: StaticPeerState,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last dial failed; `None` once connected.
    pub last_error: Option<String>,
    /// Whether it is asked first for services.
    pub is_service: bool,
}

/// Where a node is with a static peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticPeerState {
    /// It will be dialled so long after the list was made.
    Waiting(Duration),
    /// It is being dialled.
    Dialing,
    /// It is connected.
    Connected,
}

/// The public view of a static peer.
pub(crate) fn static_peer_info(
    address: &Multiaddr,
    peer: &dialer::StaticPeer,
    now: Instant,
) -> StaticPeerInfo {
    StaticPeerInfo {
        address: address.clone(),
        peer_id: peer.peer_id,
        state: match peer.state {
            State::Waiting { until } => StaticPeerState::Waiting(until.saturating_duration_since(now)),
            State::Dialing => StaticPeerState::Dialing,
            State::Connected { .. } => StaticPeerState::Connected,
        },
        failures: peer.failures,
        last_error: peer.last_error.clone(),
        is_service: peer.is_service,
    }
}

/// A static peer that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddPeerError {
    /// The address is of a kind the node does not speak.
    #[error(
        "{address} cannot be dialled: only TCP and WebSocket over an IP address or a DNS name are supported"
    )]
    Unsupported {
        /// The address.
        address: Multiaddr,
    },
    /// The address ends in this node's own peer id.
    #[error("the address of the peer is this node's own")]
    OwnPeerId,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
