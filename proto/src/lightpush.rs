//! LIGHTPUSH version 3: a client has a service node publish for it. [`v2`] is 19/WAKU2-LIGHTPUSH.

pub mod v2;

use crate::message::embedded;
use crate::status::status_codes;
use crate::wire::{non_empty, required};
use crate::{WakuMessage, Wire, WireError, generated};

status_codes! {
    /// Outcome of a push, in the deployed numbering.
    ///
    /// # Differences from the specification
    /// The specification gives 503 to "no peers to relay"; nwaku and js-waku use 505 for it, and 503 and
    /// 504 for other things. Unknown 4xx codes are best taken as final, others as worth a retry.
    pub enum Status {
        /// Relayed to at least one peer.
        Success = 200,
        /// The request makes no sense.
        BadRequest = 400,
        /// The message is over the size limit.
        PayloadTooLarge = 413,
        /// The message fails validation, or was seen before.
        InvalidMessage = 420,
        /// The service node is not on that pubsub topic.
        UnsupportedPubsubTopic = 421,
        /// Asked too often; `request_id` of the response is then `N/A`.
        TooManyRequests = 429,
        /// The service node failed.
        InternalServerError = 500,
        /// The service is not available now.
        ServiceNotAvailable = 503,
        /// The service node could not make a rate limit proof.
        OutOfRlnProof = 504,
        /// The service node has no relay peers.
        NoPeersToRelay = 505,
    }
}

/// Publish this message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Opaque id, echoed in the response.
    pub request_id: String,
    /// Pubsub topic; `None` lets the service node derive it from the content topic.
    pub pubsub_topic: Option<String>,
    /// The message.
    pub message: WakuMessage,
}

impl Wire for Request {
    type Generated = generated::LightpushRequest;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            pubsub_topic: non_empty(generated.pubsub_topic),
            message: embedded(generated.message, "message")?,
        })
    }
}

impl From<Request> for generated::LightpushRequest {
    fn from(request: Request) -> Self {
        Self {
            request_id: Some(request.request_id),
            pubsub_topic: request.pubsub_topic,
            message: Some(request.message.into()),
        }
    }
}

/// How publishing went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Id of the request answered; not to be relied on when the status is [`Status::TooManyRequests`].
    pub request_id: String,
    /// Outcome.
    pub status: Status,
    /// Outcome in words.
    pub status_desc: Option<String>,
    /// Relay peers the message was sent to. nwaku's client takes a success without any as a failure.
    pub relay_peer_count: Option<u32>,
}

impl Wire for Response {
    type Generated = generated::LightpushResponse;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            status: required(generated.status_code, "status_code")?.into(),
            status_desc: non_empty(generated.status_desc),
            relay_peer_count: generated.relay_peer_count,
        })
    }
}

impl From<Response> for generated::LightpushResponse {
    fn from(response: Response) -> Self {
        Self {
            request_id: Some(response.request_id),
            status_code: Some(response.status.code()),
            status_desc: response.status_desc,
            relay_peer_count: response.relay_peer_count,
        }
    }
}
