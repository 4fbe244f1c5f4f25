//! A reader's end of filter.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::Stream;
use thiserror::Error;
use tokio::sync::watch;
use waku_proto::{ContentTopic, PubsubTopic};

use super::client::FilterGap;
use super::orders::{Command, Opened};
use crate::net::command::TopicChange;
use crate::node::Shared;
use crate::relay::fan_out::SubscriptionId;
use crate::relay::queue::Reader;
use crate::sharding::RoutingError;
use crate::{Delivery, Stopped};

/// Messages as service nodes push them, in a queue of its own. Dropping it unsubscribes. It does not keep
/// the node running.
///
/// Also a [`Stream`] of deliveries.
#[derive(Debug)]
pub struct FilterSubscription {
    id: SubscriptionId,
    reader: Reader,
    service_peers: watch::Receiver<usize>,
    gaps: watch::Receiver<Vec<FilterGap>>,
    /// Where all content topics are, unless each has a pubsub topic by the node's rule.
    pubsub_topic: Option<PubsubTopic>,
    node: Weak<Shared>,
}

impl FilterSubscription {
    pub(super) fn new(opened: Opened, pubsub_topic: Option<PubsubTopic>, node: Weak<Shared>) -> Self {
        let Opened { id, reader, service_peers, gaps } = opened;
        Self { id, reader, service_peers, gaps, pubsub_topic, node }
    }

    /// The next delivery; `None` when the node has stopped and everything has been read.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.reader.poll_next(context)).await
    }

    /// How many service nodes push all content topics of the subscription, watched: nothing comes while
    /// there are none.
    pub fn service_peers(&self) -> watch::Receiver<usize> {
        self.service_peers.clone()
    }

    /// The last 64 gaps: times in which messages may have been missed because no service node was there. With
    /// [`FilterClientConfig::fill_gaps`](crate::FilterClientConfig::fill_gaps) only those that could not be filled.
    pub fn gaps(&self) -> watch::Receiver<Vec<FilterGap>> {
        self.gaps.clone()
    }

    /// Asks for more content topics. Those asked for already stay.
    ///
    /// # Errors
    /// When a topic belongs to no pubsub topic, there are too many, or the node has stopped.
    pub async fn add_content_topics(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<(), FilterSubscribeError> {
        let node = self.node.upgrade().ok_or(Stopped)?;
        let added = routes(&node, self.pubsub_topic.as_ref(), topics)?;
        self.change(&node, TopicChange::Add(added)).await
    }

    /// Asks for fewer content topics. Those not asked for anyway are passed over.
    ///
    /// # Errors
    /// When the node has stopped.
    pub async fn remove_content_topics(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<(), FilterSubscribeError> {
        let node = self.node.upgrade().ok_or(Stopped)?;
        let removed = topics.into_iter().map(|topic| topic.as_str().into()).collect();
        self.change(&node, TopicChange::Remove(removed)).await
    }

    async fn change(&self, node: &Arc<Shared>, change: TopicChange) -> Result<(), FilterSubscribeError> {
        node.filter.order(|reply| Command::Change { id: self.id, change, reply }).await?
    }
}

impl Stream for FilterSubscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.reader.poll_next(context)
    }
}

/// Content topics with their pubsub topics.
pub(super) fn routes(
    node: &Shared,
    pubsub_topic: Option<&PubsubTopic>,
    topics: impl IntoIterator<Item = ContentTopic>,
) -> Result<HashMap<Box<str>, PubsubTopic>, RoutingError> {
    let route = |topic: ContentTopic| {
        let pubsub_topic = match pubsub_topic {
            Some(pubsub_topic) => pubsub_topic.clone(),
            None => node.sharding.pubsub_topic(&topic)?,
        };
        Ok((topic.as_str().into(), pubsub_topic))
    };
    topics.into_iter().map(route).collect()
}

/// What service nodes push to requests by hand ([`FilterPeer`](super::FilterPeer)). Each message comes as
/// often as it is pushed.
///
/// Also a [`Stream`] of deliveries.
#[derive(Debug)]
pub struct FilterInbox {
    pub(super) reader: Reader,
}

impl FilterInbox {
    /// The next delivery; `None` when the node has stopped and everything has been read.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.reader.poll_next(context)).await
    }
}

impl Stream for FilterInbox {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.reader.poll_next(context)
    }
}

/// A subscription that could not be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterSubscribeError {
    /// No pubsub topic belongs to a content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A service node takes no more criteria from one peer.
    #[error("all subscriptions of the node together may have {limit} content topics")]
    TooManyTopics {
        /// The limit.
        limit: usize,
    },
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
