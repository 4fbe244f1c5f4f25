//! `/filter/v2`: messages through a filter service node.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::proto::filter::{MAX_CONTENT_TOPICS, Status};
use waku::proto::protocol_id::FILTER_SUBSCRIBE;
use waku::{AskError, ContentTopic, Delivery, FilterPeer, FilterRequestError, Node, PubsubTopic};

use super::cache::Cache;
use super::input::{Flaw, Payload, Segment};
use super::json::{MessageOut, given};
use super::reply::{Refusal, Reply, json};
use super::service_peer::NoPeer;
use super::{ANSWER_WITHIN, Api};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(subscribe, resubscribe, unsubscribe))
        .routes(routes!(unsubscribe_all))
        .routes(routes!(ping))
        .routes(routes!(messages))
        .route("/filter/v2/subscriptions/", axum::routing::get(ping))
        .route("/filter/v2/messages/", axum::routing::get(messages))
}

/// Puts what service nodes push into the cache, as long as the node runs.
pub(super) async fn collect(node: &Node, cache: &Arc<Cache>) {
    let Ok(mut inbox) = node.filter().inbox().await else { return };
    let cache = Arc::clone(cache);
    tokio::spawn(async move {
        while let Some(delivery) = inbox.recv().await {
            match delivery {
                Delivery::Message(envelope) => cache.add(&envelope),
                Delivery::Missed(count) => tracing::warn!(count, "messages by filter came too fast"),
            }
        }
    });
}

/// What is subscribed to, or not any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Subscription {
    /// Comes back in the answer.
    request_id: String,
    /// Content topics, 1 to 100.
    content_filters: Vec<String>,
    /// With autosharding it follows from the content topics.
    #[serde(default, deserialize_with = "given")]
    pubsub_topic: Option<String>,
}

/// A request without topics.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unsubscription {
    /// Comes back in the answer.
    request_id: String,
}

/// What came of a request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    request_id: String,
    /// `OK`, or what is wrong.
    status_desc: String,
}

/// Has messages of these content topics pushed to this node, besides those it gets already.
#[utoipa::path(
    post, path = "/filter/v2/subscriptions", tag = "filter", request_body = Subscription,
    responses((status = 200, body = Outcome), (status = 400, body = Outcome), (status = 404, body = Outcome),
        (status = 429, body = Outcome), (status = 503, body = Outcome), (status = 504, body = Outcome))
)]
async fn subscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (node, request) = match read::<Subscription>(&api, &body)? {
        Ok((_, request)) if request.content_filters.is_empty() => return Ok(undecodable(Flaw::Undecodable)),
        Ok(read) => read,
        Err(refusal) => return Ok(refusal),
    };
    let (id, named) = (request.request_id.clone(), request.content_filters.clone());
    let outcome = change(&api, node, request, true).await;
    if matches!(outcome, Ok(Done::Yes)) {
        for topic in named {
            api.filter_cache.want_content_topic(&topic);
        }
    }
    Ok(outcome.map_or_else(|failure| failure.answer(&id), |done| done.answer(&id)))
}

/// As `POST`.
#[utoipa::path(
    put, path = "/filter/v2/subscriptions", tag = "filter", request_body = Subscription,
    responses((status = 200, body = Outcome), (status = 400, body = Outcome), (status = 404, body = Outcome),
        (status = 429, body = Outcome), (status = 503, body = Outcome), (status = 504, body = Outcome))
)]
async fn resubscribe(api: State<Arc<Api>>, body: Payload) -> Reply {
    subscribe(api, body).await
}

/// Has messages of these content topics pushed no longer.
#[utoipa::path(
    delete, path = "/filter/v2/subscriptions", tag = "filter", request_body = Subscription,
    responses((status = 200, body = Outcome), (status = 400, body = Outcome), (status = 404, body = Outcome),
        (status = 429, body = Outcome), (status = 503, body = Outcome), (status = 504, body = Outcome))
)]
async fn unsubscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (node, request) = match read::<Subscription>(&api, &body)? {
        Ok((_, request)) if request.content_filters.is_empty() => return Ok(undecodable(Flaw::Undecodable)),
        Ok(read) => read,
        Err(refusal) => return Ok(refusal),
    };
    let (id, named) = (request.request_id.clone(), request.content_filters.clone());
    let outcome = change(&api, node, request, false).await;
    if matches!(outcome, Ok(Done::Yes)) {
        for topic in named {
            api.filter_cache.forget_content_topic(&topic);
        }
    }
    Ok(outcome.map_or_else(|failure| failure.answer(&id), |done| done.answer(&id)))
}

/// Has nothing pushed any more.
#[utoipa::path(
    delete, path = "/filter/v2/subscriptions/all", tag = "filter", request_body = Unsubscription,
    responses((status = 200, body = Outcome), (status = 400, body = Outcome), (status = 404, body = Outcome),
        (status = 429, body = Outcome), (status = 503, body = Outcome), (status = 504, body = Outcome))
)]
async fn unsubscribe_all(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (node, request) = match read::<Unsubscription>(&api, &body)? {
        Ok(read) => read,
        Err(refusal) => return Ok(refusal),
    };
    let outcome = async {
        let peer = api.filter_peer(node, None).await?;
        let was_there =
            within(peer.unsubscribe_all(), "Failed to unsubscribe from all contentFilters due to timeout!");
        existed(was_there.await.map_err(|failure| failure.of(&peer))?)
    };
    let outcome = outcome.await;
    if outcome.is_ok() {
        api.filter_cache.forget_everything();
    }
    let id = request.request_id;
    Ok(outcome.map_or_else(|failure| failure.answer(&id), |done| done.answer(&id)))
}

/// Asks whether the subscriptions are there still, and keeps them alive.
#[utoipa::path(
    get, path = "/filter/v2/subscriptions/{requestId}", tag = "filter",
    params(("requestId" = String, Path, description = "comes back in the answer; may be empty")),
    responses((status = 200, body = Outcome), (status = 404, body = Outcome), (status = 503, body = Outcome), (status = 504, body = Outcome))
)]
async fn ping(State(api): State<Arc<Api>>, Segment(id): Segment) -> Reply {
    let node = api.node()?;
    let outcome = async {
        let peer = api.filter_peer(node, None).await?;
        within(peer.ping(), "Ping timed out").await.map_err(|failure| failure.of(&peer))?;
        Ok(Done::Yes)
    };
    let outcome: Result<Done, Failure> = outcome.await;
    Ok(outcome.map_or_else(|failure| failure.answer(&id), |done| done.answer(&id)))
}

/// What was pushed of a content topic since the last call.
#[utoipa::path(
    get, path = "/filter/v2/messages/{contentTopic}", tag = "filter",
    params(("contentTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = Vec<MessageOut>), (status = 400, body = String))
)]
async fn messages(State(api): State<Arc<Api>>, Segment(topic): Segment) -> Reply {
    let taken = api.filter_cache.take_content_topic(&topic);
    let taken = taken.ok_or_else(|| Refusal::bad_request(format!("Not subscribed to topic: {topic}")))?;
    let messages: Vec<_> = taken.iter().map(|envelope| MessageOut::from(envelope.message())).collect();
    Ok(json(StatusCode::OK, &messages))
}

/// The body, or the answer that says what is wrong with it.
fn read<'a, T: serde::de::DeserializeOwned>(
    api: &'a Api,
    body: &Payload,
) -> Result<Result<(&'a Node, T), Response>, Refusal> {
    let node = api.node()?;
    Ok(body.decode_strictly().map(|request| (node, request)).map_err(undecodable))
}

fn undecodable(flaw: Flaw) -> Response {
    let reason = match flaw {
        Flaw::Undecodable => {
            "Invalid content body, could not decode. Unable to deserialize data: ".to_owned()
        }
        flaw => flaw.to_string(),
    };
    let status_desc = format!("BAD_REQUEST: Failed to decode request: {}", quoted(&reason));
    json(StatusCode::BAD_REQUEST, &Outcome { request_id: "unknown".to_owned(), status_desc })
}

/// A refusal as nwaku shows it inside of another text.
pub(super) fn quoted(reason: &str) -> String {
    let inner = format!("(status: 400 Bad Request, message: {reason:?}, contentType: \"text/plain\")");
    format!("(status: 400 Bad Request, headers: , kind: Error, errobj: {inner})")
}

/// A request that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    /// With static sharding and no pubsub topic there is nothing to subscribe to; nwaku does not call that an error.
    NothingToDo,
}

impl Done {
    fn answer(self, request_id: &str) -> Response {
        let status_desc = match self {
            Self::Yes => "OK",
            Self::NothingToDo => "UNKNOWN",
        };
        json(
            StatusCode::OK,
            &Outcome { request_id: request_id.to_owned(), status_desc: status_desc.to_owned() },
        )
    }
}

/// A request that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    status: StatusCode,
    reason: String,
}

impl Failure {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    fn late(reason: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("SERVICE_UNAVAILABLE: {reason}"))
    }

    fn answer(self, request_id: &str) -> Response {
        json(self.status, &Outcome { request_id: request_id.to_owned(), status_desc: self.reason })
    }
}

/// Why a service node did not do what it was asked for.
enum Unserved {
    Request(FilterRequestError),
    Late(&'static str),
}

impl Unserved {
    fn of(self, peer: &FilterPeer) -> Failure {
        let error = match self {
            Self::Late(reason) => return Failure::late(reason),
            Self::Request(error) => error,
        };
        match error {
            FilterRequestError::Refused { status, description } => {
                let status = match status {
                    Status::BadRequest => StatusCode::BAD_REQUEST,
                    Status::NotFound => StatusCode::NOT_FOUND,
                    Status::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
                    Status::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                // Service nodes put the kind in front themselves.
                Failure::new(status, description.unwrap_or_default())
            }
            FilterRequestError::Ask(_) => {
                Failure::new(StatusCode::GATEWAY_TIMEOUT, peer.peer_id().to_string())
            }
        }
    }
}

async fn within<T>(
    request: impl Future<Output = Result<T, FilterRequestError>>,
    too_late: &'static str,
) -> Result<T, Unserved> {
    match timeout(ANSWER_WITHIN, request).await {
        Ok(Err(FilterRequestError::Ask(AskError::Timeout))) | Err(_) => Err(Unserved::Late(too_late)),
        Ok(outcome) => outcome.map_err(Unserved::Request),
    }
}

fn existed(was_there: bool) -> Result<Done, Failure> {
    if was_there {
        Ok(Done::Yes)
    } else {
        Err(Failure::new(StatusCode::NOT_FOUND, "NOT_FOUND: peer has no subscriptions"))
    }
}

impl Api {
    async fn filter_peer(&self, node: &Node, topic: Option<&PubsubTopic>) -> Result<FilterPeer, Failure> {
        let named = self.settings.service_nodes.filter.as_ref();
        let shard = topic.and_then(PubsubTopic::shard);
        // The subscriptions are at one peer, as long as it is there.
        let before = *self.filter_peer.lock().await;
        let serving = node.peers().serving(FILTER_SUBSCRIBE, None);
        let peer = match before.filter(|peer| serving.contains(peer)) {
            Some(peer) => peer,
            None => {
                self.service_peer(node, FILTER_SUBSCRIBE, shard, named).await.map_err(|none| match none {
                    NoPeer::Unknown(reason) => Failure::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("SERVICE_UNAVAILABLE: {reason}"),
                    ),
                    NoPeer::NotReached(peer) => Failure::new(StatusCode::GATEWAY_TIMEOUT, peer.to_string()),
                })?
            }
        };
        *self.filter_peer.lock().await = Some(peer);
        Ok(node.filter().at(peer))
    }
}

/// Subscribes or unsubscribes, on each pubsub topic that the content topics belong to.
async fn change(api: &Api, node: &Node, request: Subscription, subscribe: bool) -> Result<Done, Failure> {
    let Subscription { content_filters, pubsub_topic, .. } = request;
    if content_filters.len() > MAX_CONTENT_TOPICS {
        let reason = format!("BAD_REQUEST: exceeds maximum content topics: {MAX_CONTENT_TOPICS}");
        return Err(Failure::new(StatusCode::BAD_REQUEST, reason));
    }
    let Some(parts) = by_pubsub_topic(node, pubsub_topic, content_filters)? else {
        return Ok(Done::NothingToDo);
    };
    for (topic, content_topics) in parts {
        let peer = api.filter_peer(node, Some(&topic)).await?;
        if subscribe {
            let request = within(peer.subscribe(topic, content_topics), "Subscription request timed out");
            request.await.map_err(|failure| failure.of(&peer))?;
        } else {
            let too_late = "Failed to unsubscribe from contentFilters due to timeout!";
            let was_there = within(peer.unsubscribe(topic, content_topics), too_late).await;
            existed(was_there.map_err(|failure| failure.of(&peer))?)?;
        }
    }
    Ok(Done::Yes)
}

/// Content topics with the pubsub topics they are on; `None` when static sharding leaves that open.
fn by_pubsub_topic(
    node: &Node,
    pubsub_topic: Option<String>,
    content_topics: Vec<String>,
) -> Result<Option<BTreeMap<PubsubTopic, Vec<String>>>, Failure> {
    if let Some(topic) = pubsub_topic.filter(|topic| !topic.is_empty()) {
        let wrong = |error| Failure::new(StatusCode::BAD_REQUEST, format!("BAD_REQUEST: {error}"));
        let topic = topic.parse::<PubsubTopic>().map_err(wrong)?;
        return Ok(Some(BTreeMap::from([(topic, content_topics)])));
    }
    if !node.sharding().is_auto() {
        return Ok(None);
    }
    let mut parts = BTreeMap::<PubsubTopic, Vec<String>>::new();
    for name in content_topics {
        let topic = name.parse::<ContentTopic>().ok();
        let topic = topic.and_then(|topic| node.sharding().pubsub_topic(&topic).ok());
        let topic =
            topic.ok_or_else(|| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "can't get shard"))?;
        parts.entry(topic).or_default().push(name);
    }
    Ok(Some(parts))
}
