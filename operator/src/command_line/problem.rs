//! Why options do not go together, or ask for what this node cannot do.

use thiserror::Error;

use super::preset::NAMES;

/// Why options do not go together, or ask for what this node cannot do. The words are nwaku's where it has any.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Something is switched on that this node does not have.
    #[error("{what} is not built into this node")]
    NotBuilt {
        /// The flag, or a flag with its value.
        what: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// No known network has this name.
    #[error("Error determining cluster from preset: Invalid --preset value passed: {0}")]
    Preset(String),
    /// A shard that an autosharded network does not have.
    #[error("validateShards invalid shard: {shard} when numShardsInCluster: {count}")]
    Shard {
        /// The shard.
        shard: u16,
        /// How many there are.
        count: u16,
    },
    /// Content topics say nothing about shards with static sharding.
    #[error("Static sharding used, cannot get shards from content topics")]
    ContentTopic,
    /// Lightpush publishes through relay.
    #[error("cannot mount lightpush because relay is not mounted")]
    LightpushWithoutRelay,
    /// Secure WebSocket without its key.
    #[error("WebSocketSecure enabled but key path is not specified")]
    NoKeyPath,
    /// Secure WebSocket without its certificate.
    #[error("WebSocketSecure enabled but cert path is not specified")]
    NoCertificatePath,
    /// A store without an archive.
    #[error("store.dbUrl is not specified")]
    NoDatabase,
    /// An archive of which the form is not known. It may hold a password and is not repeated.
    #[error("invalid 'db url' option format")]
    DatabaseUrl,
    /// Neither a known way to learn the address nor the address.
    #[error("not a valid NAT mechanism: {0}")]
    Nat(String),
    /// `extip:` without an address.
    #[error("not a valid IP address: {0}")]
    NatAddress(String),
    /// A node that may have no connection.
    #[error("max-connections must be at least 1")]
    NoConnections,
    /// Not two numbers.
    #[error("expected format 'X:Y', ratio = {0}")]
    Ratio(String),
    /// Two numbers that do not make 100.
    #[error("total ratio should be 100, total = {0}")]
    RatioTotal(u16),
    /// Not a number with a unit.
    #[error("invalid max-msg-size: {0}")]
    MessageSize(String),
    /// Not a rate.
    #[error("Invalid rate-limit setting: {0}")]
    RateLimit(String),
    /// Nothing that leads into the network.
    #[error("Entry node error: {0}")]
    EntryNode(&'static str),
    /// Not a key of a mix node. It is a secret and is not repeated.
    #[error("Invalid mixkey")]
    MixKey,
    /// A port that is beyond 65535 when it is shifted.
    #[error("{flag}={port} with ports-shift={shift} is beyond 65535")]
    PortsShift {
        /// The port's flag.
        flag: &'static str,
        /// The port before it is shifted.
        port: u16,
        /// By how much.
        shift: u16,
    },
}

impl Problem {
    /// What would be right, where the problem itself does not say it.
    pub(super) fn hint(&self) -> Option<String> {
        let fixed = |text: &str| Some(text.to_owned());
        match self {
            Self::NotBuilt { advice, .. } => Some(format!("What to do: {advice}.")),
            Self::Preset(_) => Some(format!("Known are {}.", NAMES.join(", "))),
            Self::Shard { count, .. } => Some(format!(
                "--num-shards-in-network={count} has the shards 0 to {}.",
                count.saturating_sub(1)
            )),
            Self::ContentTopic => fixed("--content-topic needs --num-shards-in-network above 0."),
            Self::LightpushWithoutRelay => fixed("Give --relay=true, or --lightpush=false."),
            Self::NoKeyPath => fixed("Give --websocket-secure-key-path=FILE."),
            Self::NoCertificatePath => fixed("Give --websocket-secure-cert-path=FILE."),
            Self::NoDatabase | Self::DatabaseUrl => {
                fixed("--store-message-db-url is redb://FILE, sqlite://FILE or memory://.")
            }
            Self::Nat(_) | Self::NatAddress(_) => fixed("--nat is any, none or extip:IP."),
            Self::Ratio(_) | Self::RatioTotal(_) => fixed("For example --relay-service-ratio=60:40."),
            Self::MessageSize(_) => fixed("For example --max-msg-size=150KiB: a number with KiB, KB or B."),
            Self::RateLimit(_) => fixed(
                "For example --rate-limit=filter:100/1s; services are store, storev3, \
                                         lightpush, px and filter, units h, m, s and ms.",
            ),
            Self::MixKey => fixed("It is 64 hexadecimal digits without 0x."),
            Self::NoConnections | Self::EntryNode(_) | Self::PortsShift { .. } => None,
        }
    }
}
