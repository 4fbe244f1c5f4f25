//! Strangers on the network, with and without the code.

use std::time::Duration;

use rand_core::Rng;
use waku_pairing::party::{DigitsError, Event, Failure, Part};
use waku_pairing::reason::Reason;
use waku_proto::ContentTopic;

use crate::world::{APP, HOST, World};

fn pairing_topic(world: &World) -> ContentTopic {
    let topics = &world.sides[APP].subscribed;
    topics.iter().find(|topic| topic.name().starts_with("pair-")).expect("the app waits for a host").clone()
}

/// Everything said so far, by anybody, on any topic.
fn overheard(world: &World) -> Vec<(ContentTopic, Vec<u8>)> {
    world.sides.iter().flat_map(|side| side.published.clone()).collect()
}

fn deliver(world: &mut World, to: usize, topic: &ContentTopic, payload: &[u8]) {
    world.with(to, |party, now, rng| party.handle_message(now, rng, topic, payload));
}

#[test]
fn two_hosts_on_one_code_pair_nobody() {
    let mut world = World::new();
    let second = world.add(Part::NodeManager, "beacon-02");
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.pair(second, 0);
    world.wait(10);
    world.assert_nobody_paired();
    let conflict = |by_peer| Failure::Rejected { reason: Reason::TwoMachines, by_peer };
    assert_eq!(world.failures(APP), [conflict(false)]);
    assert_eq!(world.failures(HOST), [conflict(true)]);
    // The second is told that, or that the code is burnt.
    let [Failure::Rejected { reason, by_peer: true }] = world.failures(second)[..] else { panic!() };
    assert!(matches!(reason, Reason::TwoMachines | Reason::CodeSpent), "{reason:?}");
}

#[test]
fn a_second_host_before_confirmation_ends_the_first_ones_pairing() {
    let mut world = World::new();
    let second = world.add(Part::NodeManager, "beacon-02");
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(10);
    assert!(world.asked(APP).is_some());
    world.pair(second, 0);
    world.wait(5);
    world.assert_nobody_paired();
    assert!(world.type_digits().is_err());
    world.wait(5);
    world.assert_nobody_paired();
}

#[test]
fn two_apps_that_answer_one_host_pair_nobody() {
    let mut world = World::new();
    let thief = world.add(Part::App, "thief");
    world.offer(APP, 0);
    world.offer(thief, 0);
    world.pair(HOST, 0);
    world.wait(10);
    world.assert_nobody_paired();
    assert!(matches!(world.failures(HOST)[..], [Failure::Rejected { reason: Reason::TwoMachines, .. }]));
}

/// A man in the middle who knows the code: two parties of his own, each towards one victim, who hear nobody else.
#[test]
fn a_man_in_the_middle_is_given_away_by_the_digits() {
    let mut world = World::new();
    let to_host = world.add(Part::App, "laptop");
    let to_app = world.add(Part::NodeManager, "beacon-01");
    assert_eq!((to_host, to_app), (2, 3));
    world.hears = |from, to| matches!((from, to), (HOST, 2) | (2, HOST) | (APP, 3) | (3, APP));
    world.offer(APP, 0);
    world.offer(to_host, 0);
    world.pair(HOST, 0);
    world.pair(to_app, 0);
    world.wait(10);
    assert!(
        world.shown(HOST).is_some() && world.asked(APP).is_some(),
        "neither victim notices anything so far"
    );
    assert_eq!(world.type_digits(), Err(DigitsError::Wrong));
    world.wait(5);
    assert_eq!(world.peers(APP), []);
    assert!(
        !world
            .peers(HOST)
            .iter()
            .any(|peer| matches!(peer.stage, waku_pairing::party::StageView::Confirmed { .. }))
    );
    // Asked to pair all the same, the man in the middle can confirm himself to the host only as the app he is.
    assert!(world.sides[APP].disk.store.0.peers.is_empty());
}

#[test]
fn with_digits_off_a_man_in_the_middle_succeeds_which_is_why_they_are_on() {
    let mut world = World::new();
    let to_host = world.add(Part::App, "laptop");
    let to_app = world.add(Part::NodeManager, "beacon-01");
    for side in 0..4 {
        world.sides[side].terms.compare_digits = false;
        world.restart(side);
    }
    world.hears = |from, to| matches!((from, to), (HOST, 2) | (2, HOST) | (APP, 3) | (3, APP));
    world.offer(APP, 0);
    world.offer(to_host, 0);
    world.pair(HOST, 0);
    world.pair(to_app, 0);
    world.wait(10);
    assert_ne!(world.peer(HOST).digits, world.peer(APP).digits, "the digits kept for later tell");
}

#[test]
fn a_code_is_good_for_three_attempts_of_one_machine() {
    let mut world = World::new();
    world.offer(APP, 0);
    for attempt in 0..3 {
        world.pair(HOST, 0);
        world.wait(5);
        assert_eq!(world.peers(APP).len(), 1, "attempt {attempt}");
        // The host loses everything and its user types the code in again.
        world.sides[HOST].disk.store = waku_pairing::store::MemoryStore::default();
        world.restart(HOST);
    }
    world.pair(HOST, 0);
    world.wait(5);
    world.assert_nobody_paired();
    assert!(matches!(
        world.failures(APP)[..],
        [Failure::Rejected { reason: Reason::CodeSpent, by_peer: false }]
    ));
}

#[test]
fn each_attempt_has_fresh_digits() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    let first = world.shown(HOST).unwrap();
    world.sides[HOST].disk.store = waku_pairing::store::MemoryStore::default();
    world.restart(HOST);
    world.pair(HOST, 0);
    world.wait(5);
    let second = world.shown(HOST).unwrap();
    assert_ne!(first.1, second.1);
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
}

#[test]
fn reflected_and_replayed_messages_change_nothing() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    let before = [world.peers(HOST), world.peers(APP)];
    for (topic, payload) in overheard(&world) {
        for side in [HOST, APP] {
            deliver(&mut world, side, &topic, &payload);
        }
    }
    world.wait(2);
    assert_eq!([HOST, APP].map(|side| world.failures(side)), [vec![], vec![]]);
    assert_eq!(world.peers(HOST)[0].pairing, before[0][0].pairing);
    assert_eq!(world.peers(APP)[0].pairing, before[1][0].pairing);
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
    // And once more, all of it, after the pairing stands and after a restart.
    let said = overheard(&world);
    world.restart(HOST);
    world.wait(5);
    for (topic, payload) in said {
        for side in [HOST, APP] {
            deliver(&mut world, side, &topic, &payload);
        }
    }
    world.wait(5);
    world.assert_paired();
    world.assert_talks();
}

#[test]
fn truncated_and_damaged_messages_change_nothing() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    for (topic, payload) in overheard(&world) {
        for cut in (0..payload.len()).step_by(7) {
            let mut damaged = payload.clone();
            damaged[cut] ^= 0x20;
            for side in [HOST, APP] {
                deliver(&mut world, side, &topic, &payload[..cut]);
                deliver(&mut world, side, &topic, &damaged);
            }
        }
    }
    assert_eq!([HOST, APP].map(|side| world.failures(side)), [vec![], vec![]]);
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
}

#[test]
fn junk_that_floods_the_codes_topic_does_not_stop_a_pairing() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    let topic = pairing_topic(&world);
    // The tag of HELLO_APP is public once it was said: the junk bears it.
    let hello = world.sides[HOST].published[0].1.clone();
    for n in 0..20_000_u64 {
        let mut junk = hello.clone();
        world.rng.fill_bytes(&mut junk[26..]);
        world.send(usize::from(n % 2 == 0), Duration::from_micros(n * 100), topic.clone(), junk);
    }
    world.wait(5);
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
    let steps = |event: &&Event| matches!(event, Event::Step(_));
    assert!(world.sides[APP].events.iter().filter(steps).count() < 20, "junk is not worth an event");
}

#[test]
fn the_app_repeats_its_answer_at_most_once_a_second() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    let topic = pairing_topic(&world);
    let hello = world.sides[HOST].published[0].1.clone();
    world.crash(HOST);
    for n in 0..1000 {
        world.send(APP, Duration::from_millis(n), topic.clone(), hello.clone());
    }
    world.wait(2);
    let answers = world.sides[APP].published.iter().filter(|(on, _)| *on == topic).count();
    assert!((1..=3).contains(&answers), "{answers}");
}

#[test]
fn a_spent_code_is_refused_at_most_once_a_second() {
    let mut world = World::new();
    let second = world.add(Part::NodeManager, "beacon-02");
    world.offer(APP, 0);
    let topic = pairing_topic(&world);
    world.pair_by_hand_with_offer();
    world.loss = 100;
    world.pair(second, 0);
    let hello = world.sides[second].published[0].1.clone();
    world.crash(second);
    world.sides[APP].published.clear();
    for n in 0..1000 {
        world.send(APP, Duration::from_millis(n), topic.clone(), hello.clone());
    }
    world.wait(2);
    let refusals = world.sides[APP].published.iter().filter(|(on, _)| *on == topic).count();
    assert!((1..=2).contains(&refusals), "{refusals}");
}

impl World {
    fn pair_by_hand_with_offer(&mut self) {
        self.pair(HOST, 0);
        self.wait(5);
        self.type_digits().unwrap();
        self.wait(5);
        self.assert_paired();
    }
}
