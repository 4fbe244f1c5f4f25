use std::time::UNIX_EPOCH;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::peers::{NewPeer, PeerOrigin, PeerState};
use crate::{Announcement, Capabilities, Keypair, Multiaddr};

const CLUSTER: u16 = 0;
const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    policy: Policy,
    known: Known,
    shards: Vec<Shard>,
    neighbours: Vec<Neighbour>,
    exempt: HashSet<PeerId>,
    now: SystemTime,
    rng: ChaCha8Rng,
}

impl Scene {
    fn new(limits: &ConnectionLimits, dialing: Dialing, shards: &[u16]) -> Self {
        Self {
            policy: Policy::new(limits, &dialing),
            known: Known::new(PeerId::random(), CLUSTER, 1000, dialing),
            shards: shards.iter().map(|index| Shard::new(CLUSTER, *index).unwrap()).collect(),
            neighbours: Vec::new(),
            exempt: HashSet::new(),
            now: UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            rng: ChaCha8Rng::seed_from_u64(3),
        }
    }

    fn plan(&mut self) -> Vec<PeerId> {
        let Self { policy, known, shards, neighbours, exempt, now, rng } = self;
        policy.plan(known, shards, neighbours, exempt, *now, rng)
    }

    /// Everybody who is dialled now.
    fn dials(&mut self) -> Vec<PeerId> {
        std::iter::from_fn(|| self.policy.next_dial(&self.known, self.now)).collect()
    }

    fn plan_dials(&mut self) -> Vec<PeerId> {
        self.plan();
        self.dials()
    }

    fn learn(&mut self, ip: &str, change: impl FnOnce(&mut NewPeer)) -> PeerId {
        let mut peer = NewPeer::new(PeerId::random(), [format!("/ip4/{ip}/tcp/1").parse().unwrap()]);
        change(&mut peer);
        assert!(self.known.learn(peer.clone(), self.now));
        peer.peer_id
    }

    /// A relay peer on these shards with an IP address of its own.
    fn relay_peer(&mut self, shards: &[u16]) -> PeerId {
        let number = self.known.len();
        self.learn(&format!("192.0.{}.{}", number / 250, number % 250 + 1), |peer| {
            (peer.cluster, peer.shards) = (Some(CLUSTER), shards.to_vec());
            peer.protocols = vec![protocol_id::RELAY.to_owned()];
        })
    }

    /// A peer whose node record says that it serves store, and nothing of shards.
    fn store_peer(&mut self, ip: &str) -> PeerId {
        let announcement = Announcement {
            ip4: Some(ip.parse().unwrap()),
            tcp4: Some(1),
            capabilities: Capabilities::STORE,
            ..Announcement::default()
        };
        let record = announcement.sign(&Keypair::generate()).unwrap().record;
        let peer = NewPeer::from_record(&record, PeerOrigin::Discv5);
        let peer_id = peer.peer_id;
        assert!(self.known.learn(peer, self.now));
        peer_id
    }

    /// A connected peer, old and silent enough to be parted from.
    fn neighbour(&mut self, direction: Direction, change: impl FnOnce(&mut Neighbour)) -> PeerId {
        let peer_id = PeerId::random();
        let long_ago = self.now - Duration::from_secs(3600);
        let mut peer = Neighbour {
            peer_id,
            direction,
            tie: Tie::None,
            speaks_relay: true,
            is_useful: true,
            shared: vec![0],
            score: 0.0,
            since: long_ago,
            last_active: long_ago,
            ip: None,
        };
        change(&mut peer);
        self.neighbours.push(peer);
        peer_id
    }

    fn inbound(&mut self, change: impl FnOnce(&mut Neighbour)) -> PeerId {
        self.neighbour(Direction::Inbound, change)
    }

    /// A dialled peer is connected and has told its shards.
    fn connect(&mut self, peer: PeerId, shards: &[u16]) {
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        self.known.opened(peer, &address, Direction::Outbound, self.now);
        assert!(self.policy.dial_ended(peer, true));
        let now = self.now;
        self.neighbour(Direction::Outbound, |neighbour| {
            neighbour.peer_id = peer;
            neighbour.shared = shards.to_vec();
            (neighbour.since, neighbour.last_active) = (now, now);
        });
    }
}

fn limits(total: u32) -> ConnectionLimits {
    ConnectionLimits { total, ..ConnectionLimits::default() }
}

fn wanting(relay_peers: u32) -> Dialing {
    Dialing { relay_peers: Some(relay_peers), ..Dialing::default() }
}

fn shares(total: u32, relay_share: u8) -> (usize, usize, usize) {
    let shares = Shares::new(&ConnectionLimits { relay_share, ..limits(total) }, &Dialing::default());
    (shares.outbound, shares.inbound, shares.service)
}

#[test]
fn half_of_the_connections_is_for_relay_and_a_third_of_that_is_dialled() {
    assert_eq!(shares(150, 50), (25, 50, 75));
    assert_eq!(shares(150, 60), (30, 60, 60));
    assert_eq!(shares(150, 100), (50, 100, 0));
    assert_eq!(shares(150, 0), (0, 0, 150));
    assert_eq!(shares(1, 50), (1, 1, 0));
    assert_eq!(shares(10, 200), (4, 7, 0));
}

#[test]
fn dials_up_to_the_target_and_no_further() {
    let mut scene = Scene::new(&limits(150), wanting(3), &[0]);
    for _ in 0..10 {
        scene.relay_peer(&[0]);
    }
    let dialled = scene.plan_dials();
    assert_eq!(dialled.len(), 3);
    assert_eq!(scene.plan_dials(), [], "they are being dialled");
    for peer in dialled {
        scene.connect(peer, &[0]);
    }
    assert_eq!(scene.plan_dials(), []);
    // One is gone: one is dialled.
    scene.neighbours.pop();
    assert_eq!(scene.plan_dials().len(), 1);
}

#[test]
fn a_peer_that_has_yet_to_tell_its_shards_counts_for_a_while() {
    let mut scene = Scene::new(&limits(150), wanting(1), &[0]);
    let peers = [scene.relay_peer(&[0]), scene.relay_peer(&[0])];
    let dialled = scene.plan_dials();
    scene.connect(dialled[0], &[]);
    scene.neighbours[0].speaks_relay = false;
    scene.now += GRACE.saturating_sub(SECOND);
    assert_eq!(scene.plan_dials(), []);
    scene.now += SECOND;
    let other = peers.into_iter().filter(|peer| *peer != dialled[0]);
    assert_eq!(scene.plan_dials(), other.collect::<Vec<_>>());
}

#[test]
fn no_more_than_so_many_are_dialled_at_a_time() {
    let mut scene = Scene::new(&limits(150), wanting(25), &[0]);
    for _ in 0..30 {
        scene.relay_peer(&[0]);
    }
    let mut dialled = scene.plan_dials();
    assert_eq!((dialled.len(), scene.policy.under_way()), (10, 25));
    // A place is free whenever a dial ends, until the plan is carried out.
    while let Some(peer) = dialled.pop() {
        scene.known.dial_failed(peer, scene.now);
        assert!(scene.policy.dial_ended(peer, false) && !scene.policy.dial_ended(peer, false));
        dialled.extend(scene.dials());
    }
    let failed = scene.known.iter().filter(|peer| peer.state == PeerState::CannotConnect).count();
    assert_eq!((failed, scene.policy.under_way()), (25, 0));
}

#[test]
fn every_shard_gets_its_part_and_a_peer_on_two_serves_both() {
    let mut scene = Scene::new(&limits(150), wanting(4), &[0, 1]);
    let on_both = [scene.relay_peer(&[0, 1]), scene.relay_peer(&[0, 1])];
    let on_others: Vec<_> = (0..5).map(|_| scene.relay_peer(&[2, 3])).collect();
    let dialled = scene.plan_dials();
    assert_eq!(dialled.len(), 2, "{dialled:?}");
    assert!(on_both.iter().all(|peer| dialled.contains(peer)));
    assert!(!on_others.iter().any(|peer| dialled.contains(peer)));

    let mut scene = Scene::new(&limits(150), wanting(4), &[0, 1]);
    let on_one: Vec<_> = (0..5).map(|_| scene.relay_peer(&[0])).collect();
    let on_other = scene.relay_peer(&[1]);
    let dialled = scene.plan_dials();
    assert_eq!(dialled.iter().filter(|peer| on_one.contains(peer)).count(), 2);
    assert!(dialled.contains(&on_other) && dialled.len() == 3);
    assert_eq!(scene.policy.lacking(), 1, "the other shard has one of two");
}

#[test]
fn peers_of_unknown_shards_are_dialled_only_when_no_others_are_there() {
    let mut scene = Scene::new(&limits(150), wanting(2), &[5]);
    let unsure: Vec<_> = (0..20).map(|number| scene.learn(&format!("192.0.9.{number}"), |_| {})).collect();
    let sure = scene.relay_peer(&[5]);
    let dialled = scene.plan_dials();
    assert_eq!(dialled.len(), 2);
    assert!(dialled.contains(&sure) && dialled.iter().any(|peer| unsure.contains(peer)));
}

#[test]
fn peers_that_do_not_relay_or_are_static_are_not_dialled_for_relay() {
    let mut scene = Scene::new(&limits(150), wanting(5), &[0]);
    scene.learn("192.0.2.1", |peer| peer.protocols = vec![protocol_id::STORE_QUERY.to_owned()]);
    let store = scene.store_peer("192.0.2.2");
    assert!(scene.known.get(store).is_some());
    let fixed = scene.relay_peer(&[0]);
    scene.exempt.insert(fixed);
    assert_eq!(scene.plan_dials(), []);
}

#[test]
fn nobody_is_dialled_without_shards_or_without_a_target() {
    let mut scene = Scene::new(&limits(150), wanting(5), &[]);
    scene.relay_peer(&[0]);
    assert_eq!(scene.plan_dials(), []);
    let mut scene = Scene::new(&limits(150), wanting(0), &[0]);
    scene.relay_peer(&[0]);
    assert_eq!(scene.plan_dials(), []);
}

#[test]
fn one_ip_address_gets_no_more_peers_than_it_may_and_others_go_first() {
    let mut scene = Scene::new(&ConnectionLimits { per_ip: 2, ..limits(150) }, wanting(4), &[0]);
    let crowd: Vec<_> = (0..10).map(|_| scene.learn("192.0.9.9", |_| {})).collect();
    let single = scene.learn("192.0.9.8", |_| {});
    let connected = scene.learn("192.0.9.7", |_| {});
    scene.inbound(|peer| peer.ip = Some("192.0.9.7".parse().unwrap()));
    let dialled = scene.plan_dials();
    assert!(dialled.contains(&single) && dialled.contains(&connected));
    assert_eq!(dialled.iter().filter(|peer| crowd.contains(peer)).count(), 2);
    // Those without a neighbour at their address were first.
    assert!(dialled[..2].contains(&single) && !dialled[..2].contains(&connected));
}

#[test]
fn loopback_is_shared_by_any_number() {
    let mut scene = Scene::new(&ConnectionLimits { per_ip: 1, ..limits(150) }, wanting(4), &[0]);
    for _ in 0..10 {
        scene.learn("127.0.0.1", |_| {});
    }
    assert_eq!(scene.plan_dials().len(), 4);
}

#[test]
fn a_peer_that_came_by_itself_is_not_dialled() {
    let mut scene = Scene::new(&limits(150), wanting(2), &[0]);
    let peers = [scene.relay_peer(&[0]), scene.relay_peer(&[0])];
    scene.plan();
    scene.known.opened(peers[0], &"/ip4/192.0.2.1/tcp/9".parse().unwrap(), Direction::Inbound, scene.now);
    assert_eq!(scene.dials(), [peers[1]]);
}

#[test]
fn inbound_relay_peers_over_their_share_go_worst_first() {
    // 3 of 6 are for relay, 2 of them for those that come.
    let mut scene = Scene::new(&limits(6), wanting(0), &[0]);
    let now = scene.now;
    let good = scene.inbound(|peer| peer.last_active = now);
    let silent = scene.inbound(|_| {});
    let scored = scene.inbound(|peer| peer.score = -5.0);
    let useless = scene.inbound(|peer| (peer.shared, peer.is_useful) = (vec![], false));
    let stranger = scene.inbound(|peer| peer.shared = vec![]);
    assert_eq!(scene.plan(), [useless, stranger, scored]);
    scene.neighbours.retain(|peer| [good, silent].contains(&peer.peer_id));
    assert_eq!(scene.plan(), []);
}

#[test]
fn busy_young_and_static_peers_stay() {
    let mut scene = Scene::new(&limits(2), wanting(0), &[0]);
    let now = scene.now;
    scene.inbound(|peer| peer.tie = Tie::Busy);
    scene.inbound(|peer| peer.since = now - GRACE + SECOND);
    scene.inbound(|peer| peer.tie = Tie::Static);
    assert_eq!(scene.plan(), []);
    let other = scene.inbound(|peer| peer.score = 100.0);
    assert_eq!(scene.plan(), [other]);
}

#[test]
fn service_peers_have_more_than_their_share_until_the_room_is_needed() {
    // 2 of 4 are for services.
    let mut scene = Scene::new(&limits(4), wanting(1), &[0]);
    let service = |peer: &mut Neighbour| peer.speaks_relay = false;
    let worst = scene.inbound(|peer| {
        service(peer);
        peer.is_useful = false;
    });
    for _ in 0..3 {
        scene.inbound(service);
    }
    assert_eq!(scene.plan(), [], "there is room for all four");
    scene.relay_peer(&[0]);
    assert_eq!(scene.plan(), [worst], "a relay peer is to be dialled");
    assert_eq!(scene.dials(), [], "there is no room yet");
    scene.neighbours.retain(|peer| peer.peer_id != worst);
    assert_eq!(scene.plan(), []);
    assert_eq!(scene.dials().len(), 1);
}

#[test]
fn a_peer_dialled_for_relay_that_shares_no_shard_any_more_goes_when_it_is_idle() {
    let mut scene = Scene::new(&limits(150), wanting(1), &[0]);
    let peer = scene.relay_peer(&[0]);
    assert_eq!(scene.plan_dials(), [peer]);
    scene.connect(peer, &[]);
    scene.now += IDLE.saturating_sub(SECOND);
    assert_eq!(scene.plan(), []);
    scene.now += SECOND;
    assert_eq!(scene.plan(), [peer]);
    // Another connection of it is none of ours.
    scene.policy.closed(peer);
    assert_eq!(scene.plan(), []);
}

#[test]
fn a_service_is_looked_for_among_those_that_serve_it() {
    let mut scene = Scene::new(&limits(150), wanting(0), &[0]);
    let stores: Vec<_> = (1..6).map(|number| scene.store_peer(&format!("192.0.2.{number}"))).collect();
    let mute = scene.learn("192.0.3.1", |_| {});
    scene.relay_peer(&[0]);
    let Scene { policy, known, now, rng, .. } = &mut scene;
    let coming = policy.reach(known, protocol_id::STORE_QUERY, None, *now, rng);
    assert_eq!(coming, 3);
    assert_eq!(policy.reach(known, protocol_id::STORE_QUERY, None, *now, rng), 3, "they are on their way");
    let dialled = scene.dials();
    assert_eq!(dialled.len(), 3);
    assert!(dialled.iter().all(|peer| stores.contains(peer)));
    // Nobody says that it serves lightpush: the one that says nothing may.
    let Scene { policy, known, now, rng, .. } = &mut scene;
    assert_eq!(policy.reach(known, protocol_id::LIGHTPUSH, None, *now, rng), 1);
    assert_eq!(scene.dials(), [mute]);
}

#[test]
fn a_plan_leaves_dials_for_a_service_in_the_queue() {
    let mut scene = Scene::new(&limits(150), wanting(0), &[0]);
    let peer = scene.learn("192.0.2.1", |_| {});
    let Scene { policy, known, now, rng, .. } = &mut scene;
    assert_eq!(policy.reach(known, protocol_id::LIGHTPUSH, None, *now, rng), 1);
    assert_eq!(scene.plan_dials(), [peer]);
}

#[test]
fn who_is_dialled_is_a_matter_of_chance() {
    let mut firsts = HashSet::new();
    for seed in 0..20 {
        let mut scene = Scene::new(&limits(150), wanting(1), &[0]);
        for _ in 0..10 {
            scene.relay_peer(&[0]);
        }
        scene.rng = ChaCha8Rng::seed_from_u64(seed);
        let dialled = scene.plan_dials()[0];
        firsts.insert(scene.known.get(dialled).unwrap().addresses.clone());
    }
    assert!(firsts.len() > 3, "{firsts:?}");
}
