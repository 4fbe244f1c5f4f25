//! Which peers to ask for a service: those that speak its protocol, on the right shard, with those that failed
//! lately last. No clock: time and chance are arguments.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use getrandom::SysRng;
use libp2p::PeerId;
use rand_core::{Rng, UnwrapErr};
use tokio::time::timeout;
use waku_proto::Shard;

use super::{PeerInfo, PeerList, Peers};
use crate::Stopped;
use crate::net::command::PeerCommand;

/// Failures remembered.
const MEMORY: usize = 1024;
/// How long a first failure counts; a further one twice as long.
const FIRST: Duration = Duration::from_secs(30);
/// No failure counts longer.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// How long peers that are dialled for a service may take until they have told what they speak.
const REACH_WITHIN: Duration = Duration::from_secs(15);

/// A peer at one service, by the service's protocol id.
type Server = (PeerId, &'static str);

/// Peers that failed at a service lately.
#[derive(Debug, Default)]
pub(crate) struct ServiceRecord {
    failures: HashMap<Server, Failure>,
}

#[derive(Debug, Clone, Copy)]
struct Failure {
    in_a_row: u32,
    until: Instant,
}

impl ServiceRecord {
    /// A request to a peer failed through its fault: it comes after the others for a while.
    pub(crate) fn failed(&mut self, peer: PeerId, protocol: &'static str, now: Instant) {
        let before = self.failures.get(&(peer, protocol)).filter(|failure| now < failure.until + LONGEST);
        let in_a_row = before.map_or(0, |failure| failure.in_a_row).saturating_add(1);
        let wait = FIRST.saturating_mul(1 << (in_a_row - 1).min(10)).min(LONGEST);
        self.failures.insert((peer, protocol), Failure { in_a_row, until: now + wait });
        if self.failures.len() > MEMORY {
            let oldest =
                self.failures.iter().min_by_key(|(_, failure)| failure.until).map(|(server, _)| *server);
            self.failures.retain(|server, _| Some(*server) != oldest);
        }
    }

    /// A request to a peer was answered.
    pub(crate) fn succeeded(&mut self, peer: PeerId, protocol: &'static str) {
        self.failures.remove(&(peer, protocol));
    }

    fn has_failed(&self, peer: PeerId, protocol: &'static str, now: Instant) -> bool {
        self.failures.get(&(peer, protocol)).is_some_and(|failure| failure.until > now)
    }

    /// The connected peers that speak a protocol and are not known to be off the shard, best first: those
    /// that did not fail lately, then those the application named for services, then those that are surely on
    /// the shard, and at random among equals.
    pub(crate) fn candidates(
        &self,
        peers: &PeerList,
        protocol: &'static str,
        shard: Option<Shard>,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<PeerId> {
        let is_named = |peer: PeerId| {
            peers.static_peers.iter().any(|named| named.is_service && named.peer_id == Some(peer))
        };
        let speaks = |peer: &&PeerInfo| peer.protocols.iter().any(|known| known == protocol);
        let servers = peers.connected.iter().filter(speaks).filter_map(|peer| {
            let is_on_shard = match shard {
                Some(shard) => peer.is_on(shard),
                None => Some(true),
            };
            (is_on_shard != Some(false)).then(|| {
                let has_failed = self.has_failed(peer.peer_id, protocol, now);
                let rank = (has_failed, !is_named(peer.peer_id), is_on_shard.is_none(), rng.next_u64());
                (rank, peer.peer_id)
            })
        });
        let mut servers: Vec<_> = servers.collect();
        servers.sort_unstable();
        servers.into_iter().map(|(_, peer)| peer).collect()
    }
}

impl Peers {
    /// The connected peers that serve a protocol, such as
    /// [`STORE_QUERY`](waku_proto::protocol_id::STORE_QUERY), and are not known to be off the shard. Best first:
    /// those that did not fail lately, those of [`Config::service_peers`](crate::Config::service_peers), those
    /// that are surely on the shard, and at random among equals.
    pub fn serving(&self, protocol: &'static str, shard: Option<Shard>) -> Vec<PeerId> {
        self.among(&self.node.peers.borrow(), protocol, shard)
    }

    /// As [`Peers::serving`], but when nobody connected serves the protocol, known peers that do are dialled
    /// first, three at most, and waited for.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn find_serving(
        &self,
        protocol: &'static str,
        shard: Option<Shard>,
    ) -> Result<Vec<PeerId>, Stopped> {
        let connected = self.serving(protocol, shard);
        if !connected.is_empty() {
            return Ok(connected);
        }
        let coming = self.ask(|reply| PeerCommand::Reach { protocol, shard, reply }).await?;
        if coming > 0 {
            let mut peers = self.watch();
            let is_settled = |peers: &PeerList| {
                let is_known = |peer: &PeerInfo| peer.agent.is_some();
                !self.among(peers, protocol, shard).is_empty()
                    || peers.dialing == 0 && peers.connected.iter().all(is_known)
            };
            // In vain is in vain, whether by time or because the node has stopped.
            let _ = timeout(REACH_WITHIN, peers.wait_for(is_settled)).await;
        }
        Ok(self.serving(protocol, shard))
    }

    /// A request to a peer failed through its fault: for a while it comes after all others that serve the
    /// protocol.
    pub fn report_failure(&self, peer: PeerId, protocol: &'static str) {
        self.record().failed(peer, protocol, Instant::now());
    }

    /// A request to a peer was answered: what [`Peers::report_failure`] said of it is forgotten.
    pub fn report_success(&self, peer: PeerId, protocol: &'static str) {
        self.record().succeeded(peer, protocol);
    }

    fn among(&self, peers: &PeerList, protocol: &'static str, shard: Option<Shard>) -> Vec<PeerId> {
        self.record().candidates(peers, protocol, shard, Instant::now(), &mut UnwrapErr(SysRng))
    }

    fn record(&self) -> MutexGuard<'_, ServiceRecord> {
        // It is whole after every change.
        self.node.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
