//! Filter: clients of ours at service nodes of ours, by subscriptions and by hand.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::StreamExt as _;
use tokio::sync::watch;
use waku::peers::NewPeer;
use waku::proto::filter::Status;
use waku::store::archive::MemoryArchive;
use waku::{
    Config, ContentTopic, Delivery, Envelope, FilterConfig, FilterRequestError, FilterSubscribeError,
    FilterSubscription, Node, PublishReceipt, Rate, RateLimit, StoreConfig, WakuMessage,
};

use super::scene::{acquainted, address, content_topic, message, node, peers_until, pubsub_topic, within};

/// A service node that is asked as often as a test likes.
pub(crate) async fn service(change: impl FnOnce(&mut Config, &mut FilterConfig)) -> Node {
    node(|config| {
        let mut filter = FilterConfig { rate_limit: RateLimit::default(), ..FilterConfig::default() };
        change(config, &mut filter);
        config.filter = Some(filter);
    })
    .await
}

/// A light client of these service nodes.
async fn client(services: &[&Node], change: impl FnOnce(&mut Config)) -> Node {
    let client = node(|config| {
        config.relay = false;
        config.static_peers = services.iter().map(|service| address(service)).collect();
        change(config);
    })
    .await;
    let all = services.len();
    peers_until(&client, "the services", |peers| {
        peers.connected.iter().filter(|peer| !peer.protocols.is_empty()).count() == all
    })
    .await;
    client
}

/// A relay with service nodes around it.
async fn relay_and_services(count: usize) -> (Node, Vec<Node>) {
    let relay = node(|_| {}).await;
    let mut services = Vec::new();
    for _ in 0..count {
        let service = service(|config, _| config.static_peers = vec![address(&relay)]).await;
        acquainted(&relay, &service).await;
        services.push(service);
    }
    (relay, services)
}

async fn publish(node: &Node, message: WakuMessage) -> PublishReceipt {
    within("a publish", node.relay().publish(message)).await.unwrap()
}

async fn next(subscription: &mut FilterSubscription) -> Envelope {
    match within("a message", subscription.recv()).await {
        Some(Delivery::Message(envelope)) => envelope,
        other => panic!("expected a message, got {other:?}"),
    }
}

async fn served_by(subscription: &FilterSubscription, count: usize) {
    let mut watched = subscription.service_peers();
    within("service nodes", watched.wait_for(|shown| *shown == count)).await.unwrap();
}

fn other_topic() -> ContentTopic {
    "/toychat/2/other/proto".parse().unwrap()
}

fn refused(outcome: Result<(), FilterRequestError>) -> Status {
    match outcome {
        Err(FilterRequestError::Refused { status, .. }) => status,
        outcome => panic!("expected a refusal, got {outcome:?}"),
    }
}

#[tokio::test]
async fn a_message_relayed_elsewhere_reaches_a_light_client_with_all_its_fields() {
    let (relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    let message =
        message(1).with_meta("meta").with_version(2).with_ephemeral().with_rate_limit_proof("proof");
    let receipt = publish(&relay, message.clone()).await;
    let envelope = next(&mut inbox).await;
    assert_eq!((envelope.message(), envelope.pubsub_topic()), (&message, &pubsub_topic()));
    assert_eq!(envelope.hash(), receipt.hash);
    assert_eq!((edge.metrics().filter_received, services[0].metrics().filter_pushes_sent), (1, 1));
}

#[tokio::test]
async fn a_service_node_pushes_what_it_publishes_itself() {
    let (_relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    publish(&services[0], message(1)).await;
    assert_eq!(within("a message", inbox.next()).await.map(|_| ()), Some(()));
}

#[tokio::test]
async fn each_request_by_hand_does_what_it_says() {
    let (relay, services) = relay_and_services(1).await;
    let service = &services[0];
    let edge = client(&[service], |_| {}).await;
    let (filter, at) = (edge.filter(), edge.filter().at(service.local_peer_id()));
    let mut inbox = filter.inbox().await.unwrap();

    assert_eq!(refused(at.ping().await), Status::NotFound);
    at.subscribe(pubsub_topic(), [content_topic(), other_topic()]).await.unwrap();
    at.ping().await.unwrap();
    let subscribers = service.filter().subscribers().await.unwrap();
    assert_eq!((subscribers.len(), subscribers[0].peer_id), (1, edge.local_peer_id()));
    let mut topics: Vec<&str> = subscribers[0].criteria.iter().map(|(_, topic)| &**topic).collect();
    topics.sort_unstable();
    assert_eq!(topics, [content_topic().as_str(), other_topic().as_str()]);

    publish(&relay, message(1)).await;
    let Some(Delivery::Message(envelope)) = within("a push", inbox.recv()).await else { panic!() };
    assert_eq!(envelope.message(), &message(1));

    at.unsubscribe(pubsub_topic(), [content_topic()]).await.unwrap();
    publish(&relay, message(2)).await;
    publish(&relay, WakuMessage::new(&other_topic(), "x", 3)).await;
    let Some(Delivery::Message(envelope)) = within("a push", inbox.recv()).await else { panic!() };
    assert_eq!(envelope.message().timestamp, Some(3));

    at.unsubscribe_all().await.unwrap();
    assert_eq!(refused(at.ping().await), Status::NotFound);
    // What is not there need not be removed.
    at.unsubscribe_all().await.unwrap();
    at.unsubscribe(pubsub_topic(), [content_topic()]).await.unwrap();
    assert_eq!(service.filter().subscribers().await.unwrap(), []);
}

#[tokio::test]
async fn more_topics_than_a_request_may_have_are_refused_by_hand() {
    let service = service(|_, filter| filter.max_criteria = 3).await;
    let edge = client(&[&service], |_| {}).await;
    let at = edge.filter().at(service.local_peer_id());
    let topics = |count: usize| {
        (0..count).map(|number| format!("/a/1/{number}/proto").parse::<ContentTopic>().unwrap())
    };
    assert_eq!(refused(at.subscribe(pubsub_topic(), topics(101)).await), Status::BadRequest);
    assert_eq!(refused(at.subscribe(pubsub_topic(), topics(4)).await), Status::Unavailable);
    assert_eq!(refused(at.subscribe(pubsub_topic(), topics(0)).await), Status::BadRequest);
    at.subscribe(pubsub_topic(), topics(3)).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_serve_filter_is_no_service_node() {
    let relay = node(|_| {}).await;
    let edge = client(&[&relay], |_| {}).await;
    let asked = edge.filter().at(relay.local_peer_id()).ping().await;
    assert!(matches!(asked, Err(FilterRequestError::Ask(waku::AskError::Unsupported))), "{asked:?}");
    let inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    assert_eq!(*inbox.service_peers().borrow(), 0);
    // Nor is a node that does not relay: it would have nothing to push.
    let light = service(|config, _| config.relay = false).await;
    assert!(light.filter().subscribers().await.unwrap().is_empty());
    let edge = client(&[&light], |_| {}).await;
    assert!(edge.filter().at(light.local_peer_id()).ping().await.is_err());
}

#[tokio::test]
async fn a_peer_that_asks_too_often_is_told_so_and_others_are_served() {
    let rate = RateLimit { total: None, per_peer: Some(Rate::new(3, Duration::from_secs(3600))) };
    let service = service(|_, filter| filter.rate_limit = rate).await;
    let (flooder, other) = (client(&[&service], |_| {}).await, client(&[&service], |_| {}).await);
    let at = flooder.filter().at(service.local_peer_id());
    for _ in 0..3 {
        assert_eq!(refused(at.ping().await), Status::NotFound);
    }
    for _ in 0..10 {
        assert_eq!(refused(at.ping().await), Status::TooManyRequests);
    }
    other.filter().at(service.local_peer_id()).subscribe(pubsub_topic(), [content_topic()]).await.unwrap();
    assert_eq!(service.metrics().filter_requests_limited, 10);
}

#[tokio::test]
async fn two_service_nodes_push_a_message_and_it_comes_once() {
    let (relay, services) = relay_and_services(2).await;
    let edge = client(&[&services[0], &services[1]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 2).await;
    for number in 0..20 {
        publish(&relay, message(number)).await;
        assert_eq!(next(&mut inbox).await.message(), &message(number));
    }
    // The last copy of the last message may still be on its way.
    publish(&relay, message(20)).await;
    next(&mut inbox).await;
    let metrics = edge.metrics();
    assert!(metrics.filter_received_again >= 19, "{metrics:?}");
    assert_eq!(metrics.filter_reader_missed, 0);
}

#[tokio::test]
async fn when_a_service_node_dies_the_other_one_goes_on_and_a_third_takes_its_place() {
    let (relay, mut services) = relay_and_services(3).await;
    let edge = client(&[&services[0], &services[1], &services[2]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 2).await;
    let in_use = async |service: &Node| !service.filter().subscribers().await.unwrap().is_empty();
    // Until both have been heard of.
    let mut number = 0;
    while edge.metrics().filter_received_again == 0 {
        publish(&relay, message(number)).await;
        assert_eq!(next(&mut inbox).await.message(), &message(number));
        number += 1;
    }
    let mut position = 0;
    while !in_use(&services[position]).await {
        position += 1;
    }
    services.remove(position).shutdown().await;
    // Nothing is lost while one takes the place of the other.
    let mut watched = inbox.service_peers();
    within("a third service node", async {
        let all = async |services: &[Node]| in_use(&services[0]).await && in_use(&services[1]).await;
        while !(all(&services).await && *watched.borrow_and_update() == 2) {
            publish(&relay, message(number)).await;
            assert_eq!(next(&mut inbox).await.message(), &message(number));
            number += 1;
        }
    })
    .await;
    publish(&relay, message(number)).await;
    assert_eq!(next(&mut inbox).await.message(), &message(number));
    assert!(inbox.gaps().borrow().is_empty());
}

#[tokio::test]
async fn the_time_without_any_service_node_is_told_as_a_gap() {
    let (relay, mut services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    publish(&relay, message(1)).await;
    next(&mut inbox).await;
    let before = SystemTime::now();
    services.remove(0).shutdown().await;
    served_by(&inbox, 0).await;

    let service = service(|config, _| config.static_peers = vec![address(&relay)]).await;
    acquainted(&relay, &service).await;
    edge.peers().add_static(address(&service)).await.unwrap();
    let mut watched = inbox.gaps();
    let gaps = within("a gap", watched.wait_for(|gaps| !gaps.is_empty())).await.unwrap().clone();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].pubsub_topic, pubsub_topic());
    assert_eq!(gaps[0].content_topics, [content_topic().as_str()]);
    assert!(gaps[0].from <= before && before < gaps[0].to, "{gaps:?}");
    served_by(&inbox, 1).await;
    publish(&relay, message(2)).await;
    assert_eq!(next(&mut inbox).await.message(), &message(2));
}

#[tokio::test]
async fn what_came_in_a_gap_is_had_from_a_store_node_once() {
    let other = node(|_| {}).await;
    let store = node(|config| {
        config.static_peers = vec![address(&other)];
        config.store = Some(StoreConfig::new(Arc::new(MemoryArchive::new(1000, 1 << 20))));
    })
    .await;
    acquainted(&other, &store).await;
    let first = service(|config, _| config.static_peers = vec![address(&other)]).await;
    acquainted(&other, &first).await;
    let edge = client(&[&first, &store], |config| config.filter_client.fill_gaps = true).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    let now = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let before = message(now());
    publish(&other, before.clone()).await;
    assert_eq!(next(&mut inbox).await.message(), &before);

    first.shutdown().await;
    served_by(&inbox, 0).await;
    let missed = [message(now()), message(now() + 1), message(now() + 2)];
    for message in &missed {
        publish(&other, message.clone()).await;
    }
    let second = service(|config, _| config.static_peers = vec![address(&other)]).await;
    acquainted(&other, &second).await;
    edge.peers().add_static(address(&second)).await.unwrap();
    served_by(&inbox, 1).await;
    let after = message(now());
    publish(&other, after.clone()).await;
    assert_eq!(next(&mut inbox).await.message(), &after);
    // The ones before and after the gap are in the store as well, and do not come again.
    for message in &missed {
        assert_eq!(next(&mut inbox).await.message(), message);
    }
    let last = message(now());
    publish(&other, last.clone()).await;
    assert_eq!(next(&mut inbox).await.message(), &last);
    assert_eq!(edge.metrics().filter_filled, 3);
    assert!(inbox.gaps().borrow().is_empty());
}

#[tokio::test]
async fn a_service_node_that_is_only_known_is_dialled() {
    let service = service(|_, _| {}).await;
    let edge = node(|config| config.relay = false).await;
    let known = NewPeer::new(service.local_peer_id(), service.listen_addresses());
    edge.peers().add([known]).await.unwrap();
    let inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
}

#[tokio::test]
async fn a_subscription_that_has_expired_is_made_again() {
    let relay = node(|_| {}).await;
    let service = service(|config, filter| {
        config.static_peers = vec![address(&relay)];
        filter.subscription_timeout = Duration::from_millis(100);
    })
    .await;
    acquainted(&relay, &service).await;
    let edge =
        client(&[&service], |config| config.filter_client.ping_interval = Duration::from_secs(1)).await;
    let mut inbox = edge.filter().subscribe([content_topic()]).await.unwrap();
    let mut watched = inbox.gaps();
    within("a gap", watched.wait_for(|gaps| !gaps.is_empty())).await.unwrap();
    assert!(service.metrics().filter_subscribers_expired >= 1);
    publish(&relay, message(1)).await;
    assert_eq!(next(&mut inbox).await.message(), &message(1));
}

#[tokio::test]
async fn content_topics_can_be_added_and_removed_while_messages_come() {
    let (relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut inbox = edge.filter().subscribe([]).await.unwrap();
    assert_eq!(services[0].filter().subscribers().await.unwrap(), []);
    inbox.add_content_topics([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    publish(&relay, message(1)).await;
    assert_eq!(next(&mut inbox).await.message(), &message(1));

    inbox.add_content_topics([other_topic()]).await.unwrap();
    inbox.remove_content_topics([content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    publish(&relay, message(2)).await;
    publish(&relay, WakuMessage::new(&other_topic(), "x", 3)).await;
    assert_eq!(next(&mut inbox).await.message().timestamp, Some(3));
}

#[tokio::test]
async fn subscriptions_of_one_node_share_service_nodes_and_do_not_disturb_each_other() {
    let (relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut both = edge.filter().subscribe([content_topic(), other_topic()]).await.unwrap();
    let mut one = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&both, 1).await;
    served_by(&one, 1).await;
    publish(&relay, message(1)).await;
    assert_eq!((next(&mut both).await.message(), next(&mut one).await.message()), (&message(1), &message(1)));
    drop(both);
    publish(&relay, message(2)).await;
    assert_eq!(next(&mut one).await.message(), &message(2));
    assert_eq!(services[0].metrics().filter_subscribers_added, 1);
}

#[tokio::test]
async fn a_subscription_may_name_its_pubsub_topic() {
    let (relay, services) = relay_and_services(1).await;
    let elsewhere: waku::PubsubTopic = "/waku/2/rs/0/7".parse().unwrap();
    let here = services[0].relay().subscribe(elsewhere.clone()).await.unwrap();
    super::scene::sees_subscription(&relay, services[0].local_peer_id(), &elsewhere).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let mut inbox = edge.filter().subscribe_on(elsewhere.clone(), [content_topic()]).await.unwrap();
    served_by(&inbox, 1).await;
    publish(&relay, message(1)).await;
    within("a publish", relay.relay().publish_to(elsewhere.clone(), message(2))).await.unwrap();
    let envelope = next(&mut inbox).await;
    assert_eq!((envelope.pubsub_topic(), envelope.message()), (&elsewhere, &message(2)));
    drop(here);
}

#[tokio::test]
async fn more_topics_than_a_service_node_takes_are_refused_at_once() {
    let edge = node(|config| config.relay = false).await;
    let topics = |range: std::ops::Range<usize>| {
        range.map(|number| format!("/a/1/{number}/proto").parse().unwrap()).collect::<Vec<ContentTopic>>()
    };
    let inbox = edge.filter().subscribe(topics(0..999)).await.unwrap();
    let refused = inbox.add_content_topics(topics(999..1001)).await;
    assert_eq!(refused, Err(FilterSubscribeError::TooManyTopics { limit: 1000 }));
    inbox.add_content_topics(topics(0..1000)).await.unwrap();
    assert!(edge.filter().subscribe(topics(1000..1001)).await.is_err());
    inbox.remove_content_topics(topics(0..1)).await.unwrap();
    edge.filter().subscribe(topics(1000..1001)).await.unwrap();
}

#[tokio::test]
async fn a_thousand_topics_are_subscribed_to_in_requests_of_a_hundred() {
    let service = service(|_, _| {}).await;
    let edge = client(&[&service], |_| {}).await;
    let topics: Vec<ContentTopic> = (0..250).map(|n| format!("/a/1/{n}/proto").parse().unwrap()).collect();
    let inbox = edge.filter().subscribe(topics).await.unwrap();
    served_by(&inbox, 1).await;
    let subscribers = service.filter().subscribers().await.unwrap();
    assert_eq!((subscribers[0].criteria.len(), service.metrics().filter_requests), (250, 3));
}

#[tokio::test]
async fn a_slow_reader_is_told_how_much_it_missed() {
    let (relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |config| config.subscription_queue_len = 3).await;
    let mut slow = edge.filter().subscribe([content_topic()]).await.unwrap();
    let mut quick = edge.filter().subscribe([content_topic()]).await.unwrap();
    served_by(&quick, 1).await;
    for number in 0..10 {
        publish(&relay, message(number)).await;
        next(&mut quick).await;
    }
    for number in 0..3 {
        assert_eq!(next(&mut slow).await.message(), &message(number));
    }
    assert_eq!(within("what was missed", slow.recv()).await, Some(Delivery::Missed(7)));
    assert_eq!(edge.metrics().filter_reader_missed, 7);
}

#[tokio::test]
async fn everything_ends_with_the_node() {
    let (_relay, services) = relay_and_services(1).await;
    let edge = client(&[&services[0]], |_| {}).await;
    let (filter, at) = (edge.filter(), edge.filter().at(services[0].local_peer_id()));
    let mut inbox = filter.subscribe([content_topic()]).await.unwrap();
    let mut by_hand = filter.inbox().await.unwrap();
    let mut watched: watch::Receiver<usize> = inbox.service_peers();
    edge.shutdown().await;
    assert_eq!(within("the end", inbox.recv()).await, None);
    assert_eq!(within("the end", by_hand.recv()).await, None);
    assert!(within("the end", watched.wait_for(|count| *count == usize::MAX)).await.is_err());
    assert!(within("an error", at.ping()).await.is_err());
    assert!(within("an error", filter.subscribe([content_topic()])).await.is_err());
}
