//! What nwaku's REST API says, in the words of the line protocol, and the other way round.

use anyhow::Result;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use waku::WakuMessage;

use super::rest::Answer;
use crate::line::{Message, StoreOp, base64, unbase64};
use crate::peer::Failure;

/// Text as a segment of a path, or a value of a query.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The peer id at the end of an address.
pub(super) fn peer_id(address: &str) -> Option<&str> {
    address.rsplit_once("/p2p/").map(|(_, id)| id)
}

/// The number of the shard at the end of a pubsub topic.
///
/// # Errors
/// [`Failure::Refused`] when there is none.
pub(super) fn shard(pubsub_topic: &str) -> Result<u16, Failure> {
    let number = pubsub_topic.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
    number.ok_or_else(|| Failure::Refused(format!("{pubsub_topic:?} is no shard")))
}

/// A message. Unknown fields and `null` are refused by nwaku, so what is absent is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestMessage {
    #[serde(default)]
    payload: String,
    content_topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ephemeral: Option<bool>,
}

impl TryFrom<Message> for RestMessage {
    type Error = anyhow::Error;

    fn try_from(message: Message) -> Result<Self> {
        let message = WakuMessage::try_from(message)?;
        Ok(Self {
            payload: base64(&message.payload),
            content_topic: message.content_topic,
            version: message.version,
            timestamp: message.timestamp,
            meta: message.meta.as_deref().map(base64),
            ephemeral: message.ephemeral,
        })
    }
}

impl TryFrom<RestMessage> for Message {
    type Error = anyhow::Error;

    fn try_from(message: RestMessage) -> Result<Self> {
        Ok(Self::from(&WakuMessage {
            payload: unbase64(&message.payload)?,
            content_topic: message.content_topic,
            version: message.version,
            timestamp: message.timestamp,
            meta: message.meta.as_deref().map(unbase64).transpose()?,
            rate_limit_proof: None,
            ephemeral: message.ephemeral,
        }))
    }
}

/// `GET /health`, as far as it matters.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    node_health: String,
}

/// Whether a node says that it is ready.
pub(super) fn is_ready(answer: &Answer) -> bool {
    answer.status == 200 && answer.parsed().is_ok_and(|health: Health| health.node_health == "READY")
}

/// `GET /debug/v1/info`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    /// With the peer id at their end.
    pub(super) listen_addresses: Vec<String>,
    /// The node record.
    pub(super) enr_uri: String,
}

/// A peer of the admin API, as far as it matters.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct AdminPeer {
    multiaddr: String,
    protocols: Vec<String>,
    connected: String,
}

impl AdminPeer {
    fn is_connected(&self) -> bool {
        self.connected == "Connected"
    }

    /// It is connected and has told its protocols.
    pub(super) fn is_known(&self) -> bool {
        self.is_connected() && !self.protocols.is_empty()
    }
}

/// The relay peers of a shard.
#[derive(Debug, Deserialize)]
pub(super) struct OnShard {
    /// Them.
    pub(super) peers: Vec<AdminPeer>,
}

/// The connected ones, as `peers` and `relay_peers` are answered.
pub(super) fn connected(peers: &[AdminPeer]) -> Value {
    let connected = peers.iter().filter(|peer| peer.is_connected());
    let ids: Vec<_> = connected.filter_map(|peer| peer_id(&peer.multiaddr)).collect();
    json!({ "peers": ids })
}

/// The reply of a filter or lightpush call.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Described {
    status_desc: String,
    relay_peer_count: Option<u32>,
}

/// The body of a filter request that is about topics.
pub(super) fn subscription(id: &str, pubsub_topic: &str, content_topics: &[String]) -> Value {
    json!({ "requestId": id, "pubsubTopic": pubsub_topic, "contentFilters": content_topics })
}

/// What came of a filter request. nwaku answers 200 to some requests that it did not make.
///
/// # Errors
/// [`Failure::Refused`], with the status code.
pub(super) fn filter_outcome(answer: &Answer) -> Result<Value, Failure> {
    let described: Described = answer.parsed().map_err(|_| answer.refused(&answer.text()))?;
    if answer.status == 200 && described.status_desc == "OK" {
        Ok(json!({}))
    } else {
        Err(answer.refused(&described.status_desc))
    }
}

/// What came of a lightpush in version 3.
///
/// # Errors
/// [`Failure::Refused`] when no service node was asked.
pub(super) fn pushed(answer: &Answer) -> Result<Value, Failure> {
    let described: Described = match answer.parsed() {
        Ok(described) => described,
        Err(broken) if answer.status == 200 => return Err(broken),
        Err(_) => Described { status_desc: answer.text(), ..Described::default() },
    };
    let reason = described.status_desc;
    match answer.status {
        200 => Ok(json!({ "accepted": true, "status": 200, "relay_peers": described.relay_peer_count })),
        404 => Err(answer.refused("its REST API does not push")),
        _ if is_own(&reason) => Err(answer.refused(&reason)),
        // It stands for all statuses that nwaku's HTTP does not know too: 420 and 421.
        500 => Ok(json!({ "accepted": false, "info": reason })),
        status => Ok(json!({ "accepted": false, "status": status, "info": reason })),
    }
}

/// What came of a lightpush in version 2, which has no statuses.
///
/// # Errors
/// [`Failure::Refused`] when no service node was asked.
pub(super) fn pushed_by_version_2(answer: &Answer) -> Result<Value, Failure> {
    let text = answer.text();
    let reason = text.strip_prefix("Failed to request a message push: ");
    match (answer.status, reason) {
        (200, _) => Ok(json!({ "accepted": true, "info": text })),
        (503, Some(reason)) if !is_own(reason) => Ok(json!({ "accepted": false, "info": reason })),
        (429, _) => Ok(json!({ "accepted": false, "info": text })),
        _ => Err(answer.refused(&text)),
    }
}

/// Whether a reason is of nwaku's client itself.
fn is_own(reason: &str) -> bool {
    ["Invalid push request!", "No suitable service peer", "dial_failure"]
        .iter()
        .any(|own| reason.starts_with(own))
}

/// The path and query of a question to the store at an address.
pub(super) fn store_path(op: &StoreOp, address: &str) -> String {
    let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
    let hashes: Vec<_> = op.hashes.iter().map(|hash| format!("0x{hash}")).collect();
    let parameters = [
        ("peerAddr", Some(address.to_owned())),
        ("includeData", Some(op.include_data.to_string())),
        ("pubsubTopic", op.pubsub_topic.clone()),
        ("contentTopics", list(&op.content_topics)),
        ("startTime", op.time_start.clone()),
        ("endTime", op.time_end.clone()),
        ("hashes", list(&hashes)),
        ("cursor", op.cursor.as_ref().map(|cursor| format!("0x{cursor}"))),
        ("pageSize", op.limit.map(|limit| limit.to_string())),
        ("ascending", Some(op.forward.to_string())),
    ];
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<_> = given.map(|(name, value)| format!("{name}={}", segment(&value))).collect();
    format!("/store/v3/messages?{}", query.join("&"))
}

/// `GET /store/v3/messages`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestPage {
    status_code: u32,
    #[serde(default)]
    status_desc: String,
    #[serde(default)]
    messages: Vec<RestStored>,
    pagination_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestStored {
    message_hash: String,
    message: Option<RestMessage>,
    pubsub_topic: Option<String>,
}

/// A page of a store.
///
/// # Errors
/// [`Failure::Refused`] when no store was asked, [`Failure::Broken`] for another JSON.
pub(super) fn store_page(answer: &Answer) -> Result<Value, Failure> {
    match answer.status {
        200 => {}
        429 => return Ok(json!({ "status": 429, "info": answer.text() })),
        _ => return Err(answer.refused(&answer.text())),
    }
    let page: RestPage = answer.parsed()?;
    if page.status_desc.starts_with("PEER_DIAL_FAILURE") {
        return Err(Failure::Refused(format!("status {}: {}", page.status_code, page.status_desc)));
    }
    let messages: Vec<_> = page.messages.into_iter().map(stored).collect::<Result<_, _>>()?;
    let mut shown = Map::new();
    shown.insert("status".to_owned(), page.status_code.into());
    shown.insert("info".to_owned(), page.status_desc.into());
    shown.insert("messages".to_owned(), messages.into());
    if let Some(cursor) = page.pagination_cursor {
        shown.insert("cursor".to_owned(), bare(&cursor).into());
    }
    Ok(shown.into())
}

fn stored(stored: RestStored) -> Result<Value, Failure> {
    let mut shown = Map::new();
    shown.insert("hash".to_owned(), bare(&stored.message_hash).into());
    if let Some(topic) = stored.pubsub_topic {
        shown.insert("pubsub_topic".to_owned(), topic.into());
    }
    if let Some(message) = stored.message {
        let message = Message::try_from(message).map_err(|error| Failure::Broken(format!("{error:#}")))?;
        shown.insert("message".to_owned(), json!(message));
    }
    Ok(shown.into())
}

/// A hash as the line protocol has it.
fn bare(hash: &str) -> String {
    hash.strip_prefix("0x").unwrap_or(hash).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Peers, Pushed, StorePage};

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.as_bytes().to_vec() }
    }

    fn refusal<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
        match outcome {
            Err(Failure::Refused(reason)) => reason,
            outcome => panic!("{outcome:?} is no refusal"),
        }
    }

    #[test]
    fn a_message_of_the_relay_cache_is_read_with_all_its_fields() {
        let text = r#"[{"payload":"aGVsbG8=","contentTopic":"/a/1/b/proto","version":0,
            "timestamp":1795233335189290948,"meta":"AQID","ephemeral":false,"proof":""}]"#;
        let [message]: [RestMessage; 1] =
            answer(200, text).json::<Vec<RestMessage>>().unwrap().try_into().unwrap();
        let message: WakuMessage = Message::try_from(message).unwrap().try_into().unwrap();
        let wanted = WakuMessage {
            payload: b"hello".to_vec().into(),
            content_topic: "/a/1/b/proto".to_owned(),
            version: Some(0),
            timestamp: Some(1_795_233_335_189_290_948),
            meta: Some(vec![1, 2, 3].into()),
            rate_limit_proof: None,
            ephemeral: Some(false),
        };
        assert_eq!(message, wanted);
    }

    #[test]
    fn a_message_to_publish_has_numbers_and_leaves_out_what_it_does_not_carry() {
        let message = WakuMessage {
            payload: b"hello".to_vec().into(),
            content_topic: "/a/1/b/proto".to_owned(),
            version: None,
            timestamp: Some(1_795_233_335_189_290_948),
            meta: None,
            rate_limit_proof: None,
            ephemeral: Some(true),
        };
        let rest = RestMessage::try_from(Message::from(&message)).unwrap();
        let wanted = json!({
            "payload": "aGVsbG8=",
            "contentTopic": "/a/1/b/proto",
            "timestamp": 1_795_233_335_189_290_948_i64,
            "ephemeral": true,
        });
        assert_eq!(json!(rest), wanted);
    }

    #[test]
    fn a_payload_that_is_not_base64_is_an_error() {
        let message: RestMessage =
            serde_json::from_value(json!({ "payload": "?", "contentTopic": "/a/1/b/proto" })).unwrap();
        assert!(Message::try_from(message).is_err());
    }

    #[test]
    fn a_topic_is_one_segment_of_a_path() {
        assert_eq!(segment("/waku/2/rs/99/0"), "%2Fwaku%2F2%2Frs%2F99%2F0");
        assert_eq!(segment("/a b/1/ü/x"), "%2Fa%20b%2F1%2F%C3%BC%2Fx");
    }

    #[test]
    fn only_a_shard_has_a_number() {
        assert_eq!(shard("/waku/2/rs/99/7"), Ok(7));
        assert!(shard("/waku/2/default-waku/proto").is_err());
        assert!(shard("").is_err());
    }

    #[test]
    fn is_ready_when_it_says_so() {
        let health = |state: &str| {
            let body = json!({
                "nodeHealth": state,
                "connectionStatus": "Disconnected",
                "protocolsHealth": [{ "Relay": "NOT_READY", "desc": "No connected peers" }],
            });
            answer(200, &body.to_string())
        };
        assert!(is_ready(&health("READY")));
        assert!(!is_ready(&health("INITIALIZING")));
        assert!(!is_ready(&answer(503, "Health check failed")));
    }

    #[test]
    fn its_addresses_and_record_are_read() {
        let text =
            r#"{"listenAddresses":["/ip4/172.18.1.11/tcp/11001/p2p/16Uiu2HAxyz"],"enrUri":"enr:-abc"}"#;
        let info: Info = answer(200, text).json().unwrap();
        assert_eq!(info.enr_uri, "enr:-abc");
        assert_eq!(peer_id(info.listen_addresses.first().unwrap()), Some("16Uiu2HAxyz"));
        assert_eq!(peer_id("/ip4/127.0.0.1/tcp/1"), None);
    }

    #[test]
    fn lists_connected_peers_alone() {
        let peer = |id: &str, connected: &str| {
            json!({
                "multiaddr": format!("/ip4/127.0.0.1/tcp/33076/p2p/{id}"),
                "protocols": ["/vac/waku/relay/2.0.0"],
                "shards": [0],
                "connected": connected,
                "agent": "logos-delivery-v0.38.1",
                "origin": "UnknownOrigin",
                "score": 0.0,
            })
        };
        let body = json!({ "shard": 0, "peers": [peer("16Ua", "Connected"), peer("16Ub", "CannotConnect")] });
        let on: OnShard = answer(200, &body.to_string()).json().unwrap();
        let peers: Peers = serde_json::from_value(connected(&on.peers)).unwrap();
        assert_eq!(peers.peers, ["16Ua"]);
        assert_eq!(on.peers.iter().map(AdminPeer::is_known).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_filter_refusal_carries_its_status() {
        let refused = answer(404, r#"{"requestId":"1","statusDesc":"NOT_FOUND: peer has no subscriptions"}"#);
        assert_eq!(refusal(filter_outcome(&refused)), "status 404: NOT_FOUND: peer has no subscriptions");
        let accepted = answer(200, r#"{"requestId":"abc","statusDesc":"OK"}"#);
        assert_eq!(filter_outcome(&accepted), Ok(json!({})));
    }

    #[test]
    fn a_filter_request_that_was_not_made_is_refused_though_its_status_is_200() {
        let unknown = answer(200, r#"{"requestId":"1","statusDesc":"UNKNOWN"}"#);
        assert_eq!(refusal(filter_outcome(&unknown)), "status 200: UNKNOWN");
        refusal(filter_outcome(&answer(404, "")));
    }

    fn push(outcome: Result<Value, Failure>) -> Pushed {
        serde_json::from_value(outcome.unwrap()).unwrap()
    }

    #[test]
    fn a_lightpush_tells_its_status_and_its_relay_peers() {
        let accepted = push(pushed(&answer(200, r#"{"relayPeerCount":1}"#)));
        assert_eq!((accepted.accepted, accepted.status, accepted.relay_peers), (true, Some(200), Some(1)));
        let alone = answer(505, r#"{"statusDesc":"No peers for topic, skipping publish"}"#);
        let alone = push(pushed(&alone));
        assert_eq!((alone.accepted, alone.status), (false, Some(505)));
        assert_eq!(alone.info, "No peers for topic, skipping publish");
    }

    #[test]
    fn a_status_that_http_does_not_know_is_left_out() {
        let large = answer(500, r#"{"statusDesc":"Message size exceeded maximum of 153600 bytes"}"#);
        let large = push(pushed(&large));
        assert_eq!((large.accepted, large.status), (false, None));
        assert_eq!(large.info, "Message size exceeded maximum of 153600 bytes");
    }

    #[test]
    fn a_lightpush_that_reached_no_service_node_is_a_refusal_of_the_question() {
        for (status, body) in [
            (400, r#"{"statusDesc":"Invalid push request! (status: 400 Bad Request)"}"#),
            (503, r#"{"statusDesc":"No suitable service peer & no discovery method"}"#),
            (505, r#"{"statusDesc":"dial_failure: 16Uiu2HA is not accessible"}"#),
            (404, ""),
        ] {
            assert!(refusal(pushed(&answer(status, body))).contains(&status.to_string()));
        }
        for (status, body) in [
            (400, "Missing content body"),
            (503, "No suitable service peer & no discovery method"),
            (503, "Failed to request a message push: dial_failure"),
        ] {
            refusal(pushed_by_version_2(&answer(status, body)));
        }
    }

    #[test]
    fn a_lightpush_in_version_2_has_a_reason_and_no_status() {
        let accepted = push(pushed_by_version_2(&answer(200, "OK")));
        assert_eq!((accepted.accepted, accepted.status), (true, None));
        let text = "Failed to request a message push: not_published_to_any_peer";
        let refused = push(pushed_by_version_2(&answer(503, text)));
        assert_eq!((refused.accepted, refused.status), (false, None));
        assert_eq!(refused.info, "not_published_to_any_peer");
        assert!(!push(pushed_by_version_2(&answer(429, "Request rate limmit reached"))).accepted);
    }

    #[test]
    fn a_question_to_a_store_has_all_that_is_asked_and_nothing_else() {
        let op = StoreOp {
            include_data: true,
            pubsub_topic: Some("/waku/2/rs/99/0".to_owned()),
            content_topics: vec!["/a/1/b/c".to_owned(), "/d/1/e/f".to_owned()],
            time_start: Some("1".to_owned()),
            time_end: Some("2".to_owned()),
            hashes: vec!["ab".to_owned(), "cd".to_owned()],
            limit: Some(20),
            cursor: Some("ef".to_owned()),
            ..StoreOp::default()
        };
        assert_eq!(
            store_path(&op, "/ip4/127.0.0.1/tcp/1/p2p/16U"),
            "/store/v3/messages?peerAddr=%2Fip4%2F127%2E0%2E0%2E1%2Ftcp%2F1%2Fp2p%2F16U&includeData=true\
             &pubsubTopic=%2Fwaku%2F2%2Frs%2F99%2F0&contentTopics=%2Fa%2F1%2Fb%2Fc%2C%2Fd%2F1%2Fe%2Ff\
             &startTime=1&endTime=2&hashes=0xab%2C0xcd&cursor=0xef&pageSize=20&ascending=false"
        );
        assert_eq!(
            store_path(&StoreOp { forward: true, ..StoreOp::default() }, "/x"),
            "/store/v3/messages?peerAddr=%2Fx&includeData=false&ascending=true"
        );
    }

    #[test]
    fn a_page_has_hashes_without_prefix_and_data_where_it_was_asked_for() {
        let text = r#"{"requestId":"f00","statusCode":200,"statusDesc":"OK","messages":[
            {"messageHash":"0xAB","message":{"payload":"aGVsbG8=","contentTopic":"/a/1/b/c","version":0,
             "timestamp":5,"ephemeral":false},"pubsubTopic":"/waku/2/rs/99/0"},
            {"messageHash":"0xcd"}],"paginationCursor":"0xcd"}"#;
        let page: StorePage = serde_json::from_value(store_page(&answer(200, text)).unwrap()).unwrap();
        assert_eq!((page.status, page.cursor.as_deref()), (200, Some("cd")));
        let [with, without] = &page.messages[..] else { panic!("{page:?}") };
        assert_eq!((&*with.hash, with.pubsub_topic.as_deref()), ("ab", Some("/waku/2/rs/99/0")));
        let message: WakuMessage = with.message.clone().unwrap().try_into().unwrap();
        assert_eq!((&*message.payload, message.timestamp), (&b"hello"[..], Some(5)));
        assert!(without.message.is_none() && without.pubsub_topic.is_none());
    }

    #[test]
    fn a_refusal_by_the_store_is_a_page_and_one_by_nwaku_is_not() {
        let cursor = r#"{"requestId":"","statusCode":300,
            "statusDesc":"BAD_RESPONSE: BAD_RESPONSE: archive error: DRIVER_ERROR: cursor not found","messages":[]}"#;
        let page: StorePage = serde_json::from_value(store_page(&answer(200, cursor)).unwrap()).unwrap();
        assert_eq!((page.status, page.cursor), (300, None));
        assert!(page.info.ends_with("cursor not found"), "{}", page.info);
        let limited = store_page(&answer(429, "Request rate limit reached")).unwrap();
        assert_eq!(serde_json::from_value::<StorePage>(limited).unwrap().status, 429);

        refusal(store_page(&answer(412, "No suitable service peer & no discovery method")));
        let unreachable =
            r#"{"requestId":"","statusCode":504,"statusDesc":"PEER_DIAL_FAILURE: 16Uiu2HA","messages":[]}"#;
        assert!(refusal(store_page(&answer(200, unreachable))).contains("PEER_DIAL_FAILURE"));
        assert!(matches!(store_page(&answer(200, "{}")), Err(Failure::Broken(_))));
    }
}
