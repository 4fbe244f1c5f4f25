//! What the node knows about its peers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use libp2p::{Multiaddr, PeerId};
use thiserror::Error;
use waku_proto::metadata::Metadata;
use waku_proto::{PubsubTopic, Shard};

use crate::metadata::MetadataRefusal;

/// Disconnections remembered.
const MEMORY: usize = 64;

/// Who opened the first connection with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// A connected peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its identity.
    pub peer_id: PeerId,
    /// The remote address of each connection, oldest first.
    pub addresses: Vec<Multiaddr>,
    /// Who opened the first connection.
    pub direction: Direction,
    /// When the first connection was opened.
    pub connected_since: SystemTime,
    /// What it says its software is; `None` until it has identified itself.
    pub agent: Option<String>,
    /// The protocols it says it speaks.
    pub protocols: Vec<String>,
    /// Its cluster; `None` until its metadata has come (66/WAKU2-METADATA).
    pub cluster: Option<u16>,
    /// Its shards, by its metadata.
    pub shards: Vec<u16>,
    /// The pubsub topics it is subscribed to.
    pub topics: BTreeSet<PubsubTopic>,
    /// Round trip time of the last ping.
    pub round_trip: Option<Duration>,
}

impl PeerInfo {
    /// Whether it is on a shard, by its metadata and its subscriptions; `None` when it told neither.
    pub fn is_on(&self, shard: Shard) -> Option<bool> {
        if self.cluster.is_some_and(|cluster| cluster != shard.cluster()) {
            return Some(false);
        }
        let is_told = self.cluster.is_some() && self.shards.contains(&shard.index());
        let is_on = is_told || self.topics.contains(&PubsubTopic::from(shard));
        (is_on || !self.shards.is_empty() || !self.topics.is_empty()).then_some(is_on)
    }
}

/// A peer that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disconnection {
    /// Its identity.
    pub peer_id: PeerId,
    /// When its last connection was closed.
    pub at: SystemTime,
    /// Why.
    pub reason: DisconnectReason,
}

/// Why a peer is gone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DisconnectReason {
    /// This node closed: the peer's metadata is not good enough.
    #[error("disconnected: {0}")]
    Metadata(#[from] MetadataRefusal),
    /// This node closed: the peer's relay score is too low.
    #[error("disconnected: its relay score is {score}")]
    Graylisted {
        /// The score, rounded.
        score: i64,
    },
    /// This node closed: the peer did not answer pings on its only connection.
    #[error("disconnected: {0}")]
    PingFailed(String),
    /// This node closed: it has more peers of this kind than it has room for, and others are better.
    #[error("disconnected: there is no room for it")]
    NoRoom,
    /// The peer closed, or the connection broke.
    #[error("connection closed: {0}")]
    Closed(String),
}

impl DisconnectReason {
    /// Whether the peer is not worth a dial for a while.
    pub(crate) fn is_its_fault(&self) -> bool {
        match self {
            Self::Metadata(MetadataRefusal::NoCluster | MetadataRefusal::NoAnswer(_))
            | Self::Graylisted { .. } => true,
            // A peer of another cluster may do well there.
            Self::Metadata(MetadataRefusal::ClusterMismatch { .. })
            | Self::PingFailed(_)
            | Self::NoRoom
            | Self::Closed(_) => false,
        }
    }
}

/// Everything known about peers that are connected, and the last ones that are gone.
#[derive(Debug, Default)]
pub(crate) struct Book {
    peers: BTreeMap<PeerId, PeerInfo>,
    /// When the last message of a connected peer came.
    active: HashMap<PeerId, SystemTime>,
    /// Why we are closing a peer's connections.
    closing: HashMap<PeerId, DisconnectReason>,
    gone: VecDeque<Disconnection>,
}

impl Book {
    pub(crate) fn opened(
        &mut self,
        peer_id: PeerId,
        address: Multiaddr,
        direction: Direction,
        now: SystemTime,
    ) {
        let peer = self.peers.entry(peer_id).or_insert_with(|| PeerInfo {
            peer_id,
            addresses: Vec::new(),
            direction,
            connected_since: now,
            agent: None,
            protocols: Vec::new(),
            cluster: None,
            shards: Vec::new(),
            topics: BTreeSet::new(),
            round_trip: None,
        });
        peer.addresses.push(address);
    }

    /// A connection is closed; `last` when the peer has no other. Returns why a peer is gone.
    pub(crate) fn closed(
        &mut self,
        peer_id: PeerId,
        address: &Multiaddr,
        last: bool,
        cause: String,
        now: SystemTime,
    ) -> Option<DisconnectReason> {
        if !last {
            if let Some(peer) = self.peers.get_mut(&peer_id)
                && let Some(position) = peer.addresses.iter().position(|known| known == address)
            {
                peer.addresses.remove(position);
            }
            return None;
        }
        self.peers.remove(&peer_id);
        self.active.remove(&peer_id);
        let reason = self.closing.remove(&peer_id).unwrap_or(DisconnectReason::Closed(cause));
        self.gone.push_back(Disconnection { peer_id, at: now, reason: reason.clone() });
        if self.gone.len() > MEMORY {
            self.gone.pop_front();
        }
        Some(reason)
    }

    /// How many connections a peer has.
    pub(crate) fn connections(&self, peer_id: PeerId) -> usize {
        self.peers.get(&peer_id).map_or(0, |peer| peer.addresses.len())
    }

    /// This node is about to close a peer's connections. The first reason counts.
    pub(crate) fn closing(&mut self, peer_id: PeerId, reason: DisconnectReason) {
        if self.peers.contains_key(&peer_id) {
            self.closing.entry(peer_id).or_insert(reason);
        }
    }

    pub(crate) fn identified(&mut self, peer_id: PeerId, agent: String, protocols: Vec<String>) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.agent = Some(agent);
            peer.protocols = protocols;
        }
    }

    pub(crate) fn told_metadata(&mut self, peer_id: PeerId, metadata: Metadata) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.cluster = metadata.cluster;
            peer.shards = metadata.shards;
        }
    }

    pub(crate) fn pinged(&mut self, peer_id: PeerId, round_trip: Duration) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.round_trip = Some(round_trip);
        }
    }

    pub(crate) fn subscribed(&mut self, peer_id: PeerId, topic: PubsubTopic) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.topics.insert(topic);
        }
    }

    pub(crate) fn unsubscribed(&mut self, peer_id: PeerId, topic: &PubsubTopic) {
        if let Some(peer) = self.peers.get_mut(&peer_id) {
            peer.topics.remove(topic);
        }
    }

    /// A message of a peer has come.
    pub(crate) fn active(&mut self, peer_id: PeerId, now: SystemTime) {
        if self.peers.contains_key(&peer_id) {
            self.active.insert(peer_id, now);
        }
    }

    /// When the last message of a peer came.
    pub(crate) fn last_active(&self, peer_id: PeerId) -> Option<SystemTime> {
        self.active.get(&peer_id).copied()
    }

    /// A connected peer.
    pub(crate) fn get(&self, peer_id: PeerId) -> Option<&PeerInfo> {
        self.peers.get(&peer_id)
    }

    /// The connected peers subscribed to a topic.
    pub(crate) fn subscribers(&self, topic: &PubsubTopic) -> impl Iterator<Item = PeerId> {
        self.peers.values().filter(|peer| peer.topics.contains(topic)).map(|peer| peer.peer_id)
    }

    /// The connected peers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerInfo> {
        self.peers.values()
    }

    /// The peers that are gone, oldest first.
    pub(crate) fn gone(&self) -> impl Iterator<Item = &Disconnection> {
        self.gone.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn a_peer_is_there_until_its_last_connection_is_closed() {
        let (mut book, peer, now) = (Book::default(), PeerId::random(), SystemTime::UNIX_EPOCH);
        book.opened(peer, address(1), Direction::Inbound, now);
        book.opened(peer, address(2), Direction::Outbound, now);
        book.closed(peer, &address(1), false, "one".to_owned(), now);
        let infos: Vec<_> = book.peers().collect();
        assert_eq!(infos.len(), 1);
        assert_eq!((&infos[0].addresses, infos[0].direction), (&vec![address(2)], Direction::Inbound));
        assert_eq!(book.connections(peer), 1);
        book.closed(peer, &address(2), true, "two".to_owned(), now);
        assert_eq!(book.peers().count(), 0);
        let reason = DisconnectReason::Closed("two".to_owned());
        assert_eq!(book.gone().collect::<Vec<_>>(), [&Disconnection { peer_id: peer, at: now, reason }]);
    }

    #[test]
    fn our_first_reason_for_closing_counts() {
        let (mut book, peer, now) = (Book::default(), PeerId::random(), SystemTime::UNIX_EPOCH);
        book.opened(peer, address(1), Direction::Inbound, now);
        book.closing(peer, MetadataRefusal::NoCluster.into());
        book.closing(peer, DisconnectReason::Graylisted { score: -10_001 });
        book.closed(peer, &address(1), true, "closed".to_owned(), now);
        let reasons: Vec<_> = book.gone().map(|gone| &gone.reason).collect();
        assert_eq!(reasons, [&DisconnectReason::Metadata(MetadataRefusal::NoCluster)]);
        // And not for the next connection.
        book.opened(peer, address(1), Direction::Inbound, now);
        book.closed(peer, &address(1), true, "closed".to_owned(), now);
        assert_eq!(book.gone().last().unwrap().reason, DisconnectReason::Closed("closed".to_owned()));
    }

    #[test]
    fn remembers_a_bounded_number_of_disconnections() {
        let (mut book, now) = (Book::default(), SystemTime::UNIX_EPOCH);
        for number in 0..=MEMORY {
            let peer = PeerId::random();
            book.opened(peer, address(1), Direction::Inbound, now);
            book.closed(peer, &address(1), true, number.to_string(), now);
        }
        assert_eq!(book.gone().count(), MEMORY);
        assert_eq!(book.gone().next().unwrap().reason, DisconnectReason::Closed("1".to_owned()));
    }
}
