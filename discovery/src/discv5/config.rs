//! How a node of the discovery network is set up.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use ::discv5::{ConfigBuilder, ListenConfig, ProtocolIdentity};
use zeroize::Zeroizing;

use super::tasks::Tasks;
use crate::Fields;

/// 33/WAKU2-DISCV5's protocol id, in place of `discv5`.
pub const PROTOCOL_ID: [u8; 6] = *b"d5waku";
/// UDP port when nothing else is said (as in nwaku).
pub const DEFAULT_PORT: u16 = 9000;

/// Version of the protocol: 5.1.
const PROTOCOL_VERSION: [u8; 2] = [0, 1];
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
    /// Whether the address in the record becomes what others see of the node.
    pub enr_auto_update: bool,
    /// How many others must agree on it, at least 2.
    pub enr_auto_update_votes: usize,
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
    /// Records that wait to be read from [`Found`](super::Found). More are dropped and counted.
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
            enr_auto_update_votes: 10,
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

impl Config {
    /// The library's own.
    pub(super) fn library(&self, listen: ListenConfig, tasks: Tasks) -> ::discv5::Config {
        let mut builder = ConfigBuilder::new(listen);
        builder
            .protocol_identity(ProtocolIdentity {
                protocol_id: self.protocol_id,
                protocol_version: PROTOCOL_VERSION,
            })
            .executor(Box::new(tasks))
            // An address that was given or seen is not taken back: nobody calling for five minutes is no proof.
            .auto_nat_listen_duration(None)
            .enr_peer_update_min(self.enr_auto_update_votes.max(2));
        if !self.enr_auto_update {
            builder.disable_enr_update();
        }
        if self.limit_ips {
            builder.ip_limit();
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_not_in_debug_output() {
        let config = Config::new([0xab; 32], "127.0.0.1:0".parse().unwrap());
        let debug = format!("{config:?}");
        assert!(
            debug.contains("127.0.0.1") && !debug.contains("171") && !debug.contains("secret"),
            "{debug}"
        );
    }
}
