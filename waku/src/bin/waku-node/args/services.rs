//! What the node serves.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use waku::store::archive::{Archive, MemoryArchive, RedbArchive, RetentionPolicy};
use waku::{Config, FilterConfig, LightpushConfig, Multiaddr, PeerExchangeConfig, StoreConfig};

/// What an archive in memory keeps at most: messages, and bytes of them.
const MEMORY: (u64, u64) = (25_000, 256 << 20);

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "nwaku has a flag for each service")]
pub(crate) struct Services {
    /// Push messages to light clients (12/WAKU2-FILTER)
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    filter: bool,
    /// Seconds a filter subscription lives without a sign of its subscriber
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    filter_subscription_timeout: u16,
    /// Most filter subscribers. Each is a connection: see --max-connections
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    filter_max_peers_to_serve: u32,
    /// Most pairs of pubsub topic and content topic of one filter subscriber
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    filter_max_criteria: u32,
    /// Publish for light clients (LIGHTPUSH, versions 3 and 2). The node must relay
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    lightpush: bool,
    /// Keep messages and answer queries for them (13/WAKU2-STORE, version 3)
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    store: bool,
    // The text is for people at a terminal.
    #[arg(
        long,
        value_name = "URL",
        default_value = "redb://store.redb",
        help = "Where messages are kept: redb://FILE, or memory:// for as long as the node runs"
    )]
    store_message_db_url: StoreUrl,
    /// Which messages are kept, the newest first: time:SECONDS, capacity:NUMBER, size:NUMBER(MB|GB), or several
    /// of them with ; between
    #[arg(long, value_name = "POLICY", default_value = "time:172800")]
    store_message_retention_policy: RetentionPolicy,
    /// Tell peers about other peers (34/WAKU2-PEER-EXCHANGE)
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    peer_exchange: bool,
    /// Peer to ask for others while there are too few, as a multiaddress
    #[arg(long, value_name = "MULTIADDR")]
    peer_exchange_node: Option<Multiaddr>,
    /// File to keep known peers in from run to run; without it they are forgotten
    #[arg(long, value_name = "FILE")]
    peer_store: Option<PathBuf>,
}

impl Services {
    /// True when the node is to do for others what it can only do as a relay.
    pub(crate) fn need_relay(&self) -> bool {
        self.filter || self.lightpush
    }

    /// Tells the node, all but the archive.
    pub(crate) fn apply(&self, config: &mut Config) {
        config.filter = self.filter.then(|| FilterConfig {
            subscription_timeout: Duration::from_secs(self.filter_subscription_timeout.into()),
            max_subscribers: self.filter_max_peers_to_serve.try_into().unwrap_or(usize::MAX),
            max_criteria: self.filter_max_criteria.try_into().unwrap_or(usize::MAX),
            ..FilterConfig::default()
        });
        config.lightpush = self.lightpush.then(LightpushConfig::default);
        config.peer_exchange = self.peer_exchange.then(PeerExchangeConfig::default);
        config.ask_for_peers = self.peer_exchange_node.is_some();
        config.service_peers.extend(self.peer_exchange_node.clone());
        config.peer_store.clone_from(&self.peer_store);
    }

    /// Opens the archive, if messages are to be kept.
    pub(crate) fn open_archive(&self) -> anyhow::Result<Option<StoreConfig>> {
        if !self.store {
            return Ok(None);
        }
        let mut store = StoreConfig::new(self.store_message_db_url.open()?);
        store.writer.retention = self.store_message_retention_policy;
        Ok(Some(store))
    }
}

/// Where messages are kept.
#[derive(Debug, Clone)]
enum StoreUrl {
    Memory,
    Redb(PathBuf),
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("redb", path)) if !path.is_empty() => Ok(Self::Redb(path.into())),
            _ => Err("it must be redb://FILE or memory://".to_owned()),
        }
    }
}

impl StoreUrl {
    fn open(&self) -> anyhow::Result<Arc<dyn Archive>> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryArchive::new(MEMORY.0, MEMORY.1))),
            Self::Redb(path) => {
                let archive = RedbArchive::open(path.clone());
                Ok(Arc::new(archive.with_context(|| format!("cannot open the archive {}", path.display()))?))
            }
        }
    }
}
