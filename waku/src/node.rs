//! The node's handle.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::filter::{self, FilterEnds, FilterParts};
use crate::metrics::Metrics;
use crate::net::command::Command;
use crate::net::driver::{Driver, Inputs, Views};
use crate::net::flow::Flows;
use crate::net::listen::ListenError;
use crate::net::nat::{Circuits, Reachability};
use crate::net::peering::Peering;
use crate::net::router::Router;
use crate::net::services::{Askers, Inboxes, Services};
use crate::net::tls::TlsError;
use crate::net::transport::{self, TransportError, is_dialable, with_peer_id};
use crate::peers::file::PeerStoreError;
use crate::peers::service::ServiceRecord;
use crate::peers::{AddPeerError, PeerList, peer_id_of};
use crate::relay::pool::{Judge, Pool};
use crate::store::archive::Archive;
use crate::{
    Config, Filter, Lightpush, MetricsSnapshot, Multiaddr, PeerId, Peers, PubsubTopic, Relay, Sharding,
    Store, lightpush, peer_exchange,
};

/// Commands on their way to the driver; whoever sends more waits.
const COMMAND_QUEUE_LEN: usize = 256;

/// A running node. Cheap to clone; it stops when it is told to, or when the last handle is dropped.
///
/// ```
/// use waku::{Config, Delivery, Keypair, Node, Sharding, WakuMessage};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let mut config = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
/// let alice = Node::spawn(config).await?;
///
/// let mut config = Config::new(Keypair::generate(), Sharding::auto(1, 8)?);
/// config.static_peers = alice.listen_addresses();
/// let bob = Node::spawn(config).await?;
///
/// let topic: waku::ContentTopic = "/toychat/2/huilong/proto".parse()?;
/// let pubsub_topic = alice.sharding().pubsub_topic(&topic)?;
/// let mut inbox = alice.relay().subscribe(topic.clone()).await?;
///
/// // Bob may publish as soon as he knows that Alice is subscribed.
/// let knows_alice = |peers: &waku::PeerList| peers.connected.iter().any(|peer| peer.topics.contains(&pubsub_topic));
/// bob.peers().watch().wait_for(knows_alice).await?;
/// let message = WakuMessage::new(&topic, "hello", 1_681_964_442_000_000_000);
/// let receipt = bob.relay().publish(message).await?;
/// assert_eq!(receipt.peers, 1);
///
/// let Some(Delivery::Message(envelope)) = inbox.recv().await else { panic!("nothing came") };
/// assert_eq!(envelope.hash(), receipt.hash);
/// assert_eq!(envelope.message().payload, "hello");
///
/// bob.shutdown().await;
/// alice.shutdown().await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Node {
    shared: Arc<Shared>,
}

/// What all handles of a node share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sharding: Sharding,
    pub(crate) max_rpc_size: usize,
    pub(crate) relays: bool,
    pub(crate) judge: Option<Judge>,
    pub(crate) archive: Option<Arc<dyn Archive>>,
    pub(crate) askers: Askers,
    pub(crate) filter: FilterEnds,
    pub(crate) peers: watch::Receiver<PeerList>,
    pub(crate) services: Mutex<ServiceRecord>,
    /// The pubsub topics the relay is subscribed to.
    pub(crate) topics: watch::Receiver<BTreeSet<PubsubTopic>>,
    peer_id: PeerId,
    addresses: watch::Receiver<Vec<Multiaddr>>,
    reachability: watch::Receiver<Reachability>,
    commands: mpsc::Sender<Command>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    stopped: CancellationToken,
    /// Stops the driver when the last handle is gone.
    _stop_on_drop: DropGuard,
}

impl Shared {
    pub(crate) async fn command(&self, command: impl Into<Command>) -> Result<(), Stopped> {
        self.commands.send(command.into()).await.map_err(|_| Stopped)
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }
}

impl Node {
    /// Starts a node on the current Tokio runtime. When it returns, the listeners are up, and static peers
    /// are being dialled.
    ///
    /// # Errors
    /// When an address cannot be listened on or dialled, or the transports cannot be set up.
    pub async fn spawn(config: Config) -> Result<Self, SpawnError> {
        // Boxed: what is moved about at start would make every caller's future large.
        Box::pin(Self::build(config)).await
    }

    async fn build(config: Config) -> Result<Self, SpawnError> {
        let peer_id = config.keypair.peer_id();
        let is_relay = |address: &&Multiaddr| is_dialable(address) && peer_id_of(address).is_some();
        if let Some(address) = config.nat.circuit_relays.iter().find(|address| !is_relay(address)) {
            return Err(SpawnError::CircuitRelay { address: address.clone() });
        }
        let metrics = Arc::new(Metrics::default());
        let (commands, command_queue) = mpsc::channel(COMMAND_QUEUE_LEN);
        let (peers_view, peers) = watch::channel(PeerList::default());
        let (addresses_view, addresses) = watch::channel(Vec::new());
        let (topics_view, topics) = watch::channel(BTreeSet::new());
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());

        let judge = config.validator.clone().map(Judge::new);
        let (pool, verdicts) = match judge.clone().map(Pool::new) {
            Some((pool, verdicts)) => (Some(pool), verdicts),
            // Closed from the start: no verdicts will come.
            None => (None, mpsc::channel(1).1),
        };
        let flows = Flows::new(Arc::clone(&metrics));
        let mut router = Router::new(&config, flows.clone(), pool, Arc::clone(&metrics));
        let (services, askers, mut inboxes, inlets) = Services::new(&config, &metrics);
        let store = config.store.as_ref().zip(inboxes.store.take());
        let store = store.map(|(store, inbox)| store.start(inbox, &metrics));
        if let Some(store) = &store {
            router.add_tap(store.tap());
        }
        for tap in &config.taps {
            router.add_tap(Arc::clone(tap));
        }
        let parts = FilterParts {
            inlets,
            asker: askers.filter_subscribe.clone(),
            peers: peers.clone(),
            metrics: Arc::clone(&metrics),
        };
        let (filter, upkeep) = filter::start(&config, parts, &mut router);
        let swarm = transport::swarm(&config, services, &metrics, flows)?;
        let (reachability_view, reachability) = watch::channel(Reachability::default());
        let views = Views {
            peers: peers_view,
            addresses: addresses_view,
            reachability: reachability_view,
            topics: topics_view,
        };
        let circuits = Circuits::new(&config.nat.circuit_relays, config.reconnect.clone(), Instant::now());
        let peering = Peering::open(&config).await?;
        let mut driver = Driver::new(swarm, router, circuits, peering, views, Arc::clone(&metrics));
        start(&mut driver, &config).await?;

        let inputs = Inputs { commands: command_queue, verdicts, stop: stop.clone() };
        let has_stopped = stopped.clone().drop_guard();
        tokio::spawn(async move {
            Box::pin(driver.run(inputs)).await;
            if let Some(store) = store {
                store.finish().await;
            }
            drop(has_stopped);
        });
        let shared = Shared {
            sharding: config.sharding,
            max_rpc_size: config.max_rpc_size,
            relays: config.relay,
            judge,
            archive: config.store.map(|store| store.archive),
            askers,
            filter,
            peers,
            services: Mutex::default(),
            topics,
            peer_id,
            addresses,
            reachability,
            commands,
            metrics,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            stopped,
        };
        let node = Self { shared: Arc::new(shared) };
        node.serve(inboxes);
        tokio::spawn(upkeep.run(Arc::downgrade(&node.shared)));
        if config.ask_for_peers {
            tokio::spawn(peer_exchange::seek(Arc::downgrade(&node.shared)));
        }
        Ok(node)
    }

    /// Starts the services whose requests come out of these inboxes.
    fn serve(&self, inboxes: Inboxes) {
        let Inboxes { lightpush, lightpush_v2, store: _, peer_exchange } = inboxes;
        let node = || Arc::downgrade(&self.shared);
        if let Some(inbox) = peer_exchange {
            tokio::spawn(peer_exchange::serve(node(), inbox));
        }
        if let Some(inbox) = lightpush {
            tokio::spawn(lightpush::service::serve(node(), inbox));
        }
        if let Some(inbox) = lightpush_v2 {
            tokio::spawn(lightpush::service::serve_v2(node(), inbox));
        }
    }

    /// Closes the listeners and all connections, and returns when the node has ended. The ports are then
    /// free, the archive has what was relayed and is no longer in use. Subscriptions end after what they have in their queues. Stopping twice is fine.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.stopped.cancelled().await;
    }

    /// Waits until the node has ended, whoever stopped it.
    pub async fn stopped(&self) {
        self.shared.stopped.cancelled().await;
    }

    /// The node's identity.
    pub fn local_peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// The addresses the node listens on now, each with `/p2p/…` at its end: what others may dial.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        with_peer_id(&self.shared.addresses.borrow(), self.shared.peer_id)
    }

    /// The addresses the node listens on, watched: a place at a relay ([`Nat::circuit_relays`](crate::Nat::circuit_relays)) shows here
    /// when it is reserved.
    pub fn watch_listen_addresses(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.shared.addresses.clone()
    }

    /// Whether the node can be reached from outside, watched; unknown without [`Nat::autonat`](crate::Nat::autonat).
    pub fn watch_reachability(&self) -> watch::Receiver<Reachability> {
        self.shared.reachability.clone()
    }

    /// Cluster, shards and the rule for content topics.
    pub fn sharding(&self) -> &Sharding {
        &self.shared.sharding
    }

    /// Publishing and receiving over the relay network.
    pub fn relay(&self) -> Relay {
        Relay { node: Arc::clone(&self.shared) }
    }

    /// Receiving through service nodes.
    pub fn filter(&self) -> Filter {
        Filter { node: Arc::clone(&self.shared) }
    }

    /// Publishing through service nodes.
    pub fn lightpush(&self) -> Lightpush {
        Lightpush::new(Arc::clone(&self.shared))
    }

    /// Past messages.
    pub fn store(&self) -> Store {
        Store { node: Arc::clone(&self.shared) }
    }

    /// The node's peers.
    pub fn peers(&self) -> Peers {
        Peers { node: Arc::clone(&self.shared) }
    }

    /// What the node has counted.
    pub fn metrics(&self) -> MetricsSnapshot {
        self.shared.metrics.snapshot()
    }
}

/// Brings a driver into the state a node begins with.
async fn start(driver: &mut Driver, config: &Config) -> Result<(), SpawnError> {
    // Shards first: the first peer asks for them at once.
    driver.pin(config.sharding.subscribed());
    driver.listen(&config.listen_addresses, &config.tls).await?;
    driver.announce(&config.announced);
    let static_peers = config.static_peers.iter().map(|address| (address, false));
    let service_peers = config.service_peers.iter().map(|address| (address, true));
    for (address, is_service) in static_peers.chain(service_peers) {
        match driver.add_static_peer(address.clone(), is_service) {
            // The nodes of a fleet may share one list.
            Err(AddPeerError::OwnPeerId) => tracing::warn!(%address, "a static peer is this node; left out"),
            added => added?,
        }
    }
    driver.show_peers();
    Ok(())
}

/// A node that could not start.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A static peer cannot be dialled.
    #[error(transparent)]
    StaticPeer(#[from] AddPeerError),
    /// The file of known peers cannot be used.
    #[error(transparent)]
    PeerStore(#[from] PeerStoreError),
    /// The system's DNS configuration cannot be read.
    #[error("the DNS configuration cannot be read: {0}")]
    Dns(io::Error),
    /// The certificates for secure WebSocket cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A relay's address does not say who it is.
    #[error("{address} names no relay to reserve a place at: it must be an address that ends in /p2p/…")]
    CircuitRelay {
        /// The address.
        address: Multiaddr,
    },
    /// Encryption cannot be set up with the identity.
    #[error("encryption cannot be set up: {0}")]
    Noise(String),
}

impl From<TransportError> for SpawnError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Dns(error) => Self::Dns(error),
            TransportError::Noise(error) => Self::Noise(error.to_string()),
            TransportError::Tls(error) => Self::Tls(error),
        }
    }
}

/// The node has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the node has stopped")]
pub struct Stopped;
