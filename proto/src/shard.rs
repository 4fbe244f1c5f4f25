//! Shards of the relay network (WAKU2-RELAY-SHARDING): static ones, and the automatic choice of one.

use core::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::ContentTopic;

/// Shards in a cluster: indices 0 to 1023.
pub const SHARDS_PER_CLUSTER: u16 = 1024;

/// One shard of one cluster. Its pubsub topic is `PubsubTopic::from(shard)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    cluster: u16,
    index: u16,
}

impl Shard {
    /// Shard `index` of `cluster`.
    ///
    /// # Errors
    /// When `index` is above 1023.
    pub fn new(cluster: u16, index: u16) -> Result<Self, ShardError> {
        if index < SHARDS_PER_CLUSTER { Ok(Self { cluster, index }) } else { Err(ShardError::Index(index)) }
    }

    /// The cluster: a network of its own.
    pub fn cluster(self) -> u16 {
        self.cluster
    }

    /// The shard's number within its cluster, 0 to 1023.
    pub fn index(self) -> u16 {
        self.index
    }
}

/// `cluster/index`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.index)
    }
}

/// Autosharding, generation 0: the content topic decides on the shard.
///
/// Nodes of a network must agree on the number of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autosharding {
    cluster: u16,
    shards: u16,
}

impl Autosharding {
    /// The rule of a cluster with shards 0 to `shards - 1`.
    ///
    /// # Errors
    /// When `shards` is 0 or above 1024.
    pub fn new(cluster: u16, shards: u16) -> Result<Self, ShardError> {
        if (1..=SHARDS_PER_CLUSTER).contains(&shards) {
            Ok(Self { cluster, shards })
        } else {
            Err(ShardError::Count(shards))
        }
    }

    /// The cluster.
    pub fn cluster(self) -> u16 {
        self.cluster
    }

    /// Every shard of the network, in order.
    pub fn shards(self) -> impl Iterator<Item = Shard> {
        (0..self.shards).map(move |index| Shard { cluster: self.cluster, index })
    }

    /// The shard of a content topic: SHA-256 of application and version, modulo the number of shards.
    ///
    /// # Differences from the specification
    /// Only the last 64 bits of the hash enter, as in all deployed nodes. For numbers of shards that are
    /// powers of two the result is the same.
    ///
    /// # Errors
    /// When the topic asks for a generation other than 0; no other is defined.
    pub fn shard(self, topic: &ContentTopic) -> Result<Shard, UnknownGeneration> {
        if topic.generation() != 0 {
            return Err(UnknownGeneration { topic: topic.clone() });
        }
        let hash: [u8; 32] =
            Sha256::new().chain_update(topic.application()).chain_update(topic.version()).finalize().into();
        let last = hash.last_chunk().copied().map_or(0, u64::from_be_bytes);
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of a u16 is one")]
        let index = (last % u64::from(self.shards)) as u16;
        Ok(Shard { cluster: self.cluster, index })
    }
}

/// A number that is no shard, or no number of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShardError {
    /// Shard indices end at 1023.
    #[error("{0} is not a shard: the last one of a cluster is 1023")]
    Index(u16),
    /// A network has 1 to 1024 shards.
    #[error("a network cannot have {0} shards: 1 to 1024 are possible")]
    Count(u16),
}

/// A content topic of a generation without an autosharding rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{topic}` is of generation {}, but only generation 0 is defined", topic.generation())]
pub struct UnknownGeneration {
    /// The topic.
    pub topic: ContentTopic,
}
