//! What the connected nodes serve.

use waku::proto::protocol_id::{FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, STORE_QUERY};
use waku::{PeerInfo, PeerList};

/// What the connected nodes serve between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Services {
    pub(super) filter: bool,
    pub(super) lightpush: bool,
    pub(super) store: bool,
    /// Somebody is connected, and everybody who is has told what it serves.
    is_told: bool,
}

impl From<&PeerList> for Services {
    fn from(peers: &PeerList) -> Self {
        let connected = &peers.connected;
        let speaks = |protocol: &str, peer: &PeerInfo| peer.protocols.iter().any(|spoken| spoken == protocol);
        let is_served = |protocol: &str| connected.iter().any(|peer| speaks(protocol, peer));
        Self {
            filter: is_served(FILTER_SUBSCRIBE),
            lightpush: is_served(LIGHTPUSH) || is_served(LIGHTPUSH_V2),
            store: is_served(STORE_QUERY),
            is_told: !connected.is_empty() && connected.iter().all(|peer| peer.agent.is_some()),
        }
    }
}

impl Services {
    /// What a light client cannot do without; `None` when all is there, or not known yet.
    pub(super) fn missing(self) -> Option<&'static str> {
        match (self.filter, self.lightpush) {
            _ if !self.is_told => None,
            (true, true) => None,
            (false, true) => Some("none of the connected nodes serves filter: nothing can be received"),
            (true, false) => Some("none of the connected nodes serves lightpush: nothing can be said"),
            (false, false) => Some(
                "none of the connected nodes serves filter or lightpush: nothing can be received, and nothing said",
            ),
        }
    }
}
