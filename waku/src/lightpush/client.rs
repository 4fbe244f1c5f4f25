//! Whom a client asks to publish, how often, and what the answers mean. No clock: waiting is told, not done.

use std::time::Duration;

use waku_proto::lightpush::{Response, Status, v2};
use waku_proto::protocol_id;

use super::words;
use crate::{AskError, PeerId};

/// Most tries for one message, each with another peer if there is one.
const MAX_TRIES: usize = 3;
/// Wait before a peer is asked a second time; doubles each time. go-waku serves a peer once a second.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The version a peer is asked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Version {
    V3,
    V2,
}

impl Version {
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Self::V3 => protocol_id::LIGHTPUSH,
            Self::V2 => protocol_id::LIGHTPUSH_V2,
        }
    }
}

/// A service node, and the newest version it speaks.
pub(super) type Candidate = (PeerId, Version);

/// A service node has taken the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// Relay peers it sent the message to, if it said so.
    pub(super) relay_peers: Option<u32>,
}

/// Why a try failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service node has seen the message before.
    Seen,
    /// The service node says no.
    Refused { status: Status, reason: String },
    /// No answer came.
    Unanswered(AskError),
}

/// What helps after a failure.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    Nothing,
    /// Another peer.
    Elsewhere,
    /// Another peer, or the same one later.
    Later,
}

impl Failure {
    /// True when the service node is to blame, not the message or this node.
    pub(super) fn is_the_peers(&self) -> bool {
        self.remedy() != Remedy::Nothing
    }

    fn remedy(&self) -> Remedy {
        match self {
            Self::Seen | Self::Unanswered(AskError::Stopped) => Remedy::Nothing,
            Self::Unanswered(AskError::Unsupported)
            | Self::Refused { status: Status::UnsupportedPubsubTopic, .. } => Remedy::Elsewhere,
            Self::Refused { status, .. }
                if (400..500).contains(&status.code()) && *status != Status::TooManyRequests =>
            {
                Remedy::Nothing
            }
            Self::Unanswered(_) | Self::Refused { .. } => Remedy::Later,
        }
    }
}

/// Reads an answer of version 3.
pub(super) fn read(response: Response) -> Result<Taken, Failure> {
    let Response { status, status_desc, relay_peer_count, .. } = response;
    let reason = status_desc.unwrap_or_default();
    match status {
        // As nwaku's client takes it.
        status if status.is_success() && relay_peer_count == Some(0) => {
            Err(Failure::Refused { status: Status::NoPeersToRelay, reason })
        }
        status if status.is_success() => Ok(Taken { relay_peers: relay_peer_count }),
        Status::InvalidMessage if words::is_seen(&reason) => Err(Failure::Seen),
        status => Err(Failure::Refused { status, reason }),
    }
}

/// Reads an answer of version 2, whose words become the status version 3 has for them.
pub(super) fn read_v2(rpc: v2::Rpc) -> Result<Taken, Failure> {
    let v2::Body::Response { is_success, info } = rpc.body else {
        let error = AskError::Invalid("a request came where the answer should be".to_owned());
        return Err(Failure::Unanswered(error));
    };
    let reason = info.unwrap_or_default();
    let status = match reason.as_str() {
        _ if is_success => return Ok(Taken { relay_peers: None }),
        words if words::is_seen(words) => return Err(Failure::Seen),
        words if words::is_pause(words) => Status::TooManyRequests,
        words if words.contains(words::NO_PEERS) => Status::NoPeersToRelay,
        words if words.contains(words::UNDECODABLE) => Status::BadRequest,
        _ => Status::InternalServerError,
    };
    Err(Failure::Refused { status, reason })
}

/// One message's way through a list of service nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tries {
    candidates: Vec<Candidate>,
    failed: usize,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Try {
    pub(super) candidate: Candidate,
    /// After so much time.
    pub(super) after: Duration,
}

impl Tries {
    /// The candidates, best first, dealt out to so many ways that share none; fewer where there are not enough.
    pub(super) fn deal(candidates: &[Candidate], ways: usize) -> Vec<Self> {
        let ways = ways.min(candidates.len());
        let dealt = |way| candidates.iter().skip(way).step_by(ways).copied().collect();
        (0..ways).map(|way| Self { candidates: dealt(way), failed: 0 }).collect()
    }

    /// True when a try has failed already: a service node that has seen the message may have it from there.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// The try to make now; `None` when there is nobody to ask.
    pub(super) fn current(&self) -> Option<Try> {
        let round = self.failed.checked_div(self.candidates.len())?;
        let candidate = *self.candidates.get(self.failed % self.candidates.len())?;
        let after = match u32::try_from(round) {
            Ok(0) => Duration::ZERO,
            Ok(round) => FIRST_WAIT.saturating_mul(2_u32.saturating_pow(round - 1)),
            Err(_) => Duration::MAX,
        };
        Some(Try { candidate, after })
    }

    /// Takes note of a failure; true when a further try may help.
    pub(super) fn fail(&mut self, failure: &Failure) -> bool {
        self.failed += 1;
        let is_another = self.failed < self.candidates.len();
        let helps = match failure.remedy() {
            Remedy::Nothing => false,
            Remedy::Elsewhere => is_another,
            Remedy::Later => true,
        };
        helps && self.failed < MAX_TRIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn response(status: Status, desc: &str, relay_peer_count: Option<u32>) -> Response {
        let status_desc = Some(desc.to_owned());
        Response { request_id: "N/A".to_owned(), status, status_desc, relay_peer_count }
    }

    fn refused(status: Status, reason: &str) -> Failure {
        Failure::Refused { status, reason: reason.to_owned() }
    }

    fn said(is_success: bool, info: &str) -> Result<Taken, Failure> {
        let body = v2::Body::Response { is_success, info: Some(info.to_owned()) };
        read_v2(v2::Rpc { request_id: String::new(), body })
    }

    fn candidates(count: usize) -> Vec<Candidate> {
        (0..count).map(|_| (PeerId::random(), Version::V3)).collect()
    }

    fn tries(candidates: &[Candidate]) -> Tries {
        Tries::deal(candidates, 1).pop().unwrap()
    }

    #[test]
    fn a_success_without_relay_peers_is_none() {
        assert_eq!(read(response(Status::Success, "", Some(2))), Ok(Taken { relay_peers: Some(2) }));
        assert_eq!(read(response(Status::Success, "", None)), Ok(Taken { relay_peers: None }));
        let failure = read(response(Status::Success, "", Some(0))).unwrap_err();
        assert_eq!(failure, refused(Status::NoPeersToRelay, ""));
    }

    #[test]
    fn knows_a_message_seen_before_by_nwakus_words_and_ours() {
        for words in ["Dropping already-seen message", "not published: already-seen message"] {
            assert_eq!(read(response(Status::InvalidMessage, words, None)), Err(Failure::Seen));
            assert_eq!(said(false, words), Err(Failure::Seen));
        }
        let other = read(response(Status::InvalidMessage, "RLN validation failed", None)).unwrap_err();
        assert_eq!(other, refused(Status::InvalidMessage, "RLN validation failed"));
    }

    #[test]
    fn the_words_of_version_2_become_statuses() {
        for (words, status) in [
            ("TOO_MANY_REQUESTS", Status::TooManyRequests),
            ("exceeds the rate limit", Status::TooManyRequests),
            ("not_published_to_any_peer", Status::NoPeersToRelay),
            ("decode_rpc_failure: missing field", Status::BadRequest),
            ("something else", Status::InternalServerError),
        ] {
            assert_eq!(said(false, words), Err(refused(status, words)));
        }
        assert_eq!(said(true, "OK"), Ok(Taken { relay_peers: None }));
    }

    #[test]
    fn an_answer_that_is_a_request_is_none() {
        let message = waku_proto::WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", 1);
        let body = v2::Body::Request { pubsub_topic: String::new(), message };
        let answer = read_v2(v2::Rpc { request_id: String::new(), body });
        assert!(matches!(answer, Err(Failure::Unanswered(AskError::Invalid(_)))), "{answer:?}");
    }

    #[test]
    fn asks_another_peer_at_once_and_gives_up_after_three() {
        let candidates = candidates(5);
        let mut tries = tries(&candidates);
        let failure = Failure::Unanswered(AskError::Timeout);
        for (number, candidate) in candidates.iter().take(3).enumerate() {
            let expected = Try { candidate: *candidate, after: Duration::ZERO };
            assert_eq!(tries.current(), Some(expected));
            assert_eq!(tries.fail(&failure), number < 2);
        }
    }

    #[test]
    fn asks_the_only_peer_again_after_growing_pauses() {
        let candidates = candidates(1);
        let mut tries = tries(&candidates);
        let mut pauses = Vec::new();
        loop {
            pauses.push(tries.current().unwrap().after);
            if !tries.fail(&refused(Status::TooManyRequests, "")) {
                break;
            }
        }
        assert_eq!(pauses, [Duration::ZERO, SECOND, 2 * SECOND]);
    }

    #[test]
    fn does_not_try_again_what_cannot_change() {
        for failure in [
            refused(Status::BadRequest, ""),
            refused(Status::PayloadTooLarge, ""),
            refused(Status::InvalidMessage, ""),
            refused(Status::Other(402), ""),
            Failure::Seen,
            Failure::Unanswered(AskError::Stopped),
        ] {
            assert!(!tries(&candidates(3)).fail(&failure), "{failure:?}");
            assert!(!failure.is_the_peers(), "{failure:?}");
        }
        for failure in [
            refused(Status::TooManyRequests, ""),
            refused(Status::InternalServerError, ""),
            refused(Status::ServiceNotAvailable, ""),
            refused(Status::OutOfRlnProof, ""),
            refused(Status::NoPeersToRelay, ""),
            refused(Status::Other(999), ""),
            Failure::Unanswered(AskError::Disconnected),
            Failure::Unanswered(AskError::Invalid(String::new())),
        ] {
            assert!(tries(&candidates(1)).fail(&failure), "{failure:?}");
            assert!(failure.is_the_peers(), "{failure:?}");
        }
    }

    #[test]
    fn what_only_another_peer_can_do_is_not_asked_of_the_same() {
        for failure in
            [refused(Status::UnsupportedPubsubTopic, ""), Failure::Unanswered(AskError::Unsupported)]
        {
            assert!(!tries(&candidates(1)).fail(&failure), "{failure:?}");
            assert!(tries(&candidates(2)).fail(&failure), "{failure:?}");
        }
    }

    #[test]
    fn ways_share_no_peer_and_are_no_more_than_there_are_peers() {
        let candidates = candidates(3);
        let ways = Tries::deal(&candidates, 2);
        let dealt: Vec<_> = ways.iter().map(|way| way.candidates.clone()).collect();
        assert_eq!(dealt, [vec![candidates[0], candidates[2]], vec![candidates[1]]]);
        assert_eq!(Tries::deal(&candidates, 9).len(), 3);
        assert_eq!(Tries::deal(&[], 2), []);
    }
}
