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
//! use waku_discovery::discv5::{Config, Discovery};
//! use waku_discovery::{Capabilities, Fields, RelayShards};
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

mod config;
mod counters;
mod driver;
mod error;
mod search;
mod shared;
mod socket;
mod tasks;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ::discv5::Discv5;
use ::enr::CombinedKey;
use k256::ecdsa::SigningKey;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use waku_proto::Bytes;

use self::driver::Driver;
use self::search::{Interest, Pace, Told};
use self::shared::{Shared, lock, sign};
use self::tasks::Tasks;
use crate::{Fields, Record};

pub use self::config::{Config, DEFAULT_PORT, PROTOCOL_ID};
pub use self::counters::Counters;
pub use self::error::{BootstrapError, Ended, StartError, UpdateError};

/// Lookups asked for that wait their turn.
const MAX_REQUESTS: usize = 16;

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
        let library = config.library(socket::listen_config(socket), tasks);
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
        for text in bootstrap {
            shared.add_bootstrap_text(text);
        }
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

fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
