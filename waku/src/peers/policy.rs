//! Whom to dial and whom to part from. No clock, no sockets: time and chance are arguments.
//!
//! A third of the slots for relay peers is for those the node dials itself, spread over its shards, so that
//! nobody can surround it by connecting to it. The others are for peers that come; when they are more than
//! their share, the worst of them go. Peers that only use services have the slots that are left.
//!
//! # Differences from nwaku
//! nwaku counts inbound peers shard by shard, so that one on eight shards is eight of them; here a peer is
//! one. nwaku parts from any inbound peers, here from the worst. Peers that only use services may have more
//! than their share as long as there is room.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use libp2p::PeerId;
use rand_core::Rng;
use waku_proto::{Shard, protocol_id};

use super::book::Direction;
use super::known::addresses::own_ip_of;
use super::known::{Known, KnownPeer};
use crate::ConnectionLimits;
use crate::peers::Dialing;

/// A connection so young is not parted from: who the peer is may not be known yet.
const GRACE: Duration = Duration::from_secs(10);
/// A peer dialled for relay that shares no shard any more is kept so long without a message from it.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// Peers dialled at once when a service is needed.
const SERVICE_DIALS: usize = 3;

/// A connected peer, as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct Neighbour {
    pub(crate) peer_id: PeerId,
    pub(crate) direction: Direction,
    pub(crate) tie: Tie,
    pub(crate) speaks_relay: bool,
    /// It speaks a protocol of Waku's that is worth a connection.
    pub(crate) is_useful: bool,
    /// The shards it shares with the node, by index.
    pub(crate) shared: Vec<u16>,
    /// Its relay score.
    pub(crate) score: f64,
    pub(crate) since: SystemTime,
    /// When the last message or request of it came.
    pub(crate) last_active: SystemTime,
    pub(crate) ip: Option<IpAddr>,
}

/// What holds a connected peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tie {
    /// A static peer: not counted, and never parted from.
    Static,
    /// A request of it, or to it, is in progress: not parted from now.
    Busy,
    /// It may be parted from.
    None,
}

/// How many peers of each kind there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shares {
    total: usize,
    /// Relay peers the node dials.
    outbound: usize,
    /// Relay peers that come.
    inbound: usize,
    /// Peers that only use services.
    service: usize,
}

impl Shares {
    pub(crate) fn new(limits: &ConnectionLimits, dialing: &Dialing) -> Self {
        let total = limits.total as usize;
        let relay = (total * usize::from(limits.relay_share.min(100))).div_ceil(100);
        let outbound = dialing.relay_peers.map_or(relay.div_ceil(3), |peers| peers as usize);
        let inbound = relay.saturating_sub(relay / 3);
        Self { total, outbound: outbound.min(total), inbound, service: total - relay }
    }
}

/// What a peer is dialled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Relay,
    Service,
}

/// The policy's state: what it has decided and what is under way.
#[derive(Debug)]
pub(crate) struct Policy {
    shares: Shares,
    per_ip: u32,
    parallel: usize,
    queue: VecDeque<(PeerId, Purpose)>,
    dialing: HashSet<PeerId>,
    /// Peers dialled for relay, until they are gone.
    dialled_for_relay: HashSet<PeerId>,
    lacking: usize,
}

impl Policy {
    pub(crate) fn new(limits: &ConnectionLimits, dialing: &Dialing) -> Self {
        Self {
            shares: Shares::new(limits, dialing),
            per_ip: limits.per_ip,
            parallel: dialing.parallel.max(1),
            queue: VecDeque::new(),
            dialing: HashSet::new(),
            dialled_for_relay: HashSet::new(),
            lacking: 0,
        }
    }

    /// Looks at everything anew: queues dials, and returns whom to part from. `shards` are the node's, all of
    /// one cluster; peers in `exempt` are dialled by others.
    pub(crate) fn plan(
        &mut self,
        known: &Known,
        shards: &[Shard],
        neighbours: &[Neighbour],
        exempt: &HashSet<PeerId>,
        now: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<PeerId> {
        self.queue.retain(|(_, purpose)| *purpose == Purpose::Service);
        let counted = neighbours.iter().filter(|peer| peer.tie != Tie::Static).count();
        let mut missing = self.missing(known, shards, neighbours, now);
        let chosen = self.choose(known, &mut missing, neighbours, exempt, now, rng);
        self.lacking = missing.values().sum();
        let parting = self.partings(neighbours, chosen.len(), now);
        let room = self.shares.total.saturating_sub(counted + self.dialing.len() + self.queue.len());
        self.queue.extend(chosen.into_iter().take(room).map(|peer| (peer, Purpose::Relay)));
        parting
    }

    /// Queues dials of known peers that speak a protocol and are on a shard, before all others. Returns how
    /// many are under way.
    pub(crate) fn reach(
        &mut self,
        known: &Known,
        protocol: &str,
        shard: Option<Shard>,
        now: SystemTime,
        rng: &mut impl Rng,
    ) -> usize {
        let is_fit = |peer: &KnownPeer| {
            peer.speaks(protocol) != Some(false) && shard.is_none_or(|shard| peer.is_on(shard) != Some(false))
        };
        let is_sure = |peer: &KnownPeer| {
            peer.speaks(protocol) == Some(true) && shard.is_none_or(|shard| peer.is_on(shard) == Some(true))
        };
        let under_way = known.iter().filter(|peer| is_fit(peer) && self.is_under_way(peer.peer_id)).count();
        let candidates = known
            .iter()
            .filter(|peer| is_fit(peer) && known.may_dial(peer, now) && !self.is_under_way(peer.peer_id));
        let mut candidates: Vec<_> =
            candidates.map(|peer| ((!is_sure(peer), rng.next_u64()), peer.peer_id)).collect();
        candidates.sort_unstable();
        candidates.truncate(SERVICE_DIALS.saturating_sub(under_way));
        for (_, peer) in &candidates {
            self.queue.push_front((*peer, Purpose::Service));
        }
        under_way + candidates.len()
    }

    /// The next peer to dial now; counts as being dialled from here on.
    pub(crate) fn next_dial(&mut self, known: &Known, now: SystemTime) -> Option<PeerId> {
        while self.dialing.len() < self.parallel {
            let (peer_id, purpose) = self.queue.pop_front()?;
            // It may have come by itself in the meantime.
            if known.get(peer_id).is_some_and(|peer| known.may_dial(peer, now))
                && self.dialing.insert(peer_id)
            {
                if purpose == Purpose::Relay {
                    self.dialled_for_relay.insert(peer_id);
                }
                return Some(peer_id);
            }
        }
        None
    }

    /// A dial has ended; false when it was none of ours.
    pub(crate) fn dial_ended(&mut self, peer_id: PeerId, is_connected: bool) -> bool {
        if !is_connected {
            self.dialled_for_relay.remove(&peer_id);
        }
        self.dialing.remove(&peer_id)
    }

    /// A peer is gone.
    pub(crate) fn closed(&mut self, peer_id: PeerId) {
        self.dialled_for_relay.remove(&peer_id);
    }

    /// How many dials are going on, or will as soon as others have ended.
    pub(crate) fn under_way(&self) -> usize {
        self.dialing.len() + self.queue.len()
    }

    /// How many relay peers were lacking after the last plan, summed over the shards.
    pub(crate) fn lacking(&self) -> usize {
        self.lacking
    }

    fn is_under_way(&self, peer_id: PeerId) -> bool {
        self.dialing.contains(&peer_id) || self.queue.iter().any(|(queued, _)| *queued == peer_id)
    }

    /// How many dialled relay peers each shard lacks.
    fn missing(
        &self,
        known: &Known,
        shards: &[Shard],
        neighbours: &[Neighbour],
        now: SystemTime,
    ) -> BTreeMap<u16, usize> {
        if self.shares.outbound == 0 || shards.is_empty() {
            return BTreeMap::new();
        }
        let target = (self.shares.outbound / shards.len()).max(1);
        let is_there = |peer: &Neighbour, shard: &Shard| {
            peer.direction == Direction::Outbound && peer.speaks_relay && peer.shared.contains(&shard.index())
        };
        let is_new = |peer: &Neighbour| {
            self.dialled_for_relay.contains(&peer.peer_id) && !is_old(peer.since, GRACE, now)
        };
        let may_be_on =
            |peer: PeerId, shard| known.get(peer).is_some_and(|peer| peer.is_on(shard) != Some(false));
        let missing = shards.iter().map(|shard| {
            // One that is connected just now has yet to tell its shards.
            let there = neighbours
                .iter()
                .filter(|peer| is_there(peer, shard) || is_new(peer) && may_be_on(peer.peer_id, *shard));
            let coming = self.dialing.iter().filter(|peer| may_be_on(**peer, *shard));
            (shard.index(), target.saturating_sub(there.count() + coming.count()))
        });
        missing.filter(|(_, missing)| *missing > 0).collect()
    }

    /// Peers to dial for the shards that lack some: at random, but first those that are surely on one of them,
    /// and first those with an IP address nobody else has.
    fn choose(
        &self,
        known: &Known,
        missing: &mut BTreeMap<u16, usize>,
        neighbours: &[Neighbour],
        exempt: &HashSet<PeerId>,
        now: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<PeerId> {
        let mut chosen = Vec::new();
        if missing.is_empty() {
            return chosen;
        }
        let is_free = |peer: &&KnownPeer| {
            known.may_dial(peer, now)
                && peer.speaks(protocol_id::RELAY) != Some(false)
                && !exempt.contains(&peer.peer_id)
                && !self.is_under_way(peer.peer_id)
        };
        let mut candidates: Vec<_> = known
            .iter()
            .filter(is_free)
            .map(|peer| (!peer.has_known_shards(), rng.next_u64(), peer))
            .collect();
        candidates.sort_unstable_by_key(|(is_unsure, chance, _)| (*is_unsure, *chance));
        let mut by_ip = self.by_ip(known, neighbours);
        for may_share in [false, true] {
            candidates.retain(|(_, _, peer)| {
                if missing.is_empty() || chosen.len() >= self.shares.outbound {
                    return true;
                }
                let crowd = ips(peer).filter_map(|ip| by_ip.get(&ip)).max().copied().unwrap_or_default();
                let has_place = if may_share { crowd < self.per_ip } else { crowd == 0 };
                if !has_place || !fills(peer, missing) {
                    return true;
                }
                for ip in ips(peer).collect::<HashSet<_>>() {
                    *by_ip.entry(ip).or_default() += 1;
                }
                chosen.push(peer.peer_id);
                false
            });
        }
        chosen
    }

    /// Connected peers and those being dialled, by IP address.
    fn by_ip(&self, known: &Known, neighbours: &[Neighbour]) -> HashMap<IpAddr, u32> {
        let mut by_ip = HashMap::new();
        let dialing = self.dialing.iter().filter_map(|peer| known.get(*peer));
        let dialing = dialing.flat_map(|peer| ips(peer).collect::<HashSet<_>>());
        let connected = neighbours.iter().filter_map(|peer| peer.ip).filter(|ip| !ip.is_loopback());
        for ip in connected.chain(dialing) {
            *by_ip.entry(ip).or_default() += 1;
        }
        by_ip
    }

    /// Whom to part from, so that `wanted` more peers can be dialled and every kind keeps to its share.
    fn partings(&self, neighbours: &[Neighbour], wanted: usize, now: SystemTime) -> Vec<PeerId> {
        let counted: Vec<_> = neighbours.iter().filter(|peer| peer.tie != Tie::Static).collect();
        let mut free: Vec<_> = counted
            .iter()
            .copied()
            .filter(|peer| peer.tie == Tie::None && is_old(peer.since, GRACE, now))
            .collect();
        free.sort_by(|a, b| {
            let rank = |peer: &Neighbour| (!peer.shared.is_empty(), peer.is_useful);
            let by_score = || a.score.total_cmp(&b.score);
            rank(a).cmp(&rank(b)).then_with(by_score).then(a.last_active.cmp(&b.last_active))
        });
        let is_useless = |peer: &Neighbour| {
            self.dialled_for_relay.contains(&peer.peer_id)
                && peer.shared.is_empty()
                && is_old(peer.since, IDLE, now)
                && is_old(peer.last_active, IDLE, now)
        };
        let comes_for_relay = |peer: &Neighbour| peer.direction == Direction::Inbound && peer.speaks_relay;
        let comes_for_service = |peer: &Neighbour| peer.direction == Direction::Inbound && !peer.speaks_relay;
        let count = |is_one: &dyn Fn(&Neighbour) -> bool| counted.iter().filter(|peer| is_one(peer)).count();

        let mut parting: Vec<PeerId> =
            free.iter().filter(|peer| is_useless(peer)).map(|peer| peer.peer_id).collect();
        let mut part = |excess: usize, is_one: &dyn Fn(&Neighbour) -> bool| {
            let worst = free.iter().filter(|peer| is_one(peer)).map(|peer| peer.peer_id);
            parting.extend(worst.take(excess));
            parting.len()
        };
        let parted = part(count(&comes_for_relay).saturating_sub(self.shares.inbound), &comes_for_relay);
        let over = (counted.len() - parted + wanted + self.dialing.len()).saturating_sub(self.shares.total);
        let over_share = count(&comes_for_service).saturating_sub(self.shares.service);
        part(over.min(over_share), &comes_for_service);
        parting
    }
}

fn is_old(since: SystemTime, age: Duration, now: SystemTime) -> bool {
    now.duration_since(since).is_ok_and(|passed| passed >= age)
}

/// Takes a peer for the shards that lack some; false when none of them needs it.
fn fills(peer: &KnownPeer, missing: &mut BTreeMap<u16, usize>) -> bool {
    let on: Vec<u16> = if peer.has_known_shards() {
        peer.shards.iter().copied().filter(|index| missing.contains_key(index)).collect()
    } else {
        // It may be on any shard: it is taken for one.
        missing.keys().next().copied().into_iter().collect()
    };
    for index in &on {
        if let Some(left) = missing.get_mut(index) {
            *left -= 1;
            if *left == 0 {
                missing.remove(index);
            }
        }
    }
    !on.is_empty()
}

/// The IP addresses a peer may be dialled at, some of them twice. Loopback is shared by all nodes of a machine.
fn ips(peer: &KnownPeer) -> impl Iterator<Item = IpAddr> {
    peer.addresses.iter().filter_map(own_ip_of).filter(|ip| !ip.is_loopback())
}

#[cfg(test)]
mod tests;
