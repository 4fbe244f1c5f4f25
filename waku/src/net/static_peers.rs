//! The driver's part about static peers.

use std::collections::HashSet;

use libp2p::{Multiaddr, PeerId};

use super::behaviour::Behaviour;
use super::driver::Driver;
use super::transport::is_dialable;
use crate::peers::{AddPeerError, peer_id_of};

impl Driver {
    /// Stays connected to a peer from now on.
    pub(crate) fn add_static_peer(
        &mut self,
        address: Multiaddr,
        is_service: bool,
    ) -> Result<(), AddPeerError> {
        if !is_dialable(&address) {
            return Err(AddPeerError::Unsupported { address });
        }
        if let Some(peer) = peer_id_of(&address) {
            if peer == *self.swarm.local_peer_id() {
                return Err(AddPeerError::OwnPeerId);
            }
            self.swarm.behaviour_mut().limits.bypass_peer_id(&peer);
        }
        self.swarm.behaviour_mut().peers.add(address, is_service);
        self.peers_changed = true;
        Ok(())
    }

    pub(super) fn remove_static_peer(&mut self, address: &Multiaddr) -> bool {
        let Behaviour { peers, limits, .. } = self.swarm.behaviour_mut();
        let is_removed = peers.remove(address);
        if let Some(peer) = peer_id_of(address)
            && !peers.static_peers().any(|(address, _)| peer_id_of(address) == Some(peer))
        {
            limits.remove_peer_id(&peer);
        }
        is_removed
    }

    /// The static peers whose identity is known.
    pub(super) fn exempt(&self) -> HashSet<PeerId> {
        self.swarm.behaviour().peers.static_peers().filter_map(|(_, peer)| peer.peer_id).collect()
    }
}
