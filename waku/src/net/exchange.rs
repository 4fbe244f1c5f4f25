//! A protocol of one request and one response on the swarm, between its service and its clients.
//!
//! Both reach it through a bounded mailbox of their own, so that the driver has nothing to do with any such
//! protocol. A request that is over its limit, or finds the service's inbox full, is answered at once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::request_response::{
    InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::codec::{Incoming, Limits, Protocol};
use super::rpc::{self, Rpc, RpcEvent};
use crate::metrics::ExchangeMetrics;
use crate::rate_limit::{Limiter, RateLimit};

/// Requests that wait for a service. At 150 KiB each this bounds them to 38 MiB a protocol.
const INBOX_LEN: usize = 256;
/// Requests of clients on their way to the swarm; whoever sends more waits.
const ASK_QUEUE_LEN: usize = 64;

/// A protocol that is served.
pub(crate) trait Served: Protocol {
    /// What is answered to a request that the service does not look at.
    fn refusal(refusal: Refusal) -> Self::Response;
}

/// The request id of such answers, as nwaku has it.
pub(crate) const UNREAD_REQUEST_ID: &str = "N/A";

/// Why a service does not look at a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The peer, or all peers together, asked too often: status 429.
    TooManyRequests,
    /// The service has as much to do as it can: status 503.
    Busy,
}

/// A request on its way to its service.
#[derive(Debug)]
pub(crate) struct Inbound<P: Protocol> {
    pub(crate) peer: PeerId,
    pub(crate) request: Incoming<P::Request>,
    pub(crate) reply: Reply<P::Response>,
}

/// Where an answer goes. Dropped without one, the stream is closed.
#[derive(Debug)]
pub(crate) struct Reply<R>(oneshot::Sender<(R, Option<OwnedSemaphorePermit>)>);

impl<R> Reply<R> {
    /// Answers. `place` is given back when the answer has left or failed to.
    pub(crate) fn send(self, response: R, place: Option<OwnedSemaphorePermit>) {
        // Fails when the node stops.
        let _ = self.0.send((response, place));
    }
}

/// What comes out at the other end of a [`Reply`].
#[cfg(test)]
pub(crate) type Replied<R> = oneshot::Receiver<(R, Option<OwnedSemaphorePermit>)>;

#[cfg(test)]
impl<R> Reply<R> {
    /// A place for an answer, and where it comes out, for tests of services without a network.
    pub(crate) fn channel() -> (Self, Replied<R>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

/// The service's end of a protocol.
struct Server<P: Protocol> {
    inbox: mpsc::Sender<Inbound<P>>,
    limiter: Limiter,
    metrics: ExchangeMetrics,
    refuse: fn(Refusal) -> P::Response,
}

/// Asks peers. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Asker<P: Protocol>(mpsc::Sender<Ask<P>>);

impl<P: Protocol> Clone for Asker<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Ask<P: Protocol> {
    peer: PeerId,
    addresses: Vec<Multiaddr>,
    request: P::Request,
    reply: oneshot::Sender<Result<P::Response, AskError>>,
}

impl<P: Protocol> Asker<P> {
    /// Asks a peer and waits for its answer; a peer that is not connected is dialled at `addresses`.
    ///
    /// Dropped before it is ready, the request may have been sent or not; its answer is thrown away.
    pub(crate) async fn ask(
        &self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        request: P::Request,
    ) -> Result<P::Response, AskError> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { peer, addresses, request, reply };
        self.0.send(ask).await.map_err(|_| AskError::Stopped)?;
        answer.await.map_err(|_| AskError::Stopped)?
    }
}

/// A request that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AskError {
    /// The peer is not connected and could not be dialled.
    #[error("the peer is not connected and cannot be reached")]
    NotReached,
    /// The peer does not speak the protocol.
    #[error("the peer does not speak the protocol")]
    Unsupported,
    /// No answer came in time. Whether the peer has acted on the request is not known.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The connection broke. Whether the peer has acted on the request is not known.
    #[error("the connection with the peer broke")]
    Disconnected,
    /// The peer closed the stream, or what it said makes no sense.
    #[error("the peer did not answer properly: {0}")]
    Invalid(String),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl From<OutboundFailure> for AskError {
    fn from(failure: OutboundFailure) -> Self {
        match failure {
            OutboundFailure::DialFailure => Self::NotReached,
            OutboundFailure::Timeout => Self::Timeout,
            OutboundFailure::ConnectionClosed => Self::Disconnected,
            OutboundFailure::UnsupportedProtocols => Self::Unsupported,
            OutboundFailure::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => Self::Timeout,
            OutboundFailure::Io(error) => Self::Invalid(error.to_string()),
        }
    }
}

/// A service's answer with the place it takes, once there is one.
type PendingReply<R> = Pin<
    Box<
        dyn Future<Output = (ResponseChannel<R>, InboundRequestId, Option<(R, Option<OwnedSemaphorePermit>)>)>
            + Send,
    >,
>;

/// A request that a peer has yet to answer.
struct Asked<P: Protocol> {
    peer: PeerId,
    reply: oneshot::Sender<Result<P::Response, AskError>>,
}

/// The protocol on the swarm.
pub(crate) struct Exchange<P: Protocol> {
    rpc: Rpc<P>,
    server: Option<Server<P>>,
    asks: mpsc::Receiver<Ask<P>>,
    asked: HashMap<OutboundRequestId, Asked<P>>,
    /// Requests of peers, until the answer has left.
    serving: HashMap<InboundRequestId, PeerId>,
    /// When the last request of each connected peer came.
    last_request: HashMap<PeerId, SystemTime>,
    /// Requests at the service.
    replies: FuturesUnordered<PendingReply<P::Response>>,
    /// What the answers on their way out take.
    leaving: HashMap<InboundRequestId, OwnedSemaphorePermit>,
}

impl<P: Protocol> fmt::Debug for Exchange<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("protocol", &P::ID).finish_non_exhaustive()
    }
}

impl<P: Protocol> Exchange<P> {
    /// A protocol that this node only asks.
    pub(crate) fn client(limits: Limits) -> (Self, Asker<P>) {
        Self::new(rpc::client(limits), None)
    }

    fn new(rpc: Rpc<P>, server: Option<Server<P>>) -> (Self, Asker<P>) {
        let (sender, asks) = mpsc::channel(ASK_QUEUE_LEN);
        let exchange = Self {
            rpc,
            server,
            asks,
            asked: HashMap::new(),
            serving: HashMap::new(),
            last_request: HashMap::new(),
            replies: FuturesUnordered::new(),
            leaving: HashMap::new(),
        };
        (exchange, Asker(sender))
    }
}

impl<P: Served> Exchange<P> {
    /// A protocol that this node asks and serves; the requests come out of the receiver.
    pub(crate) fn server(
        limits: Limits,
        rate_limit: RateLimit,
        metrics: ExchangeMetrics,
    ) -> (Self, Asker<P>, mpsc::Receiver<Inbound<P>>) {
        let (inbox, requests) = mpsc::channel(INBOX_LEN);
        let rpc = rpc::behaviour(limits, metrics.failed.clone());
        let server = Server { inbox, limiter: Limiter::new(rate_limit), metrics, refuse: P::refusal };
        let (exchange, asker) = Self::new(rpc, Some(server));
        (exchange, asker, requests)
    }
}

impl<P: Protocol> Exchange<P> {
    /// Whether a request of a peer, or one to it, is in progress.
    pub(crate) fn is_busy(&self, peer: PeerId) -> bool {
        self.serving.values().any(|served| *served == peer)
            || self.asked.values().any(|asked| asked.peer == peer)
    }

    /// When a connected peer last asked.
    pub(crate) fn last_request(&self, peer: PeerId) -> Option<SystemTime> {
        self.last_request.get(&peer).copied()
    }

    fn on_rpc_event(&mut self, event: RpcEvent<P>) {
        match event {
            RpcEvent::<P>::Message {
                peer,
                message: Message::Request { request_id, request, channel },
                ..
            } => {
                self.on_request(peer, request_id, request, channel);
            }
            RpcEvent::<P>::Message { message: Message::Response { request_id, response }, .. } => {
                self.answer(request_id, Ok(response));
            }
            RpcEvent::<P>::OutboundFailure { request_id, error, .. } => {
                self.answer(request_id, Err(error.into()));
            }
            RpcEvent::<P>::ResponseSent { request_id, .. } => {
                self.serving.remove(&request_id);
                self.leaving.remove(&request_id);
            }
            RpcEvent::<P>::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, protocol = P::ID, %error, "inbound request failed");
                self.serving.remove(&request_id);
                self.leaving.remove(&request_id);
                if let Some(server) = &self.server {
                    server.metrics.failed.increment();
                }
            }
        }
    }

    fn on_request(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        request: Incoming<P::Request>,
        channel: ResponseChannel<P::Response>,
    ) {
        // A node that does not serve the protocol does not take streams of it.
        let Some(server) = &mut self.server else {
            return;
        };
        server.metrics.requests.increment();
        self.serving.insert(id, peer);
        self.last_request.insert(peer, SystemTime::now());
        if !server.limiter.take(peer, Instant::now()) {
            server.metrics.limited.increment();
            // Fails only when the connection is gone.
            let _ = self.rpc.send_response(channel, (server.refuse)(Refusal::TooManyRequests));
            return;
        }
        let (reply, response) = oneshot::channel();
        if server.inbox.try_send(Inbound { peer, request, reply: Reply(reply) }).is_err() {
            server.metrics.overflowed.increment();
            let _ = self.rpc.send_response(channel, (server.refuse)(Refusal::Busy));
            return;
        }
        self.replies.push(Box::pin(async move { (channel, id, response.await.ok()) }));
    }

    fn answer(&mut self, request: OutboundRequestId, outcome: Result<P::Response, AskError>) {
        if let Some(asked) = self.asked.remove(&request) {
            // Fails when the caller gave up.
            let _ = asked.reply.send(outcome);
        }
    }
}

impl<P: Protocol> NetworkBehaviour for Exchange<P> {
    type ConnectionHandler = THandler<Rpc<P>>;
    type ToSwarm = Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.rpc.handle_pending_outbound_connection(connection, peer, addresses, role)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.rpc.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.rpc.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.rpc.on_swarm_event(event);
        if let FromSwarm::ConnectionClosed(closed) = event
            && closed.remaining_established == 0
        {
            self.last_request.remove(&closed.peer_id);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.rpc.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        loop {
            if let Poll::Ready(Some((channel, id, reply))) = self.replies.poll_next_unpin(context) {
                // Without a reply the channel is dropped, which closes the stream.
                if let Some((response, place)) = reply
                    && self.rpc.send_response(channel, response).is_ok()
                    && let Some(place) = place
                {
                    self.leaving.insert(id, place);
                }
                continue;
            }
            match self.rpc.poll(context) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => {
                    self.on_rpc_event(event);
                    continue;
                }
                Poll::Ready(other) => {
                    return Poll::Ready(other.map_out(|_| unreachable!("generated events are taken above")));
                }
                Poll::Pending => {}
            }
            let Poll::Ready(Some(ask)) = self.asks.poll_recv(context) else {
                return Poll::Pending;
            };
            if ask.reply.is_closed() {
                continue;
            }
            let id = self.rpc.send_request_with_addresses(&ask.peer, Ok(ask.request), ask.addresses);
            self.asked.insert(id, Asked { peer: ask.peer, reply: ask.reply });
        }
    }
}
