//! Which shards a node is on, and which of them a content topic belongs to (WAKU2-RELAY-SHARDING).

use std::collections::BTreeSet;

use thiserror::Error;
use waku_proto::shard::{ShardError, UnknownGeneration};
use waku_proto::{Autosharding, ContentTopic, PubsubTopic, Shard};

/// A node's cluster, its shards and its rule from content topics to shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharding {
    cluster: u16,
    rule: Rule,
    subscribed: BTreeSet<Shard>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// Every content topic is on this shard; `None` when there is no shard.
    Fixed(Option<Shard>),
    Auto(Autosharding),
}

impl Sharding {
    /// Static sharding: the applications agree on shards. Content topics without a pubsub topic of their
    /// own go to the first of `shards`.
    ///
    /// # Errors
    /// When a shard is above 1023.
    pub fn fixed(cluster: u16, shards: impl IntoIterator<Item = u16>) -> Result<Self, ShardError> {
        let shards: Vec<Shard> =
            shards.into_iter().map(|index| Shard::new(cluster, index)).collect::<Result<_, _>>()?;
        let rule = Rule::Fixed(shards.first().copied());
        Ok(Self { cluster, rule, subscribed: shards.into_iter().collect() })
    }

    /// Autosharding over shards 0 to `shards - 1`; the node subscribes to all of them.
    ///
    /// # Errors
    /// When `shards` is 0 or above 1024.
    pub fn auto(cluster: u16, shards: u16) -> Result<Self, ShardError> {
        let rule = Autosharding::new(cluster, shards)?;
        Ok(Self { cluster, rule: Rule::Auto(rule), subscribed: rule.shards().collect() })
    }

    /// Subscribes at start to these shards only. The rule for content topics stays.
    ///
    /// # Errors
    /// When a shard is above 1023.
    pub fn subscribed_to(mut self, shards: impl IntoIterator<Item = u16>) -> Result<Self, ShardError> {
        self.subscribed =
            shards.into_iter().map(|index| Shard::new(self.cluster, index)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The cluster. Nodes of different clusters do not stay connected (66/WAKU2-METADATA).
    pub fn cluster(&self) -> u16 {
        self.cluster
    }

    /// The shards the node is subscribed to from start to end.
    pub fn subscribed(&self) -> impl Iterator<Item = Shard> {
        self.subscribed.iter().copied()
    }

    /// True when content topics alone say which shard they are on.
    pub fn is_auto(&self) -> bool {
        matches!(self.rule, Rule::Auto(_))
    }

    /// The pubsub topic a content topic belongs to.
    ///
    /// # Errors
    /// When static sharding has no shard, or autosharding does not know the topic's generation.
    pub fn pubsub_topic(&self, topic: &ContentTopic) -> Result<PubsubTopic, RoutingError> {
        let shard = match self.rule {
            Rule::Fixed(shard) => shard.ok_or(RoutingError::NoShard { cluster: self.cluster })?,
            Rule::Auto(rule) => rule.shard(topic)?,
        };
        Ok(shard.into())
    }
}

/// A content topic without a pubsub topic.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoutingError {
    /// Static sharding without any shard.
    #[error("the node has no shard of cluster {cluster} for content topics: configure one")]
    NoShard {
        /// The node's cluster.
        cluster: u16,
    },
    /// The topic asks for a generation that has no rule.
    #[error(transparent)]
    UnknownGeneration(#[from] UnknownGeneration),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> ContentTopic {
        "/toychat/2/huilong/proto".parse().unwrap()
    }

    #[test]
    fn fixed_sharding_maps_content_topics_to_the_first_shard() {
        let sharding = Sharding::fixed(16, [64, 32]).unwrap();
        assert_eq!(sharding.pubsub_topic(&topic()).unwrap().as_str(), "/waku/2/rs/16/64");
        assert_eq!(sharding.subscribed().map(Shard::index).collect::<Vec<_>>(), [32, 64]);
    }

    #[test]
    fn fixed_sharding_without_shards_maps_nothing() {
        let sharding = Sharding::fixed(16, []).unwrap();
        assert_eq!(sharding.pubsub_topic(&topic()), Err(RoutingError::NoShard { cluster: 16 }));
    }

    #[test]
    fn autosharding_maps_also_to_shards_it_is_not_on() {
        let sharding = Sharding::auto(1, 8).unwrap().subscribed_to([0]).unwrap();
        assert_eq!(sharding.pubsub_topic(&topic()).unwrap().as_str(), "/waku/2/rs/1/3");
        assert_eq!(sharding.subscribed().map(Shard::index).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn refuses_shards_above_1023() {
        assert_eq!(Sharding::fixed(0, [1024]), Err(ShardError::Index(1024)));
        assert_eq!(Sharding::auto(0, 1025), Err(ShardError::Count(1025)));
    }
}
