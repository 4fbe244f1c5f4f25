//! Dials static peers when the [`Dialer`] says so, and keeps inbound connections to their [`Slots`].

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use getrandom::SysRng;
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, DialError, DialFailure, FromSwarm, NetworkBehaviour, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};
use rand_core::UnwrapErr;
use tokio::time::{Sleep, sleep_until};

use super::Backoff;
use super::dial_error::describe;
use super::dialer::{Dialer, StaticPeer, peer_id_of};
use super::slots::Slots;

/// Something about the static peers has changed; see [`Behaviour::static_peers`].
#[derive(Debug)]
pub(crate) struct Changed;

/// Static peers and inbound slots on the swarm.
#[derive(Debug)]
pub(crate) struct Behaviour {
    dialer: Dialer,
    slots: Slots,
    connected: HashSet<PeerId>,
    /// Our dials, by the address dialled.
    dials: HashMap<ConnectionId, Multiaddr>,
    changed: bool,
    wake: Option<Pin<Box<Sleep>>>,
}

impl Behaviour {
    pub(crate) fn new(backoff: Backoff, per_ip: u32) -> Self {
        Self {
            dialer: Dialer::new(backoff),
            slots: Slots::new(per_ip),
            connected: HashSet::new(),
            dials: HashMap::new(),
            changed: false,
            wake: None,
        }
    }

    /// Stays connected to the peer at this address from now on.
    pub(crate) fn add(&mut self, address: Multiaddr, is_service: bool) {
        let connected = peer_id_of(&address).is_some_and(|peer| self.connected.contains(&peer));
        self.dialer.add(address, is_service, connected, Instant::now());
        self.changed = true;
    }

    /// Lets go of a static peer; the connection, if there is one, stays. False when it was none.
    pub(crate) fn remove(&mut self, address: &Multiaddr) -> bool {
        self.changed = true;
        self.dialer.remove(address).is_some()
    }

    /// Every static peer under the address it was given by.
    pub(crate) fn static_peers(&self) -> impl Iterator<Item = (&Multiaddr, &StaticPeer)> {
        self.dialer.peers()
    }

    fn on_dial_failure(&mut self, failure: DialFailure<'_>) {
        let Some(address) = self.dials.remove(&failure.connection_id) else {
            return;
        };
        let now = Instant::now();
        let is_connected = failure.peer_id.is_some_and(|peer| self.connected.contains(&peer));
        match (failure.error, failure.peer_id) {
            // It came to us between the decision and the dial.
            (DialError::DialPeerConditionFalse(_), Some(peer)) if is_connected => {
                self.dialer.connected(peer, Some(&address), now);
            }
            (error, _) => {
                let description = describe(error);
                // A peer with two addresses is dialled at one of them at a time.
                if !matches!(error, DialError::DialPeerConditionFalse(_)) {
                    tracing::warn!(%address, error = description, "static peer not reached");
                }
                self.dialer.dial_failed(&address, description, now, &mut UnwrapErr(SysRng));
            }
        }
        self.changed = true;
    }

    fn dial(&mut self, address: Multiaddr) -> DialOpts {
        // A port of its own: two nodes that dial each other from their listening ports would meet in one
        // TCP connection with two initiators.
        let opts = match peer_id_of(&address) {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(vec![address.clone()])
                .allocate_new_port()
                .build(),
            None => DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build(),
        };
        self.dials.insert(opts.connection_id(), address);
        opts
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Changed;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.slots.take(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                self.connected.insert(established.peer_id);
                let dialled = self.dials.remove(&established.connection_id);
                self.dialer.connected(established.peer_id, dialled.as_ref(), Instant::now());
                self.changed = true;
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.slots.give_back(closed.connection_id);
                if closed.remaining_established == 0 {
                    self.connected.remove(&closed.peer_id);
                    self.dialer.disconnected(closed.peer_id, Instant::now(), &mut UnwrapErr(SysRng));
                    self.changed = true;
                }
            }
            FromSwarm::DialFailure(failure) => self.on_dial_failure(failure),
            FromSwarm::ListenFailure(failure) => self.slots.give_back(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Changed, THandlerInEvent<Self>>> {
        loop {
            if let Some(address) = self.dialer.next_dial(Instant::now()) {
                self.changed = true;
                return Poll::Ready(ToSwarm::Dial { opts: self.dial(address) });
            }
            if std::mem::take(&mut self.changed) {
                return Poll::Ready(ToSwarm::GenerateEvent(Changed));
            }
            let Some(wake) = self.dialer.next_wake() else {
                self.wake = None;
                return Poll::Pending;
            };
            let sleep = self.wake.get_or_insert_with(|| Box::pin(sleep_until(wake.into())));
            if sleep.deadline() != wake.into() {
                sleep.as_mut().reset(wake.into());
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
