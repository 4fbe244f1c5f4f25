//! The protocol as it is mounted on the swarm.

use std::time::Duration;

use waku_proto::peer_exchange::{Response, Rpc, Status};
use waku_proto::protocol_id;

use crate::net::codec::{Limits, Protocol};
use crate::net::exchange::{Refusal, Served};

/// The protocol, for [`Exchange`](crate::net::exchange::Exchange).
#[derive(Debug)]
pub(crate) enum PeerExchangeProtocol {}

impl Protocol for PeerExchangeProtocol {
    const ID: &'static str = protocol_id::PEER_EXCHANGE;
    type Request = Rpc;
    type Response = Rpc;
}

impl Served for PeerExchangeProtocol {
    fn refusal(refusal: Refusal) -> Rpc {
        let status = match refusal {
            Refusal::TooManyRequests => Status::TooManyRequests,
            Refusal::Busy => Status::Unavailable,
        };
        Rpc::Response(Response { enrs: Vec::new(), status, status_desc: None })
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        max_request: 1024,
        // Sixty records of 300 bytes take 19 KiB; go-waku may give more.
        max_response: 256 * 1024,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(10),
        streams: 16,
    }
}
