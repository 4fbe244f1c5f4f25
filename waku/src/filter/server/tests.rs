use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use waku_proto::{EncodedMessage, WakuMessage, Wire as _};

use super::*;
use crate::net::codec::BadRequest;

const TIMEOUT: Duration = Duration::from_secs(300);
const PUBSUB: &str = "/waku/2/rs/0/0";

struct Scene {
    server: Server,
    metrics: Arc<Metrics>,
    now: Instant,
    connected: bool,
}

impl Scene {
    fn new(subscribers: usize, criteria: usize) -> Self {
        let metrics = Arc::new(Metrics::default());
        let limits = Limits { subscribers, criteria, timeout: TIMEOUT };
        let server = Server::new(limits, Arc::clone(&metrics));
        Self { server, metrics, now: Instant::now(), connected: true }
    }

    fn ask(&mut self, peer: PeerId, kind: SubscribeType, pubsub: Option<&str>, topics: &[&str]) -> Status {
        let request = SubscribeRequest {
            request_id: "an id".to_owned(),
            kind,
            pubsub_topic: pubsub.map(ToOwned::to_owned),
            content_topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        let connected = self.connected;
        let response = self.server.answer(peer, &Ok(request), |_| connected, self.now);
        assert_eq!(response.request_id, "an id");
        assert!(response.status_desc.is_some_and(|description| !description.is_empty()));
        response.status
    }

    fn subscribe(&mut self, peer: PeerId, topics: &[&str]) -> Status {
        self.ask(peer, SubscribeType::Subscribe, Some(PUBSUB), topics)
    }

    fn unsubscribe(&mut self, peer: PeerId, topics: &[&str]) -> Status {
        self.ask(peer, SubscribeType::Unsubscribe, Some(PUBSUB), topics)
    }

    fn ping(&mut self, peer: PeerId) -> Status {
        self.ask(peer, SubscribeType::Ping, None, &[])
    }

    fn receivers(&mut self, pubsub: &str, topic: &str, number: i64) -> BTreeSet<PeerId> {
        let message = WakuMessage::new(&topic.parse().unwrap(), "x", number);
        let envelope = Envelope::new(pubsub.parse().unwrap(), EncodedMessage::encode(message));
        self.server.receivers(&envelope, self.now).into_iter().collect()
    }
}

fn peers<const N: usize>() -> [PeerId; N] {
    std::array::from_fn(|_| PeerId::random())
}

#[test]
fn pushes_to_those_who_asked_for_both_topics_of_a_message() {
    let mut scene = Scene::new(10, 10);
    let [a, b, elsewhere, other] = peers();
    assert_eq!(scene.subscribe(a, &["/a/1/b/c"]), Status::Ok);
    assert_eq!(scene.subscribe(b, &["/a/1/b/c", "/a/1/d/c"]), Status::Ok);
    let on_another_shard = Some("/waku/2/rs/0/1");
    assert_eq!(scene.ask(elsewhere, SubscribeType::Subscribe, on_another_shard, &["/a/1/b/c"]), Status::Ok);
    assert_eq!(scene.subscribe(other, &["/a/1/other/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [a, b].into());
    assert_eq!(scene.receivers(PUBSUB, "/a/1/d/c", 2), [b].into());
    assert_eq!(scene.receivers("/waku/2/rs/0/1", "/a/1/b/c", 3), [elsewhere].into());
    assert_eq!(scene.receivers("/waku/2/rs/0/2", "/a/1/b/c", 4), [].into());
}

#[test]
fn subscribing_again_changes_nothing_and_adds_what_is_new() {
    let mut scene = Scene::new(10, 2);
    let [peer] = peers();
    for _ in 0..3 {
        assert_eq!(scene.subscribe(peer, &["/a/1/b/c", "/a/1/b/c"]), Status::Ok);
    }
    assert_eq!(scene.subscribe(peer, &["/a/1/b/c", "/a/1/d/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [peer].into());
    assert_eq!(scene.receivers(PUBSUB, "/a/1/d/c", 2), [peer].into());
    assert_eq!(scene.metrics.filter_subscribers_added.get(), 1);
}

#[test]
fn unsubscribing_removes_what_is_listed_and_answers_404_for_what_is_not_there() {
    let mut scene = Scene::new(10, 10);
    let [peer] = peers();
    assert_eq!(scene.unsubscribe(peer, &["/a/1/b/c"]), Status::NotFound);
    scene.subscribe(peer, &["/a/1/b/c", "/a/1/d/c"]);
    assert_eq!(scene.unsubscribe(peer, &["/a/1/x/c"]), Status::NotFound);
    assert_eq!(scene.unsubscribe(peer, &["/a/1/b/c", "/a/1/x/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [].into());
    assert_eq!(scene.receivers(PUBSUB, "/a/1/d/c", 2), [peer].into());
    assert_eq!(scene.ping(peer), Status::Ok);
    assert_eq!(scene.unsubscribe(peer, &["/a/1/d/c"]), Status::Ok);
    // With its last criterion the subscriber goes.
    assert_eq!(scene.ping(peer), Status::NotFound);
    assert!(scene.server.criteria.is_empty() && scene.server.peers.is_empty());
    assert_eq!(scene.metrics.filter_subscribers_left.get(), 1);
}

#[test]
fn unsubscribing_from_all_removes_everything_once() {
    let mut scene = Scene::new(10, 10);
    let [peer, other] = peers();
    scene.subscribe(peer, &["/a/1/b/c", "/a/1/d/c"]);
    scene.subscribe(other, &["/a/1/b/c"]);
    assert_eq!(scene.ask(peer, SubscribeType::UnsubscribeAll, None, &[]), Status::Ok);
    assert_eq!(scene.ask(peer, SubscribeType::UnsubscribeAll, None, &[]), Status::NotFound);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [other].into());
}

#[test]
fn a_request_without_sound_criteria_is_answered_with_400() {
    let mut scene = Scene::new(10, 1000);
    let [peer] = peers();
    let long = "x".repeat(MAX_CONTENT_TOPIC_LEN + 1);
    let topics: Vec<String> = (0..=MAX_CONTENT_TOPICS).map(|number| format!("/a/1/{number}/c")).collect();
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    for kind in [SubscribeType::Subscribe, SubscribeType::Unsubscribe] {
        for (pubsub, topics) in [
            (None, &["/a/1/b/c"][..]),
            (Some(PUBSUB), &[]),
            (Some(PUBSUB), &topics),
            (Some(PUBSUB), &[""]),
            (Some(PUBSUB), &[&long]),
            (Some("no topic"), &["/a/1/b/c"]),
            (Some("/waku/2/rs/0/9999"), &["/a/1/b/c"]),
        ] {
            assert_eq!(scene.ask(peer, kind, pubsub, topics), Status::BadRequest, "{kind:?} {pubsub:?}");
        }
    }
    assert_eq!(scene.metrics.filter_requests_refused.get(), 14);
    assert_eq!(scene.subscribe(peer, &topics[1..]), Status::Ok);
    assert_eq!(scene.subscribe(peer, &[&long[1..]]), Status::Ok);
}

#[test]
fn an_unreadable_request_is_answered_with_400_and_an_id() {
    let mut scene = Scene::new(10, 10);
    let error = SubscribeRequest::decode(b"\x10\x04".as_slice().into()).unwrap_err();
    let response =
        scene.server.answer(PeerId::random(), &Err(BadRequest::Message(error)), |_| true, scene.now);
    assert_eq!((response.status, &*response.request_id), (Status::BadRequest, "N/A"));
}

#[test]
fn more_criteria_than_a_peer_may_have_are_refused_as_a_whole_with_503() {
    let mut scene = Scene::new(10, 3);
    let [peer] = peers();
    assert_eq!(scene.subscribe(peer, &["/a/1/1/c", "/a/1/2/c"]), Status::Ok);
    assert_eq!(scene.subscribe(peer, &["/a/1/3/c", "/a/1/4/c"]), Status::Unavailable);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/3/c", 1), [].into());
    // Those it has already do not count again.
    assert_eq!(scene.subscribe(peer, &["/a/1/1/c", "/a/1/2/c", "/a/1/3/c"]), Status::Ok);
    // On another shard they count together.
    let elsewhere = Some("/waku/2/rs/0/1");
    assert_eq!(scene.ask(peer, SubscribeType::Subscribe, elsewhere, &["/a/1/1/c"]), Status::Unavailable);
}

#[test]
fn one_subscriber_too_many_is_refused_with_503_while_all_are_connected() {
    let mut scene = Scene::new(2, 10);
    let [a, b, c] = peers();
    scene.subscribe(a, &["/a/1/b/c"]);
    scene.subscribe(b, &["/a/1/b/c"]);
    assert_eq!(scene.subscribe(c, &["/a/1/b/c"]), Status::Unavailable);
    assert_eq!(scene.subscribe(a, &["/a/1/d/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [a, b].into());
}

#[test]
fn the_subscriber_that_is_gone_longest_makes_room() {
    let mut scene = Scene::new(2, 10);
    let [a, b, c] = peers();
    scene.subscribe(a, &["/a/1/b/c"]);
    scene.now += Duration::from_secs(1);
    scene.subscribe(b, &["/a/1/b/c"]);
    scene.connected = false;
    assert_eq!(scene.subscribe(c, &["/a/1/b/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [b, c].into());
    assert_eq!(scene.metrics.filter_subscribers_displaced.get(), 1);
}

#[test]
fn a_silent_subscriber_expires_and_one_that_pings_or_subscribes_does_not() {
    let mut scene = Scene::new(10, 10);
    let [silent, pings, subscribes] = peers();
    for peer in [silent, pings, subscribes] {
        scene.subscribe(peer, &["/a/1/b/c"]);
    }
    scene.now += Duration::from_secs(299);
    scene.server.sweep(scene.now);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1).len(), 3);
    assert_eq!((scene.ping(pings), scene.subscribe(subscribes, &["/a/1/b/c"])), (Status::Ok, Status::Ok));
    scene.now += Duration::from_secs(1);
    scene.server.sweep(scene.now);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 2), [pings, subscribes].into());
    assert_eq!(scene.ping(silent), Status::NotFound);
    assert_eq!(scene.metrics.filter_subscribers_expired.get(), 1);
}

#[test]
fn a_subscriber_that_is_given_up_gets_nothing_until_it_subscribes_again() {
    let mut scene = Scene::new(10, 10);
    let [peer] = peers();
    scene.subscribe(peer, &["/a/1/b/c"]);
    scene.server.give_up(&peer);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [].into());
    assert_eq!(scene.subscribe(peer, &["/a/1/b/c"]), Status::Ok);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 2), [peer].into());
    assert_eq!(scene.metrics.filter_subscribers_failed.get(), 1);
}

#[test]
fn the_same_bytes_are_pushed_to_a_subscriber_once_and_other_bytes_of_the_same_hash_again() {
    let mut scene = Scene::new(10, 10);
    let [early, late] = peers();
    scene.subscribe(early, &["/a/1/b/c"]);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [early].into());
    scene.subscribe(late, &["/a/1/b/c"]);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [late].into());
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), [].into());

    let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", 1).with_rate_limit_proof("proof");
    let envelope = Envelope::new(PUBSUB.parse().unwrap(), EncodedMessage::encode(message));
    assert_eq!(scene.server.receivers(&envelope, scene.now).len(), 2);
}

#[test]
fn a_thousand_subscribers_all_get_a_message_they_asked_for() {
    let mut scene = Scene::new(1000, 10);
    let everyone: BTreeSet<PeerId> = (0..1000).map(|_| PeerId::random()).collect();
    for peer in &everyone {
        assert_eq!(scene.subscribe(*peer, &["/a/1/b/c"]), Status::Ok);
    }
    assert_eq!(scene.subscribe(PeerId::random(), &["/a/1/b/c"]), Status::Unavailable);
    assert_eq!(scene.receivers(PUBSUB, "/a/1/b/c", 1), everyone);
}

#[test]
fn the_receivers_are_those_that_a_simple_list_would_name() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut scene = Scene::new(8, 6);
    let everyone: [PeerId; 8] = peers();
    let mut listed: HashMap<PeerId, BTreeSet<(u32, u32)>> = HashMap::new();
    for number in 0..20_000 {
        let mut below = |limit: u32| rng.next_u32() % limit;
        let (peer, shard, topic) = (everyone[below(8) as usize], below(2), below(5));
        let (pubsub, content) = (format!("/waku/2/rs/0/{shard}"), format!("/a/1/{topic}/c"));
        let choice = below(20);
        let list = listed.entry(peer).or_default();
        match choice {
            0..=7 => {
                let is_full = list.len() == 6 && !list.contains(&(shard, topic));
                let expected = if is_full { Status::Unavailable } else { Status::Ok };
                assert_eq!(scene.ask(peer, SubscribeType::Subscribe, Some(&pubsub), &[&content]), expected);
                if !is_full {
                    list.insert((shard, topic));
                }
            }
            8..=13 => {
                let expected = if list.remove(&(shard, topic)) { Status::Ok } else { Status::NotFound };
                assert_eq!(scene.ask(peer, SubscribeType::Unsubscribe, Some(&pubsub), &[&content]), expected);
            }
            14 => {
                let expected = if list.is_empty() { Status::NotFound } else { Status::Ok };
                list.clear();
                assert_eq!(scene.ask(peer, SubscribeType::UnsubscribeAll, None, &[]), expected);
            }
            15 => {
                let expected = if list.is_empty() { Status::NotFound } else { Status::Ok };
                assert_eq!(scene.ping(peer), expected);
            }
            _ => {
                let wants = |(_, list): &(&PeerId, &BTreeSet<(u32, u32)>)| list.contains(&(shard, topic));
                let expected = listed.iter().filter(wants).map(|(peer, _)| *peer).collect();
                assert_eq!(scene.receivers(&pubsub, &content, number), expected);
            }
        }
    }
    for peer in everyone {
        scene.ask(peer, SubscribeType::UnsubscribeAll, None, &[]);
    }
    assert!(scene.server.criteria.is_empty() && scene.server.peers.is_empty());
}
