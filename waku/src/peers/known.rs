//! The peers a node knows of, connected or not (27/WAKU2-PEERS). No clock: time is an argument.
//!
//! # Differences from nwaku
//! A peer of another cluster is not deleted but kept and passed over, so that whoever names it again does
//! not have it dialled again. A peer that was reached once is not forgotten after five failures, but when it
//! has not been seen for a week: a host that was offline for a day still knows its network.

pub(crate) mod addresses;
mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use libp2p::{Multiaddr, PeerId};
use rand_core::Rng;
use waku_proto::Shard;
use waku_proto::enr::Capabilities;
use waku_proto::metadata::Metadata;

use self::addresses::plain;
pub use self::peer::{KnownPeer, NewPeer, PeerOrigin, PeerState};
use super::book::Direction;
use super::dialing::Dialing;
use crate::NodeRecord;

/// A connection that lived so long was good.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// A peer that was seen is kept so long after it was, whatever its failures.
const KEPT_AFTER_SEEN: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Every known peer, up to a number.
#[derive(Debug)]
pub(crate) struct Known {
    own: PeerId,
    cluster: u16,
    capacity: usize,
    dialing: Dialing,
    /// Shared, so that a list of all of them is made quickly.
    peers: BTreeMap<PeerId, Arc<KnownPeer>>,
    /// Something worth keeping has changed since [`Known::take_changed`].
    changed: bool,
    evicted: u64,
}

impl Known {
    /// Nobody yet, and never more than `capacity` peers and those that are connected.
    pub(crate) fn new(own: PeerId, cluster: u16, capacity: usize, dialing: Dialing) -> Self {
        let peers = BTreeMap::new();
        Self { own, cluster, capacity, dialing, peers, changed: false, evicted: 0 }
    }

    /// Takes in what an earlier run of the node knew. Nobody is connected.
    pub(crate) fn restore(&mut self, peers: impl IntoIterator<Item = KnownPeer>) {
        for mut peer in peers {
            if peer.peer_id == self.own || self.peers.contains_key(&peer.peer_id) {
                continue;
            }
            peer.state = match (peer.failures, peer.last_seen) {
                (1.., _) => PeerState::CannotConnect,
                (0, Some(_)) => PeerState::CanConnect,
                (0, None) => PeerState::NotConnected,
            };
            self.insert(peer);
        }
        self.changed = false;
    }

    /// Somebody named a peer. False when nothing is kept of it: it is this node, or has no address that can
    /// be dialled and is not known.
    pub(crate) fn learn(&mut self, peer: NewPeer, now: SystemTime) -> bool {
        if peer.peer_id == self.own {
            return false;
        }
        if let Some(known) = self.change(peer.peer_id) {
            known.add(peer);
            return true;
        }
        let mut known = KnownPeer::new(peer.peer_id, peer.origin, now);
        known.add(peer);
        let is_dialable = !known.addresses.is_empty();
        if is_dialable {
            self.insert(known);
        }
        is_dialable
    }

    /// A connection with a peer is open. Its address is good when we dialled it.
    pub(crate) fn opened(
        &mut self,
        peer_id: PeerId,
        address: &Multiaddr,
        direction: Direction,
        now: SystemTime,
    ) {
        if !self.peers.contains_key(&peer_id) {
            self.insert(KnownPeer::new(peer_id, PeerOrigin::Connection, now));
        }
        let Some(peer) = self.change(peer_id) else { return };
        if peer.state != PeerState::Connected {
            peer.state = PeerState::Connected;
            peer.last_seen = Some(now);
        }
        if direction == Direction::Outbound {
            peer.reached = Some(now);
            if let Some(address) = plain(address) {
                peer.put_first(address);
            }
        }
    }

    /// A peer's last connection is gone. One that was closed through the peer's fault counts as a failed dial,
    /// and so does one that we made and that broke at once.
    pub(crate) fn closed(&mut self, peer_id: PeerId, is_its_fault: bool, now: SystemTime) {
        let Some(peer) = self.change(peer_id) else { return };
        if peer.addresses.is_empty() {
            // It came to us and left no address: nothing to go back to.
            self.peers.remove(&peer_id);
            return;
        }
        let was_dialled = peer.reached.is_some() && peer.reached == peer.last_seen;
        let was_stable = peer.last_seen.is_some_and(|since| elapsed(since, now) >= STABLE_AFTER);
        if is_its_fault || was_dialled && !was_stable {
            (peer.failures, peer.last_failure) = (peer.failures.saturating_add(1), Some(now));
        } else if was_dialled {
            (peer.failures, peer.last_failure) = (0, None);
        }
        peer.last_seen = Some(now);
        peer.state = if peer.failures > 0 { PeerState::CannotConnect } else { PeerState::CanConnect };
        self.make_room(None);
    }

    /// A dial of a peer failed.
    pub(crate) fn dial_failed(&mut self, peer_id: PeerId, now: SystemTime) {
        let Some(peer) = self.change(peer_id) else { return };
        peer.failures = peer.failures.saturating_add(1);
        peer.last_failure = Some(now);
        if peer.state != PeerState::Connected {
            peer.state = PeerState::CannotConnect;
        }
    }

    /// A connected peer told who it is, and where it can be dialled.
    pub(crate) fn identified(
        &mut self,
        peer_id: PeerId,
        agent: &str,
        protocols: &[String],
        addresses: impl IntoIterator<Item = Multiaddr>,
    ) {
        if let Some(peer) = self.change(peer_id) {
            peer.set_agent(agent);
            peer.set_protocols(protocols);
            peer.set_claimed(addresses);
        }
    }

    /// A peer told its cluster and shards.
    pub(crate) fn told_metadata(&mut self, peer_id: PeerId, metadata: &Metadata) {
        if let Some(peer) = self.change(peer_id) {
            peer.set_shards(metadata.cluster, &metadata.shards);
        }
    }

    /// A peer is subscribed to a shard, or not any more.
    pub(crate) fn subscribed(&mut self, peer_id: PeerId, shard: Shard, is_subscribed: bool) {
        let is_new = self.get(peer_id).is_some_and(|peer| peer.is_on(shard) != Some(is_subscribed));
        if is_new
            && shard.cluster() == self.cluster
            && let Some(peer) = self.change(peer_id)
        {
            peer.set_shard(shard, is_subscribed);
        }
    }

    /// Forgets a peer; false when it was not known. One that is connected is known for as long as it is.
    pub(crate) fn forget(&mut self, peer_id: PeerId) -> bool {
        match self.peers.get(&peer_id).map(|peer| peer.state) {
            Some(PeerState::Connected) => self.change(peer_id).is_some_and(|peer| {
                peer.addresses.clear();
                peer.record = None;
                true
            }),
            Some(_) => {
                self.changed = true;
                self.peers.remove(&peer_id).is_some()
            }
            None => false,
        }
    }

    /// Forgets peers that failed too often and were never seen, or not for a week. Returns how many.
    ///
    /// To be called only while somebody is connected: without a network everybody fails.
    pub(crate) fn prune(&mut self, now: SystemTime) -> usize {
        let before = self.peers.len();
        let is_long_ago = |seen: SystemTime| elapsed(seen, now) > KEPT_AFTER_SEEN;
        let max_failures = self.dialing.max_failures;
        self.peers.retain(|_, peer| {
            peer.state == PeerState::Connected
                || peer.failures < max_failures
                || !peer.last_seen.is_none_or(is_long_ago)
        });
        let forgotten = before - self.peers.len();
        self.changed |= forgotten > 0;
        forgotten
    }

    /// A peer.
    pub(crate) fn get(&self, peer_id: PeerId) -> Option<&KnownPeer> {
        self.peers.get(&peer_id).map(Arc::as_ref)
    }

    /// Every peer, by peer id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &KnownPeer> {
        self.peers.values().map(Arc::as_ref)
    }

    /// Every peer, to be looked at elsewhere.
    pub(crate) fn list(&self) -> Vec<Arc<KnownPeer>> {
        self.peers.values().cloned().collect()
    }

    /// Node records to hand on to others, at most `count` and at random: of peers of our cluster whose last
    /// dial has not failed. A peer we have from another one's word alone must have been reached.
    pub(crate) fn draw(&self, count: usize, rng: &mut impl Rng) -> Vec<NodeRecord> {
        let is_good = |peer: &&KnownPeer| {
            peer.cluster == Some(self.cluster)
                && peer.state != PeerState::CannotConnect
                && (peer.origin != PeerOrigin::PeerExchange || peer.reached.is_some())
        };
        let records = self.iter().filter(is_good).filter_map(|peer| peer.record.as_ref());
        let records = records.filter(|record| record.capabilities() != Capabilities::default());
        let mut records: Vec<_> = records.map(|record| (rng.next_u64(), record)).collect();
        records.sort_unstable_by_key(|(chance, _)| *chance);
        records.into_iter().take(count).map(|(_, record)| record.clone()).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether a peer may be dialled now: it is not connected, is of our cluster as far as is known, and its
    /// waiting times after failures and after the last connection are over.
    pub(crate) fn may_dial(&self, peer: &KnownPeer, now: SystemTime) -> bool {
        let has_waited =
            |since: Option<SystemTime>, wait| since.is_none_or(|since| elapsed(since, now) >= wait);
        peer.state != PeerState::Connected
            && !peer.addresses.is_empty()
            && peer.cluster.is_none_or(|cluster| cluster == self.cluster)
            && has_waited(peer.last_failure, self.dialing.wait_after(peer.failures))
            && has_waited(peer.last_seen, self.dialing.redial_after)
    }

    /// Whether something worth keeping has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What has changed was not kept after all.
    pub(crate) fn set_changed(&mut self) {
        self.changed = true;
    }

    /// How many peers made room for others since this was last asked.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    fn change(&mut self, peer_id: PeerId) -> Option<&mut KnownPeer> {
        let peer = self.peers.get_mut(&peer_id)?;
        self.changed = true;
        Some(Arc::make_mut(peer))
    }

    fn insert(&mut self, peer: KnownPeer) {
        let peer_id = peer.peer_id;
        self.changed = true;
        self.peers.insert(peer_id, Arc::new(peer));
        self.make_room(Some(peer_id));
    }

    /// Forgets the worst peers until the others fit. Connected ones stay: their number has its own limit.
    fn make_room(&mut self, newest: Option<PeerId>) {
        while self.peers.len() > self.capacity {
            let candidates = self
                .peers
                .values()
                .filter(|peer| peer.state != PeerState::Connected && newest != Some(peer.peer_id));
            let Some(worst) = candidates.min_by_key(|peer| self.worth(peer)).map(|peer| peer.peer_id) else {
                return;
            };
            self.peers.remove(&worst);
            self.evicted += 1;
        }
    }

    /// What is less goes first: peers of other clusters, those that fail, those never reached, the oldest.
    /// Strangers can name any number of peers, but only ones that were never reached.
    fn worth(&self, peer: &KnownPeer) -> (bool, bool, bool, SystemTime) {
        let is_ours = peer.cluster.is_none_or(|cluster| cluster == self.cluster);
        let last_heard = peer.last_seen.unwrap_or(peer.learned);
        (is_ours, peer.failures == 0, peer.reached.is_some(), last_heard)
    }
}

/// Time since a moment. When the clock was set back the moment is taken for long ago: better to dial too early
/// once than not to dial for hours.
fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
