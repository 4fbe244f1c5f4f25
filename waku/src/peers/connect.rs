//! Connecting once, by hand.

use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::time::timeout;

use super::{AddPeerError, PeerList, Peers, StaticPeerState, peer_id_of};
use crate::{Multiaddr, PeerId, Stopped};

/// How long a dial is waited for.
const WITHIN: Duration = Duration::from_secs(15);

impl Peers {
    /// Connects to the peer at this address once, and returns who it is. Unlike a static peer it is not connected
    /// again when it is gone. One that is connected already stays so.
    ///
    /// # Errors
    /// When the address cannot be dialled or is not reached within 15 seconds, or the node has stopped.
    pub async fn connect(&self, address: Multiaddr) -> Result<PeerId, ConnectError> {
        let is_static = !matches!(find(&self.list(), &address), Search::NoStaticPeer);
        let begin = SystemTime::now();
        self.add_static(address.clone()).await?;
        let settled = self.settled(&address, begin);
        let outcome = timeout(WITHIN, settled).await.unwrap_or(Err(ConnectError::Timeout));
        if !is_static {
            self.remove_static(address).await?;
        }
        outcome
    }

    /// Waits until a static peer is connected, or a dial has failed.
    async fn settled(&self, address: &Multiaddr, begin: SystemTime) -> Result<PeerId, ConnectError> {
        let mut peers = self.watch();
        // Not every short connection is seen.
        let parted = |peers: &PeerList| {
            let gone = peers.last_disconnection(peer_id_of(address)?)?;
            (gone.at >= begin).then(|| gone.reason.to_string())
        };
        let is_settled =
            |peers: &PeerList| !matches!(find(peers, address), Search::Open) || parted(peers).is_some();
        let peers = peers.wait_for(is_settled).await.map_err(|_| Stopped)?;
        match (find(&peers, address), parted(&peers)) {
            (Search::Settled(outcome), _) => outcome,
            (_, Some(reason)) => Err(ConnectError::NotReached { reason }),
            // Somebody else has removed it.
            (_, None) => Err(ConnectError::Timeout),
        }
    }
}

/// What has come of a static peer.
enum Search {
    NoStaticPeer,
    /// Nothing yet.
    Open,
    Settled(Result<PeerId, ConnectError>),
}

fn find(peers: &PeerList, address: &Multiaddr) -> Search {
    let Some(peer) = peers.static_peers.iter().find(|peer| peer.address == *address) else {
        return Search::NoStaticPeer;
    };
    match (peer.state, peer.peer_id, &peer.last_error) {
        (StaticPeerState::Connected, Some(peer), _) => Search::Settled(Ok(peer)),
        (_, _, Some(error)) => Search::Settled(Err(ConnectError::NotReached { reason: error.clone() })),
        _ => Search::Open,
    }
}

/// A peer that was not connected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// The address cannot be dialled.
    #[error(transparent)]
    Address(#[from] AddPeerError),
    /// The dial failed.
    #[error("the peer was not reached: {reason}")]
    NotReached {
        /// Why.
        reason: String,
    },
    /// The dial took too long.
    #[error("the peer was not reached in time")]
    Timeout,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
