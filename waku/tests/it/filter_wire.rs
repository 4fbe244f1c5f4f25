//! Filter with peers that are not ours: every way of streaming, and bytes and behaviour that are bad.

use std::time::Duration;

use waku::proto::filter::{MessagePush, Status, SubscribeRequest, SubscribeResponse, SubscribeType};
use waku::proto::{Bytes, Wire as _, framing};
use waku::{Config, Delivery, FilterInbox, FilterSubscription, Node, WakuMessage};

use super::filter::service;
use super::raw_filter::{RawFilter, Reads, Seen, response};
use super::raw_peer::Muxer;
use super::scene::{acquainted, address, content_topic, message, node, peers_until, pubsub_topic, within};

fn request(kind: SubscribeType, topics: &[&str]) -> SubscribeRequest {
    SubscribeRequest {
        request_id: "an id".to_owned(),
        kind,
        pubsub_topic: (!topics.is_empty()).then(|| pubsub_topic().as_str().to_owned()),
        content_topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    }
}

fn ok() -> SubscribeResponse {
    SubscribeResponse {
        request_id: "an id".to_owned(),
        status: Status::Ok,
        status_desc: Some("OK".to_owned()),
    }
}

/// A service node, and a relay to publish through.
async fn served() -> (Node, Node) {
    let relay = node(|_| {}).await;
    let service = service(|config, _| config.static_peers = vec![address(&relay)]).await;
    acquainted(&relay, &service).await;
    (relay, service)
}

/// A raw peer that has subscribed to the topic of all tests.
async fn subscriber(service: &Node, muxer: Muxer, reads: Reads) -> RawFilter {
    let mut peer = RawFilter::connected(muxer, reads, address(service)).await;
    let subscribe = request(SubscribeType::Subscribe, &[content_topic().as_str()]);
    assert_eq!(peer.ask(service.local_peer_id(), subscribe).await, ok());
    peer
}

async fn publish(node: &Node, message: WakuMessage) {
    within("a publish", node.relay().publish(message)).await.unwrap();
}

/// A frame as a service node pushes it.
fn frame(number: i64) -> Vec<u8> {
    framing::encode(&push(message(number)).encode()).to_vec()
}

fn push(message: WakuMessage) -> MessagePush {
    MessagePush { message, pubsub_topic: pubsub_topic().as_str().to_owned() }
}

#[tokio::test]
async fn every_request_is_answered_over_either_muxer() {
    let (_relay, service) = served().await;
    let id = service.local_peer_id();
    let topic = content_topic();
    for muxer in [Muxer::Yamux, Muxer::Mplex] {
        let mut peer = RawFilter::connected(muxer, Reads::All, address(&service)).await;
        for (request, status) in [
            (request(SubscribeType::Ping, &[]), Status::NotFound),
            (request(SubscribeType::UnsubscribeAll, &[]), Status::NotFound),
            (request(SubscribeType::Unsubscribe, &[topic.as_str()]), Status::NotFound),
            (request(SubscribeType::Subscribe, &[topic.as_str()]), Status::Ok),
            (request(SubscribeType::Subscribe, &[topic.as_str()]), Status::Ok),
            (request(SubscribeType::Ping, &[]), Status::Ok),
            (request(SubscribeType::Unsubscribe, &["/a/1/other/proto"]), Status::NotFound),
            (request(SubscribeType::Unsubscribe, &[topic.as_str()]), Status::Ok),
            (request(SubscribeType::Subscribe, &[topic.as_str()]), Status::Ok),
            (request(SubscribeType::UnsubscribeAll, &[]), Status::Ok),
            (request(SubscribeType::Ping, &[]), Status::NotFound),
        ] {
            let response = peer.ask(id, request.clone()).await;
            assert_eq!((response.status, &*response.request_id), (status, "an id"), "{request:?}");
        }
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered_with_400() {
    let (_relay, service) = served().await;
    let id = service.local_peer_id();
    let mut peer = RawFilter::connected(Muxer::Yamux, Reads::All, address(&service)).await;
    for bytes in [
        // An unknown type; a request id of another wire type; no protobuf.
        &b"\x04\x0a\x00\x10\x04"[..],
        b"\x02\x08\x01",
        b"\x01\xff",
        // More than a request may have is announced; no varint.
        b"\x80\x80\x80\x80\x40",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let answer = response(&peer.ask_raw(id, bytes).await.unwrap());
        assert_eq!((answer.status, &*answer.request_id), (Status::BadRequest, "N/A"), "{bytes:?}");
    }
    // A subscription without topics; with an empty one.
    for topics in [&[][..], &[""]] {
        let answer = peer.ask(id, request(SubscribeType::Subscribe, topics)).await;
        assert_eq!((answer.status, &*answer.request_id), (Status::BadRequest, "an id"));
    }
    assert_eq!(service.metrics().filter_requests_refused, 7);
}

#[tokio::test]
async fn what_is_absent_or_empty_in_a_request_is_taken_for_what_it_means() {
    let (_relay, service) = served().await;
    let id = service.local_peer_id();
    let mut peer = RawFilter::connected(Muxer::Yamux, Reads::All, address(&service)).await;
    // Nothing at all is a ping without an id; js-waku names an empty pubsub topic.
    for bytes in [&b"\x00"[..], b"\x06\x0a\x00\x10\x00\x52\x00"] {
        let answer = response(&peer.ask_raw(id, bytes).await.unwrap());
        assert_eq!((answer.status, &*answer.request_id), (Status::NotFound, ""), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_request_cut_off_is_not_answered_and_the_next_one_is() {
    let (_relay, service) = served().await;
    let mut peer = RawFilter::connected(Muxer::Yamux, Reads::All, address(&service)).await;
    let id = service.local_peer_id();
    for bytes in [&b""[..], b"\x80", b"\x04\x0a"] {
        assert!(peer.ask_raw(id, bytes).await.is_ok_and(|answer| answer.is_empty()));
    }
    assert_eq!(peer.ask(id, request(SubscribeType::Ping, &[])).await.status, Status::NotFound);
}

#[tokio::test]
async fn the_answer_has_every_field_that_nwaku_needs_and_the_stream_ends() {
    let (_relay, service) = served().await;
    let mut peer = RawFilter::connected(Muxer::Mplex, Reads::All, address(&service)).await;
    // That it is seen at all shows that the stream ended: js-waku reads to the end.
    let answer = peer.ask_raw(service.local_peer_id(), b"\x04\x0a\x02id\x10\x00").await;
    let answer = answer.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer[..8], *b"\x2d\x0a\x02id\x50\x94\x03");
}

#[tokio::test]
async fn a_client_that_reads_one_frame_of_a_stream_gets_them_all() {
    let (relay, service) = served().await;
    let mut go = subscriber(&service, Muxer::Yamux, Reads::One).await;
    for number in 0..100 {
        publish(&relay, message(number)).await;
        let (pushed, _) = go.pushed().await;
        assert_eq!(pushed, push(message(number)));
    }
    // And in a burst.
    for number in 100..150 {
        publish(&relay, message(number)).await;
    }
    let mut numbers = Vec::new();
    for _ in 100..150 {
        numbers.push(go.pushed().await.0.message.timestamp.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (100..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_that_never_closes_its_end_gets_more_frames_than_it_takes_streams() {
    let (relay, service) = served().await;
    let mut js = subscriber(&service, Muxer::Mplex, Reads::All).await;
    for number in 0..200 {
        publish(&relay, message(number)).await;
    }
    let (mut numbers, mut streams) = (Vec::new(), 0);
    for _ in 0..200 {
        let (pushed, stream) = js.pushed().await;
        numbers.push(pushed.message.timestamp.unwrap());
        streams = streams.max(stream + 1);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    // js-waku takes 32 or 100.
    assert!(streams < 32, "{streams}");
    assert_eq!(service.metrics().filter_pushes_sent, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_from_and_others_get_everything() {
    let (relay, service) = served().await;
    let _slow = subscriber(&service, Muxer::Yamux, Reads::Nothing).await;
    let mut quick = subscriber(&service, Muxer::Yamux, Reads::One).await;
    let payload = vec![7; 100 * 1024];
    for number in 0..100 {
        let message = WakuMessage::new(&content_topic(), payload.clone(), number);
        publish(&relay, message).await;
        assert_eq!(quick.pushed().await.0.message.timestamp, Some(number));
    }
    let metrics = service.metrics();
    assert!(metrics.filter_pushes_dropped > 0, "{metrics:?}");
    assert_eq!((metrics.filter_messages_overflowed, metrics.filter_pushes_unreachable), (0, 0));
}

#[tokio::test]
async fn a_client_that_disappears_keeps_its_subscription_for_a_while() {
    let (relay, service) = served().await;
    let gone = subscriber(&service, Muxer::Yamux, Reads::All).await;
    let mut other = subscriber(&service, Muxer::Yamux, Reads::One).await;
    let peer_id = gone.peer_id;
    drop(gone);
    peers_until(&service, "the end", |peers| peers.get(peer_id).is_none()).await;
    for number in 0..3 {
        publish(&relay, message(number)).await;
        assert_eq!(other.pushed().await.0, push(message(number)));
    }
    assert_eq!(service.metrics().filter_pushes_unreachable, 3);
    assert_eq!(service.filter().subscribers().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_take_pushes_at_all_is_given_up() {
    let relay = node(|_| {}).await;
    let service = service(|config, filter| {
        config.static_peers = vec![address(&relay)];
        filter.give_up_after = Duration::ZERO;
    })
    .await;
    acquainted(&relay, &service).await;
    let mut quick = subscriber(&service, Muxer::Yamux, Reads::One).await;
    let mut no_push = subscriber(&service, Muxer::Yamux, Reads::Refuses).await;
    let mut number = 0;
    while service.metrics().filter_subscribers_failed == 0 {
        publish(&relay, message(number)).await;
        quick.pushed().await;
        number += 1;
        assert!(number < 100, "it is not given up");
    }
    let ping = request(SubscribeType::Ping, &[]);
    assert_eq!(no_push.ask(service.local_peer_id(), ping).await.status, Status::NotFound);
}

#[tokio::test]
async fn streams_that_say_nothing_keep_nobody_from_being_served() {
    let (relay, service) = served().await;
    let silent = RawFilter::connected(Muxer::Yamux, Reads::All, address(&service)).await;
    let id = service.local_peer_id();
    let mut feeds = Vec::new();
    for _ in 0..60 {
        silent.open_silent(id).await;
        feeds.push(silent.open_push(id).await);
    }
    let mut other = subscriber(&service, Muxer::Yamux, Reads::One).await;
    publish(&relay, message(1)).await;
    assert_eq!(other.pushed().await.0, push(message(1)));
    within("crowded streams", async {
        while service.metrics().filter_push_streams_crowded < 60 - 32 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A light client of a raw service node.
async fn client(change: impl FnOnce(&mut Config)) -> (Node, RawFilter) {
    let edge = node(|config| {
        config.relay = false;
        change(config);
    })
    .await;
    let server = RawFilter::connected(Muxer::Yamux, Reads::All, address(&edge)).await;
    (edge, server)
}

/// A subscription at a raw service node.
async fn subscribed(edge: &Node, server: &mut RawFilter) -> FilterSubscription {
    let inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    let asked = server.request().await;
    assert_eq!(
        (asked.kind, asked.pubsub_topic.as_deref()),
        (SubscribeType::Subscribe, Some(pubsub_topic().as_str()))
    );
    assert_eq!(asked.content_topics, [content_topic().as_str()]);
    assert!(!asked.request_id.is_empty());
    let mut watched = inbox.service_peers();
    within("a service node", watched.wait_for(|count| *count == 1)).await.unwrap();
    inbox
}

async fn next_number(inbox: &mut FilterSubscription) -> i64 {
    match within("a message", inbox.recv()).await {
        Some(Delivery::Message(envelope)) => envelope.message().timestamp.unwrap(),
        other => panic!("expected a message, got {other:?}"),
    }
}

async fn next_by_hand(inbox: &mut FilterInbox) -> i64 {
    match within("a message", inbox.recv()).await {
        Some(Delivery::Message(envelope)) => envelope.message().timestamp.unwrap(),
        other => panic!("expected a message, got {other:?}"),
    }
}

#[tokio::test]
async fn many_frames_of_one_stream_and_one_of_many_are_read() {
    let (edge, mut server) = client(|_| {}).await;
    let mut inbox = subscribed(&edge, &mut server).await;
    let id = edge.local_peer_id();
    let long = server.open_push(id).await;
    for number in 0..100 {
        long.send(frame(number)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, number);
    }
    long.send([frame(100), frame(101), frame(102)].concat()).await.unwrap();
    for number in 100..103 {
        assert_eq!(next_number(&mut inbox).await, number);
    }
    for number in 103..200 {
        server.open_push(id).await.send(frame(number)).await.unwrap();
        assert_eq!(next_number(&mut inbox).await, number);
    }
    // The long one is still read.
    long.send(frame(200)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 200);
}

#[tokio::test]
async fn bad_pushes_are_counted_and_the_good_ones_read() {
    let (edge, mut server) = client(|_| {}).await;
    let mut inbox = subscribed(&edge, &mut server).await;
    let id = edge.local_peer_id();
    let encoded = |push: MessagePush| framing::encode(&push.encode()).to_vec();
    let oversized = vec![0x80, 0x80, 0x80, 0x80, 0x40];
    let truncated = frame(1)[..20].to_vec();
    let no_message = b"\x04\x12\x02/a".to_vec();
    let wrong_type = b"\x02\x08\x01".to_vec();
    let no_topic = encoded(MessagePush { pubsub_topic: String::new(), ..push(message(1)) });
    let bad_topic = encoded(MessagePush { pubsub_topic: "no topic".to_owned(), ..push(message(1)) });
    let long_meta = encoded(push(message(1).with_meta(vec![0; 65])));
    let empty = encoded(push(WakuMessage { payload: Bytes::new(), ..message(1) }));
    let bad = [oversized, truncated, no_message, wrong_type, no_topic, bad_topic, long_meta, empty];
    let count = bad.len() as u64;
    for bytes in bad {
        let feed = server.open_push(id).await;
        feed.send(bytes).await.unwrap();
        drop(feed);
        server.until("an end", |seen| matches!(seen, Seen::PushEnded).then_some(())).await;
    }
    let feed = server.open_push(id).await;
    feed.send(frame(2)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 2);
    assert_eq!((edge.metrics().filter_received_invalid, edge.metrics().filter_received), (count, 1));
}

#[tokio::test]
async fn pushes_nobody_asked_for_are_dropped_and_counted() {
    let (edge, mut server) = client(|_| {}).await;
    let mut inbox = subscribed(&edge, &mut server).await;
    let id = edge.local_peer_id();
    let stranger = RawFilter::connected(Muxer::Yamux, Reads::All, address(&edge)).await;
    let strange = stranger.open_push(id).await;
    strange.send(frame(1)).await.unwrap();
    let feed = server.open_push(id).await;
    let other = WakuMessage::new(&"/a/1/other/proto".parse().unwrap(), "x", 2);
    feed.send(framing::encode(&push(other).encode()).to_vec()).await.unwrap();
    let elsewhere = MessagePush { pubsub_topic: "/waku/2/rs/0/9".to_owned(), ..push(message(3)) };
    feed.send(framing::encode(&elsewhere.encode()).to_vec()).await.unwrap();
    feed.send(frame(4)).await.unwrap();
    assert_eq!(next_number(&mut inbox).await, 4);
    within("the stranger's push", async {
        while edge.metrics().filter_received_unwanted < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!((edge.metrics().filter_received_unwanted, edge.metrics().filter_received), (3, 1));
}

#[tokio::test]
async fn a_dropped_subscription_is_unsubscribed_and_its_pushes_are_not_wanted_any_more() {
    let (edge, mut server) = client(|_| {}).await;
    let inbox = subscribed(&edge, &mut server).await;
    drop(inbox);
    let asked = server.request().await;
    assert_eq!(
        (asked.kind, &*asked.content_topics),
        (SubscribeType::Unsubscribe, &[content_topic().as_str().to_owned()][..])
    );
}

#[tokio::test]
async fn what_is_asked_by_hand_is_pushed_to_the_inbox_as_often_as_it_comes() {
    let (edge, server) = client(|_| {}).await;
    let at = edge.filter().at(server.peer_id);
    let mut inbox = edge.filter().inbox().await.unwrap();
    within("an answer", at.subscribe(pubsub_topic(), [content_topic()])).await.unwrap();
    let feed = server.open_push(edge.local_peer_id()).await;
    for number in [1, 1, 2] {
        feed.send(frame(number)).await.unwrap();
        assert_eq!(next_by_hand(&mut inbox).await, number);
    }
    within("an answer", at.unsubscribe_all()).await.unwrap();
    feed.send(frame(3)).await.unwrap();
    within("a push that is not wanted", async {
        while edge.metrics().filter_received_unwanted == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within("an answer", at.subscribe(pubsub_topic(), [content_topic()])).await.unwrap();
    feed.send(frame(4)).await.unwrap();
    assert_eq!(next_by_hand(&mut inbox).await, 4);
}
