//! The topics the node relays: those of the command line, and those that clients of the REST API ask for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tokio::sync::Mutex;
use waku::{ContentTopic, Membership, Node, PubsubTopic, Shard, SubscribeError};

/// Memberships of the relay, by what they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    joined: Mutex<Joined>,
}

#[derive(Debug, Default)]
struct Joined {
    pubsub_topics: HashMap<PubsubTopic, Membership>,
    content_topics: HashMap<ContentTopic, Membership>,
}

impl Topics {
    /// Joins what the command line names.
    pub(crate) async fn join_all(
        &self,
        node: &Node,
        shards: impl IntoIterator<Item = Shard>,
        content_topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<(), SubscribeError> {
        for shard in shards {
            self.join(node, shard.into()).await?;
        }
        for topic in content_topics {
            self.join_content_topic(node, topic).await?;
        }
        Ok(())
    }

    pub(crate) async fn join(&self, node: &Node, topic: PubsubTopic) -> Result<(), SubscribeError> {
        if let Entry::Vacant(place) = self.joined.lock().await.pubsub_topics.entry(topic) {
            let membership = node.relay().join(place.key().clone()).await?;
            place.insert(membership);
        }
        Ok(())
    }

    /// Joins the pubsub topic a content topic belongs to.
    pub(crate) async fn join_content_topic(
        &self,
        node: &Node,
        topic: ContentTopic,
    ) -> Result<(), SubscribeError> {
        let pubsub_topic = node.sharding().pubsub_topic(&topic)?;
        if let Entry::Vacant(place) = self.joined.lock().await.content_topics.entry(topic) {
            place.insert(node.relay().join(pubsub_topic).await?);
        }
        Ok(())
    }

    pub(crate) async fn leave(&self, topic: &PubsubTopic) {
        self.joined.lock().await.pubsub_topics.remove(topic);
    }

    pub(crate) async fn leave_content_topic(&self, topic: &ContentTopic) {
        self.joined.lock().await.content_topics.remove(topic);
    }
}
