//! One peer as it is known. Everything in it came from strangers and is bounded.

use std::time::SystemTime;

use libp2p::{Multiaddr, PeerId};
use waku_proto::enr::{Capabilities, RelayShards};
use waku_proto::{Shard, protocol_id};

use super::addresses::plain;
use crate::NodeRecord;

/// Addresses kept of one peer.
pub(crate) const MAX_ADDRESSES: usize = 8;
/// Longest address kept, in bytes.
pub(crate) const MAX_ADDRESS_LEN: usize = 256;
/// Protocols kept of one peer.
pub(crate) const MAX_PROTOCOLS: usize = 32;
/// Longest protocol id kept, and longest agent, in bytes.
pub(crate) const MAX_NAME_LEN: usize = 128;
/// Shards kept of one peer.
pub(crate) const MAX_SHARDS: usize = 128;

/// What is known about whether a peer can be connected (27/WAKU2-PEERS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// It was never connected, and no dial has failed.
    NotConnected,
    /// The last dial failed.
    CannotConnect,
    /// It was connected.
    CanConnect,
    /// It is connected.
    Connected,
}

/// How a node first heard of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerOrigin {
    /// The application named it.
    Application,
    /// It connected, or was dialled as a static peer.
    Connection,
    /// Another peer named it (34/WAKU2-PEER-EXCHANGE).
    PeerExchange,
    /// 33/WAKU2-DISCV5.
    Discv5,
    /// DNS discovery (EIP-1459).
    Dns,
}

/// A known peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPeer {
    /// Its identity.
    pub peer_id: PeerId,
    /// Where it can be dialled, best first, without `/p2p/…`.
    pub addresses: Vec<Multiaddr>,
    /// Whether it can be connected.
    pub state: PeerState,
    /// How the node first heard of it.
    pub origin: PeerOrigin,
    /// What it says its software is.
    pub agent: Option<String>,
    /// The protocols it says it speaks.
    pub protocols: Vec<String>,
    /// Its cluster, by its metadata or its node record.
    pub cluster: Option<u16>,
    /// Its shards in that cluster, in order: by its metadata, its subscriptions or its node record.
    pub shards: Vec<u16>,
    /// The newest of its node records.
    pub record: Option<NodeRecord>,
    /// When the node first heard of it.
    pub learned: SystemTime,
    /// When its present connection was opened, or its last one was closed.
    pub last_seen: Option<SystemTime>,
    /// When the node last reached it by dialling.
    pub reached: Option<SystemTime>,
    /// Failed dials in a row, with connections that broke within a minute or were closed for the peer's fault.
    pub failures: u32,
    /// When the last of them failed.
    pub last_failure: Option<SystemTime>,
}

/// A peer somebody names.
///
/// ```
/// use waku::peers::{NewPeer, PeerOrigin};
///
/// let keypair = waku::Keypair::generate();
/// let mut peer = NewPeer::new(keypair.peer_id(), ["/dns4/node.example/tcp/30303".parse()?]);
/// (peer.cluster, peer.shards) = (Some(1), vec![0, 1]);
/// assert_eq!(peer.origin, PeerOrigin::Application);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPeer {
    /// Its identity.
    pub peer_id: PeerId,
    /// Where it can be dialled, best first, with or without `/p2p/…`. Those of a kind the node does not
    /// speak are left out.
    pub addresses: Vec<Multiaddr>,
    /// Who names it.
    pub origin: PeerOrigin,
    /// The protocols it speaks; empty when that is not known.
    pub protocols: Vec<String>,
    /// Its cluster, when that is known.
    pub cluster: Option<u16>,
    /// Its shards in that cluster; empty when they are not known.
    pub shards: Vec<u16>,
    /// Its node record; that of another peer is left out.
    pub record: Option<NodeRecord>,
}

impl NewPeer {
    /// A peer the application names, at these addresses.
    pub fn new(peer_id: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) -> Self {
        Self {
            peer_id,
            addresses: addresses.into_iter().collect(),
            origin: PeerOrigin::Application,
            protocols: Vec::new(),
            cluster: None,
            shards: Vec::new(),
            record: None,
        }
    }

    /// A peer as its node record describes it.
    pub fn from_record(record: &NodeRecord, origin: PeerOrigin) -> Self {
        let shards = record.shards();
        Self {
            origin,
            cluster: shards.as_ref().map(RelayShards::cluster),
            shards: shards.iter().flat_map(RelayShards::shards).map(Shard::index).collect(),
            record: Some(record.clone()),
            ..Self::new(record.peer_id(), record.addresses())
        }
    }
}

impl KnownPeer {
    pub(crate) fn new(peer_id: PeerId, origin: PeerOrigin, now: SystemTime) -> Self {
        Self {
            peer_id,
            addresses: Vec::new(),
            state: PeerState::NotConnected,
            origin,
            agent: None,
            protocols: Vec::new(),
            cluster: None,
            shards: Vec::new(),
            record: None,
            learned: now,
            last_seen: None,
            reached: None,
            failures: 0,
            last_failure: None,
        }
    }

    /// Whether it is on a shard; `None` when its shards are not known.
    pub fn is_on(&self, shard: Shard) -> Option<bool> {
        match self.cluster {
            Some(cluster) if cluster != shard.cluster() => Some(false),
            _ => self.has_known_shards().then(|| self.shards.binary_search(&shard.index()).is_ok()),
        }
    }

    pub(crate) fn has_known_shards(&self) -> bool {
        self.cluster.is_some() && !self.shards.is_empty()
    }

    /// Whether it speaks a protocol, by what it said itself or else by its node record; `None` when neither
    /// is known.
    pub fn speaks(&self, protocol: &str) -> Option<bool> {
        if !self.protocols.is_empty() {
            return Some(self.protocols.iter().any(|known| known == protocol));
        }
        let capabilities = self.record.as_ref()?.capabilities();
        capability_for(protocol).map(|capability| capabilities.contains(capability))
    }

    /// Adds what somebody else says, unless its record is older than the one that is known. What the peer
    /// itself said stays, and addresses that work stay first.
    pub(in crate::peers) fn add(&mut self, new: NewPeer) {
        let newest = self.record.as_ref().map_or(0, NodeRecord::seq);
        if new.record.as_ref().is_some_and(|record| record.seq() < newest) {
            return;
        }
        let known = std::mem::take(&mut self.addresses);
        if self.reached.is_some() && self.failures == 0 {
            self.set_addresses(known.into_iter().chain(new.addresses));
        } else {
            self.set_addresses(new.addresses.into_iter().chain(known));
        }
        if self.protocols.is_empty() {
            self.set_protocols(&new.protocols);
        }
        if self.state != PeerState::Connected && new.cluster.is_some() {
            self.set_shards(new.cluster, &new.shards);
        }
        if let Some(record) = new.record.filter(|record| record.peer_id() == self.peer_id) {
            self.record = Some(record);
        }
    }

    /// Replaces the addresses by those of `addresses` that can be dialled; none at all replace nothing.
    pub(super) fn set_addresses(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        let mut kept: Vec<Multiaddr> = Vec::new();
        for address in addresses.into_iter().filter_map(|address| plain(&address)) {
            if kept.len() == MAX_ADDRESSES {
                break;
            }
            if address.len() <= MAX_ADDRESS_LEN && !kept.contains(&address) {
                kept.push(address);
            }
        }
        if !kept.is_empty() {
            self.addresses = kept;
        }
    }

    /// Replaces the addresses by those the peer claims for itself, after the one by which it was reached.
    pub(super) fn set_claimed(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        let proved = self.addresses.first().filter(|_| self.reached.is_some()).cloned();
        self.set_addresses(proved.into_iter().chain(addresses));
    }

    /// An address that has proved good.
    pub(super) fn put_first(&mut self, address: Multiaddr) {
        let known = std::mem::take(&mut self.addresses);
        self.set_addresses(std::iter::once(address).chain(known));
    }

    pub(super) fn set_agent(&mut self, agent: &str) {
        let ends = agent.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= MAX_NAME_LEN).last().unwrap_or_default();
        self.agent = agent.get(..end).map(str::to_owned);
    }

    pub(super) fn set_protocols(&mut self, protocols: &[String]) {
        let kept = protocols.iter().filter(|protocol| protocol.len() <= MAX_NAME_LEN);
        // Ours first: a peer that lists many others still is what it is.
        let (mut ours, others): (Vec<_>, Vec<_>) =
            kept.cloned().partition(|protocol| protocol.starts_with("/vac/waku/"));
        ours.extend(others);
        ours.truncate(MAX_PROTOCOLS);
        self.protocols = ours;
    }

    /// Replaces cluster and shards; no shards at all replace none of the same cluster.
    pub(super) fn set_shards(&mut self, cluster: Option<u16>, shards: &[u16]) {
        if shards.is_empty() && self.cluster == cluster {
            return;
        }
        self.cluster = cluster;
        self.shards = shards.iter().copied().take(MAX_SHARDS).collect();
        self.shards.sort_unstable();
        self.shards.dedup();
    }

    pub(super) fn set_shard(&mut self, shard: Shard, is_on: bool) {
        if self.cluster != Some(shard.cluster()) {
            self.set_shards(Some(shard.cluster()), &[]);
        }
        match (self.shards.binary_search(&shard.index()), is_on) {
            (Err(at), true) if self.shards.len() < MAX_SHARDS => self.shards.insert(at, shard.index()),
            (Ok(at), false) => _ = self.shards.remove(at),
            _ => {}
        }
    }
}

/// The bit of a node record for a protocol; `None` for protocols without one.
fn capability_for(protocol: &str) -> Option<Capabilities> {
    Some(match protocol {
        protocol_id::RELAY => Capabilities::RELAY,
        protocol_id::STORE_QUERY => Capabilities::STORE,
        protocol_id::FILTER_SUBSCRIBE => Capabilities::FILTER,
        protocol_id::LIGHTPUSH | protocol_id::LIGHTPUSH_V2 => Capabilities::LIGHTPUSH,
        protocol_id::RECONCILIATION | protocol_id::TRANSFER => Capabilities::SYNC,
        _ => return None,
    })
}
