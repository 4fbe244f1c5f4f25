//! 66/WAKU2-METADATA: peers of another cluster do not stay connected.
//!
//! Every peer is asked when it connects, whoever dialled. As in nwaku a peer that does not answer, does not
//! name its cluster or names another one is disconnected; shards are not compared. js-waku answers with an
//! empty list of shards, which is fine.

pub(crate) mod behaviour;

use std::time::Duration;

use thiserror::Error;
use waku_proto::metadata::Metadata;
use waku_proto::protocol_id;

use crate::net::codec::{Limits, Protocol};

/// What nwaku reads at most, in bytes.
const MAX_SIZE: usize = 1024;
/// So many shards, each written twice, still fit.
const MAX_SHARDS: usize = 200;

/// The protocol, for [`Rpc`](crate::net::rpc::Rpc).
#[derive(Debug)]
pub(crate) enum MetadataProtocol {}

impl Protocol for MetadataProtocol {
    const ID: &'static str = protocol_id::METADATA;
    type Request = Metadata;
    type Response = Metadata;
}

fn limits() -> Limits {
    Limits {
        max_request: MAX_SIZE,
        max_response: MAX_SIZE,
        first_byte: Duration::from_secs(5 * 60),
        exchange: Duration::from_secs(10),
        streams: 16,
    }
}

/// Why a peer's metadata is not good enough to stay connected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetadataRefusal {
    /// The peer is on another cluster.
    #[error("it is on cluster {theirs}, this node is on cluster {ours}")]
    ClusterMismatch {
        /// This node's cluster.
        ours: u16,
        /// The peer's cluster.
        theirs: u16,
    },
    /// The peer did not name its cluster.
    #[error("it did not name its cluster")]
    NoCluster,
    /// The peer did not answer as it should.
    #[error("it did not answer: {0}")]
    NoAnswer(String),
}

/// Judges what a peer says in its answer.
fn judge_response(ours: u16, theirs: &Metadata) -> Result<(), MetadataRefusal> {
    match theirs.cluster {
        Some(theirs) if theirs != ours => Err(MetadataRefusal::ClusterMismatch { ours, theirs }),
        Some(_) => Ok(()),
        None => Err(MetadataRefusal::NoCluster),
    }
}

/// Judges what a peer says of itself in its question, where it need not say anything.
fn judge_request(ours: u16, theirs: &Metadata) -> Result<(), MetadataRefusal> {
    if theirs.cluster.is_some() { judge_response(ours, theirs) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(cluster: Option<u16>) -> Metadata {
        Metadata { cluster, shards: vec![] }
    }

    #[test]
    fn as_many_shards_as_are_told_fit_what_nwaku_reads() {
        let last = waku_proto::shard::SHARDS_PER_CLUSTER - 1;
        let longest = Metadata { cluster: Some(u16::MAX), shards: vec![last; MAX_SHARDS] };
        assert!(waku_proto::Wire::encode(longest).len() <= MAX_SIZE);
    }

    #[test]
    fn the_same_cluster_without_shards_is_fine() {
        assert_eq!(judge_response(1, &metadata(Some(1))), Ok(()));
        assert_eq!(judge_request(1, &metadata(Some(1))), Ok(()));
    }

    #[test]
    fn another_cluster_is_refused() {
        let refusal = MetadataRefusal::ClusterMismatch { ours: 1, theirs: 0 };
        assert_eq!(judge_response(1, &metadata(Some(0))), Err(refusal.clone()));
        assert_eq!(judge_request(1, &metadata(Some(0))), Err(refusal));
    }

    #[test]
    fn an_answer_must_name_the_cluster_a_question_need_not() {
        assert_eq!(judge_response(1, &metadata(None)), Err(MetadataRefusal::NoCluster));
        assert_eq!(judge_request(1, &metadata(None)), Ok(()));
    }
}
