use std::time::UNIX_EPOCH;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_proto::enr::RelayShards;

use super::peer::{MAX_ADDRESSES, MAX_NAME_LEN, MAX_PROTOCOLS, MAX_SHARDS};
use super::*;
use crate::{Announcement, Keypair};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const CLUSTER: u16 = 16;

struct Scene {
    known: Known,
    now: SystemTime,
}

impl Scene {
    fn new(capacity: usize) -> Self {
        let known = Known::new(PeerId::random(), CLUSTER, capacity, Dialing::default());
        Self { known, now: UNIX_EPOCH + 1_000_000 * MINUTE }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// A peer with an address of its own.
    fn learn(&mut self) -> PeerId {
        let new = new_peer();
        assert!(self.known.learn(new.clone(), self.now));
        new.peer_id
    }

    fn reach(&mut self, peer: PeerId) {
        self.known.opened(peer, &address(1), Direction::Outbound, self.now);
    }

    fn close(&mut self, peer: PeerId) {
        self.known.closed(peer, false, self.now);
    }

    fn fail(&mut self, peer: PeerId) {
        self.known.dial_failed(peer, self.now);
    }

    fn get(&self, peer: PeerId) -> &KnownPeer {
        self.known.get(peer).unwrap()
    }

    fn may_dial(&self, peer: PeerId) -> bool {
        self.known.may_dial(self.get(peer), self.now)
    }

    fn is_known(&self, peer: PeerId) -> bool {
        self.known.get(peer).is_some()
    }
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
}

fn new_peer() -> NewPeer {
    NewPeer::new(PeerId::random(), [address(1)])
}

#[test]
fn states_follow_what_happened() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    assert_eq!(scene.get(peer).state, PeerState::NotConnected);
    scene.fail(peer);
    assert_eq!(scene.get(peer).state, PeerState::CannotConnect);
    scene.reach(peer);
    assert_eq!(scene.get(peer).state, PeerState::Connected);
    scene.pass(STABLE_AFTER);
    scene.close(peer);
    assert_eq!((scene.get(peer).state, scene.get(peer).failures), (PeerState::CanConnect, 0));
}

#[test]
fn a_peer_is_dialled_after_waits_four_times_as_long_each_time() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    assert!(scene.may_dial(peer));
    for seconds in [120, 480, 1920, 7680, 30_720, 30_720] {
        scene.fail(peer);
        scene.pass(Duration::from_secs(seconds - 1));
        assert!(!scene.may_dial(peer), "after {seconds} s less one");
        scene.pass(SECOND);
        assert!(scene.may_dial(peer), "after {seconds} s");
    }
}

#[test]
fn a_peer_that_is_gone_is_not_dialled_before_the_prune_backoff_is_over() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    scene.reach(peer);
    assert!(!scene.may_dial(peer), "it is connected");
    scene.pass(STABLE_AFTER);
    scene.close(peer);
    scene.pass(MINUTE.saturating_sub(SECOND));
    assert!(!scene.may_dial(peer));
    scene.pass(SECOND);
    assert!(scene.may_dial(peer));
}

#[test]
fn a_connection_we_made_that_breaks_at_once_counts_as_a_failure() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    for failures in 1..4 {
        scene.reach(peer);
        scene.pass(STABLE_AFTER.saturating_sub(SECOND));
        scene.close(peer);
        assert_eq!((scene.get(peer).state, scene.get(peer).failures), (PeerState::CannotConnect, failures));
    }
    // One that the peer made says nothing about our dials.
    scene.pass(MINUTE);
    scene.known.opened(peer, &address(9), Direction::Inbound, scene.now);
    scene.close(peer);
    assert_eq!(scene.get(peer).failures, 3);
}

#[test]
fn a_peer_that_was_disconnected_through_its_fault_waits_as_after_a_failed_dial() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    for (direction, failures) in [(Direction::Outbound, 1), (Direction::Inbound, 2)] {
        scene.known.opened(peer, &address(1), direction, scene.now);
        scene.pass(STABLE_AFTER);
        scene.known.closed(peer, true, scene.now);
        assert_eq!((scene.get(peer).failures, scene.get(peer).state), (failures, PeerState::CannotConnect));
    }
    scene.pass(MINUTE);
    assert!(!scene.may_dial(peer));
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_wait() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    scene.fail(peer);
    scene.now -= 60 * MINUTE;
    assert!(scene.may_dial(peer));
}

#[test]
fn peers_of_another_cluster_are_known_and_not_dialled() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    scene.known.told_metadata(peer, &Metadata { cluster: Some(1), shards: vec![0] });
    assert!(!scene.may_dial(peer) && scene.is_known(peer));
    assert_eq!(scene.get(peer).is_on(Shard::new(CLUSTER, 0).unwrap()), Some(false));
}

#[test]
fn this_node_and_peers_without_an_address_are_not_learned() {
    let mut scene = Scene::new(10);
    let own = NewPeer::new(scene.known.own, [address(1)]);
    assert!(!scene.known.learn(own, scene.now));
    let nowhere = NewPeer::new(PeerId::random(), ["/memory/1".parse().unwrap()]);
    assert!(!scene.known.learn(nowhere, scene.now));
    assert_eq!(scene.known.len(), 0);
}

#[test]
fn a_peer_that_leaves_no_address_is_known_only_while_it_is_connected() {
    let mut scene = Scene::new(10);
    let peer = PeerId::random();
    scene.known.opened(peer, &address(50_000), Direction::Inbound, scene.now);
    assert_eq!((scene.get(peer).state, scene.get(peer).addresses.len()), (PeerState::Connected, 0));
    scene.close(peer);
    assert!(!scene.is_known(peer));
}

#[test]
fn the_address_by_which_a_peer_was_reached_comes_first_whatever_it_claims() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    scene.known.opened(peer, &address(7), Direction::Outbound, scene.now);
    scene.known.identified(peer, "a", &[], [address(3), address(7), address(4)]);
    assert_eq!(scene.get(peer).addresses, [address(7), address(3), address(4)]);
}

#[test]
fn everything_about_a_peer_is_bounded() {
    let mut scene = Scene::new(10);
    let mut new = new_peer();
    let long_name = format!("/dns4/{}/tcp/1", "n".repeat(1000));
    new.addresses = (1..100).map(address).collect();
    new.addresses.insert(0, long_name.parse().unwrap());
    new.protocols = (0..100).map(|number| format!("/p/{number}")).collect();
    new.protocols.extend(["/vac/waku/relay/2.0.0".to_owned(), "x".repeat(MAX_NAME_LEN + 1)]);
    (new.cluster, new.shards) = (Some(CLUSTER), (0..1024).collect());
    let peer = new.peer_id;
    assert!(scene.known.learn(new, scene.now));
    for index in 0..1024 {
        scene.known.subscribed(peer, Shard::new(CLUSTER, index).unwrap(), true);
    }
    scene.known.told_metadata(peer, &Metadata { cluster: Some(CLUSTER), shards: (0..1024).collect() });
    let agent = "ä".repeat(MAX_NAME_LEN);
    scene.reach(peer);
    scene.known.identified(peer, &agent, &["/vac/waku/relay/2.0.0".to_owned()], (1..100).map(address));
    let known = scene.get(peer);
    assert_eq!((known.addresses.len(), known.shards.len()), (MAX_ADDRESSES, MAX_SHARDS));
    assert_eq!(known.agent.as_ref().map(String::len), Some(MAX_NAME_LEN));
    assert!(known.protocols.len() <= MAX_PROTOCOLS);
}

#[test]
fn a_peer_that_lists_many_protocols_still_speaks_ours() {
    let mut scene = Scene::new(10);
    let mut new = new_peer();
    new.protocols = (0..100).map(|number| format!("/p/{number}")).collect();
    new.protocols.push("/vac/waku/relay/2.0.0".to_owned());
    let peer = new.peer_id;
    scene.known.learn(new, scene.now);
    assert_eq!(scene.get(peer).protocols.len(), MAX_PROTOCOLS);
    assert_eq!(scene.get(peer).speaks("/vac/waku/relay/2.0.0"), Some(true));
}

#[test]
fn the_worst_peers_make_room_first() {
    let mut scene = Scene::new(6);
    let connected = scene.learn();
    scene.reach(connected);
    let foreign = scene.learn();
    scene.known.told_metadata(foreign, &Metadata { cluster: Some(1), shards: vec![] });
    let failing = scene.learn();
    scene.fail(failing);
    let reached = scene.learn();
    scene.reach(reached);
    scene.pass(STABLE_AFTER);
    scene.close(reached);
    let old = scene.learn();
    scene.pass(MINUTE);
    let young = scene.learn();
    scene.pass(MINUTE);
    for gone in [foreign, failing, old, young] {
        assert!(scene.is_known(gone));
        let newest = scene.learn();
        scene.pass(MINUTE);
        assert!(!scene.is_known(gone) && scene.is_known(newest));
    }
    assert!(scene.is_known(connected) && scene.is_known(reached));
    assert_eq!((scene.known.len(), scene.known.take_evicted(), scene.known.take_evicted()), (6, 4, 0));
}

#[test]
fn connected_peers_are_known_beyond_the_capacity_until_they_are_gone() {
    let mut scene = Scene::new(2);
    let peers: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
    for peer in &peers {
        scene.reach(*peer);
    }
    assert_eq!(scene.known.len(), 4);
    for peer in &peers {
        scene.close(*peer);
    }
    assert_eq!(scene.known.len(), 2);
}

#[test]
fn peers_that_never_answer_are_forgotten_and_seen_ones_only_after_a_week() {
    let mut scene = Scene::new(10);
    let (never, seen) = (scene.learn(), scene.learn());
    scene.reach(seen);
    scene.pass(STABLE_AFTER);
    scene.close(seen);
    for failures in 1..=5 {
        assert_eq!(scene.known.prune(scene.now), 0, "after {} failures", failures - 1);
        scene.fail(never);
        scene.fail(seen);
    }
    assert_eq!(scene.known.prune(scene.now), 1);
    assert!(!scene.is_known(never) && scene.is_known(seen));
    scene.pass(KEPT_AFTER_SEEN + MINUTE);
    assert_eq!(scene.known.prune(scene.now), 1);
    assert!(!scene.is_known(seen));
}

#[test]
fn what_others_say_does_not_replace_what_a_peer_says_itself() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    scene.reach(peer);
    scene.known.identified(peer, "agent", &["/vac/waku/store-query/3.0.0".to_owned()], []);
    scene.known.told_metadata(peer, &Metadata { cluster: Some(CLUSTER), shards: vec![2] });
    let mut rumour = NewPeer::new(peer, [address(66)]);
    rumour.protocols = vec!["/vac/waku/relay/2.0.0".to_owned()];
    (rumour.cluster, rumour.shards) = (Some(1), vec![7]);
    assert!(scene.known.learn(rumour, scene.now));
    let known = scene.get(peer);
    assert_eq!((known.cluster, &known.shards), (Some(CLUSTER), &vec![2]));
    assert_eq!(known.speaks("/vac/waku/relay/2.0.0"), Some(false));
}

#[test]
fn subscriptions_change_the_shards() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    let shard = |index| Shard::new(CLUSTER, index).unwrap();
    assert_eq!(scene.get(peer).is_on(shard(3)), None);
    scene.known.subscribed(peer, shard(3), true);
    scene.known.subscribed(peer, shard(1), true);
    assert_eq!((scene.get(peer).cluster, &scene.get(peer).shards), (Some(CLUSTER), &vec![1, 3]));
    scene.known.subscribed(peer, shard(3), false);
    assert_eq!((scene.get(peer).is_on(shard(3)), scene.get(peer).is_on(shard(1))), (Some(false), Some(true)));
    // A shard of another cluster says nothing here.
    scene.known.subscribed(peer, Shard::new(1, 0).unwrap(), true);
    assert_eq!(scene.get(peer).cluster, Some(CLUSTER));
}

#[test]
fn a_connected_peer_is_forgotten_when_it_is_gone() {
    let mut scene = Scene::new(10);
    let (connected, other) = (scene.learn(), scene.learn());
    scene.reach(connected);
    assert!(scene.known.forget(connected) && scene.known.forget(other) && !scene.known.forget(other));
    assert!(scene.is_known(connected) && !scene.is_known(other));
    scene.close(connected);
    assert!(!scene.is_known(connected));
}

#[test]
fn restored_peers_are_as_they_were_and_nobody_is_connected() {
    let mut scene = Scene::new(10);
    let (never, failing, seen) = (scene.learn(), scene.learn(), scene.learn());
    scene.fail(failing);
    scene.reach(seen);
    let peers: Vec<_> = scene.known.iter().cloned().collect();
    let mut restored = Scene::new(10);
    restored.known.restore(peers);
    let states = [never, failing, seen].map(|peer| restored.get(peer).state);
    assert_eq!(states, [PeerState::NotConnected, PeerState::CannotConnect, PeerState::CanConnect]);
    assert!(!restored.known.take_changed());
    assert!(!restored.may_dial(failing) && !restored.may_dial(seen) && restored.may_dial(never));
}

#[test]
fn changes_are_told_once() {
    let mut scene = Scene::new(10);
    assert!(!scene.known.take_changed());
    let peer = scene.learn();
    assert!(scene.known.take_changed() && !scene.known.take_changed());
    scene.reach(peer);
    assert!(scene.known.take_changed());
    // Told again what is known already.
    let shard = Shard::new(CLUSTER, 1).unwrap();
    scene.known.subscribed(peer, shard, true);
    assert!(scene.known.take_changed());
    scene.known.subscribed(peer, shard, true);
    assert!(!scene.known.take_changed());
}

#[test]
fn records_are_handed_on_of_peers_that_nothing_speaks_against() {
    let mut scene = Scene::new(100);
    let mut learn = |cluster: u16, capabilities, origin| {
        let announcement = Announcement {
            ip4: Some([192, 0, 2, 1].into()),
            tcp4: Some(1),
            shards: Some(RelayShards::new(cluster, [0]).unwrap()),
            capabilities,
            ..Announcement::default()
        };
        let record = announcement.sign(&Keypair::generate()).unwrap().record;
        let new = NewPeer::from_record(&record, origin);
        assert!(scene.known.learn(new.clone(), scene.now));
        new.peer_id
    };
    let good = learn(CLUSTER, Capabilities::RELAY, PeerOrigin::Discv5);
    let failing = learn(CLUSTER, Capabilities::RELAY, PeerOrigin::Discv5);
    let rumour = learn(CLUSTER, Capabilities::RELAY, PeerOrigin::PeerExchange);
    let proved = learn(CLUSTER, Capabilities::RELAY, PeerOrigin::PeerExchange);
    learn(CLUSTER + 1, Capabilities::RELAY, PeerOrigin::Discv5);
    learn(CLUSTER, Capabilities::default(), PeerOrigin::Discv5);
    scene.fail(failing);
    scene.reach(proved);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut drawn = |scene: &Scene, count| {
        let records = scene.known.draw(count, &mut rng);
        records.iter().map(NodeRecord::peer_id).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(drawn(&scene, 10), [good, proved].into());
    let alone: std::collections::BTreeSet<_> = (0..20).flat_map(|_| drawn(&scene, 1)).collect();
    assert_eq!(alone, [good, proved].into(), "each has its chance");
    scene.reach(rumour);
    assert_eq!(drawn(&scene, 10).len(), 3);
}

#[test]
fn rumours_about_addresses_come_after_those_that_work_and_before_those_that_do_not() {
    let mut scene = Scene::new(10);
    let peer = scene.learn();
    let rumour = |port| NewPeer::new(peer, [address(port)]);
    scene.reach(peer);
    scene.known.learn(rumour(2), scene.now);
    assert_eq!(scene.get(peer).addresses, [address(1), address(2)]);
    scene.close(peer);
    scene.fail(peer);
    scene.known.learn(rumour(3), scene.now);
    assert_eq!(scene.get(peer).addresses, [address(3), address(1), address(2)]);
}

#[test]
fn the_newest_record_of_the_peer_itself_counts() {
    let mut scene = Scene::new(10);
    let keypair = Keypair::generate();
    let record = |seq, keypair: &Keypair| {
        let announcement = Announcement { seq, ..Announcement::default() };
        announcement.sign(keypair).unwrap().record
    };
    let mut learn = |record: NodeRecord| {
        let mut new = NewPeer::new(keypair.peer_id(), [address(1)]);
        new.record = Some(record);
        scene.known.learn(new, scene.now);
        scene.get(keypair.peer_id()).record.as_ref().map(NodeRecord::seq)
    };
    assert_eq!(learn(record(1, &Keypair::generate())), None);
    assert_eq!(learn(record(7, &keypair)), Some(7));
    assert_eq!(learn(record(6, &keypair)), Some(7));
    assert_eq!(learn(record(8, &keypair)), Some(8));
}
