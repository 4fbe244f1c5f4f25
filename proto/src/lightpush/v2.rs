//! 19/WAKU2-LIGHTPUSH, version 2: what go-waku speaks.

use crate::message::embedded;
use crate::wire::non_empty;
use crate::{WakuMessage, Wire, WireError, generated};

/// One request or one response, with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rpc {
    /// Opaque id, echoed in the response; `N/A` when nwaku answers without reading the request.
    pub request_id: String,
    /// What is said.
    pub body: Body,
}

/// What an [`Rpc`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Publish this message.
    Request {
        /// Pubsub topic; empty when the client did not say.
        pubsub_topic: String,
        /// The message.
        message: WakuMessage,
    },
    /// How publishing went.
    Response {
        /// True when the message was relayed.
        is_success: bool,
        /// Reason of a failure.
        info: Option<String>,
    },
}

impl Wire for Rpc {
    type Generated = generated::PushRpc;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        let body = match (generated.request, generated.response) {
            (Some(request), _) => Body::Request {
                pubsub_topic: request.pubsub_topic.unwrap_or_default(),
                message: embedded(request.message, "message")?,
            },
            (None, Some(response)) => Body::Response {
                is_success: response.is_success.unwrap_or_default(),
                info: non_empty(response.info),
            },
            (None, None) => return Err(WireError::Missing { field: "request" }),
        };
        Ok(Self { request_id: generated.request_id.unwrap_or_default(), body })
    }
}

impl From<Rpc> for generated::PushRpc {
    fn from(rpc: Rpc) -> Self {
        let (request, response) = match rpc.body {
            Body::Request { pubsub_topic, message } => {
                let request = generated::PushRequest {
                    pubsub_topic: Some(pubsub_topic),
                    message: Some(message.into()),
                };
                (Some(request), None)
            }
            Body::Response { is_success, info } => {
                (None, Some(generated::PushResponse { is_success: Some(is_success), info }))
            }
        };
        Self { request_id: Some(rpc.request_id), request, response }
    }
}
