//! The command line, with nwaku's names.

mod services;
mod transports;

use std::net::IpAddr;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory as _, Parser, ValueEnum};
use data_encoding::HEXLOWER_PERMISSIVE;
use tracing_subscriber::filter::LevelFilter;
use waku::proto::shard::ShardError;
use waku::{Config, Keypair, Multiaddr, Sharding};

pub(crate) use self::services::Services;
use self::transports::Transports;

/// Runs a Waku node, a relay that may serve light clients, until SIGINT or SIGTERM.
///
/// Prints the addresses it listens on, one a line, on standard output: give one to another node's
/// --staticnode and the two relay for each other, provided that they have the same cluster and a shard in
/// common. Logs go to standard error.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        A relay of The Waku Network's shards:\n    \
        waku-node --cluster-id=1 --num-shards-in-network=8\n  \
        Two relays on one machine, on shard 0 of cluster 99:\n    \
        waku-node --cluster-id=99 --shard=0 --tcp-port=60000\n    \
        waku-node --cluster-id=99 --shard=0 --tcp-port=60001 --staticnode=/ip4/127.0.0.1/tcp/60000\n  \
        A service node for light clients:\n    \
        waku-node --cluster-id=99 --num-shards-in-network=8 --filter --lightpush --store --peer-exchange\n\n\
        Exit status: 0 after a signal, 1 when the node cannot start, 2 for a wrong command line."
)]
pub(crate) struct Args {
    /// IP address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0")]
    listen_address: IpAddr,
    /// TCP port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 60000)]
    tcp_port: u16,
    #[command(flatten)]
    transports: Transports,
    /// The node's secret key, 64 hexadecimal digits; a new one at every start if not given. Other users of
    /// the machine can read command lines: prefer the environment
    #[arg(long, value_name = "HEX", env = "WAKU_NODEKEY", hide_env_values = true)]
    nodekey: Option<String>,
    /// Cluster: only nodes of one cluster stay connected
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    cluster_id: u16,
    /// Shard to relay; may be given several times. With autosharding all shards if not given
    #[arg(long = "shard", value_name = "NUMBER")]
    shards: Vec<u16>,
    /// Number of shards of an autosharded network; 0 means static sharding, and then --shard says what is
    /// relayed
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    num_shards_in_network: u16,
    /// Relay messages. Without it the node serves others from what it is sent
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    relay: bool,
    #[command(flatten)]
    pub(crate) services: Services,
    /// Peer to stay connected to, as a multiaddress; may be given several times
    #[arg(long = "staticnode", value_name = "MULTIADDR")]
    static_nodes: Vec<Multiaddr>,
    /// Most connections; static nodes given with their peer id are connected beyond it
    #[arg(long, value_name = "NUMBER", default_value_t = 150)]
    max_connections: u32,
    /// Least severe log lines to write; of the libraries' lines only warnings and errors
    #[arg(long, value_name = "LEVEL", default_value = "info", ignore_case = true)]
    pub(crate) log_level: LogLevel,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", default_value = "text", ignore_case = true)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl Args {
    /// What the node is told, or why the options are wrong.
    pub(crate) fn config(&self) -> Result<Config, clap::Error> {
        let wrong = |reason: String| Self::command().error(ErrorKind::ValueValidation, reason);
        if !self.relay && self.services.need_relay() {
            return Err(wrong("--filter and --lightpush need --relay=true".to_owned()));
        }
        let keypair = match self.nodekey.as_deref().map(nodekey) {
            // The value itself is a secret and is not repeated.
            Some(keypair) => keypair.ok_or_else(|| {
                wrong("--nodekey or WAKU_NODEKEY is not a secret key of 64 hexadecimal digits".to_owned())
            })?,
            None => Keypair::generate(),
        };
        let sharding = self.sharding().map_err(|error| wrong(error.to_string()))?;
        let mut config = Config::new(keypair, sharding);
        config.relay = self.relay;
        config.tls = self.transports.tls().map_err(|error| wrong(format!("{error:#}")))?;
        config.listen_addresses = self.transports.listen_addresses(self.listen_address, self.tcp_port);
        config.static_peers.clone_from(&self.static_nodes);
        config.limits.total = self.max_connections;
        self.services.apply(&mut config);
        Ok(config)
    }

    fn sharding(&self) -> Result<Sharding, ShardError> {
        let shards = self.shards.iter().copied();
        match (self.num_shards_in_network, self.shards.is_empty()) {
            (0, _) => Sharding::fixed(self.cluster_id, shards),
            (count, true) => Sharding::auto(self.cluster_id, count),
            (count, false) => Sharding::auto(self.cluster_id, count)?.subscribed_to(shards),
        }
    }
}

fn nodekey(text: &str) -> Option<Keypair> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let secret = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    Keypair::from_secret(secret.try_into().ok()?).ok()
}
