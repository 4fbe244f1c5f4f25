//! Publishing through service nodes, and being one.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use waku::peers::NewPeer;
use waku::proto::lightpush::v2::{Body, Rpc};
use waku::proto::lightpush::{Request, Response, Status};
use waku::proto::protocol_id::{LIGHTPUSH, LIGHTPUSH_V2};
use waku::proto::{MessageHash, Wire as _};
use waku::{
    AskError, Config, Envelope, LightpushConfig, LightpushError, Node, PeerId, Rate, RateLimit, Sharding,
    Validator, Verdict, WakuMessage,
};

use super::raw_stream::{RawHost, Reaction, frame, service, unframe};
use super::scene::{
    acquainted, address, content_topic, light_client, message, next, node, peers_until, pubsub_topic, within,
};

/// A service node with a relay peer.
async fn service_node(change: impl FnOnce(&mut Config)) -> (Node, Node) {
    let relaying = node(|_| {}).await;
    let serving = node(|config| {
        config.lightpush = Some(LightpushConfig::default());
        config.static_peers = vec![address(&relaying)];
        change(config);
    })
    .await;
    acquainted(&serving, &relaying).await;
    (serving, relaying)
}

async fn light_client_of(serving: &Node) -> Node {
    light_client([(serving.local_peer_id(), address(serving))]).await
}

fn request(message: WakuMessage) -> Request {
    let pubsub_topic = Some(pubsub_topic().as_str().to_owned());
    Request { request_id: "an id".to_owned(), pubsub_topic, message }
}

/// What the service node answers to these bytes, read until it closes the stream.
async fn answer_to(client: &RawHost, serving: &Node, bytes: &[u8]) -> Response {
    unframe(&client.ask(serving.local_peer_id(), bytes).await.unwrap())
}

async fn push(client: &RawHost, serving: &Node, request: Request) -> Response {
    answer_to(client, serving, &frame(request)).await
}

fn hash(message: &WakuMessage) -> MessageHash {
    waku::proto::EncodedMessage::encode(message.clone()).hash(&pubsub_topic())
}

#[tokio::test]
async fn a_light_client_publishes_through_a_service_node() {
    let (serving, relaying) = service_node(|_| {}).await;
    let client = light_client_of(&serving).await;
    let mut inbox = relaying.relay().subscribe(content_topic()).await.unwrap();
    let receipt = client.lightpush().publish(message(1).with_meta("meta")).await.unwrap();
    assert_eq!(receipt.service_peers, [serving.local_peer_id()]);
    assert_eq!(receipt.relay_peers, Some(1));
    let envelope = next(&mut inbox).await;
    assert_eq!((envelope.message(), envelope.hash()), (&message(1).with_meta("meta"), receipt.hash));
    assert_eq!(serving.metrics().lightpush_published, 1);
}

#[tokio::test]
async fn the_service_nodes_own_readers_get_the_message_too() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let client = light_client_of(&serving).await;
    let mut inbox = serving.relay().subscribe(content_topic()).await.unwrap();
    let receipt = client.lightpush().publish(message(1)).await.unwrap();
    assert_eq!(next(&mut inbox).await.hash(), receipt.hash);
}

#[tokio::test]
async fn a_message_without_timestamp_gets_one_before_it_is_sent() {
    let (serving, relaying) = service_node(|_| {}).await;
    let client = light_client_of(&serving).await;
    let mut inbox = relaying.relay().subscribe(content_topic()).await.unwrap();
    let bare = WakuMessage { timestamp: None, ..message(1) };
    let receipt = client.lightpush().publish(bare).await.unwrap();
    let envelope = next(&mut inbox).await;
    assert_eq!(envelope.hash(), receipt.hash);
    assert!(envelope.message().timestamp.unwrap() > 1_700_000_000_000_000_000);
}

#[tokio::test]
async fn what_must_not_be_published_is_not_sent() {
    let client = node(|config| config.relay = false).await;
    let lightpush = client.lightpush();
    let publish = async |message| lightpush.publish(message).await.unwrap_err();
    let empty = WakuMessage { payload: waku::Bytes::new(), ..message(1) };
    assert!(matches!(publish(empty).await, LightpushError::Invalid(_)));
    let large = WakuMessage::new(&content_topic(), vec![0; 160_000], 1);
    assert!(matches!(publish(large).await, LightpushError::TooLarge { limit: 153_600, .. }));
    let nowhere = WakuMessage { content_topic: "huilong".to_owned(), ..message(1) };
    assert!(matches!(publish(nowhere).await, LightpushError::ContentTopic(_)));
    assert_eq!(publish(message(1)).await, LightpushError::NoServicePeer);
}

#[tokio::test]
async fn every_failure_has_its_status_and_closes_the_stream() {
    let (serving, _relaying) = service_node(|config| config.validator = Some(Arc::new(NoRefused))).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let other_topic =
        |topic: Option<&str>| Request { pubsub_topic: topic.map(str::to_owned), ..request(message(1)) };
    let large = WakuMessage::new(&content_topic(), vec![0; 153_600], 1);
    let cases = [
        (request(WakuMessage { content_topic: String::new(), ..message(1) }), Status::BadRequest),
        (other_topic(Some("no topic")), Status::BadRequest),
        (request(WakuMessage { payload: waku::Bytes::new(), ..message(1) }), Status::InvalidMessage),
        (request(message(1).with_meta(vec![0; 65])), Status::InvalidMessage),
        (request(WakuMessage::new(&content_topic(), "refused", 1)), Status::InvalidMessage),
        (other_topic(None), Status::InvalidMessage),
        (other_topic(Some("/waku/2/rs/0/1")), Status::UnsupportedPubsubTopic),
        (request(large), Status::PayloadTooLarge),
    ];
    for (request, status) in cases {
        let response = push(&client, &serving, request.clone()).await;
        assert_eq!(response.status, status, "{request:?}");
        assert_eq!(response.request_id, "an id");
        assert!(response.status_desc.is_some_and(|reason| !reason.is_empty()), "{request:?}");
    }
    let response = push(&client, &serving, request(message(1))).await;
    assert_eq!((response.status, response.relay_peer_count), (Status::Success, Some(1)));
    // And once more the same.
    let response = push(&client, &serving, request(message(1))).await;
    assert_eq!(response.status, Status::InvalidMessage);
    assert!(response.status_desc.unwrap().contains("already-seen message"));
    assert_eq!(serving.metrics().lightpush_refused, 9);
}

/// Refuses messages that say so.
#[derive(Debug)]
struct NoRefused;

impl Validator for NoRefused {
    fn validate(&self, envelope: &Envelope) -> Verdict {
        if envelope.message().payload == "refused" { Verdict::Reject } else { Verdict::Accept }
    }
}

#[tokio::test]
async fn without_relay_peers_a_push_is_told_so() {
    let serving = node(|config| config.lightpush = Some(LightpushConfig::default())).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let response = push(&client, &serving, request(message(1))).await;
    assert_eq!((response.status, response.relay_peer_count), (Status::NoPeersToRelay, None));
}

#[tokio::test]
async fn under_autosharding_the_pubsub_topic_may_be_left_out() {
    let sharding = Sharding::auto(0, 8).unwrap();
    let relaying = node(|config| config.sharding = sharding.clone()).await;
    let serving = node(|config| {
        config.sharding = sharding.clone();
        config.lightpush = Some(LightpushConfig::default());
        config.static_peers = vec![address(&relaying)];
    })
    .await;
    let topic = sharding.pubsub_topic(&content_topic()).unwrap();
    super::scene::sees_subscription(&serving, relaying.local_peer_id(), &topic).await;
    let mut inbox = relaying.relay().subscribe(content_topic()).await.unwrap();
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let bare = Request { pubsub_topic: None, ..request(message(1)) };
    assert_eq!(push(&client, &serving, bare).await.status, Status::Success);
    assert_eq!(next(&mut inbox).await.pubsub_topic(), &topic);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_answered_and_the_next_request_is_served() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let framed = |bytes: &[u8]| waku::proto::framing::encode(bytes).to_vec();
    // A request with its message's payload as a varint, and one whose id is a number.
    let cases: [(&[u8], Status); 6] = [
        (&framed(b""), Status::BadRequest),
        (&framed(b"\xff\xff\xff"), Status::BadRequest),
        (&framed(b"\xaa\x01\x02\x08\x01"), Status::BadRequest),
        (&framed(b"\x08\x01\xaa\x01\x00"), Status::BadRequest),
        (&framed(b"\x0a\x02\xff\xfe\xaa\x01\x00"), Status::BadRequest),
        // Four megabytes announced.
        (b"\x80\x80\x80\x02", Status::PayloadTooLarge),
    ];
    for (bytes, status) in cases {
        let response = answer_to(&client, &serving, bytes).await;
        assert_eq!((response.status, response.request_id.as_str()), (status, "N/A"), "{bytes:?}");
    }
    // No message at all is one with everything left out.
    let response = answer_to(&client, &serving, &framed(b"\x0a\x01x\xaa\x01\x00")).await;
    assert_eq!((response.status, response.request_id.as_str()), (Status::BadRequest, "x"));
    // A frame cut short brings no answer.
    let whole = frame(request(message(1)));
    let cut = client.ask(serving.local_peer_id(), &whole[..whole.len() - 1]).await;
    assert!(cut.as_ref().map_or(true, Vec::is_empty), "{cut:?}");
    assert_eq!(push(&client, &serving, request(message(1))).await.status, Status::Success);
}

#[tokio::test]
async fn version_2_is_served_in_its_own_words() {
    let (serving, relaying) = service_node(|_| {}).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH_V2).await;
    let mut inbox = relaying.relay().subscribe(content_topic()).await.unwrap();
    let ask = async |bytes: Vec<u8>| -> (String, bool, String) {
        let rpc: Rpc = unframe(&client.ask(serving.local_peer_id(), &bytes).await.unwrap());
        match rpc.body {
            Body::Response { is_success, info } => (rpc.request_id, is_success, info.unwrap_or_default()),
            Body::Request { .. } => panic!("a request came back"),
        }
    };
    let rpc = |pubsub_topic: &str| {
        let body = Body::Request { pubsub_topic: pubsub_topic.to_owned(), message: message(1) };
        frame(Rpc { request_id: "an id".to_owned(), body })
    };
    let taken = ask(rpc(pubsub_topic().as_str())).await;
    assert_eq!(taken, ("an id".to_owned(), true, "OK".to_owned()));
    assert_eq!(next(&mut inbox).await.message(), &message(1));
    let (_, is_success, info) = ask(rpc(pubsub_topic().as_str())).await;
    assert!(!is_success && info.contains("already-seen message"), "{info}");

    let (id, is_success, info) = ask(b"\x01\xff".to_vec()).await;
    assert!(!is_success && info.starts_with("decode_rpc_failure"), "{info}");
    assert_eq!(id, "N/A");
    let body = Body::Response { is_success: true, info: None };
    let (_, is_success, info) = ask(frame(Rpc { request_id: "an id".to_owned(), body })).await;
    assert_eq!((is_success, info.as_str()), (false, "empty_request_body_failure"));

    relaying.shutdown().await;
    peers_until(&serving, "the relay's end", |peers| peers.get(relaying.local_peer_id()).is_none()).await;
    let body = Body::Request { pubsub_topic: pubsub_topic().as_str().to_owned(), message: message(2) };
    let (_, is_success, info) = ask(frame(Rpc { request_id: "an id".to_owned(), body })).await;
    assert_eq!((is_success, info.as_str()), (false, "not_published_to_any_peer"));
}

#[tokio::test]
async fn a_known_service_node_is_dialled_when_none_is_connected() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let client = light_client([]).await;
    client.peers().add([NewPeer::new(serving.local_peer_id(), [address(&serving)])]).await.unwrap();
    let receipt = within("a publish", client.lightpush().publish(message(1))).await.unwrap();
    assert_eq!(receipt.service_peers, [serving.local_peer_id()]);
}

#[tokio::test]
async fn a_service_node_that_failed_is_asked_last_from_then_on() {
    let success = || saying(Status::Success, "", Some(1));
    let (hosts, asked) = scripted(2, vec![Reaction::Disconnect, success(), success(), success()]).await;
    let client = client_of_hosts(&hosts).await;
    let first = client.lightpush().publish(message(1)).await.unwrap();
    let good = first.service_peers[0];
    let bad = hosts.iter().find(|host| host.peer_id != good).unwrap();
    let is_back =
        |peers: &waku::PeerList| peers.get(bad.peer_id).is_some_and(|peer| !peer.protocols.is_empty());
    peers_until(&client, "the other's return", is_back).await;
    for number in 2..4 {
        let receipt = client.lightpush().publish(message(number)).await.unwrap();
        assert_eq!(receipt.service_peers, [good]);
    }
    assert_eq!(asked.try_iter().count(), 4);
}

#[tokio::test]
async fn a_peer_of_version_2_alone_is_asked_in_it() {
    let (requests, asked) = sync_channel(4);
    let old = RawHost::server(vec![service(LIGHTPUSH_V2, move |bytes| {
        requests.send(bytes).unwrap();
        let body = Body::Response { is_success: true, info: None };
        Reaction::message(Rpc { request_id: String::new(), body })
    })])
    .await;
    let client = light_client([(old.peer_id, old.address.clone())]).await;
    let receipt = client.lightpush().publish(message(1)).await.unwrap();
    assert_eq!((receipt.hash, receipt.relay_peers), (hash(&message(1)), None));
    let Body::Request { pubsub_topic: topic, message: sent } = unframe::<Rpc>(&asked.recv().unwrap()).body
    else {
        panic!("no request")
    };
    assert_eq!((topic.as_str(), sent), (pubsub_topic().as_str(), message(1)));

    // Told to ask this very peer, without a word about versions.
    let receipt = client.lightpush().publish_via(old.peer_id, None, message(2)).await.unwrap();
    assert_eq!(receipt.service_peers, [old.peer_id]);
}

/// Service nodes that share a script: the first request that comes to any of them gets its first line, and so on.
async fn scripted(count: usize, script: Vec<Reaction>) -> (Vec<RawHost>, Receiver<WakuMessage>) {
    let (requests, asked) = sync_channel(64);
    let lines = Arc::new(Mutex::new(script.into_iter()));
    let mut hosts = Vec::new();
    for _ in 0..count {
        let (requests, lines) = (requests.clone(), Arc::clone(&lines));
        let react = move |bytes: Vec<u8>| {
            requests.send(unframe::<Request>(&bytes).message).unwrap();
            lines.lock().unwrap().next().expect("the script is at its end")
        };
        hosts.push(RawHost::server(vec![service(LIGHTPUSH, react)]).await);
    }
    (hosts, asked)
}

fn saying(status: Status, desc: &str, relay_peer_count: Option<u32>) -> Reaction {
    let status_desc = Some(desc.to_owned());
    Reaction::message(Response { request_id: "N/A".to_owned(), status, status_desc, relay_peer_count })
}

async fn client_of_hosts(hosts: &[RawHost]) -> Node {
    light_client(hosts.iter().map(|host| (host.peer_id, host.address.clone()))).await
}

#[tokio::test]
async fn another_service_node_is_asked_where_that_may_help() {
    for first in [
        saying(Status::InternalServerError, "", None),
        saying(Status::ServiceNotAvailable, "", None),
        saying(Status::NoPeersToRelay, "", None),
        saying(Status::TooManyRequests, "", None),
        saying(Status::UnsupportedPubsubTopic, "", None),
        saying(Status::Success, "", Some(0)),
        Reaction::Disconnect,
        Reaction::Answer(b"\x02\xff\xff".to_vec()),
        Reaction::Answer(Vec::new()),
    ] {
        let (hosts, asked) = scripted(2, vec![first.clone(), saying(Status::Success, "", Some(4))]).await;
        let client = client_of_hosts(&hosts).await;
        let receipt = client.lightpush().publish(message(1)).await.unwrap();
        assert_eq!(receipt.relay_peers, Some(4), "{first:?}");
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), [message(1), message(1)], "{first:?}");
    }
}

#[tokio::test]
async fn a_final_answer_is_not_asked_for_again() {
    for status in [Status::BadRequest, Status::PayloadTooLarge, Status::InvalidMessage, Status::Other(402)] {
        let (hosts, asked) = scripted(2, vec![saying(status, "no", None)]).await;
        let client = client_of_hosts(&hosts).await;
        let error = client.lightpush().publish(message(1)).await.unwrap_err();
        let peer = hosts
            .iter()
            .map(|host| host.peer_id)
            .find(|peer| error == LightpushError::Refused { peer: *peer, status, reason: "no".to_owned() });
        assert!(peer.is_some(), "{error}");
        assert_eq!(asked.try_iter().count(), 1);
    }
}

#[tokio::test]
async fn the_only_service_node_is_asked_again_after_a_pause() {
    let script = vec![saying(Status::TooManyRequests, "", None), saying(Status::Success, "", Some(1))];
    let (hosts, asked) = scripted(1, script).await;
    let client = client_of_hosts(&hosts).await;
    let start = std::time::Instant::now();
    client.lightpush().publish(message(1)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(asked.try_iter().count(), 2);
}

#[tokio::test]
async fn a_message_seen_before_is_published_if_an_earlier_try_failed() {
    let seen = || saying(Status::InvalidMessage, "Dropping already-seen message", None);
    let (hosts, _asked) = scripted(2, vec![Reaction::Disconnect, seen()]).await;
    let client = client_of_hosts(&hosts).await;
    let receipt = client.lightpush().publish(message(1)).await.unwrap();
    assert_eq!((receipt.hash, receipt.relay_peers), (hash(&message(1)), None));

    let (hosts, _asked) = scripted(1, vec![seen()]).await;
    let client = client_of_hosts(&hosts).await;
    let error = client.lightpush().publish(message(1)).await.unwrap_err();
    assert_eq!(error, LightpushError::Duplicate { peer: hosts[0].peer_id });
}

#[tokio::test]
async fn with_redundancy_several_service_nodes_get_the_message() {
    let script = vec![saying(Status::Success, "", Some(1)), saying(Status::Success, "", Some(7))];
    let (hosts, asked) = scripted(3, script).await;
    let client = client_of_hosts(&hosts).await;
    let receipt = client.lightpush().with_redundancy(2).publish(message(1)).await.unwrap();
    assert_eq!((receipt.service_peers.len(), receipt.relay_peers), (2, Some(7)));
    assert_ne!(receipt.service_peers[0], receipt.service_peers[1]);
    assert_eq!(asked.try_iter().count(), 2);
}

#[tokio::test]
async fn a_service_node_that_stays_silent_costs_no_more_than_the_timeout() {
    let (hosts, _asked) = scripted(1, vec![Reaction::Silence]).await;
    let client = client_of_hosts(&hosts).await;
    let lightpush = client.lightpush().with_timeout(Duration::from_millis(50));
    let publish = lightpush.publish(message(1));
    assert_eq!(within("the timeout", publish).await, Err(LightpushError::Timeout));
}

#[tokio::test]
async fn one_explicit_try_tells_what_came_of_it() {
    let (hosts, asked) = scripted(1, vec![saying(Status::NoPeersToRelay, "nobody", None)]).await;
    let client = client_of_hosts(&hosts).await;
    let peer = hosts[0].peer_id;
    let error = client.lightpush().publish_via(peer, None, message(1)).await.unwrap_err();
    let (status, reason) = (Status::NoPeersToRelay, "nobody".to_owned());
    assert_eq!(error, LightpushError::Refused { peer, status, reason });
    assert_eq!(asked.try_iter().count(), 1);

    let stranger = PeerId::random();
    let error = client.lightpush().publish_via(stranger, None, message(1)).await.unwrap_err();
    assert_eq!(error, LightpushError::Unanswered { peer: stranger, error: AskError::NotReached });

    within("the shutdown", client.shutdown()).await;
    let error = client.lightpush().publish_via(peer, None, message(1)).await.unwrap_err();
    assert_eq!(error, LightpushError::Stopped(waku::Stopped));
}

#[tokio::test]
async fn a_node_that_does_not_relay_serves_no_lightpush() {
    let idle = node(|config| {
        config.relay = false;
        config.lightpush = Some(LightpushConfig::default());
    })
    .await;
    let client = light_client_of(&idle).await;
    let peer = idle.local_peer_id();
    let error = client.lightpush().publish_via(peer, None, message(1)).await.unwrap_err();
    assert_eq!(error, LightpushError::Unanswered { peer, error: AskError::Unsupported });
}

#[tokio::test]
async fn who_asks_too_often_is_refused_and_others_are_served() {
    let (serving, _relaying) = service_node(|config| {
        let per_peer = Some(Rate::new(2, Duration::from_secs(3600)));
        config.lightpush = Some(LightpushConfig { rate_limit: RateLimit { total: None, per_peer } });
    })
    .await;
    let (flooder, other) =
        (RawHost::client_of(&serving, LIGHTPUSH).await, RawHost::client_of(&serving, LIGHTPUSH).await);
    let mut statuses = Vec::new();
    for number in 0..5 {
        let response = push(&flooder, &serving, request(message(number))).await;
        if response.status == Status::TooManyRequests {
            assert_eq!(response.request_id, "N/A");
        }
        statuses.push(response.status);
    }
    assert_eq!(statuses[..2], [Status::Success; 2]);
    assert_eq!(statuses[2..], [Status::TooManyRequests; 3]);
    assert_eq!(push(&other, &serving, request(message(9))).await.status, Status::Success);
    assert_eq!(serving.metrics().lightpush_requests_limited, 3);
}

/// Judges nothing before it is told to.
#[derive(Debug)]
struct Gate(Mutex<Receiver<()>>);

impl Validator for Gate {
    fn validate(&self, _: &Envelope) -> Verdict {
        // Open for good when the sender is gone.
        let _ = self.0.lock().unwrap().recv();
        Verdict::Accept
    }
}

fn gate() -> (SyncSender<()>, Arc<Gate>) {
    let (open, gate) = sync_channel(0);
    (open, Arc::new(Gate(Mutex::new(gate))))
}

#[tokio::test]
async fn a_flood_from_many_is_answered_as_busy_and_served_again_later() {
    let (open, closed) = gate();
    let (serving, _relaying) = service_node(|config| config.validator = Some(closed)).await;
    // A connection may have sixteen streams.
    let mut talks = Vec::new();
    let mut hosts = Vec::new();
    for host in 0..20 {
        let client = RawHost::client_of(&serving, LIGHTPUSH).await;
        for stream in 0..16 {
            let talk = client.open(serving.local_peer_id()).await;
            talk.write(&frame(request(message(host * 16 + stream)))).await;
            talks.push(tokio::spawn(talk.read_to_end()));
        }
        hosts.push(client);
    }
    // 256 wait and 16 are worked on: the rest is told so at once.
    let overflowed = within("the overflow", async {
        loop {
            let overflowed = serving.metrics().lightpush_requests_overflowed;
            if overflowed >= 320 - 256 - 16 {
                break overflowed;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(overflowed, 320 - 256 - 16);
    drop(open);
    let mut statuses = std::collections::HashMap::new();
    for talk in talks {
        let response: Response = unframe(&talk.await.unwrap().unwrap());
        *statuses.entry(response.status).or_default() += 1;
    }
    assert_eq!(statuses, [(Status::Success, 272), (Status::ServiceNotAvailable, 48)].into());
    assert_eq!(push(&hosts[0], &serving, request(message(999))).await.status, Status::Success);
}

#[tokio::test]
async fn a_stream_opened_long_before_its_use_is_served() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let idle = client.open(serving.local_peer_id()).await;
    for number in 0..20 {
        assert_eq!(push(&client, &serving, request(message(number))).await.status, Status::Success);
    }
    idle.write(&frame(request(message(99)))).await;
    let response: Response = unframe(&idle.read_to_end().await.unwrap());
    assert_eq!(response.status, Status::Success);
}

#[tokio::test]
async fn silent_and_slow_peers_hold_nobody_up() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let (slow, other) =
        (RawHost::client_of(&serving, LIGHTPUSH).await, RawHost::client_of(&serving, LIGHTPUSH).await);
    let bytes = frame(request(message(1)));
    let mut silent = Vec::new();
    for _ in 0..15 {
        silent.push(slow.open(serving.local_peer_id()).await);
    }
    let writing = slow.open(serving.local_peer_id()).await;
    for byte in &bytes[..bytes.len() - 1] {
        writing.write(&[*byte]).await;
    }
    assert_eq!(push(&other, &serving, request(message(2))).await.status, Status::Success);
    writing.write(&bytes[bytes.len() - 1..]).await;
    let response: Response = unframe(&writing.read_to_end().await.unwrap());
    assert_eq!(response.status, Status::Success);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_service_working() {
    let (open, closed) = gate();
    let (serving, _relaying) = service_node(|config| config.validator = Some(closed)).await;
    let gone = RawHost::client_of(&serving, LIGHTPUSH).await;
    let talk = gone.open(serving.local_peer_id()).await;
    talk.write(&frame(request(message(1)))).await;
    // The request is at the validator.
    within("the request", async { tokio::task::spawn_blocking(move || open.send(()).map(|()| open)).await })
        .await
        .unwrap()
        .unwrap();
    let id = gone.peer_id;
    drop((gone, talk));
    peers_until(&serving, "its end", |peers| peers.get(id).is_none()).await;
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    assert_eq!(push(&client, &serving, request(message(2))).await.status, Status::Success);
}

#[tokio::test]
async fn a_service_does_not_keep_its_node_running() {
    let (serving, _relaying) = service_node(|_| {}).await;
    let client = light_client_of(&serving).await;
    client.lightpush().publish(message(1)).await.unwrap();
    drop(serving);
    peers_until(&client, "the service's end", |peers| peers.connected.is_empty()).await;
}

#[tokio::test]
async fn reads_a_request_that_leaves_fields_out_and_has_one_of_the_future() {
    let (serving, relaying) = service_node(|_| {}).await;
    let mut inbox = relaying.relay().subscribe(content_topic()).await.unwrap();
    let client = RawHost::client_of(&serving, LIGHTPUSH).await;
    let encoded = message(1).encode();
    let mut bytes = b"\xa2\x01\x0e/waku/2/rs/0/0\xaa\x01".to_vec();
    bytes.push(u8::try_from(encoded.len()).unwrap());
    bytes.extend_from_slice(&encoded);
    bytes.extend_from_slice(b"\xc0\x0c\x07");
    let response = answer_to(&client, &serving, &waku::proto::framing::encode(&bytes)).await;
    assert_eq!((response.status, response.request_id.as_str()), (Status::Success, ""));
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}
