//! 12/WAKU2-FILTER, version 2: a light client has matching messages pushed to it.

use bytes::{Bytes, BytesMut};
use prost::encoding;

use crate::generated::filter_subscribe_request::FilterSubscribeType;
use crate::message::embedded;
use crate::status::status_codes;
use crate::wire::{non_empty, required};
use crate::{EncodedMessage, PubsubTopic, WakuMessage, Wire, WireError, generated};

/// Most content topics in one request, as nwaku and go-waku have it.
pub const MAX_CONTENT_TOPICS: usize = 100;

status_codes! {
    /// Outcome of a filter request, as deployed.
    pub enum Status {
        /// Done.
        Ok = 200,
        /// The request makes no sense.
        BadRequest = 400,
        /// The peer has no such subscription.
        NotFound = 404,
        /// Asked too often; `request_id` of the response is then `N/A`.
        TooManyRequests = 429,
        /// No room for more subscribers or criteria.
        Unavailable = 503,
    }
}

/// What a client asks its service node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscribeType {
    /// Is there a subscription of mine?
    Ping,
    /// Add the criteria.
    Subscribe,
    /// Remove the criteria.
    Unsubscribe,
    /// Remove everything.
    UnsubscribeAll,
}

/// A client's request.
///
/// `pubsub_topic` and `content_topics` are needed for subscribing and unsubscribing only. Topics are any
/// text: the service node answers with a status when they are not valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Opaque id, echoed in the response; never empty in requests of ours, go-waku refuses that.
    pub request_id: String,
    /// What is asked.
    pub kind: SubscribeType,
    /// Pubsub topic of the criteria.
    pub pubsub_topic: Option<String>,
    /// Content topics of the criteria.
    pub content_topics: Vec<String>,
}

impl Wire for SubscribeRequest {
    type Generated = generated::FilterSubscribeRequest;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            kind: subscribe_type(generated.filter_subscribe_type.unwrap_or_default())?,
            pubsub_topic: non_empty(generated.pubsub_topic),
            content_topics: generated.content_topics,
        })
    }
}

fn subscribe_type(value: i32) -> Result<SubscribeType, WireError> {
    match FilterSubscribeType::try_from(value) {
        Ok(FilterSubscribeType::SubscriberPing) => Ok(SubscribeType::Ping),
        Ok(FilterSubscribeType::Subscribe) => Ok(SubscribeType::Subscribe),
        Ok(FilterSubscribeType::Unsubscribe) => Ok(SubscribeType::Unsubscribe),
        Ok(FilterSubscribeType::UnsubscribeAll) => Ok(SubscribeType::UnsubscribeAll),
        Err(_) => Err(WireError::OutOfRange { field: "filter_subscribe_type", value: value.into() }),
    }
}

impl From<SubscribeRequest> for generated::FilterSubscribeRequest {
    fn from(request: SubscribeRequest) -> Self {
        let kind = match request.kind {
            SubscribeType::Ping => FilterSubscribeType::SubscriberPing,
            SubscribeType::Subscribe => FilterSubscribeType::Subscribe,
            SubscribeType::Unsubscribe => FilterSubscribeType::Unsubscribe,
            SubscribeType::UnsubscribeAll => FilterSubscribeType::UnsubscribeAll,
        };
        Self {
            request_id: Some(request.request_id),
            filter_subscribe_type: Some(kind.into()),
            pubsub_topic: request.pubsub_topic,
            content_topics: request.content_topics,
        }
    }
}

/// A service node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeResponse {
    /// Id of the request answered; not to be relied on when the status is [`Status::TooManyRequests`].
    pub request_id: String,
    /// Outcome.
    pub status: Status,
    /// Outcome in words.
    pub status_desc: Option<String>,
}

impl Wire for SubscribeResponse {
    type Generated = generated::FilterSubscribeResponse;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            status: required(generated.status_code, "status_code")?.into(),
            status_desc: non_empty(generated.status_desc),
        })
    }
}

impl From<SubscribeResponse> for generated::FilterSubscribeResponse {
    fn from(response: SubscribeResponse) -> Self {
        Self {
            request_id: Some(response.request_id),
            status_code: Some(response.status.code()),
            status_desc: response.status_desc,
        }
    }
}

/// A message pushed to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePush {
    /// The message.
    pub message: WakuMessage,
    /// Pubsub topic it was relayed on; empty when the service node did not say.
    pub pubsub_topic: String,
}

impl MessagePush {
    /// The bytes of the push of a message, with the message's own bytes as they came: what this crate does
    /// not know of them arrives as well.
    pub fn encode_as_relayed(message: &EncodedMessage, pubsub_topic: &PubsubTopic) -> Bytes {
        let topic = Bytes::copy_from_slice(pubsub_topic.as_str().as_bytes());
        let len = encoding::bytes::encoded_len(1, message.bytes()) + encoding::bytes::encoded_len(2, &topic);
        let mut push = BytesMut::with_capacity(len);
        // A message and a string are written as bytes are.
        encoding::bytes::encode(1, message.bytes(), &mut push);
        encoding::bytes::encode(2, &topic, &mut push);
        push.freeze()
    }
}

impl Wire for MessagePush {
    type Generated = generated::MessagePush;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            message: embedded(generated.waku_message, "waku_message")?,
            pubsub_topic: generated.pubsub_topic.unwrap_or_default(),
        })
    }
}

impl From<MessagePush> for generated::MessagePush {
    fn from(push: MessagePush) -> Self {
        Self { waku_message: Some(push.message.into()), pubsub_topic: Some(push.pubsub_topic) }
    }
}
