//! The two versions, as they are mounted on the swarm.

use std::time::Duration;

use waku_proto::lightpush::{Request, Response, Status, v2};
use waku_proto::protocol_id;

use crate::net::codec::{Limits, Protocol};
use crate::net::exchange::{Refusal, Served, UNREAD_REQUEST_ID};

/// Version 3.
#[derive(Debug)]
pub(crate) enum LightpushProtocol {}

impl Protocol for LightpushProtocol {
    const ID: &'static str = protocol_id::LIGHTPUSH;
    type Request = Request;
    type Response = Response;
}

impl Served for LightpushProtocol {
    fn refusal(refusal: Refusal) -> Response {
        let status = match refusal {
            Refusal::TooManyRequests => Status::TooManyRequests,
            Refusal::Busy => Status::ServiceNotAvailable,
        };
        Response {
            request_id: UNREAD_REQUEST_ID.to_owned(),
            status,
            status_desc: None,
            relay_peer_count: None,
        }
    }
}

/// Version 2.
#[derive(Debug)]
pub(crate) enum LightpushV2Protocol {}

impl Protocol for LightpushV2Protocol {
    const ID: &'static str = protocol_id::LIGHTPUSH_V2;
    type Request = v2::Rpc;
    type Response = v2::Rpc;
}

impl Served for LightpushV2Protocol {
    fn refusal(_: Refusal) -> v2::Rpc {
        // The one word nwaku has for it.
        let info = Some(super::words::TOO_MANY_REQUESTS.to_owned());
        v2::Rpc {
            request_id: UNREAD_REQUEST_ID.to_owned(),
            body: v2::Body::Response { is_success: false, info },
        }
    }
}

/// Both versions, for messages whose relay RPC may have `max_rpc_size` bytes.
pub(crate) fn limits(max_rpc_size: usize) -> Limits {
    Limits {
        max_request: max_rpc_size + 64 * 1024,
        max_response: 64 * 1024,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(10),
        streams: 16,
    }
}
