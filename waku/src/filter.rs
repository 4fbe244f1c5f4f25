//! 12/WAKU2-FILTER, version 2: a light client has matching messages pushed to it.

use std::time::Duration;

use waku_proto::filter::{Status, SubscribeRequest, SubscribeResponse};
use waku_proto::protocol_id;

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
        let status = match refusal {
            Refusal::TooManyRequests => Status::TooManyRequests,
            Refusal::Busy => Status::Unavailable,
        };
        SubscribeResponse { request_id: UNREAD_REQUEST_ID.to_owned(), status, status_desc: None }
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

/// What a filter service node gives.
#[derive(Debug, Clone)]
pub struct FilterConfig {
    /// How often it is asked; default 30 requests a minute for each peer, as nwaku.
    pub rate_limit: RateLimit,
}

impl Default for FilterConfig {
    fn default() -> Self {
        let rate = Rate::new(30, Duration::from_secs(60));
        Self { rate_limit: RateLimit { total: None, per_peer: Some(rate) } }
    }
}
