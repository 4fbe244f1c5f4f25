//! 34/WAKU2-PEER-EXCHANGE: ask a peer for some of the peers it knows.

use bytes::Bytes;

use crate::status::status_codes;
use crate::wire::non_empty;
use crate::{Wire, WireError, generated};

status_codes! {
    /// Outcome of a query; an extension of nwaku's.
    pub enum Status {
        /// Done.
        Success = 200,
        /// The request makes no sense.
        BadRequest = 400,
        /// Asked too often.
        TooManyRequests = 429,
        /// No peers to give.
        Unavailable = 503,
    }
}

/// One question or one answer.
///
/// On the wire an answer has an empty question beside it: nwaku refuses answers without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rpc {
    /// A question for peers.
    Query {
        /// Number of peers wanted.
        num_peers: u64,
    },
    /// Some peers.
    Response(Response),
}

/// Some peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Their ENRs in RLP.
    pub enrs: Vec<Bytes>,
    /// Outcome. When the peer did not say: success with peers, else [`Status::Unavailable`].
    pub status: Status,
    /// Outcome in words.
    pub status_desc: Option<String>,
}

impl Wire for Rpc {
    type Generated = generated::PeerExchangeRpc;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        match (generated.response, generated.query) {
            (Some(response), _) => Ok(Self::Response(read_response(response))),
            (None, Some(query)) => Ok(Self::Query { num_peers: query.num_peers.unwrap_or_default() }),
            (None, None) => Err(WireError::Missing { field: "query" }),
        }
    }
}

fn read_response(generated: generated::PeerExchangeResponse) -> Response {
    let enrs: Vec<Bytes> = generated.peer_infos.into_iter().filter_map(|info| info.enr).collect();
    let implied = if enrs.is_empty() { Status::Unavailable } else { Status::Success };
    Response {
        enrs,
        status: generated.status_code.map_or(implied, Status::from),
        status_desc: non_empty(generated.status_desc),
    }
}

impl From<Rpc> for generated::PeerExchangeRpc {
    fn from(rpc: Rpc) -> Self {
        match rpc {
            Rpc::Query { num_peers } => Self {
                query: Some(generated::PeerExchangeQuery { num_peers: Some(num_peers) }),
                response: None,
            },
            Rpc::Response(response) => Self {
                query: Some(generated::PeerExchangeQuery { num_peers: None }),
                response: Some(generated::PeerExchangeResponse {
                    peer_infos: response
                        .enrs
                        .into_iter()
                        .map(|enr| generated::PeerInfo { enr: Some(enr) })
                        .collect(),
                    status_code: Some(response.status.code()),
                    status_desc: response.status_desc,
                }),
            },
        }
    }
}
