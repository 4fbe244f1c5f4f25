//! Filter push (12/WAKU2-FILTER) on the swarm: frames one way, from a service node to its clients.
//!
//! A pushed frame goes to its peer's [`Lane`](lane::Lane) and from there to a stream, without the driver:
//! a peer that is slow or gone fills its own lane and nobody else's. What comes in waits for room in the
//! client's inbox, and its stream is not read meanwhile.
//!
//! # Differences between implementations
//! go-waku reads one frame of a stream and closes it. js-waku keeps every stream open for as long as it
//! may, and takes 100 of them; nwaku writes all frames on one stream. So the first stream with a peer shows
//! what it needs: a peer that closes it after one frame gets a stream for each frame, any other gets all
//! frames on that one stream. See [`outbound`].

mod handler;
mod inbound;
pub(crate) mod lane;
mod outbound;

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;
use waku_proto::filter::MessagePush;

use self::handler::Handler;
use self::lane::Lanes;
use crate::metrics::PushMetrics;

/// Pushes that wait for the client. At 150 KiB each this bounds them to 19 MiB.
const INBOX_LEN: usize = 128;

/// A message that came from a peer.
#[derive(Debug)]
pub(crate) struct Pushed {
    pub(crate) peer: PeerId,
    pub(crate) push: MessagePush,
}

/// The peers whose pushes are wanted. A clone is the same set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(Arc<RwLock<HashSet<PeerId>>>);

impl Awaited {
    /// Wants pushes of these peers from now on, and of no others.
    pub(crate) fn set(&self, peers: HashSet<PeerId>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = peers;
    }

    fn contains(&self, peer: &PeerId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(peer)
    }
}

/// The protocol on the swarm.
pub(crate) struct Push {
    lanes: Lanes,
    limit: usize,
    inbox: mpsc::Sender<Pushed>,
    awaited: Awaited,
    metrics: PushMetrics,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The ends of the protocol off the swarm.
#[derive(Debug)]
pub(crate) struct PushEnds {
    /// The service's: pushes.
    pub(crate) lanes: Lanes,
    /// The client's: what is pushed comes out here.
    pub(crate) pushes: mpsc::Receiver<Pushed>,
    /// The client's: says whose pushes are wanted.
    pub(crate) awaited: Awaited,
}

impl Push {
    /// The protocol, for frames of at most `limit` bytes inbound.
    pub(crate) fn new(limit: usize, give_up_after: Duration, metrics: PushMetrics) -> (Self, PushEnds) {
        let (inbox, pushes) = mpsc::channel(INBOX_LEN);
        let lanes = Lanes::new(give_up_after, metrics.clone());
        let awaited = Awaited::default();
        let push = Self { lanes: lanes.clone(), limit, inbox, awaited: awaited.clone(), metrics };
        (push, PushEnds { lanes, pushes, awaited })
    }

    fn handler(&self, peer: PeerId) -> Handler {
        let inbound = inbound::Inbound::new(
            peer,
            self.limit,
            self.inbox.clone(),
            self.awaited.clone(),
            self.metrics.clone(),
        );
        Handler::new(inbound, outbound::Outbound::new(self.lanes.enter(peer)))
    }
}

impl NetworkBehaviour for Push {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
