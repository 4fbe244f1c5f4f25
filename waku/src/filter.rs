//! 12/WAKU2-FILTER, version 2: a light client has matching messages pushed to it.

pub(crate) mod client;
pub(crate) mod server;
pub(crate) mod service;

use std::sync::Arc;
use std::time::Duration;

use waku_proto::filter::{Status, SubscribeRequest, SubscribeResponse};
use waku_proto::{PubsubTopic, protocol_id};

use crate::PeerId;
use crate::net::codec::{Limits, Protocol};
use crate::net::exchange::{Refusal, Served, UNREAD_REQUEST_ID};
use crate::rate_limit::{Rate, RateLimit};

/// What a client asks its service node.
#[derive(Debug)]
pub(crate) enum SubscribeProtocol {}

impl Protocol for SubscribeProtocol {
    const ID: &'static str = protocol_id::FILTER_SUBSCRIBE;
    type Request = SubscribeRequest;
    type Response = SubscribeResponse;
}

impl Served for SubscribeProtocol {
    fn refusal(refusal: Refusal) -> SubscribeResponse {
        let (status, description) = match refusal {
            Refusal::TooManyRequests => {
                (Status::TooManyRequests, "filter request rejected due rate limit exceeded")
            }
            Refusal::Busy => (Status::Unavailable, "SERVICE_UNAVAILABLE: too many requests wait already"),
        };
        SubscribeResponse {
            request_id: UNREAD_REQUEST_ID.to_owned(),
            status,
            status_desc: Some(description.to_owned()),
        }
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        // A hundred content topics may be long; nwaku reads 1.5 MiB.
        max_request: 256 * 1024,
        // What nwaku reads.
        max_response: 64 * 1024,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(10),
        streams: 16,
    }
}

/// Frames of filter push, for messages whose relay RPC may have `max_rpc_size` bytes.
pub(crate) fn max_push(max_rpc_size: usize) -> usize {
    max_rpc_size + 64 * 1024
}

/// Subscribers a filter service node takes, as nwaku; go-waku takes 20.
pub const DEFAULT_MAX_SUBSCRIBERS: usize = 1000;
/// Criteria, that is content topics on a pubsub topic, of one subscriber, as nwaku and go-waku.
pub const DEFAULT_MAX_CRITERIA: usize = 1000;
/// How long a subscriber may be silent before its subscription ends, as nwaku and go-waku. The
/// specification recommends one minute.
pub const DEFAULT_SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// What a filter service node gives. It must relay.
#[derive(Debug, Clone)]
pub struct FilterConfig {
    /// How often it is asked; default 30 requests a minute for each peer, as nwaku.
    pub rate_limit: RateLimit,
    /// Subscribers taken; [`DEFAULT_MAX_SUBSCRIBERS`]. The node must accept as many connections
    /// ([`ConnectionLimits::total`](crate::ConnectionLimits::total)).
    pub max_subscribers: usize,
    /// Criteria of each subscriber; [`DEFAULT_MAX_CRITERIA`].
    pub max_criteria: usize,
    /// How long a subscriber may be silent; [`DEFAULT_SUBSCRIPTION_TIMEOUT`].
    pub subscription_timeout: Duration,
}

impl Default for FilterConfig {
    fn default() -> Self {
        let rate = Rate::new(30, Duration::from_secs(60));
        Self {
            rate_limit: RateLimit { total: None, per_peer: Some(rate) },
            max_subscribers: DEFAULT_MAX_SUBSCRIBERS,
            max_criteria: DEFAULT_MAX_CRITERIA,
            subscription_timeout: DEFAULT_SUBSCRIPTION_TIMEOUT,
        }
    }
}

/// A peer that has messages pushed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSubscriber {
    /// The peer.
    pub peer_id: PeerId,
    /// What it asks for: pubsub topic and content topic, as it has written them.
    pub criteria: Vec<(PubsubTopic, Arc<str>)>,
}
