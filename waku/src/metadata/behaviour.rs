//! Asks every new peer for its metadata, answers the same question, and closes on a bad answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::request_response::{Message, OutboundFailure, OutboundRequestId};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use waku_proto::Shard;
use waku_proto::metadata::Metadata;

use super::{MAX_SHARDS, MetadataProtocol, MetadataRefusal, judge_request, judge_response, limits};
use crate::metrics::Counter;
use crate::net::codec::Incoming;
use crate::net::rpc::{self, Rpc, RpcEvent};

/// What the node learns about a peer.
#[derive(Debug)]
pub(crate) enum Event {
    /// The peer is on our cluster.
    Known { peer: PeerId, metadata: Metadata },
    /// The peer is being disconnected.
    Refused { peer: PeerId, refusal: MetadataRefusal },
}

/// The protocol on the swarm.
pub(crate) struct Behaviour {
    rpc: Rpc<MetadataProtocol>,
    cluster: u16,
    shards: Vec<u16>,
    asked: HashMap<OutboundRequestId, PeerId>,
    /// Streams that brought no sound request, or took no answer.
    failed: Counter,
    /// Peers found unfit; one reason each is enough.
    refused: HashSet<PeerId>,
    actions: VecDeque<ToSwarm<Event, THandlerInEvent<Rpc<MetadataProtocol>>>>,
}

impl Behaviour {
    pub(crate) fn new(cluster: u16, failed: Counter) -> Self {
        Self {
            rpc: rpc::behaviour(limits(), failed.clone()),
            cluster,
            shards: Vec::new(),
            asked: HashMap::new(),
            failed,
            refused: HashSet::new(),
            actions: VecDeque::new(),
        }
    }

    /// The shards to tell from now on: those of our cluster, as many as fit.
    pub(crate) fn set_shards(&mut self, shards: impl Iterator<Item = Shard>) {
        let ours = shards.filter(|shard| shard.cluster() == self.cluster).map(Shard::index);
        self.shards = ours.take(MAX_SHARDS).collect();
    }

    fn own_metadata(&self) -> Metadata {
        Metadata { cluster: Some(self.cluster), shards: self.shards.clone() }
    }

    fn ask(&mut self, peer: PeerId) {
        let request = self.rpc.send_request(&peer, Ok(self.own_metadata()));
        self.asked.insert(request, peer);
    }

    fn on_rpc_event(&mut self, event: RpcEvent<MetadataProtocol>) {
        match event {
            RpcEvent::<MetadataProtocol>::Message { peer, message, .. } => self.on_message(peer, message),
            RpcEvent::<MetadataProtocol>::OutboundFailure { request_id, error, .. } => {
                match self.asked.remove(&request_id) {
                    // Only one of two connections went away: ask on the other.
                    Some(peer) if matches!(error, OutboundFailure::ConnectionClosed) => self.ask(peer),
                    Some(peer) => self.refuse(peer, MetadataRefusal::NoAnswer(error.to_string())),
                    None => {}
                }
            }
            RpcEvent::<MetadataProtocol>::InboundFailure { .. } => self.failed.increment(),
            RpcEvent::<MetadataProtocol>::ResponseSent { .. } => {}
        }
    }

    fn on_message(&mut self, peer: PeerId, message: Message<Incoming<Metadata>, Metadata>) {
        match message {
            // The stream is closed with the channel, and counted as failed.
            Message::Request { request: Err(error), .. } => {
                tracing::debug!(%peer, %error, "no metadata request");
            }
            Message::Request { request: Ok(request), channel, .. } => {
                // An unfit peer is answered too, so that it learns the reason. It is closed when our own
                // question is answered, which shows that the peer has read it and knows as much.
                if let Err(refusal) = judge_request(self.cluster, &request) {
                    self.report(peer, refusal);
                    if !self.asked.values().any(|asked| *asked == peer) {
                        self.ask(peer);
                    }
                }
                // Fails only when the connection is gone.
                let _ = self.rpc.send_response(channel, self.own_metadata());
            }
            Message::Response { request_id, response } => {
                self.asked.remove(&request_id);
                match judge_response(self.cluster, &response) {
                    Ok(()) if self.refused.contains(&peer) => self.close(peer),
                    Ok(()) => {
                        let event = Event::Known { peer, metadata: response };
                        self.actions.push_back(ToSwarm::GenerateEvent(event));
                    }
                    Err(refusal) => self.refuse(peer, refusal),
                }
            }
        }
    }

    fn refuse(&mut self, peer: PeerId, refusal: MetadataRefusal) {
        self.report(peer, refusal);
        self.close(peer);
    }

    fn report(&mut self, peer: PeerId, refusal: MetadataRefusal) {
        if self.refused.insert(peer) {
            self.actions.push_back(ToSwarm::GenerateEvent(Event::Refused { peer, refusal }));
        }
    }

    fn close(&mut self, peer_id: PeerId) {
        self.actions.push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::All });
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<Rpc<MetadataProtocol>>;
    type ToSwarm = Event;

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
        match event {
            FromSwarm::ConnectionEstablished(established) if established.other_established == 0 => {
                self.ask(established.peer_id);
            }
            FromSwarm::ConnectionClosed(closed) if closed.remaining_established == 0 => {
                self.asked.retain(|_, peer| *peer != closed.peer_id);
                self.refused.remove(&closed.peer_id);
            }
            _ => {}
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

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Poll::Ready(action);
            }
            match self.rpc.poll(context) {
                Poll::Ready(ToSwarm::GenerateEvent(event)) => self.on_rpc_event(event),
                Poll::Ready(other) => {
                    return Poll::Ready(other.map_out(|_| unreachable!("generated events are taken above")));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
