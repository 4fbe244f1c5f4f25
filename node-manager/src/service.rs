//! A party at work: its vault, its Waku node and its sessions. The daemon, the commands, the demo and a GUI all run one.

use std::path::PathBuf;
use std::time::Duration;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use waku::{Config, Keypair, Multiaddr, Node, Sharding};
use waku_pairing::channel::Channel;
use waku_pairing::endpoint::{ChannelClosed, Driver, Handle, endpoint};
use waku_pairing::hello::Label;
use waku_pairing::identity::{Fingerprint, Identity};
use waku_pairing::party::{self, Part};
use waku_pairing::store::StoreError;

use crate::channel::{History, Mode, NoChannel, OpenError, Opened, WakuChannel};
use crate::vault::{Vault, VaultError};

/// How long a service that stops waits for its last words to be published.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How a service is to be run.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Which side of the protocol it is.
    pub part: Part,
    /// What it calls itself.
    pub label: Label,
    /// Where its vault is.
    pub data_dir: PathBuf,
    /// How long a session may be silent before the other side is pinged.
    pub ping_interval: Duration,
}

impl ServiceConfig {
    /// The defaults of a side.
    pub fn new(part: Part, label: Label, data_dir: impl Into<PathBuf>) -> Self {
        let ping_interval = party::Config::DEFAULT_PING_INTERVAL;
        Self { part, label, data_dir: data_dir.into(), ping_interval }
    }

    fn party(&self) -> party::Config {
        party::Config { part: self.part, label: self.label.clone(), ping_interval: self.ping_interval }
    }
}

/// The way into the Waku network.
#[derive(Debug, Clone)]
pub struct Network {
    /// Cluster, shards and the rule from content topics to shards. Both sides of a pairing need the same.
    pub sharding: Sharding,
    /// Whether it relays. The two sides of a pairing need not do the same.
    pub mode: Mode,
    /// Nodes to stay connected to. A light client needs one at least that serves filter and lightpush.
    pub static_nodes: Vec<Multiaddr>,
    /// Addresses to accept connections on. None are needed.
    pub listen_addresses: Vec<Multiaddr>,
    /// The key of the Waku node; by default one derived from the vault's seed, unrelated to the party's identity.
    pub keypair: Option<Keypair>,
}

/// A party at work.
pub struct Service {
    part: Part,
    label: Label,
    fingerprint: Fingerprint,
    party: Handle,
    node: Option<Node>,
    history: Option<History>,
    /// Closed when the party has ended.
    alive: watch::Receiver<()>,
    /// `None` once it has been stopped.
    tasks: Mutex<Option<Tasks>>,
}

type DriverTask = JoinHandle<Result<(), ChannelClosed>>;

struct Tasks {
    driver: DriverTask,
    pump: Option<JoinHandle<()>>,
}

impl Service {
    /// Opens the vault, starts the node and calls every known peer.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: &ServiceConfig, network: Network) -> Result<Self, StartError> {
        let vault = Vault::open(&config.data_dir, config.part)?;
        let Network { sharding, mode, static_nodes, listen_addresses, keypair } = network;
        let keypair = match keypair {
            Some(keypair) => keypair,
            None => {
                Keypair::from_secret(*vault.seed().libp2p_secret()).expect("the seed derives only valid keys")
            }
        };
        let mut node = Config::new(keypair, sharding);
        node.relay = mode == Mode::Relay;
        node.static_peers = static_nodes;
        node.listen_addresses = listen_addresses;
        let node = Node::spawn(node).await?;
        let Opened { channel, history, task: pump } =
            WakuChannel::open(&node, mode, vault.last_heard()).await?;
        let identity = Identity::from_seed(vault.seed());
        let fingerprint = identity.key().fingerprint();
        let (party, driver) =
            endpoint(config.party(), identity, channel, vault, Box::new(UnwrapErr(SysRng)))?;
        let (driver, alive) = let_live(driver);
        Ok(Self {
            part: config.part,
            label: config.label.clone(),
            fingerprint,
            party,
            node: Some(node),
            history: Some(history),
            alive,
            tasks: Mutex::new(Some(Tasks { driver, pump: Some(pump) })),
        })
    }

    /// Opens the vault without a network, to look at what is kept and to change it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_offline(config: &ServiceConfig) -> Result<Self, StartError> {
        let vault = Vault::open(&config.data_dir, config.part)?;
        let identity = Identity::from_seed(vault.seed());
        let fingerprint = identity.key().fingerprint();
        let rng = Box::new(UnwrapErr(SysRng));
        let (party, driver) = endpoint(config.party(), identity, NoChannel::new(), vault, rng)?;
        let (driver, alive) = let_live(driver);
        Ok(Self {
            part: config.part,
            label: config.label.clone(),
            fingerprint,
            party,
            node: None,
            history: None,
            alive,
            tasks: Mutex::new(Some(Tasks { driver, pump: None })),
        })
    }

    /// The party, to give commands to and hear events from.
    pub fn party(&self) -> &Handle {
        &self.party
    }

    /// The Waku node; `None` offline.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// What stores have kept of what the two sides say; `None` offline.
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// Its side of the protocol.
    pub fn part(&self) -> Part {
        self.part
    }

    /// What it calls itself.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Its identity.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Waits until the party has ended: it was stopped, the node is gone for good, or a bug of ours ended it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut alive = self.alive.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Takes leave of the peers and stops. The vault is closed when this returns. Stopping twice is fine.
    pub async fn stop(&self) {
        let Some(Tasks { driver, pump }) = self.tasks.lock().await.take() else { return };
        // A party that has ended already has taken its leave.
        _ = self.party.close().await;
        _ = driver.await;
        if let Some(pump) = pump {
            // The pump ends when everything the party said last is published.
            _ = timeout(LAST_WORDS, pump).await;
        }
        if let Some(node) = &self.node {
            node.shutdown().await;
        }
    }
}

/// Runs a driver; the watch is closed when it has ended, be it by a panic.
fn let_live<C: Channel + Send + 'static>(driver: Driver<C, Vault>) -> (DriverTask, watch::Receiver<()>) {
    let (living, alive) = watch::channel(());
    let task = tokio::spawn(async move {
        let _living = living;
        driver.run().await
    });
    (task, alive)
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vault's content cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Waku node does not start.
    #[error(transparent)]
    Node(#[from] waku::SpawnError),
    /// The Waku node stopped at once.
    #[error(transparent)]
    Subscribe(#[from] waku::SubscribeError),
    /// The Waku node of a light client stopped at once.
    #[error(transparent)]
    Filter(#[from] waku::FilterSubscribeError),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Relay(error) => error.into(),
            OpenError::Light(error) => error.into(),
        }
    }
}
