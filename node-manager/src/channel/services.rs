//! What the connected nodes serve.

use waku::proto::protocol_id::{FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, STORE_QUERY};
use waku::{PeerInfo, PeerList};

/// What the connected nodes serve between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Services {
    pub(super) filter: bool,
    pub(super) lightpush: bool,
    pub(super) store: bool,
    /// What a light client cannot do without, in words; `None` when all is there, or not known yet.
    pub(super) missing: Option<&'static str>,
}

impl From<&PeerList> for Services {
    fn from(peers: &PeerList) -> Self {
        let connected = &peers.connected;
        let speaks = |protocol: &str, peer: &PeerInfo| peer.protocols.iter().any(|spoken| spoken == protocol);
        let is_served = |protocol: &str| connected.iter().any(|peer| speaks(protocol, peer));
        let (filter, lightpush) =
            (is_served(FILTER_SUBSCRIBE), is_served(LIGHTPUSH) || is_served(LIGHTPUSH_V2));
        // Until somebody is connected, and everybody who is has told what it serves, nobody knows.
        let is_told = !connected.is_empty() && connected.iter().all(|peer| peer.agent.is_some());
        let missing = is_told.then(|| missing(filter, lightpush)).flatten();
        Self { filter, lightpush, store: is_served(STORE_QUERY), missing }
    }
}

fn missing(filter: bool, lightpush: bool) -> Option<&'static str> {
    match (filter, lightpush) {
        (true, true) => None,
        (false, true) => Some("none of the connected nodes serves filter: nothing can be received"),
        (true, false) => Some("none of the connected nodes serves lightpush: nothing can be said"),
        (false, false) => Some(
            "none of the connected nodes serves filter or lightpush: nothing can be received, and nothing said",
        ),
    }
}
