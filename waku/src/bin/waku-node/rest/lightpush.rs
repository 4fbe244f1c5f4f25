//! `/lightpush/v1` and `/lightpush/v3`: publishing through a lightpush service node.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::proto::EncodedMessage;
use waku::proto::lightpush::Status;
use waku::proto::message::MessageError;
use waku::proto::protocol_id::{LIGHTPUSH, LIGHTPUSH_V2};
use waku::{AskError, ContentTopic, LightpushError, PeerId, PubsubTopic, WakuMessage};

use super::Api;
use super::filter::quoted;
use super::input::{Flaw, Payload};
use super::json::{MessageIn, given};
use super::reply::{Refusal, Reply, json, ok};
use super::service_peer::NoPeer;

/// How long a push may take.
const WITHIN: Duration = Duration::from_secs(10);
/// What is said of one that takes longer.
const LATE: &str = "Push request timed out";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(push_v1)).routes(routes!(push_v3))
}

/// A message to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Push {
    /// With autosharding it follows from the content topic.
    #[serde(default, deserialize_with = "given")]
    pubsub_topic: Option<String>,
    message: MessageIn,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Pushed {
    #[serde(skip_serializing_if = "Option::is_none")]
    status_desc: Option<String>,
    /// To how many relay peers the service node sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    relay_peer_count: Option<u32>,
}

/// Publishes a message through a service node; answers in text.
#[utoipa::path(
    post, path = "/lightpush/v1/message", tag = "lightpush", request_body = Push,
    responses((status = 200, body = String, description = "`OK`"), (status = 400, body = String),
        (status = 429, body = String), (status = 503, body = String))
)]
async fn push_v1(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let (topic, message) = read(&body)?;
    match api.push(topic, message).await {
        Ok(_) => Ok(ok()),
        Err(Unpushed::NoPeer(reason)) => Err(Refusal::unavailable(reason)),
        Err(Unpushed::Late) => Err(Refusal::unavailable(LATE)),
        Err(Unpushed::RateLimited) => {
            // The word is nwaku's.
            Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Request rate limmit reached"))
        }
        Err(error) => {
            let reason = match error {
                Unpushed::NoRelayPeers => "not_published_to_any_peer".to_owned(),
                Unpushed::BadContentTopic(reason) => format!("Cannot parse content topic: {reason}"),
                Unpushed::NotReached(_) => "dial_failure".to_owned(),
                error => error.words(&api),
            };
            Err(Refusal::unavailable(format!("Failed to request a message push: {reason}")))
        }
    }
}

/// Publishes a message through a service node; answers in JSON, with the status of lightpush.
#[utoipa::path(
    post, path = "/lightpush/v3/message", tag = "lightpush", request_body = Push,
    responses((status = 200, body = Pushed), (status = 400, body = Pushed), (status = 429, body = Pushed),
        (status = 500, body = Pushed), (status = 503, body = Pushed), (status = 505, body = Pushed))
)]
async fn push_v3(State(api): State<Arc<Api>>, body: Payload) -> Response {
    let refused =
        |status, reason: String| json(status, &Pushed { status_desc: Some(reason), relay_peer_count: None });
    let (topic, message) = match read(&body) {
        Ok(read) => read,
        Err(flaw) => {
            let reason = format!("Invalid push request! {}", quoted(&flaw.to_string()));
            return refused(StatusCode::BAD_REQUEST, reason);
        }
    };
    let no_peers = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
    match api.push(topic, message).await {
        Ok(count) => json(StatusCode::OK, &Pushed { status_desc: None, relay_peer_count: count }),
        Err(Unpushed::NoPeer(reason)) => refused(StatusCode::SERVICE_UNAVAILABLE, reason.to_owned()),
        Err(Unpushed::Late) => refused(StatusCode::SERVICE_UNAVAILABLE, LATE.to_owned()),
        Err(Unpushed::RateLimited) => {
            let reason = "Request rejected due to too many requests";
            refused(StatusCode::TOO_MANY_REQUESTS, reason.to_owned())
        }
        Err(Unpushed::NoRelayPeers) => refused(no_peers, "No peers for topic, skipping publish".to_owned()),
        Err(Unpushed::NotReached(peer)) => {
            refused(no_peers, format!("dial_failure: {peer} is not accessible"))
        }
        Err(Unpushed::BadContentTopic(reason)) => {
            refused(StatusCode::INTERNAL_SERVER_ERROR, format!("Invalid content-topic:{reason}"))
        }
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, error.words(&api)),
    }
}

fn read(body: &Payload) -> Result<(Option<String>, WakuMessage), Flaw> {
    let push = body.decode::<Push>()?;
    Ok((push.pubsub_topic.filter(|topic| !topic.is_empty()), push.message.read()?))
}

/// A message that was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unpushed {
    NoPeer(&'static str),
    NotReached(PeerId),
    /// No answer came.
    Late,
    RateLimited,
    /// The service node had nobody to send it to, or had seen it before.
    NoRelayPeers,
    TooLarge,
    NoPubsubTopic,
    BadContentTopic(String),
    MetaTooLong,
    Other(String),
}

impl Unpushed {
    /// What both versions say of it.
    fn words(self, api: &Api) -> String {
        match self {
            Self::TooLarge => {
                format!("Message size exceeded maximum of {} bytes", api.settings.max_message_len)
            }
            Self::NoPubsubTopic => {
                "Pubsub topic must be specified when static sharding is enabled".to_owned()
            }
            Self::MetaTooLong => "decode_rpc_failure: (kind: InvalidLengthField, field: \"meta\")".to_owned(),
            Self::BadContentTopic(reason) | Self::Other(reason) => reason,
            Self::NotReached(peer) => format!("{peer} is not accessible"),
            Self::NoPeer(reason) => reason.to_owned(),
            Self::Late => LATE.to_owned(),
            Self::RateLimited => "too many requests".to_owned(),
            Self::NoRelayPeers => "no relay peers".to_owned(),
        }
    }
}

impl Api {
    /// Publishes through a service node; tells to how many relay peers it was sent, if that is told.
    async fn push(&self, topic: Option<String>, message: WakuMessage) -> Result<Option<u32>, Unpushed> {
        let node = self.node().map_err(|refusal| Unpushed::Other(refusal.reason))?;
        let pubsub_topic = match topic {
            Some(topic) => {
                topic.parse::<PubsubTopic>().map_err(|error| Unpushed::Other(error.to_string()))?
            }
            None if !node.sharding().is_auto() => return Err(Unpushed::NoPubsubTopic),
            None => {
                let unsharded =
                    |reason: String| Unpushed::BadContentTopic(format!("invalid format: {reason}"));
                let topic = message.content_topic.parse::<ContentTopic>();
                let topic = topic.map_err(|error| unsharded(error.to_string()))?;
                node.sharding().pubsub_topic(&topic).map_err(|error| unsharded(error.to_string()))?
            }
        };
        if message.check().is_err_and(|error| matches!(error, MessageError::MetaTooLong { .. })) {
            return Err(Unpushed::MetaTooLong);
        }
        if EncodedMessage::encode(message.clone()).bytes().len() > self.settings.max_message_len {
            return Err(Unpushed::TooLarge);
        }
        let named = self.settings.service_nodes.lightpush.as_ref();
        let (shard, mut peer) = (pubsub_topic.shard(), Err(NoPeer::Unknown("")));
        for protocol in [LIGHTPUSH, LIGHTPUSH_V2] {
            if peer.is_err() {
                peer = self.service_peer(node, protocol, shard, named).await;
            }
        }
        let peer = peer.map_err(|none| match none {
            NoPeer::Unknown(reason) => Unpushed::NoPeer(reason),
            NoPeer::NotReached(peer) => Unpushed::NotReached(peer),
        })?;
        let lightpush = node.lightpush().with_timeout(WITHIN);
        match lightpush.publish_via(peer, Some(pubsub_topic), message).await {
            Ok(receipt) => Ok(receipt.relay_peers),
            Err(error) => Err(unpushed(error)),
        }
    }
}

fn unpushed(error: LightpushError) -> Unpushed {
    match error {
        LightpushError::Duplicate { .. } => Unpushed::NoRelayPeers,
        LightpushError::TooLarge { .. } => Unpushed::TooLarge,
        LightpushError::Unanswered { peer, error: AskError::NotReached } => Unpushed::NotReached(peer),
        LightpushError::Refused { status, reason, .. } => match status {
            Status::NoPeersToRelay | Status::UnsupportedPubsubTopic => Unpushed::NoRelayPeers,
            Status::TooManyRequests => Unpushed::RateLimited,
            Status::PayloadTooLarge => Unpushed::TooLarge,
            _ => Unpushed::Other(reason),
        },
        LightpushError::Timeout | LightpushError::Unanswered { error: AskError::Timeout, .. } => {
            Unpushed::Late
        }
        error => Unpushed::Other(error.to_string()),
    }
}
