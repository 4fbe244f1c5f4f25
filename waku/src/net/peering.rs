//! The driver's part about peers: who is dialled, who is parted from, what is shown and what is kept.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt as _;
use getrandom::SysRng;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, identify, ping};
use rand_core::UnwrapErr;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use waku_proto::metadata::Metadata;
use waku_proto::{PubsubTopic, Shard, protocol_id};

use super::behaviour::Behaviour;
use super::command::PeerCommand;
use super::driver::Driver;
use crate::Config;
use crate::metadata::MetadataRefusal;
use crate::metrics::Metrics;
use crate::peers::dial_error::describe;
use crate::peers::file::{PeerFile, PeerStoreError};
use crate::peers::known::Known;
use crate::peers::known::addresses::{own_ip_of, within_reach};
use crate::peers::policy::{Neighbour, Policy, Tie};
use crate::peers::{Direction, DisconnectReason, PeerInfo, PeerList, static_peer_info};
use crate::relay::behaviour::GRAYLIST_THRESHOLD;

/// Least time between two looks at whom to dial.
const LOOK_SPACING: Duration = Duration::from_millis(250);
/// Bounds of the time between two looks: a node has other things to do, and a moment must be given for the next.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Time between two times the known peers are written to disk.
const SAVE_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Services for which a peer is worth a connection.
const SERVICES: [&str; 5] = [
    protocol_id::STORE_QUERY,
    protocol_id::FILTER_SUBSCRIBE,
    protocol_id::LIGHTPUSH,
    protocol_id::LIGHTPUSH_V2,
    protocol_id::PEER_EXCHANGE,
];

/// What the driver keeps for its peers, connected or not.
pub(crate) struct Peering {
    known: Known,
    policy: Policy,
    cluster: u16,
    interval: Duration,
    looked: Instant,
    next_look: Instant,
    file: Option<PeerFile>,
    saving: Option<JoinHandle<io::Result<()>>>,
    next_save: Instant,
}

impl Peering {
    /// Known peers as an earlier run left them, if there is a file of them.
    pub(crate) async fn open(config: &Config) -> Result<Self, PeerStoreError> {
        let (file, restored) = match config.peer_store.clone() {
            Some(path) => {
                // The signatures of thousands of node records take a while.
                let opened = spawn_blocking(move || PeerFile::open(&path)).await;
                let (file, peers) = opened.expect("reading a file of strangers' words does not panic")?;
                (Some(file), peers)
            }
            None => (None, Vec::new()),
        };
        let cluster = config.sharding.cluster();
        let own = config.keypair.peer_id();
        let mut known = Known::new(own, cluster, config.max_known_peers, config.dialing.clone());
        known.restore(restored);
        let now = Instant::now();
        Ok(Self {
            known,
            policy: Policy::new(&config.limits, &config.dialing),
            cluster,
            interval: config.dialing.interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL),
            looked: now,
            next_look: now,
            file,
            saving: None,
            next_save: now + SAVE_INTERVAL,
        })
    }

    /// When [`Driver::tend_peers`] is to be called next.
    pub(super) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Something has changed: looks soon.
    pub(super) fn hurry(&mut self) {
        self.next_look = self.next_look.min(self.looked + LOOK_SPACING);
    }

    /// Begins to write the known peers to disk if they have changed and the last time is over.
    fn save(&mut self, metrics: &Metrics) {
        let Some(file) = self.file.clone() else { return };
        if let Some(saving) = &mut self.saving {
            let Some(outcome) = saving.now_or_never() else { return };
            self.saving = None;
            self.check_saved(outcome, metrics);
        }
        if self.known.take_changed() {
            let (peers, now) = (self.known.list(), SystemTime::now());
            self.saving = Some(spawn_blocking(move || file.save(&peers, now)));
        }
    }

    /// Waits until what is being written is on disk.
    async fn saved(&mut self, metrics: &Metrics) {
        if let Some(saving) = self.saving.take() {
            let outcome = saving.await;
            self.check_saved(outcome, metrics);
        }
    }

    fn check_saved(&mut self, outcome: Result<io::Result<()>, JoinError>, metrics: &Metrics) {
        if let Err(error) = outcome.map_err(io::Error::other).flatten() {
            metrics.peer_store_failed.increment();
            let path = self.file.as_ref().map(PeerFile::path);
            tracing::warn!(?path, %error, "the known peers could not be saved");
            self.known.set_changed();
        }
    }
}

impl Driver {
    /// Whether somebody is to be dialled, and somebody to be parted from.
    pub(super) fn tend_peers(&mut self) {
        let (now, clock) = (Instant::now(), SystemTime::now());
        self.peering.looked = now;
        self.peering.next_look = now + self.peering.interval;
        let shards: Vec<Shard> = self.shards().collect();
        let exempt = self.exempt();
        let neighbours: Vec<_> =
            self.book.peers().map(|peer| self.neighbour(peer, &shards, &exempt)).collect();
        let Peering { known, policy, .. } = &mut self.peering;
        if !neighbours.is_empty() {
            self.metrics.peers_forgotten.add(known.prune(clock) as u64);
        }
        self.metrics.peers_evicted.add(known.take_evicted());
        let parting = policy.plan(known, &shards, &neighbours, &exempt, clock, &mut UnwrapErr(SysRng));
        for peer in parting {
            self.metrics.peers_parted.increment();
            self.disconnect(peer, DisconnectReason::NoRoom);
        }
        self.dial_known(clock);
        self.peers_changed = true;
        if self.peering.next_save <= now {
            self.peering.next_save = now + SAVE_INTERVAL;
            self.peering.save(&self.metrics);
        }
    }

    /// The shards of the node's cluster it is subscribed to.
    fn shards(&self) -> impl Iterator<Item = Shard> {
        let cluster = self.peering.cluster;
        let shards = self.router.topics().filter_map(PubsubTopic::shard);
        shards.filter(move |shard| shard.cluster() == cluster)
    }

    fn neighbour(&self, peer: &PeerInfo, shards: &[Shard], exempt: &HashSet<PeerId>) -> Neighbour {
        let speaks = |protocol: &str| peer.protocols.iter().any(|known| known == protocol);
        let Behaviour { gossipsub, services, .. } = self.swarm.behaviour();
        let gossipsub = gossipsub.as_ref();
        let tie = match exempt.contains(&peer.peer_id) {
            true => Tie::Static,
            false if services.is_busy(peer.peer_id) => Tie::Busy,
            false => Tie::None,
        };
        let last_active = self.book.last_active(peer.peer_id).max(services.last_request(peer.peer_id));
        let shared = shards.iter().filter(|shard| peer.is_on(**shard) == Some(true));
        Neighbour {
            peer_id: peer.peer_id,
            direction: peer.direction,
            tie,
            speaks_relay: speaks(protocol_id::RELAY) || !peer.topics.is_empty(),
            is_useful: SERVICES.iter().any(|service| speaks(service)),
            shared: shared.map(|shard| shard.index()).collect(),
            score: gossipsub.and_then(|gossipsub| gossipsub.peer_score(&peer.peer_id)).unwrap_or_default(),
            since: peer.connected_since,
            last_active: last_active.unwrap_or(peer.connected_since),
            ip: peer.addresses.first().and_then(own_ip_of),
        }
    }

    /// Dials as many of the peers in the queue as may be dialled at a time.
    fn dial_known(&mut self, clock: SystemTime) {
        while let Some(peer) = self.peering.policy.next_dial(&self.peering.known, clock) {
            let addresses = self.peering.known.get(peer).map(|peer| peer.addresses.clone());
            let opts = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses.unwrap_or_default())
                .allocate_new_port()
                .build();
            tracing::debug!(%peer, "dialling a known peer");
            self.metrics.peers_dialled.increment();
            if let Err(error) = self.swarm.dial(opts) {
                self.known_not_reached(peer, &error, clock);
            }
        }
    }

    pub(super) fn connection_opened(&mut self, peer: PeerId, address: Multiaddr, direction: Direction) {
        let clock = SystemTime::now();
        self.peering.known.opened(peer, &address, direction, clock);
        self.book.opened(peer, address, direction, clock);
        if self.peering.policy.dial_ended(peer, true) {
            self.dial_known(clock);
        }
        self.peers_changed = true;
    }

    pub(super) fn connection_closed(
        &mut self,
        peer: PeerId,
        address: &Multiaddr,
        is_last: bool,
        cause: String,
    ) {
        let clock = SystemTime::now();
        if let Some(reason) = self.book.closed(peer, address, is_last, cause, clock) {
            self.peering.known.closed(peer, reason.is_its_fault(), clock);
            self.peering.policy.closed(peer);
            self.peering.hurry();
        }
        self.peers_changed = true;
    }

    /// A dial failed, whoever began it.
    pub(super) fn dial_failed(&mut self, peer: Option<PeerId>, error: &DialError) {
        self.metrics.dials_failed.increment();
        let clock = SystemTime::now();
        if let Some(peer) = peer {
            self.known_not_reached(peer, error, clock);
            self.dial_known(clock);
        }
    }

    fn known_not_reached(&mut self, peer: PeerId, error: &DialError, clock: SystemTime) {
        if !self.peering.policy.dial_ended(peer, false) {
            return;
        }
        tracing::debug!(%peer, error = describe(error), "known peer not reached");
        match error {
            // Nothing was tried, or it was our own doing.
            DialError::Denied { .. } | DialError::Aborted | DialError::DialPeerConditionFalse(_) => {}
            _ => self.peering.known.dial_failed(peer, clock),
        }
        self.peers_changed = true;
    }

    pub(super) fn identified(&mut self, peer: PeerId, info: identify::Info) {
        let protocols: Vec<String> = info.protocols.iter().map(ToString::to_string).collect();
        let remote = self.book.get(peer).and_then(|peer| peer.addresses.first()).cloned();
        let addresses = within_reach(&info.listen_addrs, remote.as_ref()).cloned();
        self.peering.known.identified(peer, &info.agent_version, &protocols, addresses);
        self.book.identified(peer, info.agent_version, protocols);
        self.peering.hurry();
        self.peers_changed = true;
    }

    pub(super) fn told_metadata(&mut self, peer: PeerId, metadata: Metadata) {
        self.peering.known.told_metadata(peer, &metadata);
        self.book.told_metadata(peer, metadata);
        self.peering.hurry();
        self.peers_changed = true;
    }

    pub(super) fn metadata_refused(&mut self, peer: PeerId, refusal: MetadataRefusal) {
        tracing::info!(%peer, %refusal, "peer disconnected over its metadata");
        self.metrics.metadata_refused.increment();
        if let MetadataRefusal::ClusterMismatch { theirs, .. } = refusal {
            let metadata = Metadata { cluster: Some(theirs), shards: Vec::new() };
            self.peering.known.told_metadata(peer, &metadata);
        }
        self.book.closing(peer, refusal.into());
    }

    /// A peer is subscribed to a topic, or not any more.
    pub(super) fn peer_subscribed(&mut self, peer: PeerId, topic: &str, is_subscribed: bool) {
        let Ok(topic) = topic.parse::<PubsubTopic>() else { return };
        if let Some(shard) = topic.shard() {
            self.peering.known.subscribed(peer, shard, is_subscribed);
        }
        if is_subscribed {
            self.book.subscribed(peer, topic);
        } else {
            self.book.unsubscribed(peer, &topic);
        }
        self.peers_changed = true;
    }

    pub(super) fn on_ping(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        result: Result<Duration, ping::Failure>,
    ) {
        match result {
            Ok(round_trip) => {
                self.book.pinged(peer, round_trip);
                self.peers_changed = true;
            }
            // Nothing to conclude from that.
            Err(ping::Failure::Unsupported) => {}
            Err(failure) => {
                tracing::info!(%peer, %connection, %failure, "connection is dead");
                // A peer whose address has changed may be back on another one.
                if self.book.connections(peer) == 1 {
                    self.book.closing(peer, DisconnectReason::PingFailed(failure.to_string()));
                }
                self.swarm.close_connection(connection);
            }
        }
    }

    pub(super) fn on_peer_command(&mut self, command: PeerCommand) {
        let clock = SystemTime::now();
        // A reply nobody waits for is no error: the caller gave up.
        match command {
            PeerCommand::AddStatic { address, reply } => {
                let outcome = self.add_static_peer(address, false);
                // Whoever looks after the answer sees the change.
                self.show_peers();
                let _ = reply.send(outcome);
            }
            PeerCommand::RemoveStatic { address, reply } => {
                let is_removed = self.remove_static_peer(&address);
                self.show_peers();
                let _ = reply.send(is_removed);
            }
            PeerCommand::Learn { peers, reply } => {
                let learned = peers.into_iter().map(|peer| self.peering.known.learn(peer, clock));
                let learned = learned.filter(|is_known| *is_known).count();
                self.peering.hurry();
                self.show_peers();
                let _ = reply.send(learned);
            }
            PeerCommand::Forget { peer, reply } => {
                let is_forgotten = self.peering.known.forget(peer);
                self.show_peers();
                let _ = reply.send(is_forgotten);
            }
            PeerCommand::List { reply } => _ = reply.send(self.peering.known.list()),
            PeerCommand::Draw { count, reply } => {
                let _ = reply.send(self.peering.known.draw(count, &mut UnwrapErr(SysRng)));
            }
            PeerCommand::Reach { protocol, shard, reply } => {
                let Peering { known, policy, .. } = &mut self.peering;
                let coming = policy.reach(known, protocol, shard, clock, &mut UnwrapErr(SysRng));
                self.dial_known(clock);
                self.show_peers();
                let _ = reply.send(coming);
            }
        }
    }

    /// Gossipsub ignores peers of the worst scores, but keeps them connected.
    pub(super) fn drop_graylisted(&mut self) {
        let Some(gossipsub) = self.swarm.behaviour().gossipsub.as_ref() else {
            return;
        };
        let scores =
            self.book.peers().filter_map(|peer| Some((peer.peer_id, gossipsub.peer_score(&peer.peer_id)?)));
        let graylisted: Vec<_> = scores.filter(|(_, score)| *score < GRAYLIST_THRESHOLD).collect();
        for (peer, score) in graylisted {
            self.metrics.peers_graylisted.increment();
            #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
            self.disconnect(peer, DisconnectReason::Graylisted { score: score as i64 });
        }
    }

    fn disconnect(&mut self, peer: PeerId, reason: DisconnectReason) {
        tracing::info!(%peer, %reason, "peer disconnected");
        self.book.closing(peer, reason);
        // Fails only when the peer is gone already.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Shows the peers as they are.
    pub(crate) fn show_peers(&mut self) {
        let now = Instant::now();
        self.peers_changed = false;
        self.peers_shown = now;
        let static_peers = self.swarm.behaviour().peers.static_peers();
        self.views.peers.send_replace(PeerList {
            connected: self.book.peers().cloned().collect(),
            static_peers: static_peers.map(|(address, peer)| static_peer_info(address, peer, now)).collect(),
            disconnections: self.book.gone().cloned().collect(),
            known: self.peering.known.len(),
            dialing: self.peering.policy.under_way(),
            lacking: self.peering.policy.lacking(),
        });
    }

    /// Writes the known peers to disk and waits for it.
    pub(super) async fn save_peers(&mut self) {
        self.peering.saved(&self.metrics).await;
        self.peering.save(&self.metrics);
        self.peering.saved(&self.metrics).await;
    }
}
