//! What is asked, and what an answer says. No clock, no sockets.

use std::collections::HashSet;

use waku_proto::peer_exchange::{Response, Rpc, Status};

use super::{MAX_EXCHANGED_PEERS, PeerExchangeError};
use crate::{AskError, NodeRecord};

/// The records of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// One of each peer, with a good signature.
    pub(super) records: Vec<NodeRecord>,
    /// How many others were among them.
    pub(super) invalid: u64,
}

/// The question for so many peers.
pub(super) fn question(count: usize) -> Rpc {
    Rpc::Query { num_peers: bounded(count) as u64 }
}

/// What a peer that was asked for `count` peers answers. What goes beyond that is not looked at.
pub(super) fn read(answer: Rpc, count: usize) -> Result<Answer, PeerExchangeError> {
    let Rpc::Response(Response { enrs, status, status_desc }) = answer else {
        return Err(AskError::Invalid("it answered with a question".to_owned()).into());
    };
    match status {
        Status::Success => {}
        Status::Unavailable => return Err(PeerExchangeError::NoPeers),
        Status::TooManyRequests => return Err(PeerExchangeError::TooManyRequests),
        status => return Err(PeerExchangeError::Refused { status, reason: status_desc }),
    }
    let mut seen = HashSet::new();
    let (mut records, mut invalid) = (Vec::new(), 0);
    for enr in enrs.iter().take(bounded(count)) {
        match NodeRecord::decode(enr) {
            Ok(record) if seen.insert(record.peer_id()) => records.push(record),
            Ok(_) => {}
            Err(_) => invalid += 1,
        }
    }
    Ok(Answer { records, invalid })
}

fn bounded(count: usize) -> usize {
    count.clamp(1, MAX_EXCHANGED_PEERS)
}

#[cfg(test)]
mod tests {
    use waku_proto::Bytes;

    use super::*;
    use crate::{Announcement, Keypair};

    fn record() -> NodeRecord {
        Announcement::default().sign(&Keypair::generate()).unwrap().record
    }

    fn answer(enrs: Vec<Bytes>, status: Status) -> Rpc {
        Rpc::Response(Response { enrs, status, status_desc: Some("why".to_owned()) })
    }

    #[test]
    fn asks_for_one_at_least_and_for_no_more_than_are_given() {
        let asked = [0, 5, 1000].map(question);
        assert_eq!(asked, [1, 5, 60].map(|num_peers| Rpc::Query { num_peers }));
    }

    #[test]
    fn takes_each_peer_once_and_counts_what_is_no_record() {
        let (one, other) = (record(), record());
        let mut forged = other.encode().to_vec();
        forged[10] ^= 1;
        let enrs = vec![
            one.encode(),
            Bytes::from_static(b"junk"),
            other.encode(),
            one.encode(),
            Bytes::from(forged),
            Bytes::from(vec![0; 100_000]),
        ];
        let read = read(answer(enrs, Status::Success), 10).unwrap();
        assert_eq!(read, Answer { records: vec![one, other], invalid: 3 });
    }

    #[test]
    fn looks_at_no_more_than_it_asked_for() {
        let enrs = (0..5).map(|_| record().encode()).collect();
        assert_eq!(read(answer(enrs, Status::Success), 3).unwrap().records.len(), 3);
    }

    #[test]
    fn failures_are_told_apart() {
        assert_eq!(read(answer(vec![], Status::Unavailable), 1), Err(PeerExchangeError::NoPeers));
        assert_eq!(read(answer(vec![], Status::TooManyRequests), 1), Err(PeerExchangeError::TooManyRequests));
        let refused = read(answer(vec![], Status::BadRequest), 1).unwrap_err();
        assert_eq!(refused.to_string(), "the peer refused: 400 BadRequest: why");
        let question = read(Rpc::Query { num_peers: 1 }, 1).unwrap_err();
        assert!(matches!(question, PeerExchangeError::Unanswered(AskError::Invalid(_))), "{question}");
    }
}
