//! Which peer a client's request goes to.

use waku::peers::NewPeer;
use waku::{Multiaddr, Node, PeerId, Shard};

use super::Api;

/// No peer can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoPeer {
    /// None is known; the words are nwaku's.
    Unknown(&'static str),
    /// The one that is named on the command line is not reached.
    NotReached(PeerId),
}

impl Api {
    /// A peer that serves a protocol: one that is connected, the named one, or one that is known.
    pub(super) async fn service_peer(
        &self,
        node: &Node,
        protocol: &'static str,
        shard: Option<Shard>,
        named: Option<&Multiaddr>,
    ) -> Result<PeerId, NoPeer> {
        let unknown = NoPeer::Unknown(if self.settings.discovers {
            "No suitable service peer & none discovered"
        } else {
            "No suitable service peer & no discovery method"
        });
        if let Some(peer) = node.peers().serving(protocol, shard).first() {
            return Ok(*peer);
        }
        if let Some(address) = named {
            return match node.peers().connect(address.clone()).await {
                Ok(peer) => Ok(peer),
                Err(_) => Err(peer_id_of(address).map_or(unknown, NoPeer::NotReached)),
            };
        }
        let found = node.peers().find_serving(protocol, shard).await;
        found.ok().and_then(|found| found.first().copied()).ok_or(unknown)
    }
}

/// The peer an address ends in.
pub(super) fn peer_id_of(address: &Multiaddr) -> Option<PeerId> {
    address.to_string().rsplit_once("/p2p/")?.1.parse().ok()
}

/// Keeps a peer that was not reached on the list of peers. That it cannot be reached is found out again.
pub(super) async fn keep(node: &Node, address: Multiaddr) {
    let Some(peer_id) = peer_id_of(&address) else { return };
    let peer = NewPeer::new(peer_id, [address]);
    // A node that has stopped has no list.
    let _ = node.peers().add([peer]).await;
}
