//! The protocol, as it is mounted on the swarm.

use std::time::Duration;

use waku_proto::protocol_id;
use waku_proto::store::{QueryRequest, QueryResponse, Status};

use crate::net::codec::{Limits, Protocol};
use crate::net::exchange::{Refusal, Served, UNREAD_REQUEST_ID};

/// The protocol, for [`Exchange`](crate::net::exchange::Exchange).
#[derive(Debug)]
pub(crate) enum StoreProtocol {}

impl Protocol for StoreProtocol {
    const ID: &'static str = protocol_id::STORE_QUERY;
    type Request = QueryRequest;
    type Response = QueryResponse;
}

impl Served for StoreProtocol {
    fn refusal(refusal: Refusal) -> QueryResponse {
        let status = match refusal {
            Refusal::TooManyRequests => Status::TooManyRequests,
            Refusal::Busy => Status::Unavailable,
        };
        QueryResponse {
            request_id: UNREAD_REQUEST_ID.to_owned(),
            status,
            status_desc: "the store has too much to do".to_owned(),
            messages: Vec::new(),
            cursor: None,
        }
    }
}

/// For pages of at most 100 messages whose relay RPC may have `max_rpc_size` bytes.
pub(crate) fn limits(max_rpc_size: usize) -> Limits {
    Limits {
        // Thousands of hashes, or a hundred long content topics; nwaku reads without a limit.
        max_request: 256 * 1024,
        max_response: 100 * (max_rpc_size + 1024) + 64 * 1024,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(30),
        streams: 16,
    }
}
