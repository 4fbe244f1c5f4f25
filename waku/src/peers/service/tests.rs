use std::time::SystemTime;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_proto::protocol_id::{LIGHTPUSH, STORE_QUERY};

use super::*;
use crate::peers::{Direction, StaticPeerInfo, StaticPeerState};

struct Scene {
    record: ServiceRecord,
    peers: PeerList,
    now: Instant,
    rng: ChaCha8Rng,
}

impl Scene {
    fn new() -> Self {
        let (record, peers) = (ServiceRecord::default(), PeerList::default());
        Self { record, peers, now: Instant::now(), rng: ChaCha8Rng::seed_from_u64(5) }
    }

    fn connect(&mut self, protocol: &str, shards: &[u16]) -> PeerId {
        let peer_id = PeerId::random();
        self.peers.connected.push(PeerInfo {
            peer_id,
            addresses: Vec::new(),
            direction: Direction::Outbound,
            connected_since: SystemTime::UNIX_EPOCH,
            agent: None,
            protocols: vec![protocol.to_owned()],
            cluster: Some(0),
            shards: shards.to_vec(),
            topics: std::collections::BTreeSet::new(),
            round_trip: None,
        });
        peer_id
    }

    fn candidates(&mut self, shard: Option<u16>) -> Vec<PeerId> {
        let shard = shard.map(|index| Shard::new(0, index).unwrap());
        self.record.candidates(&self.peers, STORE_QUERY, shard, self.now, &mut self.rng)
    }
}

#[test]
fn only_those_that_speak_the_protocol_on_the_shard_are_asked() {
    let mut scene = Scene::new();
    let here = scene.connect(STORE_QUERY, &[0, 1]);
    let elsewhere = scene.connect(STORE_QUERY, &[2]);
    scene.connect(LIGHTPUSH, &[0, 1]);
    let anywhere = scene.connect(STORE_QUERY, &[]);
    assert_eq!(scene.candidates(Some(1)), [here, anywhere]);
    let mut all = scene.candidates(None);
    all.sort();
    let mut expected = [here, elsewhere, anywhere];
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn equals_are_asked_at_random() {
    let mut scene = Scene::new();
    for _ in 0..4 {
        scene.connect(STORE_QUERY, &[0]);
    }
    let firsts: std::collections::HashSet<_> = (0..50).map(|_| scene.candidates(None)[0]).collect();
    assert_eq!(firsts.len(), 4);
}

#[test]
fn those_named_for_services_come_first() {
    let mut scene = Scene::new();
    for _ in 0..10 {
        scene.connect(STORE_QUERY, &[0]);
    }
    let named = scene.connect(STORE_QUERY, &[0]);
    let merely_static = scene.peers.connected[0].peer_id;
    for (peer, is_service) in [(merely_static, false), (named, true)] {
        scene.peers.static_peers.push(StaticPeerInfo {
            address: "/ip4/192.0.2.1/tcp/1".parse().unwrap(),
            peer_id: Some(peer),
            state: StaticPeerState::Connected,
            failures: 0,
            last_error: None,
            is_service,
        });
    }
    for _ in 0..20 {
        assert_eq!(scene.candidates(None)[0], named);
    }
}

#[test]
fn those_that_failed_come_last_for_a_while_that_doubles() {
    let mut scene = Scene::new();
    let (bad, good) = (scene.connect(STORE_QUERY, &[0]), scene.connect(STORE_QUERY, &[0]));
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        scene.record.failed(bad, STORE_QUERY, scene.now);
        scene.now += Duration::from_secs(seconds - 1);
        assert!((0..20).all(|_| scene.candidates(None) == [good, bad]), "within {seconds} s");
        scene.now += Duration::from_secs(1);
        assert!((0..20).any(|_| scene.candidates(None) == [bad, good]), "after {seconds} s");
    }
}

#[test]
fn a_success_and_a_long_time_make_a_failure_the_first_again() {
    let mut scene = Scene::new();
    let (bad, good) = (scene.connect(STORE_QUERY, &[0]), scene.connect(STORE_QUERY, &[0]));
    for _ in 0..3 {
        scene.record.failed(bad, STORE_QUERY, scene.now);
    }
    scene.record.succeeded(bad, STORE_QUERY);
    assert!((0..20).any(|_| scene.candidates(None) == [bad, good]));
    for _ in 0..3 {
        scene.record.failed(bad, STORE_QUERY, scene.now);
    }
    scene.now += Duration::from_secs(120) + LONGEST;
    scene.record.failed(bad, STORE_QUERY, scene.now);
    scene.now += FIRST;
    assert!((0..20).any(|_| scene.candidates(None) == [bad, good]));
}

#[test]
fn failures_at_one_service_say_nothing_about_another() {
    let mut scene = Scene::new();
    let (bad, good) = (scene.connect(STORE_QUERY, &[0]), scene.connect(STORE_QUERY, &[0]));
    scene.record.failed(bad, LIGHTPUSH, scene.now);
    assert!((0..20).any(|_| scene.candidates(None) == [bad, good]));
}

#[test]
fn a_bounded_number_of_failures_is_remembered() {
    let mut scene = Scene::new();
    for _ in 0..MEMORY + 100 {
        scene.now += Duration::from_millis(1);
        scene.record.failed(PeerId::random(), STORE_QUERY, scene.now);
    }
    assert_eq!(scene.record.failures.len(), MEMORY);
}
