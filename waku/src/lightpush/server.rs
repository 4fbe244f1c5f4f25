//! What a service node publishes for its clients, and how it answers them. No clock: time is an argument.

use std::collections::BTreeSet;

use waku_proto::framing::FrameError;
use waku_proto::lightpush::{Request, Response, Status, v2};
use waku_proto::message::MessageError;
use waku_proto::{ContentTopic, PubsubTopic, WakuMessage};

use super::words;
use crate::net::codec::{BadRequest, Incoming};
use crate::net::exchange::UNREAD_REQUEST_ID;
use crate::{PublishError, Sharding};

/// A request of either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Push {
    pub(super) pubsub_topic: Option<String>,
    pub(super) message: WakuMessage,
}

/// Why a message is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) reason: String,
}

impl Refusal {
    fn new(status: Status, reason: &dyn ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

/// To how many relay peers a message went, or why it did not.
pub(super) type Outcome = Result<usize, Refusal>;

/// The id of a version 3 request, and what it asks for.
pub(super) fn read(request: Incoming<Request>) -> (String, Result<Push, Refusal>) {
    match request {
        Ok(Request { request_id, pubsub_topic, message }) => (request_id, Ok(Push { pubsub_topic, message })),
        Err(error) => (UNREAD_REQUEST_ID.to_owned(), Err(bad(&error))),
    }
}

/// The answer of version 3.
pub(super) fn answer(request_id: String, outcome: Outcome) -> Response {
    match outcome {
        Ok(peers) => Response {
            request_id,
            status: Status::Success,
            status_desc: None,
            relay_peer_count: Some(u32::try_from(peers).unwrap_or(u32::MAX)),
        },
        Err(Refusal { status, reason }) => {
            Response { request_id, status, status_desc: Some(reason), relay_peer_count: None }
        }
    }
}

/// The id of a version 2 request, and what it asks for.
pub(super) fn read_v2(request: Incoming<v2::Rpc>) -> (String, Result<Push, Refusal>) {
    match request {
        Ok(v2::Rpc { request_id, body: v2::Body::Request { pubsub_topic, message } }) => {
            let pubsub_topic = Some(pubsub_topic).filter(|topic| !topic.is_empty());
            (request_id, Ok(Push { pubsub_topic, message }))
        }
        Ok(v2::Rpc { request_id, body: v2::Body::Response { .. } }) => {
            (request_id, Err(Refusal::new(Status::BadRequest, &words::NO_REQUEST)))
        }
        Err(error) => {
            let Refusal { status, reason } = bad(&error);
            let reason = format!("{}: {reason}", words::UNDECODABLE);
            (UNREAD_REQUEST_ID.to_owned(), Err(Refusal { status, reason }))
        }
    }
}

/// The answer of version 2.
pub(super) fn answer_v2(request_id: String, outcome: Outcome) -> v2::Rpc {
    let (is_success, info) = match outcome {
        Ok(_) => (true, "OK".to_owned()),
        Err(Refusal { status: Status::NoPeersToRelay, .. }) => (false, words::NO_PEERS.to_owned()),
        Err(Refusal { reason, .. }) => (false, reason),
    };
    v2::Rpc { request_id, body: v2::Body::Response { is_success, info: Some(info) } }
}

fn bad(error: &BadRequest) -> Refusal {
    let status = match error {
        BadRequest::Frame(FrameError::TooLarge { .. }) => Status::PayloadTooLarge,
        BadRequest::Frame(_) | BadRequest::Message(_) => Status::BadRequest,
    };
    Refusal::new(status, error)
}

/// Where and how a client's message is to be published by a node that is subscribed to `topics`. `now`, in Unix
/// nanoseconds, becomes the timestamp of a message that has none.
///
/// The message itself is left to the relay to judge.
pub(super) fn admit(
    push: Push,
    sharding: &Sharding,
    topics: &BTreeSet<PubsubTopic>,
    now: i64,
) -> Result<(PubsubTopic, WakuMessage), Refusal> {
    let Push { pubsub_topic, mut message } = push;
    if message.content_topic.is_empty() {
        return Err(Refusal::new(Status::BadRequest, &MessageError::EmptyContentTopic));
    }
    let topic = match pubsub_topic {
        Some(topic) => {
            topic.parse::<PubsubTopic>().map_err(|error| Refusal::new(Status::BadRequest, &error))?
        }
        None if sharding.is_auto() => derived(sharding, &message.content_topic)?,
        None => {
            let reason = "static sharding: the request must name a pubsub topic";
            return Err(Refusal::new(Status::InvalidMessage, &reason));
        }
    };
    if !topics.contains(&topic) {
        let reason = format!("this node is not subscribed to {topic}");
        return Err(Refusal::new(Status::UnsupportedPubsubTopic, &reason));
    }
    stamp(&mut message, now);
    Ok((topic, message))
}

fn derived(sharding: &Sharding, content_topic: &str) -> Result<PubsubTopic, Refusal> {
    let topic: ContentTopic =
        content_topic.parse().map_err(|error| Refusal::new(Status::InvalidMessage, &error))?;
    sharding.pubsub_topic(&topic).map_err(|error| Refusal::new(Status::InvalidMessage, &error))
}

/// Gives a message without a timestamp one, in Unix nanoseconds: without it implementations disagree about the
/// message's hash, and no store keeps it.
pub(super) fn stamp(message: &mut WakuMessage, now: i64) {
    if message.timestamp.unwrap_or_default() == 0 {
        message.timestamp = Some(now);
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Self {
        let status = match &error {
            PublishError::Duplicate => {
                return Self::new(Status::InvalidMessage, &format!("not published: {}", words::SEEN));
            }
            PublishError::Invalid(MessageError::EmptyContentTopic) => Status::BadRequest,
            PublishError::Invalid(MessageError::TooLarge { .. }) | PublishError::TooLarge { .. } => {
                Status::PayloadTooLarge
            }
            PublishError::ContentTopic(_)
            | PublishError::Routing(_)
            | PublishError::Invalid(_)
            | PublishError::Refused(_) => Status::InvalidMessage,
            PublishError::NoPeers => Status::NoPeersToRelay,
            PublishError::Busy | PublishError::NoRelay | PublishError::Stopped(_) => {
                Status::ServiceNotAvailable
            }
        };
        Self::new(status, &error)
    }
}

#[cfg(test)]
mod tests {
    use waku_proto::Wire as _;
    use waku_proto::lightpush::v2::{Body, Rpc};

    use super::*;
    use crate::Verdict;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn message() -> WakuMessage {
        WakuMessage::new(&"/toychat/2/huilong/proto".parse().unwrap(), "hello", 1)
    }

    fn push(pubsub_topic: Option<&str>, message: WakuMessage) -> Push {
        Push { pubsub_topic: pubsub_topic.map(str::to_owned), message }
    }

    /// What becomes of a push to a node that is on shards 0 to 7 of cluster 1, by their rule.
    fn admitted(push: Push) -> Result<(PubsubTopic, WakuMessage), Status> {
        let sharding = Sharding::auto(1, 8).unwrap();
        let topics = sharding.subscribed().map(Into::into).collect();
        admit(push, &sharding, &topics, NOW).map_err(|refusal| refusal.status)
    }

    fn topic(text: &str) -> PubsubTopic {
        text.parse().unwrap()
    }

    #[test]
    fn derives_the_pubsub_topic_from_the_content_topic() {
        assert_eq!(admitted(push(None, message())), Ok((topic("/waku/2/rs/1/3"), message())));
        let other = WakuMessage { content_topic: "huilong".to_owned(), ..message() };
        assert_eq!(admitted(push(None, other.clone())), Err(Status::InvalidMessage));
        // Named, it does not matter.
        assert!(admitted(push(Some("/waku/2/rs/1/0"), other)).is_ok());
        let unknown = WakuMessage { content_topic: "/1/app/1/name/proto".to_owned(), ..message() };
        assert_eq!(admitted(push(None, unknown)), Err(Status::InvalidMessage));
    }

    #[test]
    fn static_sharding_needs_a_pubsub_topic() {
        let sharding = Sharding::fixed(16, [32]).unwrap();
        let topics = sharding.subscribed().map(Into::into).collect();
        let refused = admit(push(None, message()), &sharding, &topics, NOW).unwrap_err();
        assert_eq!(refused.status, Status::InvalidMessage);
        assert!(admit(push(Some("/waku/2/rs/16/32"), message()), &sharding, &topics, NOW).is_ok());
    }

    #[test]
    fn refuses_pubsub_topics_it_is_not_subscribed_to() {
        for other in ["/waku/2/rs/1/8", "/waku/2/rs/2/0", "/waku/2/default-waku/proto"] {
            assert_eq!(
                admitted(push(Some(other), message())),
                Err(Status::UnsupportedPubsubTopic),
                "{other}"
            );
        }
        assert_eq!(admitted(push(Some("no topic"), message())), Err(Status::BadRequest));
    }

    #[test]
    fn refuses_an_empty_content_topic_as_a_bad_request() {
        let message = WakuMessage { content_topic: String::new(), ..message() };
        assert_eq!(admitted(push(None, message.clone())), Err(Status::BadRequest));
        assert_eq!(admitted(push(Some("/waku/2/rs/1/0"), message)), Err(Status::BadRequest));
    }

    #[test]
    fn gives_a_timestamp_to_a_message_without_one_and_changes_nothing_else() {
        for timestamp in [None, Some(0)] {
            let bare = WakuMessage { timestamp, version: Some(0), ..message() };
            let stamped = WakuMessage { timestamp: Some(NOW), ..bare.clone() };
            assert_eq!(admitted(push(None, bare)).unwrap().1, stamped);
        }
        let own = WakuMessage { timestamp: Some(-5), ephemeral: Some(false), ..message() };
        assert_eq!(admitted(push(None, own.clone())).unwrap().1, own);
    }

    #[test]
    fn tells_a_success_with_the_number_of_relay_peers() {
        let response = answer("id".to_owned(), Ok(3));
        assert_eq!((response.status, response.relay_peer_count), (Status::Success, Some(3)));
        assert_eq!(response.request_id, "id");
        let body = Body::Response { is_success: true, info: Some("OK".to_owned()) };
        assert_eq!(answer_v2("id".to_owned(), Ok(3)), Rpc { request_id: "id".to_owned(), body });
    }

    #[test]
    fn every_publish_error_has_its_deployed_status() {
        let statuses = [
            (PublishError::Duplicate, Status::InvalidMessage),
            (PublishError::Invalid(MessageError::EmptyPayload), Status::InvalidMessage),
            (PublishError::Invalid(MessageError::MetaTooLong { len: 65 }), Status::InvalidMessage),
            (PublishError::Invalid(MessageError::EmptyContentTopic), Status::BadRequest),
            (PublishError::TooLarge { size: 2, limit: 1 }, Status::PayloadTooLarge),
            (PublishError::Refused(Verdict::Reject), Status::InvalidMessage),
            (PublishError::Refused(Verdict::Ignore), Status::InvalidMessage),
            (PublishError::Busy, Status::ServiceNotAvailable),
            (PublishError::NoRelay, Status::ServiceNotAvailable),
            (PublishError::NoPeers, Status::NoPeersToRelay),
            (PublishError::Stopped(crate::Stopped), Status::ServiceNotAvailable),
        ];
        for (error, status) in statuses {
            let refusal = Refusal::from(error.clone());
            assert_eq!(refusal.status, status, "{error}");
            let response = answer("id".to_owned(), Err(refusal.clone()));
            assert_eq!((response.status, response.status_desc), (status, Some(refusal.reason)));
        }
    }

    #[test]
    fn version_2_has_words_where_version_3_has_statuses() {
        let info = |error: PublishError| match answer_v2(String::new(), Err(error.into())).body {
            Body::Response { is_success: false, info: Some(info) } => info,
            other => panic!("{other:?}"),
        };
        assert_eq!(info(PublishError::NoPeers), "not_published_to_any_peer");
        assert!(info(PublishError::Duplicate).contains("already-seen message"));
        assert!(info(PublishError::TooLarge { size: 9, limit: 7 }).contains("at most 7"));
    }

    #[test]
    fn what_cannot_be_read_is_answered_under_no_id() {
        let malformed = BadRequest::Message(Request::decode(b"\xff"[..].into()).unwrap_err());
        let (id, refused) = read(Err(malformed.clone()));
        assert_eq!((id.as_str(), refused.unwrap_err().status), ("N/A", Status::BadRequest));
        let (id, refused) = read_v2(Err(malformed));
        assert_eq!(id, "N/A");
        assert!(refused.unwrap_err().reason.starts_with("decode_rpc_failure"));

        let large = BadRequest::Frame(FrameError::TooLarge { len: 2, limit: 1 });
        assert_eq!(read(Err(large)).1.unwrap_err().status, Status::PayloadTooLarge);
    }

    #[test]
    fn version_2_takes_an_empty_pubsub_topic_for_none_and_a_response_for_no_request() {
        let body = Body::Request { pubsub_topic: String::new(), message: message() };
        let (id, push) = read_v2(Ok(Rpc { request_id: "id".to_owned(), body }));
        assert_eq!((id.as_str(), push), ("id", Ok(Push { pubsub_topic: None, message: message() })));

        let body = Body::Response { is_success: true, info: None };
        let (id, push) = read_v2(Ok(Rpc { request_id: "id".to_owned(), body }));
        assert_eq!((id.as_str(), push.unwrap_err().reason.as_str()), ("id", "empty_request_body_failure"));
    }
}
