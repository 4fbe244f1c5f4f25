//! The discovery network: [33/WAKU2-DISCV5](https://rfc.vac.dev/waku/standards/core/33/discv5), that is Node Discovery
//! v5.1 with the protocol id `d5waku`.
//!
//! [`Discovery`] is a node of it. It says where this node is, asks for random places of the network again and again, and
//! hands over the records of Waku nodes that share a shard through [`Found`]. The network itself is the crate `discv5`.
//!
//! # Differences from nwaku
//! - Lookups become rarer when they find nothing new (nwaku: one every 5 seconds, always).
//! - Records others mention are handed over too, not only what a lookup ends with.
//! - Table and bucket limits are 10 and 2 nodes of a /24 network, or none: the library has no other numbers.
//!
//! ```
//! use waku_discovery::discv5::{Config, Discovery, Fields};
//! use waku_discovery::{Capabilities, RelayShards};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let start = |secret, bootstrap| {
//!     let fields = Fields {
//!         ip4: Some([127, 0, 0, 1].into()),
//!         shards: RelayShards::new(16, [32]).ok(),
//!         capabilities: Capabilities::RELAY,
//!         ..Fields::default()
//!     };
//!     let config = Config { fields, bootstrap, ..Config::new([secret; 32], "127.0.0.1:0".parse().unwrap()) };
//!     Discovery::start(config)
//! };
//! let (first, _) = start(1, vec![]).await?;
//! let (second, mut found) = start(2, vec![first.local_record().record.to_string()]).await?;
//!
//! assert_eq!(found.recv().await, Some(first.local_record().record));
//! second.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod counters;
mod driver;
mod fields;
mod search;
mod socket;
mod tasks;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::discv5::{ConfigBuilder, Discv5, ProtocolIdentity};
use ::enr::CombinedKey;
use k256::ecdsa::SigningKey;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;
use waku_proto::Bytes;
use zeroize::Zeroizing;

use self::driver::Driver;
use self::search::{Interest, Pace, Sighting, Told};
use self::tasks::Tasks;
use crate::Record;

pub use self::counters::Counters;
pub use self::fields::{Fields, FieldsError};

/// 33/WAKU2-DISCV5's protocol id, in place of `discv5`.
pub const PROTOCOL_ID: [u8; 6] = *b"d5waku";
/// UDP port when nothing else is said (as in nwaku).
pub const DEFAULT_PORT: u16 = 9000;

/// Version of the protocol: 5.1.
const PROTOCOL_VERSION: [u8; 2] = [0, 1];
/// Lookups asked for that wait their turn.
const MAX_REQUESTS: usize = 16;

/// How a node of the discovery network is set up.
#[derive(Clone)]
pub struct Config {
    /// The node's secp256k1 key, which is its identity too. Wiped when dropped.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where to listen over UDP. Port 0: a free one.
    pub listen: SocketAddr,
    /// Records (`enr:…`) of nodes to begin with. One that is of no use is passed over with a warning.
    pub bootstrap: Vec<String>,
    /// What the node says of itself. `shards` are those that are looked for.
    pub fields: Fields,
    /// Sequence number of the first record: greater than in all before. `None`: Unix time in milliseconds.
    pub seq: Option<u64>,
    /// Whether the address in the record becomes what ten others see of the node.
    pub enr_auto_update: bool,
    /// Whether at most 10 nodes of a /24 network are in the routing table, and 2 in a bucket of it.
    pub limit_ips: bool,
    /// From one lookup to the next while few nodes are known or new ones are found.
    pub interval: Duration,
    /// The longest pause between lookups.
    pub max_interval: Duration,
    /// A node whose record did not change is handed over again after this time.
    pub again_after: Duration,
    /// Nodes remembered as handed over.
    pub max_remembered: usize,
    /// Records that wait to be read from [`Found`]. More are dropped and counted.
    pub queue: usize,
    /// Six bytes that tell this network from others: [`PROTOCOL_ID`].
    pub protocol_id: [u8; 6],
}

impl Config {
    /// A node with this key at this address, and with nwaku's defaults: lookups every 5 seconds (here up to 60), no
    /// changes of address by what others see, limits by IP address. Handed over again after 10 minutes.
    pub fn new(secret: [u8; 32], listen: SocketAddr) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            listen,
            bootstrap: Vec::new(),
            fields: Fields::default(),
            seq: None,
            enr_auto_update: false,
            limit_ips: true,
            interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(60),
            again_after: Duration::from_secs(600),
            max_remembered: 4096,
            queue: 256,
            protocol_id: PROTOCOL_ID,
        }
    }
}

/// Without the key.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("bootstrap", &self.bootstrap)
            .field("fields", &self.fields)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

/// The node's own record, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRecord {
    /// The record.
    pub record: Record,
    /// The [`Fields::multiaddrs`] that did not fit.
    pub left_out: Vec<Bytes>,
}

/// The records that were found.
#[derive(Debug)]
pub struct Found(mpsc::Receiver<Record>);

impl Found {
    /// The next one. `None` when the node has ended.
    pub async fn recv(&mut self) -> Option<Record> {
        self.0.recv().await
    }
}

/// A running node of the discovery network. It ends when this is dropped or [`Discovery::shutdown`] is called.
pub struct Discovery {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    requests: mpsc::Sender<oneshot::Sender<usize>>,
    ended: CancellationToken,
    _stop: DropGuard,
}

/// What handle and driver have in common.
struct Shared {
    /// `None` when the node has ended.
    discv5: Mutex<Option<Discv5>>,
    key: SigningKey,
    /// What was last asked to be in the record.
    fields: Mutex<Fields>,
    local: watch::Sender<LocalRecord>,
    interest: Mutex<Arc<Interest>>,
    bootstrap: Mutex<Vec<::discv5::Enr>>,
    counters: Mutex<Counters>,
    /// The record changed: those who know us should hear of it.
    changed: Notify,
    stop: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Discovery {
    /// Starts a node in the current tokio runtime. It looks around at once.
    ///
    /// # Errors
    /// When the key is none, the record would be too long, or the port cannot be had.
    pub async fn start(config: Config) -> Result<(Self, Found), StartError> {
        let Config { secret, listen, bootstrap, fields, .. } = &config;
        let key = SigningKey::from_slice(secret.as_slice()).map_err(|_| StartError::Key)?;
        let socket = socket::bind(*listen).map_err(|error| StartError::of_bind(*listen, error))?;
        let local_addr = socket.local_addr().map_err(|error| StartError::of_bind(*listen, error))?;

        let seq = config.seq.unwrap_or_else(unix_milliseconds);
        let fields = fields.clone().with_port(local_addr);
        let (enr, local) = sign(&fields, seq, &key)?;
        let (tasks, all_ended) = Tasks::new();
        let library = library_config(&config, socket::listen_config(socket), tasks);
        let mut discv5 = Discv5::new(enr, CombinedKey::from(key.clone()), library)
            .map_err(|reason| StartError::Library { reason: reason.to_owned() })?;
        let failed = |error: ::discv5::Error| StartError::Library { reason: error.to_string() };
        discv5.start().await.map_err(failed)?;
        let events = discv5.event_stream().await.map_err(failed)?;

        let interest = Interest { shards: fields.shards.clone(), ..Interest::default() };
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            discv5: Mutex::new(Some(discv5)),
            key,
            fields: Mutex::new(fields),
            local: watch::Sender::new(local),
            interest: Mutex::new(Arc::new(interest)),
            bootstrap: Mutex::default(),
            counters: Mutex::default(),
            changed: Notify::new(),
            stop: stop.clone(),
        });
        bootstrap.iter().for_each(|text| shared.add_bootstrap_text(text));
        let (requests, incoming) = mpsc::channel(MAX_REQUESTS);
        let (found, records) = mpsc::channel(config.queue.max(1));
        let ended = CancellationToken::new();
        let driver = Driver {
            shared: shared.clone(),
            events,
            requests: incoming,
            found,
            told: Told::new(config.again_after, config.max_remembered.max(1)),
            pace: Pace::new(config.interval, config.max_interval),
        };
        tokio::spawn(driver.run(all_ended, ended.clone().drop_guard()));
        Ok((Self { shared, local_addr, requests, ended, _stop: stop.drop_guard() }, Found(records)))
    }

    /// Where the node listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The node's record as it is now.
    pub fn local_record(&self) -> LocalRecord {
        self.shared.local.borrow().clone()
    }

    /// The node's record, watched.
    pub fn watch_record(&self) -> watch::Receiver<LocalRecord> {
        self.shared.local.subscribe()
    }

    /// Says other things of the node from now on, and looks for nodes on the shards in them. Nodes that know this one
    /// are told. When nothing is new the record stays as it is. Where
    /// [`enr_auto_update`](Config::enr_auto_update) found another address, it stays until another one is given here.
    ///
    /// # Errors
    /// When the record would be too long, then nothing changes, or when the node has ended.
    pub fn update(&self, fields: Fields) -> Result<LocalRecord, UpdateError> {
        self.shared.update(fields.with_port(self.local_addr))
    }

    /// One more node to begin with, for example from a list in DNS.
    ///
    /// # Errors
    /// When it cannot be reached from here: it has no UDP port, or none of this version of IP.
    pub fn add_bootstrap(&self, record: &Record) -> Result<(), BootstrapError> {
        self.shared.add_bootstrap(record)
    }

    /// Looks around now, and says how many records this lookup gave to [`Found`].
    ///
    /// # Errors
    /// When the node has ended.
    pub async fn lookup_now(&self) -> Result<usize, Ended> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(reply).await.map_err(|_| Ended)?;
        answer.await.map_err(|_| Ended)
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        let mut counters = lock(&self.shared.counters).clone();
        if let Some(discv5) = &*lock(&self.shared.discv5) {
            let table = discv5.table_entries();
            counters.table = table.len();
            counters.connected = table.iter().filter(|(_, _, status)| status.is_connected()).count();
        }
        let library = Discv5::metrics();
        counters.sessions = library.active_sessions;
        counters.bytes_sent = library.bytes_sent;
        counters.bytes_received = library.bytes_recv;
        counters
    }

    /// Ends the node. When this returns the port is free. Ending it twice is fine.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.ended.cancelled().await;
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery")
            .field("local_addr", &self.local_addr)
            .field("record", &*self.shared.local.borrow())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn update(&self, fields: Fields) -> Result<LocalRecord, UpdateError> {
        let discv5 = lock(&self.discv5);
        let external = discv5.as_ref().ok_or(UpdateError::Ended)?.external_enr();
        // Held to the end: the library changes the record too.
        let mut enr = external.write();
        let mut said = lock(&self.fields);
        let effective = keep_seen_address(&said, &fields, &enr);
        let (same_seq, same) = sign(&effective, enr.seq(), &self.key)?;
        if !enr.compare_content(&same_seq) {
            let seq = enr.seq().checked_add(1).ok_or(UpdateError::Seq)?;
            let (newer, local) = sign(&effective, seq, &self.key)?;
            *enr = newer;
            self.local.send_replace(local);
            self.changed.notify_one();
        } else if self.local.borrow().left_out != same.left_out {
            self.local.send_modify(|local| local.left_out = same.left_out);
        }
        let mut interest = lock(&self.interest);
        *interest =
            Arc::new(Interest { shards: fields.shards.clone(), bootstrap: interest.bootstrap.clone() });
        *said = fields;
        Ok(self.local.borrow().clone())
    }

    /// Takes over a record that the library changed.
    fn record_changed(&self) {
        let Some(enr) = lock(&self.discv5).as_ref().map(Discv5::local_enr) else { return };
        match Record::decode(&alloy_rlp::encode(&enr)) {
            Ok(record) => self.local.send_modify(|local| local.record = record),
            Err(error) => warn!(%error, "the node's own record cannot be read"),
        }
    }

    fn add_bootstrap_text(&self, text: &str) {
        let added = text.parse().map_err(|error| format!("{error}"));
        let added = added.and_then(|record| self.add_bootstrap(&record).map_err(|error| error.to_string()));
        if let Err(error) = added {
            lock(&self.counters).bootstrap_invalid += 1;
            warn!(record = text, error, "a bootstrap node is passed over");
        }
    }

    fn add_bootstrap(&self, record: &Record) -> Result<(), BootstrapError> {
        let enr = library_enr(record).ok_or(BootstrapError::NotReachable)?;
        let node_id = enr.node_id().raw();
        let discv5 = lock(&self.discv5);
        let discv5 = discv5.as_ref().ok_or(BootstrapError::Ended)?;
        if discv5.local_enr().node_id().raw() == node_id {
            return Err(BootstrapError::Oneself);
        }
        if discv5.ip_mode().get_contactable_addr(&enr).is_none() {
            return Err(BootstrapError::NotReachable);
        }
        let mut interest = lock(&self.interest);
        let mut bootstrap = interest.bootstrap.clone();
        bootstrap.insert(node_id);
        *interest = Arc::new(Interest { shards: interest.shards.clone(), bootstrap });
        // A full bucket is no harm: it has others to ask.
        let _ = discv5.add_enr(enr.clone());
        lock(&self.bootstrap).push(enr);
        Ok(())
    }

    fn interest(&self) -> Arc<Interest> {
        lock(&self.interest).clone()
    }
}

/// The fields with the address others see in place of the one said before, unless another one is to be said now.
fn keep_seen_address(before: &Fields, now: &Fields, enr: &::discv5::Enr) -> Fields {
    let mut fields = now.clone();
    let seen4 = (enr.ip4(), enr.udp4());
    if (before.ip4, before.udp4) == (now.ip4, now.udp4) && seen4 != (before.ip4, before.udp4) {
        (fields.ip4, fields.udp4) = seen4;
    }
    let seen6 = (enr.ip6(), enr.udp6());
    if (before.ip6, before.udp6) == (now.ip6, now.udp6) && seen6 != (before.ip6, before.udp6) {
        (fields.ip6, fields.udp6) = seen6;
    }
    fields
}

fn sign(fields: &Fields, seq: u64, key: &SigningKey) -> Result<(::discv5::Enr, LocalRecord), FieldsError> {
    let (enr, left_out) = fields.sign(seq, key)?;
    let record = Record::from(enr);
    let enr = library_enr(&record).ok_or(FieldsError::NotSigned)?;
    Ok((enr, LocalRecord { record, left_out }))
}

/// The same record in the library's type.
fn library_enr(record: &Record) -> Option<::discv5::Enr> {
    alloy_rlp::Decodable::decode(&mut record.encode().as_ref()).ok()
}

fn library_config(config: &Config, listen: ::discv5::ListenConfig, tasks: Tasks) -> ::discv5::Config {
    let mut builder = ConfigBuilder::new(listen);
    builder
        .protocol_identity(ProtocolIdentity {
            protocol_id: config.protocol_id,
            protocol_version: PROTOCOL_VERSION,
        })
        .executor(Box::new(tasks))
        // An address that was given or seen is not taken back: nobody calling for five minutes is no proof.
        .auto_nat_listen_duration(None);
    if !config.enr_auto_update {
        builder.disable_enr_update();
    }
    if config.limit_ips {
        builder.ip_limit();
    }
    builder.build()
}

fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Why a node of the discovery network does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The secret is no key of secp256k1.
    #[error("the secret is no key of secp256k1")]
    Key,
    /// The record cannot be made.
    #[error("the node's record cannot be made: {0}")]
    Fields(#[from] FieldsError),
    /// Somebody else has the port.
    #[error("UDP port {} is in use: stop what uses it, or choose another one", .address.port())]
    PortTaken {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address} over UDP: {source}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The library below refuses.
    #[error("node discovery does not start: {reason}")]
    Library {
        /// What it says.
        reason: String,
    },
}

impl StartError {
    fn of_bind(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::PortTaken { address },
            _ => Self::Bind { address, source },
        }
    }
}

/// Why the record is not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UpdateError {
    /// The record cannot be made.
    #[error("the node's record cannot be made: {0}")]
    Fields(#[from] FieldsError),
    /// No sequence number is left.
    #[error("the record has the last sequence number there is")]
    Seq,
    /// The node has ended.
    #[error("node discovery has ended")]
    Ended,
}

/// Why a node is none to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BootstrapError {
    /// It names no UDP port of our version of IP.
    #[error("its record has no UDP address that can be reached from here")]
    NotReachable,
    /// It is this node.
    #[error("it is this node itself")]
    Oneself,
    /// The node has ended.
    #[error("node discovery has ended")]
    Ended,
}

/// The node has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("node discovery has ended")]
pub struct Ended;

#[cfg(test)]
mod tests;
