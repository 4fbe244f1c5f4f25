//! Single requests to one service node.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;
use waku_proto::PubsubTopic;
use waku_proto::filter::{Status, SubscribeRequest, SubscribeType};

use super::SubscribeProtocol;
use super::orders::{Command, HandChange};
use crate::net::exchange::{AskError, Asker};
use crate::node::Shared;
use crate::request_id::request_id;
use crate::{PeerId, Stopped};

/// How long an answer to a ping is waited for, as in nwaku.
const PING_WITHIN: Duration = Duration::from_secs(5);
/// How long any other answer is waited for, as in nwaku.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One service node, asked by hand: each call is one request. What it pushes is read with
/// [`Filter::inbox`](super::Filter::inbox).
///
/// It is not looked after: the service node forgets who does not ping it for some minutes. Use
/// [`Filter::subscribe`](super::Filter::subscribe) instead unless you need to. What a
/// [`FilterSubscription`](super::FilterSubscription) has asked for at the same node can be unsubscribed here
/// as well, which it notices late.
#[derive(Debug, Clone)]
pub struct FilterPeer {
    pub(super) node: Arc<Shared>,
    pub(super) peer: PeerId,
}

impl FilterPeer {
    /// Who it is.
    pub fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Asks whether the node has a subscription of ours. Keeps it alive.
    ///
    /// # Errors
    /// With status 404 when it has none; when it does not answer.
    pub async fn ping(&self) -> Result<(), FilterRequestError> {
        self.ask(SubscribeType::Ping, None, Vec::new()).await
    }

    /// Has messages of these content topics pushed, besides those subscribed to already. Content topics are any
    /// text: what is not in the form of 23/WAKU2-TOPICS, the node may refuse.
    ///
    /// # Errors
    /// When the node refuses, or does not answer: it may have subscribed us then.
    pub async fn subscribe(
        &self,
        pubsub_topic: impl Into<PubsubTopic>,
        content_topics: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), FilterRequestError> {
        let (pubsub_topic, topics) = (pubsub_topic.into(), texts(content_topics));
        // Before the request: the first push may come before the answer.
        self.change(HandChange::Add(pubsub_topic.clone(), names(&topics))).await?;
        self.ask(SubscribeType::Subscribe, Some(pubsub_topic), topics).await
    }

    /// Has messages of these content topics pushed no longer. False when the node has no subscription of ours.
    ///
    /// # Errors
    /// When the node refuses or does not answer. What it pushes still is dropped all the same.
    pub async fn unsubscribe(
        &self,
        pubsub_topic: impl Into<PubsubTopic>,
        content_topics: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<bool, FilterRequestError> {
        let (pubsub_topic, topics) = (pubsub_topic.into(), texts(content_topics));
        self.change(HandChange::Remove(pubsub_topic.clone(), names(&topics))).await?;
        gone(self.ask(SubscribeType::Unsubscribe, Some(pubsub_topic), topics).await)
    }

    /// Has nothing pushed any more. False when the node has no subscription of ours.
    ///
    /// # Errors
    /// As [`FilterPeer::unsubscribe`].
    pub async fn unsubscribe_all(&self) -> Result<bool, FilterRequestError> {
        self.change(HandChange::RemoveAll).await?;
        gone(self.ask(SubscribeType::UnsubscribeAll, None, Vec::new()).await)
    }

    async fn change(&self, change: HandChange) -> Result<(), Stopped> {
        self.node.filter.order(|reply| Command::ByHand { peer: self.peer, change, reply }).await
    }

    async fn ask(
        &self,
        kind: SubscribeType,
        pubsub_topic: Option<PubsubTopic>,
        topics: Vec<String>,
    ) -> Result<(), FilterRequestError> {
        let pubsub_topic = pubsub_topic.map(|topic| topic.as_str().to_owned());
        ask(&self.node.askers.filter_subscribe, self.peer, kind, pubsub_topic, topics).await
    }
}

fn texts(topics: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    topics.into_iter().map(|topic| topic.as_ref().to_owned()).collect()
}

fn names(topics: &[String]) -> Vec<Box<str>> {
    topics.iter().map(|topic| topic.as_str().into()).collect()
}

/// What is not there need not be removed: true when something was.
fn gone(outcome: Result<(), FilterRequestError>) -> Result<bool, FilterRequestError> {
    match outcome {
        Err(FilterRequestError::Refused { status: Status::NotFound, .. }) => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// One request to a peer that is connected.
pub(super) async fn ask(
    asker: &Asker<SubscribeProtocol>,
    peer: PeerId,
    kind: SubscribeType,
    pubsub_topic: Option<String>,
    content_topics: Vec<String>,
) -> Result<(), FilterRequestError> {
    let request = SubscribeRequest { request_id: request_id(), kind, pubsub_topic, content_topics };
    let limit = if kind == SubscribeType::Ping { PING_WITHIN } else { ANSWER_WITHIN };
    let response =
        timeout(limit, asker.ask(peer, Vec::new(), request)).await.map_err(|_| AskError::Timeout)??;
    // The id is not compared: a stream has one answer, and some answers do not echo it.
    if response.status.is_success() {
        return Ok(());
    }
    Err(FilterRequestError::Refused { status: response.status, description: response.status_desc })
}

/// A request to a filter service node that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterRequestError {
    /// No answer came.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The service node refuses.
    #[error("the filter service node says {status}: {}", .description.as_deref().unwrap_or("nothing more"))]
    Refused {
        /// Its reason as a number.
        status: Status,
        /// Its reason in words.
        description: Option<String>,
    },
}

impl From<Stopped> for FilterRequestError {
    fn from(_: Stopped) -> Self {
        Self::Ask(AskError::Stopped)
    }
}
