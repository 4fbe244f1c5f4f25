//! A reader's end of the relay.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::Stream;
use thiserror::Error;
use tokio::sync::oneshot;
use waku_proto::ContentTopic;

use super::fan_out::SubscriptionId;
use super::queue::Reader;
use super::routes;
use crate::net::command::{RelayCommand, TopicChange};
use crate::node::Shared;
use crate::sharding::RoutingError;
use crate::{Delivery, Stopped};

/// Messages as they come, in a queue of its own. Dropping it unsubscribes. It does not keep the node running.
///
/// Also a [`Stream`] of deliveries.
#[derive(Debug)]
pub struct RelaySubscription {
    id: SubscriptionId,
    reader: Reader,
    node: Weak<Shared>,
}

impl RelaySubscription {
    pub(super) fn new(id: SubscriptionId, reader: Reader, node: Weak<Shared>) -> Self {
        Self { id, reader, node }
    }

    /// The next delivery; `None` when the node has stopped and everything has been read.
    ///
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.reader.poll_next(context)).await
    }

    /// Asks for more content topics. Those asked for already stay.
    ///
    /// # Errors
    /// When a topic belongs to no pubsub topic, the subscription is one to a whole pubsub topic, or the
    /// node has stopped.
    pub async fn add_content_topics(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<(), ChangeTopicsError> {
        let node = self.node.upgrade().ok_or(Stopped)?;
        let added = routes(&node.sharding, topics)?;
        self.change(&node, TopicChange::Add(added)).await
    }

    /// Asks for fewer content topics. Those not asked for anyway are passed over.
    ///
    /// # Errors
    /// When the subscription is one to a whole pubsub topic, or the node has stopped.
    pub async fn remove_content_topics(
        &self,
        topics: impl IntoIterator<Item = ContentTopic>,
    ) -> Result<(), ChangeTopicsError> {
        let node = self.node.upgrade().ok_or(Stopped)?;
        let removed = topics.into_iter().map(|topic| topic.as_str().into()).collect();
        self.change(&node, TopicChange::Remove(removed)).await
    }

    async fn change(&self, node: &Arc<Shared>, change: TopicChange) -> Result<(), ChangeTopicsError> {
        let (reply, answer) = oneshot::channel();
        node.command(RelayCommand::ChangeTopics { id: self.id, change, reply }).await?;
        if answer.await.map_err(|_| Stopped)? { Ok(()) } else { Err(ChangeTopicsError::WholeTopic) }
    }
}

impl Stream for RelaySubscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.reader.poll_next(context)
    }
}

/// Content topics of a subscription that could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeTopicsError {
    /// No pubsub topic belongs to a content topic.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The subscription is to everything on a pubsub topic.
    #[error("the subscription is to a whole pubsub topic, it has no content topics")]
    WholeTopic,
    /// The node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}
