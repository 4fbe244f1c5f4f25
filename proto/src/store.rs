//! 13/WAKU2-STORE, version 3: past messages, by content or by hash.

use bytes::Bytes;

use crate::message::embedded;
use crate::status::status_codes;
use crate::wire::{fixed, non_empty, required};
use crate::{MessageHash, WakuMessage, Wire, WireError, generated};

status_codes! {
    /// Outcome of a store query, as deployed.
    pub enum Status {
        /// Done.
        Ok = 200,
        /// The archive could not answer, for example because of an unknown cursor.
        BadResponse = 300,
        /// The request makes no sense.
        BadRequest = 400,
        /// Asked too often; `request_id` of the response is then `N/A`.
        TooManyRequests = 429,
        /// The store does not serve now.
        Unavailable = 503,
    }
}

/// Which way pages follow each other. Within a page messages are always oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From new to old; what an absent field means.
    Backward,
    /// From old to new.
    Forward,
}

/// A query by content (topics and times) or by hash; the two should not be mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    /// Opaque id, echoed in the response.
    pub request_id: String,
    /// True to get messages, false to get hashes alone.
    pub include_data: bool,
    /// Pubsub topic of the messages wanted; given together with content topics or not at all.
    pub pubsub_topic: Option<String>,
    /// Content topics of the messages wanted. Deployed stores take at most 10.
    pub content_topics: Vec<String>,
    /// First Unix nanosecond, inclusive.
    pub time_start: Option<i64>,
    /// Last Unix nanosecond: exclusive by the specification, inclusive in nwaku.
    pub time_end: Option<i64>,
    /// Hashes to look up.
    pub message_hashes: Vec<MessageHash>,
    /// The page begins after this message.
    pub cursor: Option<MessageHash>,
    /// Which way pages follow each other.
    pub direction: Direction,
    /// Most messages on a page; deployed stores take 20 when absent and 100 at most.
    pub limit: Option<u64>,
}

impl Wire for QueryRequest {
    type Generated = generated::StoreQueryRequest;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        let forward = generated.pagination_forward.unwrap_or_default();
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            include_data: generated.include_data.unwrap_or_default(),
            pubsub_topic: non_empty(generated.pubsub_topic),
            content_topics: generated.content_topics,
            time_start: generated.time_start,
            time_end: generated.time_end,
            message_hashes: generated
                .message_hashes
                .iter()
                .map(|bytes| hash(bytes, "message_hashes"))
                .collect::<Result<_, _>>()?,
            cursor: cursor(generated.pagination_cursor.as_ref())?,
            direction: if forward { Direction::Forward } else { Direction::Backward },
            limit: generated.pagination_limit,
        })
    }
}

impl From<QueryRequest> for generated::StoreQueryRequest {
    fn from(request: QueryRequest) -> Self {
        Self {
            request_id: Some(request.request_id),
            include_data: Some(request.include_data),
            pubsub_topic: request.pubsub_topic,
            content_topics: request.content_topics,
            time_start: request.time_start,
            time_end: request.time_end,
            message_hashes: request.message_hashes.iter().map(hash_bytes).collect(),
            pagination_cursor: request.cursor.as_ref().map(hash_bytes),
            pagination_forward: Some(request.direction == Direction::Forward),
            pagination_limit: request.limit,
        }
    }
}

/// One message found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// Its deterministic hash.
    pub message_hash: MessageHash,
    /// The message, when data was asked for. nwaku does not keep `ephemeral` and the rate limit proof.
    pub message: Option<WakuMessage>,
    /// Pubsub topic it was relayed on, when data was asked for.
    pub pubsub_topic: Option<String>,
}

/// One page, oldest message first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryResponse {
    /// Id of the request answered; nwaku leaves it empty in errors.
    pub request_id: String,
    /// Outcome.
    pub status: Status,
    /// Outcome in words.
    pub status_desc: String,
    /// The page.
    pub messages: Vec<KeyValue>,
    /// Cursor of the next page; `None` at the end.
    pub cursor: Option<MessageHash>,
}

impl Wire for QueryResponse {
    type Generated = generated::StoreQueryResponse;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            request_id: generated.request_id.unwrap_or_default(),
            status: required(generated.status_code, "status_code")?.into(),
            status_desc: generated.status_desc.unwrap_or_default(),
            messages: generated.messages.into_iter().map(key_value).collect::<Result<_, _>>()?,
            cursor: cursor(generated.pagination_cursor.as_ref())?,
        })
    }
}

fn key_value(generated: generated::WakuMessageKeyValue) -> Result<KeyValue, WireError> {
    Ok(KeyValue {
        message_hash: hash(&required(generated.message_hash, "message_hash")?, "message_hash")?,
        message: generated.message.map(|message| embedded(Some(message), "message")).transpose()?,
        pubsub_topic: non_empty(generated.pubsub_topic),
    })
}

impl From<QueryResponse> for generated::StoreQueryResponse {
    fn from(response: QueryResponse) -> Self {
        let entry = |found: KeyValue| generated::WakuMessageKeyValue {
            message_hash: Some(hash_bytes(&found.message_hash)),
            message: found.message.map(Into::into),
            pubsub_topic: found.pubsub_topic,
        };
        Self {
            request_id: Some(response.request_id),
            status_code: Some(response.status.code()),
            status_desc: Some(response.status_desc),
            messages: response.messages.into_iter().map(entry).collect(),
            pagination_cursor: response.cursor.as_ref().map(hash_bytes),
        }
    }
}

fn hash(bytes: &Bytes, field: &'static str) -> Result<MessageHash, WireError> {
    fixed::<32>(bytes, field).map(MessageHash::from)
}

/// An empty cursor means none: proto3 encoders may write one.
fn cursor(bytes: Option<&Bytes>) -> Result<Option<MessageHash>, WireError> {
    bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| hash(bytes, "pagination_cursor")).transpose()
}

fn hash_bytes(hash: &MessageHash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}
