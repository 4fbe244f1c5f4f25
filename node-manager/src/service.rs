//! A party at work: its vault, its Waku node and its sessions. The daemon, the commands, the demo and a GUI all run one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, UnwrapErr};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use waku::{Config, Keypair, Multiaddr, Node, Sharding};
use waku_pairing::channel::Channel;
use waku_pairing::endpoint::{ChannelClosed, Driver, Handle, endpoint};
use waku_pairing::hello::Label;
use waku_pairing::identity::{Fingerprint, Identity};
use waku_pairing::party::{self, Letter, Part};
use waku_pairing::store::{PeerStore as _, StoreError};
use waku_tunnel::budget::Budget;
use waku_tunnel::request::Side;

use crate::channel::{History, Mode, NoChannel, OpenError, Opened, WakuChannel};
use crate::tunnels::{self, Journal, JournalError, Requested, Tunnels};
use crate::vault::{Vault, VaultError};

/// Messages of peers' applications that wait to be taken in.
const DATA: usize = 4096;
/// Letters that wait to be read.
const LETTERS: usize = 64;
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
    /// How many messages may be sent, in how long: what a network with rate limit proofs lets a member send. Without
    /// one there is a limit for politeness alone.
    pub message_budget: Option<(u32, Duration)>,
    /// Who answers the requests of paired apps, on the host. Without anybody they are refused.
    pub requested: Option<mpsc::Sender<Requested>>,
}

impl ServiceConfig {
    /// The defaults of a side.
    pub fn new(part: Part, label: Label, data_dir: impl Into<PathBuf>) -> Self {
        let ping_interval = party::Config::DEFAULT_PING_INTERVAL;
        Self { part, label, data_dir: data_dir.into(), ping_interval, message_budget: None, requested: None }
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
    tunnels: Option<Tunnels>,
    /// What peers wrote, until somebody takes it.
    letters: Mutex<Option<mpsc::Receiver<Letter>>>,
    data_dir: PathBuf,
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
    /// The tunnels' driver.
    carrier: Option<JoinHandle<()>>,
}

impl Service {
    /// Opens the vault, starts the node and calls every known peer.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: &ServiceConfig, network: Network) -> Result<Self, StartError> {
        let mut vault = Vault::open(&config.data_dir, config.part)?;
        let pairings = vault.load()?.pairings();
        let journal = match config.part {
            Part::NodeManager => Some(Journal::open(&config.data_dir, &pairings)?),
            Part::App => None,
        };
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
        let (party, mut driver) =
            endpoint(config.party(), identity, channel, vault, Box::new(UnwrapErr(SysRng)))?;
        let (data, _) = driver.data(DATA);
        let letters = (config.part == Part::App).then(|| driver.letters(LETTERS).0);
        let budget =
            config.message_budget.map_or_else(Budget::polite, |(count, time)| Budget::new(count, time));
        let (tunnels, carrier) = tunnels::Driver::new(tunnels::Parts {
            side: if config.part == Part::App { Side::App } else { Side::Manager },
            epoch: UnwrapErr(SysRng).next_u64().max(1),
            party: party.clone(),
            data,
            budget,
            history: history.clone(),
            journal,
            requested: config.requested.clone(),
        });
        let (driver, alive) = let_live(driver);
        let carrier = tokio::spawn(carrier.run());
        Ok(Self {
            part: config.part,
            label: config.label.clone(),
            fingerprint,
            party,
            node: Some(node),
            tunnels: Some(tunnels),
            letters: Mutex::new(letters),
            data_dir: config.data_dir.clone(),
            history: Some(history),
            alive,
            tasks: Mutex::new(Some(Tasks { driver, pump: Some(pump), carrier: Some(carrier) })),
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
            tunnels: None,
            letters: Mutex::new(None),
            data_dir: config.data_dir.clone(),
            history: None,
            alive,
            tasks: Mutex::new(Some(Tasks { driver, pump: None, carrier: None })),
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

    /// Requests to and from everybody paired; `None` offline.
    pub fn tunnels(&self) -> Option<&Tunnels> {
        self.tunnels.as_ref()
    }

    /// What hosts wrote to this app while it was away, and write from now on: to whoever asks first. Each letter comes
    /// until it is acknowledged.
    pub async fn letters(&self) -> Option<mpsc::Receiver<Letter>> {
        self.letters.lock().await.take()
    }

    /// The directory of its vault.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
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
        let Some(Tasks { driver, pump, carrier }) = self.tasks.lock().await.take() else { return };
        if let Some(tunnels) = &self.tunnels {
            tunnels.close().await;
        }
        // A party that has ended already has taken its leave.
        _ = self.party.close().await;
        _ = driver.await;
        if let Some(carrier) = carrier {
            // It ends with the party.
            _ = carrier.await;
        }
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
    /// The journal of requests cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
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
