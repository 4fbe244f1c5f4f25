//! The one task that owns the swarm.
//!
//! It never waits for a consumer: whatever it hands on goes into a bounded queue or is dropped and counted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use getrandom::SysRng;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Swarm, identify, ping};
use rand_core::UnwrapErr;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use waku_proto::{PubsubTopic, Shard};

use super::behaviour::{Behaviour, BehaviourEvent};
use super::command::{Command, RelayCommand};
use super::nat::{Circuits, Reachability};
use super::peering::Peering;
use super::router::{Origin, Router};
use crate::metadata;
use crate::metrics::Metrics;
use crate::peers::book::Book;
use crate::peers::dial_error::innermost;
use crate::peers::{Direction, PeerList};
use crate::relay::behaviour::Gossipsub;
use crate::relay::pool::Judged;

/// Commands and verdicts handled in a row before the swarm gets its turn.
const BUDGET: u32 = 32;
/// Time between two looks whether slow peers have caught up. Meanwhile connections work on, but for what they
/// have for this task.
const WAIT: Duration = Duration::from_millis(1);
/// Time between two looks at the peers' scores, as in go-waku.
const SCORE_INTERVAL: Duration = Duration::from_secs(6);
/// Time between two lists of the peers: with peers of many topics one takes milliseconds to make, and a
/// peer can change its topics thousands of times a second.
const SHOW_INTERVAL: Duration = Duration::from_millis(50);
/// How long what was published last gets to leave: gossipsub does not tell when it has sent a message.
const LEAVE_WITHIN: Duration = Duration::from_millis(300);
/// How long peers get to take the end of their connections.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// What the driver shows to the handles.
#[derive(Debug)]
pub(crate) struct Views {
    pub(crate) peers: watch::Sender<PeerList>,
    pub(crate) addresses: watch::Sender<Vec<Multiaddr>>,
    pub(crate) reachability: watch::Sender<Reachability>,
    /// The pubsub topics the relay is subscribed to.
    pub(crate) topics: watch::Sender<BTreeSet<PubsubTopic>>,
}

/// Where the driver's work comes from, besides the swarm.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) verdicts: mpsc::Receiver<Judged<Origin>>,
    pub(crate) stop: CancellationToken,
}

/// The task's state.
pub(crate) struct Driver {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) listeners: Vec<ListenerId>,
    pub(super) router: Router,
    pub(super) circuits: Circuits,
    pub(super) book: Book,
    pub(super) peering: Peering,
    pub(super) views: Views,
    /// The peers are not as last shown.
    pub(super) peers_changed: bool,
    pub(super) peers_shown: Instant,
    /// When a message was last published.
    published: Option<Instant>,
    pub(super) metrics: Arc<Metrics>,
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        router: Router,
        circuits: Circuits,
        peering: Peering,
        views: Views,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            swarm,
            listeners: Vec::new(),
            router,
            circuits,
            book: Book::default(),
            peering,
            views,
            peers_changed: false,
            peers_shown: Instant::now(),
            published: None,
            metrics,
        }
    }

    /// Is on these shards for as long as the node runs: subscribed to them if it relays.
    pub(crate) fn pin(&mut self, shards: impl Iterator<Item = Shard>) {
        if let Some((router, gossipsub)) = self.relay() {
            for shard in shards {
                router.join(gossipsub, &shard.into());
            }
            self.tell_shards();
        } else {
            self.swarm.behaviour_mut().metadata.set_shards(shards);
        }
    }

    /// The relay's two halves; `None` when the node does not relay.
    fn relay(&mut self) -> Option<(&mut Router, &mut Gossipsub)> {
        Some((&mut self.router, self.swarm.behaviour_mut().gossipsub.as_mut()?))
    }

    /// Works until it is stopped, then closes everything.
    pub(crate) async fn run(mut self, mut inputs: Inputs) {
        let mut score_check = interval(SCORE_INTERVAL);
        let readers_gone = self.router.readers_gone();
        let mut budget = BUDGET;
        self.reserve_places();
        loop {
            let waits = self.router.waits_for_peers(Instant::now());
            let next_place = self.circuits.next_wake();
            let next_show = self.peers_shown + SHOW_INTERVAL;
            tokio::select! {
                biased;
                () = inputs.stop.cancelled() => break,
                Some(command) = inputs.commands.recv(), if budget > 0 && !waits => {
                    budget -= 1;
                    self.on_command(command);
                }
                Some(judged) = inputs.verdicts.recv(), if budget > 0 && !waits => {
                    budget -= 1;
                    if let Some((router, gossipsub)) = self.relay() {
                        router.on_judged(gossipsub, &judged);
                    }
                }
                () = readers_gone.notified() => {
                    if let Some((router, gossipsub)) = self.relay() {
                        router.sweep(gossipsub);
                        self.tell_shards();
                    }
                }
                // Before the swarm, which a flood keeps busy.
                _ = score_check.tick() => self.drop_graylisted(),
                () = sleep_until(self.peering.next_look().into()) => self.tend_peers(),
                event = self.swarm.select_next_some(), if !waits => {
                    budget = BUDGET;
                    self.on_swarm_event(event);
                }
                () = sleep_until(next_show.into()), if self.peers_changed => self.show_peers(),
                () = sleep_until(next_place.unwrap_or(next_show).into()), if next_place.is_some() => {
                    self.reserve_places();
                }
                () = sleep(WAIT), if waits => {}
                // The swarm had its turn and nothing to say.
                () = std::future::ready(()), if budget == 0 => budget = BUDGET,
            }
            if self.peers_changed && next_show <= Instant::now() {
                self.show_peers();
            }
        }
        Box::pin(self.close()).await;
    }

    fn on_command(&mut self, command: Command) {
        // A reply nobody waits for is no error: the caller gave up.
        match command {
            Command::Relay(command) => self.on_relay_command(command),
            Command::Peers(command) => self.on_peer_command(command),
        }
    }

    fn on_relay_command(&mut self, command: RelayCommand) {
        // The handle of a node that does not relay sends none.
        let Some(gossipsub) = self.swarm.behaviour_mut().gossipsub.as_mut() else {
            return;
        };
        match command {
            RelayCommand::Publish { envelope, reply } => {
                let peers: Vec<PeerId> = self.book.subscribers(envelope.pubsub_topic()).collect();
                let outcome = self.router.publish(gossipsub, &envelope, &peers);
                if outcome.is_ok() {
                    self.published = Some(Instant::now());
                }
                let _ = reply.send(outcome);
            }
            RelayCommand::Subscribe { interest, reply } => {
                let subscription = self.router.subscribe(gossipsub, interest);
                self.tell_shards();
                // An unread reader is dropped here and swept away.
                let _ = reply.send(subscription);
            }
            RelayCommand::Peers { reply } => {
                let peers = self.book.peers().map(|peer| peer.peer_id);
                let _ = reply.send(self.router.peers(gossipsub, peers));
            }
            RelayCommand::ChangeTopics { id, change, reply } => {
                let is_changed = self.router.change_topics(gossipsub, id, change);
                self.tell_shards();
                let _ = reply.send(is_changed);
            }
        }
    }

    pub(super) fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, endpoint, .. } => {
                self.metrics.connections_opened.increment();
                let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
                if direction == Direction::Outbound {
                    self.metrics.dials_succeeded.increment();
                }
                tracing::info!(peer = %peer_id, ?direction, "connection opened");
                self.connection_opened(peer_id, endpoint.get_remote_address().clone(), direction);
            }
            SwarmEvent::ConnectionClosed { peer_id, endpoint, num_established, cause, .. } => {
                let cause = cause.map_or_else(|| "by this node".to_owned(), |cause| innermost(&cause));
                let (address, is_last) = (endpoint.get_remote_address(), num_established == 0);
                tracing::info!(peer = %peer_id, %cause, "connection closed");
                self.connection_closed(peer_id, address, is_last, cause);
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                tracing::debug!(%send_back_addr, error = innermost(&error), "inbound connection failed");
                self.metrics.connections_refused.increment();
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => self.dial_failed(peer_id, &error),
            SwarmEvent::NewListenAddr { address, .. } => {
                self.views.addresses.send_modify(|shown| shown.push(address));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.no_longer_listening(&[address]),
            SwarmEvent::ListenerClosed { listener_id, addresses, .. } => {
                self.no_longer_listening(&addresses);
                self.circuits.lost(listener_id, Instant::now(), &mut UnwrapErr(SysRng));
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener error"),
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossipsub(event) => self.on_gossipsub_event(event),
            BehaviourEvent::Metadata(metadata::behaviour::Event::Known { peer, metadata }) => {
                self.told_metadata(peer, metadata);
            }
            BehaviourEvent::Metadata(metadata::behaviour::Event::Refused { peer, refusal }) => {
                self.metadata_refused(peer, refusal);
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.identified(peer_id, info);
            }
            BehaviourEvent::Ping(ping::Event { peer, connection, result }) => {
                self.on_ping(peer, connection, result);
            }
            BehaviourEvent::Peers(_) => self.peers_changed = true,
            BehaviourEvent::Identify(_) => {}
            BehaviourEvent::Nat(event) => self.on_nat_event(event),
            BehaviourEvent::Limits(never) | BehaviourEvent::Services(never) => match never {},
        }
    }

    fn on_gossipsub_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.book.active(propagation_source, SystemTime::now());
                if let Some((router, gossipsub)) = self.relay() {
                    router.on_message(gossipsub, &message_id, propagation_source, message);
                }
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                self.peer_subscribed(peer_id, topic.as_str(), true);
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                self.peer_subscribed(peer_id, topic.as_str(), false);
            }
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                let dropped = self.router.lost(failed_messages.priority + failed_messages.non_priority);
                tracing::debug!(peer = %peer_id, dropped, "peer too slow");
                self.metrics.relay_send_dropped.add(dropped as u64);
            }
            gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn tell_shards(&mut self) {
        self.views.topics.send_replace(self.router.topics().cloned().collect());
        self.swarm.behaviour_mut().metadata.set_shards(self.router.topics().filter_map(PubsubTopic::shard));
        self.peering.hurry();
    }

    fn no_longer_listening(&self, addresses: &[Multiaddr]) {
        self.views.addresses.send_modify(|shown| shown.retain(|address| !addresses.contains(address)));
    }

    async fn close(mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
        if let Some(published) = self.published {
            let left = async {
                while self.swarm.network_info().num_peers() > 0 {
                    self.swarm.select_next_some().await;
                }
            };
            _ = timeout_at((published + LEAVE_WITHIN).into(), left).await;
        }
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(CLOSE_WITHIN, closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
        self.save_peers().await;
    }
}
