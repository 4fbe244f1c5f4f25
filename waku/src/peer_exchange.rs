//! 34/WAKU2-PEER-EXCHANGE: ask a peer for some of the peers it knows, as node records.
//!
//! A node gives records ([`PeerExchangeConfig`]) of peers of its cluster that nothing speaks against: the last
//! dial of them has not failed, and those it has itself only from peer exchange it has reached. What it gives is
//! drawn anew for each question, from up to a thousand records that it looks through every few seconds.
//!
//! # Differences from nwaku
//! nwaku gives only peers that discv5 found. A question for no peers at all, and one that cannot be read, are
//! answered with 400.

mod client;
mod protocol;
mod server;

use std::sync::Weak;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;
use waku_proto::peer_exchange::Status;
use waku_proto::protocol_id;

use crate::net::command::PeerCommand;
use crate::node::Shared;
use crate::peers::known::addresses::within_reach;
use crate::peers::{NewPeer, PeerOrigin};
use crate::rate_limit::RateLimit;
use crate::{AskError, NodeRecord, PeerId, PeerList, Peers};

pub(crate) use self::protocol::{PeerExchangeProtocol, limits};
pub(crate) use self::server::serve;

/// Most peers that are given, and asked for: what the specification recommends to keep ready.
pub const MAX_EXCHANGED_PEERS: usize = 60;

/// Time between two times a node that lacks peers asks for some, as nwaku.
const ASK_INTERVAL: Duration = Duration::from_secs(60);
/// Peers asked until one of them answers.
const ASKED_AT_ONCE: usize = 3;
/// A node without relay has no peers it lacks; it asks until it knows so many.
const ENOUGH_FOR_A_CLIENT: usize = 20;

/// What a peer exchange service node gives.
#[derive(Debug, Clone, Default)]
pub struct PeerExchangeConfig {
    /// How often it is asked; default without a limit, as nwaku.
    pub rate_limit: RateLimit,
}

/// A question for peers that brought none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerExchangeError {
    /// The peer has not answered.
    #[error(transparent)]
    Unanswered(#[from] AskError),
    /// The peer knows no peers to give.
    #[error("the peer knows no peers to give")]
    NoPeers,
    /// The peer was asked too often.
    #[error("the peer was asked too often")]
    TooManyRequests,
    /// The peer refused.
    #[error("the peer refused: {status}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Refused {
        /// Its status.
        status: Status,
        /// Why, in its words.
        reason: Option<String>,
    },
}

impl Peers {
    /// Asks a peer for some of the peers it knows: `count` of them, at most [`MAX_EXCHANGED_PEERS`]. They are
    /// known from then on; those of other clusters are left out, and so is this node.
    ///
    /// # Errors
    /// When the peer does not answer or gives none.
    pub async fn exchange(&self, peer: PeerId, count: usize) -> Result<Vec<NodeRecord>, PeerExchangeError> {
        let asked = self.node.askers.peer_exchange.ask(peer, Vec::new(), client::question(count)).await;
        let answer = asked.map_err(PeerExchangeError::from).and_then(|answer| client::read(answer, count));
        match &answer {
            Ok(_) => self.report_success(peer, protocol_id::PEER_EXCHANGE),
            // It cannot help it, or we were too quick; others are asked first all the same.
            Err(_) => self.report_failure(peer, protocol_id::PEER_EXCHANGE),
        }
        let client::Answer { mut records, invalid } = answer?;
        self.node.metrics().peer_exchange_invalid.add(invalid);
        let cluster = self.node.sharding.cluster();
        records.retain(|record| {
            let is_ours = record.shards().is_none_or(|shards| shards.cluster() == cluster);
            is_ours && record.peer_id() != self.node.peer_id()
        });
        self.learn_from(peer, &records).await?;
        Ok(records)
    }

    async fn learn_from(&self, teller: PeerId, records: &[NodeRecord]) -> Result<(), AskError> {
        let from = self.node.peers.borrow().get(teller).and_then(|teller| teller.addresses.first().cloned());
        let peers = records.iter().map(|record| {
            let mut peer = NewPeer::from_record(record, PeerOrigin::PeerExchange);
            peer.addresses = within_reach(&peer.addresses, from.as_ref()).cloned().collect();
            peer
        });
        let peers: Vec<_> = peers.collect();
        let learned = self.ask(|reply| PeerCommand::Learn { peers, reply }).await;
        learned.map(|_| ()).map_err(|_| AskError::Stopped)
    }

    /// Asks connected peers that serve peer exchange, one after the other, until one gives some.
    async fn exchange_with_any(&self) {
        let serving = self.serving(protocol_id::PEER_EXCHANGE, None);
        for peer in serving.into_iter().take(ASKED_AT_ONCE) {
            match self.exchange(peer, MAX_EXCHANGED_PEERS).await {
                Ok(records) => {
                    tracing::debug!(%peer, records = records.len(), "peers learned");
                    return;
                }
                Err(error) => tracing::debug!(%peer, %error, "no peers learned"),
            }
        }
    }
}

/// Asks for peers whenever the node lacks some, until it has stopped, without keeping it from that.
pub(crate) async fn seek(node: Weak<Shared>) {
    let Some((mut peers, relays)) = node.upgrade().map(|node| (node.peers.clone(), node.relays)) else {
        return;
    };
    let is_due = |peers: &PeerList| {
        let serves = |protocols: &[String]| protocols.iter().any(|known| known == protocol_id::PEER_EXCHANGE);
        let lacks_some = if relays { peers.lacking > 0 } else { peers.known < ENOUGH_FOR_A_CLIENT };
        lacks_some && peers.connected.iter().any(|peer| serves(&peer.protocols))
    };
    loop {
        // A node that has just connected, or just joined its shards, has yet to see what it lacks.
        if peers.wait_for(is_due).await.is_err() {
            return;
        }
        let Some(node) = node.upgrade() else { return };
        Peers { node }.exchange_with_any().await;
        // Ends early only when the node has stopped.
        if let Ok(Err(_)) = timeout(ASK_INTERVAL, peers.wait_for(|_| false)).await {
            return;
        }
    }
}
