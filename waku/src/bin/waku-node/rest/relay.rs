//! `/relay/v1`: by pubsub topic, and with autosharding by content topic.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::proto::EncodedMessage;
use waku::{ContentTopic, Envelope, Node, PublishError, PubsubTopic, WakuMessage};

use super::Api;
use super::input::{Flaw, Payload, Segment};
use super::json::{MessageIn, MessageOut};
use super::reply::{Refusal, Reply, json, ok};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(subscribe, unsubscribe, subscriptions_options))
        .routes(routes!(messages, publish, messages_options))
        .routes(routes!(auto_subscribe, auto_unsubscribe, auto_subscriptions_options))
        .routes(routes!(auto_messages, auto_messages_options))
        .routes(routes!(auto_publish, auto_publish_options))
        .route("/relay/v1/messages/", axum::routing::get(messages).post(publish))
        .route("/relay/v1/auto/messages/", axum::routing::get(auto_messages))
}

/// Relays these pubsub topics, and keeps their messages until they are asked for.
#[utoipa::path(
    post, path = "/relay/v1/subscriptions", tag = "relay", request_body = Vec<String>,
    responses((status = 200, body = String, description = "`OK`"), (status = 400), (status = 500))
)]
async fn subscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    for topic in pubsub_topics(&body)? {
        api.relay_cache.want_pubsub_topic(topic.clone());
        let joined = api.topics.join(api.node()?, topic).await;
        joined.map_err(|error| Refusal::internal(format!("Subscribe failed:{error}")))?;
    }
    Ok(ok())
}

/// Relays these pubsub topics no longer.
#[utoipa::path(
    delete, path = "/relay/v1/subscriptions", tag = "relay", request_body = Vec<String>,
    responses((status = 200, body = String, description = "`OK`"), (status = 400), (status = 500))
)]
async fn unsubscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    for topic in pubsub_topics(&body)? {
        api.relay_cache.forget_pubsub_topic(&topic);
        api.topics.leave(&topic).await;
    }
    Ok(ok())
}

/// Tells a browser that it may send such requests.
#[utoipa::path(
    options, path = "/relay/v1/subscriptions", tag = "relay",
    responses((status = 200, body = String, description = "`OK`"))
)]
async fn subscriptions_options() -> Response {
    ok()
}

/// What came on a pubsub topic since the last call.
#[utoipa::path(
    get, path = "/relay/v1/messages/{pubsubTopic}", tag = "relay",
    params(("pubsubTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = Vec<MessageOut>), (status = 404, description = "not subscribed; empty body"))
)]
async fn messages(State(api): State<Arc<Api>>, Segment(topic): Segment) -> Reply {
    let taken = topic.parse().ok().and_then(|topic| api.relay_cache.take_pubsub_topic(&topic));
    Ok(listed(&taken.ok_or_else(|| Refusal::not_found(""))?))
}

/// Publishes a message on a pubsub topic.
#[utoipa::path(
    post, path = "/relay/v1/messages/{pubsubTopic}", tag = "relay", request_body = MessageIn,
    params(("pubsubTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = String, description = "`OK`, also without peers"), (status = 400), (status = 500), (status = 503))
)]
async fn publish(State(api): State<Arc<Api>>, Segment(topic): Segment, body: Payload) -> Reply {
    let node = api.node()?;
    let known = topic.parse::<PubsubTopic>().ok();
    let Some(topic) = known.filter(|topic| node.relay().watch_topics().borrow().contains(topic)) else {
        let reason = format!("Failed to publish: Node not subscribed to topic: {topic}");
        return Err(Refusal::bad_request(reason));
    };
    let message = body.decode::<MessageIn>().and_then(MessageIn::read).map_err(briefly)?;
    match send(&api, node, topic, message).await {
        // Nobody to send it to, or sent before: nothing the client did wrong.
        Ok(()) | Err(PublishError::NoPeers | PublishError::Duplicate) => Ok(ok()),
        Err(error) => Err(refused(&api, &error)),
    }
}

/// Tells a browser that it may send such requests.
#[utoipa::path(
    options, path = "/relay/v1/messages/{pubsubTopic}", tag = "relay",
    params(("pubsubTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = String, description = "`OK`"))
)]
async fn messages_options() -> Response {
    ok()
}

/// Relays the pubsub topics of these content topics, and keeps their messages until they are asked for.
#[utoipa::path(
    post, path = "/relay/v1/auto/subscriptions", tag = "relay", request_body = Vec<String>,
    responses((status = 200, body = String, description = "`OK`; with static sharding without effect"), (status = 400), (status = 500))
)]
async fn auto_subscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (node, names) = (api.node()?, body.decode::<Vec<String>>()?);
    if node.sharding().is_auto() {
        for name in names {
            let topic: ContentTopic = name.parse().map_err(|_| {
                Refusal::internal(format!(
                    "Subscribe failed:Failed to decode subscription event: {}",
                    unsharded(&name)
                ))
            })?;
            api.relay_cache.want_content_topic(&name);
            let joined = api.topics.join_content_topic(node, topic).await;
            joined.map_err(|error| Refusal::internal(format!("Subscribe failed:{error}")))?;
        }
    }
    Ok(ok())
}

/// Relays them no longer for these content topics.
#[utoipa::path(
    delete, path = "/relay/v1/auto/subscriptions", tag = "relay", request_body = Vec<String>,
    responses((status = 200, body = String, description = "`OK`"), (status = 400), (status = 500))
)]
async fn auto_unsubscribe(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (node, names) = (api.node()?, body.decode::<Vec<String>>()?);
    let failed = |reason: &str| {
        Refusal::internal(format!("Unsubscribe failed:Failed to decode unsubscribe event: {reason}"))
    };
    for name in names {
        if !node.sharding().is_auto() {
            return Err(failed("Static sharding is used, relay subscriptions must specify a pubsub topic"));
        }
        let topic = name.parse().map_err(|_| failed(&unsharded(&name)))?;
        api.relay_cache.forget_content_topic(&name);
        api.topics.leave_content_topic(&topic).await;
    }
    Ok(ok())
}

/// Tells a browser that it may send such requests.
#[utoipa::path(
    options, path = "/relay/v1/auto/subscriptions", tag = "relay",
    responses((status = 200, body = String, description = "`OK`"))
)]
async fn auto_subscriptions_options() -> Response {
    ok()
}

/// What came on a content topic since the last call.
#[utoipa::path(
    get, path = "/relay/v1/auto/messages/{contentTopic}", tag = "relay",
    params(("contentTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = Vec<MessageOut>), (status = 404, body = String, description = "not subscribed; the topic"))
)]
async fn auto_messages(State(api): State<Arc<Api>>, Segment(topic): Segment) -> Reply {
    let taken = api.relay_cache.take_content_topic(&topic);
    Ok(listed(&taken.ok_or_else(|| Refusal::not_found(topic))?))
}

/// Tells a browser that it may send such requests.
#[utoipa::path(
    options, path = "/relay/v1/auto/messages/{contentTopic}", tag = "relay",
    params(("contentTopic" = String, Path, description = "percent-encoded")),
    responses((status = 200, body = String, description = "`OK`"))
)]
async fn auto_messages_options() -> Response {
    ok()
}

/// Publishes a message on the pubsub topic its content topic belongs to.
#[utoipa::path(
    post, path = "/relay/v1/auto/messages", tag = "relay", request_body = MessageIn,
    responses((status = 200, body = String, description = "`OK`"), (status = 400), (status = 500), (status = 503))
)]
async fn auto_publish(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let node = api.node()?;
    let message = body.decode::<MessageIn>().and_then(MessageIn::read).map_err(briefly)?;
    if !node.sharding().is_auto() {
        return Err(Refusal::bad_request("Failed to publish. Autosharding is disabled"));
    }
    let topic = message.content_topic.parse().ok();
    let Some(topic) = topic.and_then(|topic| node.sharding().pubsub_topic(&topic).ok()) else {
        let reason = unsharded(&message.content_topic);
        return Err(Refusal::bad_request(format!("Failed to publish. {reason}")));
    };
    match send(&api, node, topic, message).await {
        Ok(()) | Err(PublishError::Duplicate) => Ok(ok()),
        Err(error) => Err(refused(&api, &error)),
    }
}

/// Tells a browser that it may send such requests.
#[utoipa::path(
    options, path = "/relay/v1/auto/messages", tag = "relay",
    responses((status = 200, body = String, description = "`OK`"))
)]
async fn auto_publish_options() -> Response {
    ok()
}

/// Where an empty body gets an empty answer.
fn briefly(flaw: Flaw) -> Refusal {
    match flaw {
        Flaw::Missing => Refusal::bad_request(""),
        flaw => flaw.into(),
    }
}

/// Static shards only; of the others the client is told.
fn pubsub_topics(body: &Payload) -> Result<Vec<PubsubTopic>, Refusal> {
    let names = body.decode::<Vec<String>>().map_err(briefly)?;
    let parsed = |name: &String| name.parse().ok().filter(|topic: &PubsubTopic| topic.shard().is_some());
    let wrong: Vec<_> = names.iter().filter(|name| parsed(name).is_none()).collect();
    if wrong.is_empty() {
        return Ok(names.iter().filter_map(parsed).collect());
    }
    let wrong: Vec<_> = wrong.into_iter().map(|name| format!("{name:?}")).collect();
    Err(Refusal::bad_request(format!("Invalid pubsub topic(s): @[{}]", wrong.join(", "))))
}

/// Why autosharding does not take a content topic, in nwaku's words where it has some.
pub(super) fn unsharded(topic: &str) -> String {
    let reason = match topic.parse::<ContentTopic>() {
        _ if !topic.starts_with('/') => format!("content-topic '{topic}' must start with slash"),
        Ok(_) => format!("content-topic '{topic}' is of an unknown generation"),
        Err(error) => error.to_string(),
    };
    format!("Autosharding error: invalid format: {reason}")
}

async fn send(api: &Api, node: &Node, topic: PubsubTopic, message: WakuMessage) -> Result<(), PublishError> {
    message.check()?;
    let encoded = EncodedMessage::encode(message.clone());
    let (size, limit) = (encoded.bytes().len(), api.settings.max_message_len);
    if size > limit {
        return Err(PublishError::TooLarge { size, limit });
    }
    let published = node.relay().publish_to(topic.clone(), message).await;
    tracing::debug!(%topic, hash = %encoded.hash(&topic), is_published = published.is_ok(), "message from a REST client");
    published.map(drop)
}

fn refused(api: &Api, error: &PublishError) -> Refusal {
    let reason = match error {
        PublishError::TooLarge { .. } => {
            format!("Message size exceeded maximum of {} bytes", api.settings.max_message_len)
        }
        PublishError::NoPeers => "publish failed in relay: NoPeersToPublish".to_owned(),
        error => error.to_string(),
    };
    let status = match error {
        PublishError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        PublishError::Stopped(_) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, format!("Failed to publish: {reason}"))
}

fn listed(messages: &[Envelope]) -> Response {
    let messages: Vec<_> =
        messages.iter().map(|envelope| MessageOut::from(envelope.message()).with_proof()).collect();
    json(StatusCode::OK, &messages)
}
