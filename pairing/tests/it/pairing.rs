//! Pairing on a good network, and what the people involved see.

use waku_noise_session::time::UnixTime;
use waku_pairing::party::{DigitsError, Event, Failure, OfferError, PairError, Part, StageView, Step, Terms};
use waku_pairing::reason::Reason;

use crate::world::{APP, HOST, START, World, keys};

fn has(world: &World, side: usize, step: Step) -> bool {
    world.sides[side].events.contains(&Event::Step(step))
}

#[test]
fn two_machines_that_share_a_number_end_up_paired_and_in_session() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    assert!(has(&world, HOST, Step::HelloAppSent { nth: 1 }));
    assert!(has(&world, APP, Step::HelloAppReceived) && has(&world, APP, Step::HelloNodeManagerSent));
    assert!(has(&world, HOST, Step::HelloNodeManagerReceived));
    assert!(has(&world, HOST, Step::Keyed) && has(&world, APP, Step::Keyed));
    let (asking, digits) = world.shown(HOST).unwrap();
    assert_eq!(asking.label.as_str(), "laptop");
    assert_eq!(world.asked(APP).unwrap().label.as_str(), "beacon-01");
    assert_eq!(world.peer(APP).digits, Some(digits));
    assert_eq!(
        [world.peer(HOST).stage, world.peer(APP).stage],
        [StageView::Keyed; 2],
        "nobody has confirmed"
    );
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
    assert_eq!(world.peer(HOST).stage, StageView::Confirmed { compared: true });
    world.assert_talks();
}

#[test]
fn nothing_is_said_on_the_codes_topic_once_the_pairing_stands() {
    let mut world = World::paired();
    for side in [HOST, APP] {
        let about_code = |topic: &&waku_proto::ContentTopic| topic.name().starts_with("pair-");
        assert_eq!(
            world.sides[side].subscribed.iter().filter(about_code).count(),
            1,
            "in case another comes"
        );
        world.sides[side].published.clear();
    }
    world.wait(700);
    for side in &world.sides {
        assert!(side.subscribed.iter().all(|topic| !topic.name().starts_with("pair-")), "its time is over");
    }
    let published = world.sides.iter().flat_map(|side| &side.published);
    assert!(published.clone().count() > 0, "pings");
    assert!(published.clone().all(|(topic, _)| topic.name().starts_with("s-")));
}

#[test]
fn wrong_digits_leave_nothing_behind() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    let (_, digits) = world.shown(HOST).unwrap();
    let wrong = format!("{:06}", (digits.as_u32() + 1) % 1_000_000).parse().unwrap();
    let pairing = world.pairing();
    let answer = world.with(APP, |party, now, rng| party.digits(now, rng, pairing, wrong));
    assert_eq!(answer, Err(DigitsError::Wrong));
    world.wait(5);
    world.assert_nobody_paired();
    let rejected = |by_peer| Failure::Rejected { reason: Reason::WrongDigits, by_peer };
    assert_eq!(world.failures(APP), [rejected(false)]);
    assert_eq!(world.failures(HOST), [rejected(true)]);
    for side in [HOST, APP] {
        let tombstones = &world.sides[side].disk.store.0.tombstones;
        assert_eq!(tombstones[&pairing].reason, Reason::WrongDigits, "side {side}");
    }
    assert!(!world.sides[APP].disk.store.0.tombstones[&pairing].attempts.is_empty(), "the attempt is burnt");
}

#[test]
fn digits_are_taken_only_when_they_are_asked_for() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let digits = world.peer(APP).digits.unwrap();
    let again = world.with(APP, |party, now, rng| party.digits(now, rng, pairing, digits));
    assert_eq!(again, Err(DigitsError::NotAsked));
    world.assert_paired();
}

#[test]
fn without_digits_on_either_side_the_pairing_is_marked_as_unconfirmed() {
    let mut world = World::new();
    for side in [HOST, APP] {
        world.sides[side].terms.compare_digits = false;
        world.restart(side);
    }
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(10);
    world.assert_paired();
    for side in [HOST, APP] {
        assert_eq!(world.peer(side).stage, StageView::Confirmed { compared: false });
        assert!(world.peer(side).digits.is_some(), "to compare them later");
    }
    assert_eq!(world.asked(APP), None);
}

#[test]
fn either_side_alone_can_require_the_digits() {
    for relaxed in [HOST, APP] {
        let mut world = World::new();
        world.sides[relaxed].terms.compare_digits = false;
        world.restart(relaxed);
        world.offer(APP, 0);
        world.pair(HOST, 0);
        world.wait(10);
        assert_eq!(world.peer(HOST).stage, StageView::Keyed);
        world.type_digits().unwrap();
        world.wait(5);
        world.assert_paired();
        assert_eq!(world.peer(HOST).stage, StageView::Confirmed { compared: true });
    }
}

#[test]
fn a_code_expires_after_ten_minutes() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.wait(601);
    assert_eq!(world.failures(APP), [Failure::Expired]);
    world.pair(HOST, 0);
    world.wait(599);
    assert_eq!(world.failures(HOST), []);
    world.wait(5);
    assert_eq!(world.failures(HOST), [Failure::Expired]);
    let said = |event: &&Event| matches!(event, Event::Step(Step::HelloAppSent { .. }));
    let times = world.sides[HOST].events.iter().filter(said).count();
    assert!((20..=25).contains(&times), "said HELLO_APP {times} times");
    world.assert_nobody_paired();
    assert!(world.sides.iter().all(|side| side.subscribed.is_empty()));
}

#[test]
fn a_used_code_is_said_to_be_used() {
    let mut world = World::paired();
    let second = world.add(Part::NodeManager, "beacon-02");
    world.pair(second, 0);
    world.wait(5);
    let spent = Failure::Rejected { reason: Reason::CodeSpent, by_peer: true };
    assert_eq!(world.failures(second), [spent]);
    assert_eq!(world.peers(second), []);
    world.assert_paired();
    let offered = world.with(APP, |party, now, _| party.offer(now, keys(0), Terms::default()));
    assert_eq!(offered, Err(OfferError::CodeUsed));
}

#[test]
fn a_used_code_is_remembered_after_a_restart() {
    let mut world = World::paired();
    world.wait(3600);
    world.restart(APP);
    let offer =
        |world: &mut World| world.with(APP, |party, now, _| party.offer(now, keys(0), Terms::default()));
    assert_eq!(offer(&mut world), Err(OfferError::CodeUsed));
    let pairing = world.pairing();
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    assert_eq!(offer(&mut world), Err(OfferError::CodeUsed));
}

#[test]
fn one_code_at_a_time_and_each_side_its_own_part() {
    let mut world = World::new();
    world.pair(HOST, 0);
    let twice = world.with(HOST, |party, now, rng| party.pair(now, rng, keys(1), Terms::default()));
    assert_eq!(twice, Err(PairError::Busy));
    let host_offers = world.with(HOST, |party, now, _| party.offer(now, keys(1), Terms::default()));
    assert_eq!(host_offers, Err(OfferError::NotTheApp));
    let app_pairs = world.with(APP, |party, now, rng| party.pair(now, rng, keys(1), Terms::default()));
    assert_eq!(app_pairs, Err(PairError::NotTheManager));
}

#[test]
fn cancelling_tells_the_other_side() {
    for side in [HOST, APP] {
        let mut world = World::new();
        world.offer(APP, 0);
        world.pair(HOST, 0);
        world.wait(5);
        world.with(side, |party, now, rng| party.cancel(now, rng));
        world.wait(5);
        world.assert_nobody_paired();
        let cancelled = |by_peer| Failure::Rejected { reason: Reason::Cancelled, by_peer };
        assert_eq!(world.failures(side), [cancelled(false)]);
        assert_eq!(world.failures(1 - side), [cancelled(true)]);
    }
}

#[test]
fn what_nobody_answered_can_be_cancelled() {
    let cancelled = Failure::Rejected { reason: Reason::Cancelled, by_peer: false };
    let mut world = World::new();
    world.pair(HOST, 0);
    world.with(HOST, |party, now, rng| party.cancel(now, rng));
    assert_eq!(world.failures(HOST), [cancelled]);
    world.offer(APP, 1);
    world.with(APP, |party, now, rng| party.cancel(now, rng));
    assert_eq!(world.failures(APP), [cancelled]);
    world.pair(HOST, 1);
    world.wait(2);
    let spent = Failure::Rejected { reason: Reason::CodeSpent, by_peer: true };
    assert_eq!(world.failures(HOST), [cancelled, spent]);
}

#[test]
fn an_hour_between_the_clocks_is_named_on_both_sides() {
    for off in [3600, -3600] {
        let mut world = World::new();
        world.sides[HOST].clock = off;
        world.restart(HOST);
        world.offer(APP, 0);
        world.pair(HOST, 0);
        world.wait(5);
        world.assert_nobody_paired();
        for side in [HOST, APP] {
            let [Failure::ClockSkew { apart }] = world.failures(side)[..] else {
                panic!("{:?}", world.failures(side))
            };
            assert!((3595..=3605).contains(&apart.as_secs()), "{apart:?}");
        }
        // Once the clock is set, the same code still works.
        world.sides[HOST].clock = 0;
        world.pair(HOST, 0);
        world.wait(5);
        world.type_digits().unwrap();
        world.wait(5);
        world.assert_paired();
    }
}

#[test]
fn clocks_an_hour_apart_can_be_allowed() {
    let mut world = World::new();
    world.sides[HOST].clock = -3600;
    for side in [HOST, APP] {
        world.sides[side].terms.allow_clock_skew = true;
        world.restart(side);
    }
    world.pair_by_hand(0);
    world.assert_paired();
    for side in [HOST, APP] {
        assert!(world.sides[side].events.iter().any(|event| matches!(event, Event::ClockSkew { .. })));
    }
    world.assert_talks();
}

#[test]
fn pairing_again_takes_the_old_pairings_place_only_when_it_stands() {
    let mut world = World::paired();
    let before = world.pairing();
    world.sides[HOST].config.label = "renamed".parse().unwrap();
    world.restart(HOST);
    world.wait(10);
    world.offer(APP, 1);
    world.pair(HOST, 1);
    world.wait(5);
    assert!(world.asked(APP).unwrap().again && world.shown(HOST).unwrap().0.again);
    let old = |world: &World, side| world.peers(side).into_iter().find(|peer| peer.pairing == before);
    for side in [HOST, APP] {
        assert_eq!(world.peers(side).len(), 2);
        assert!(old(&world, side).unwrap().session.is_some(), "the old one still works");
    }
    assert_eq!(old(&world, APP).unwrap().label.as_str(), "beacon-01");
    world.type_digits().unwrap();
    world.wait(5);
    world.assert_paired();
    assert_ne!(world.pairing(), before);
    assert_eq!(world.peer(APP).label.as_str(), "renamed");
    world.assert_talks();
}

#[test]
fn the_app_keeps_the_old_pairing_until_the_host_is_known_to_have_the_new_one() {
    let mut world = World::paired();
    let before = world.pairing();
    world.with(APP, |party, _, _| party.rename(before, Some("home".parse().unwrap()))).unwrap();
    world.offer(APP, 1);
    world.pair(HOST, 1);
    world.wait(5);
    world.hears = |from, to| (from, to) == (APP, HOST);
    world.type_digits().unwrap();
    world.wait(5);
    assert_eq!([HOST, APP].map(|side| world.peers(side).len()), [1, 2]);
    world.hears = |_, _| true;
    world.wait(60);
    world.assert_paired();
    assert_ne!(world.pairing(), before);
    assert_eq!(world.peer(APP).name().as_str(), "home", "the name goes with it");
}

#[test]
fn a_failed_second_pairing_leaves_the_first_as_it_was() {
    let mut world = World::paired();
    let before = world.pairing();
    world.offer(APP, 1);
    world.pair(HOST, 1);
    world.wait(5);
    let pairing = world.asked(APP).unwrap().pairing;
    let (_, digits) = world.shown(HOST).unwrap();
    let wrong = format!("{:06}", (digits.as_u32() + 1) % 1_000_000).parse().unwrap();
    world.with(APP, |party, now, rng| party.digits(now, rng, pairing, wrong)).unwrap_err();
    world.wait(5);
    assert_eq!(world.pairing(), before);
    world.assert_paired();
}

#[test]
fn another_machine_under_a_known_name_is_pointed_out() {
    let mut world = World::paired();
    let known = world.peer(APP).fingerprint;
    let second = world.add(Part::NodeManager, "beacon-01");
    world.offer(APP, 1);
    world.pair(second, 1);
    world.wait(5);
    let asking = world.asked(APP).unwrap();
    assert_eq!((asking.again, asking.namesake), (false, Some(known)));
    assert_ne!(asking.fingerprint, known);
}

#[test]
fn one_app_and_many_hosts_one_host_and_many_apps() {
    let mut world = World::paired();
    let second_host = world.add(Part::NodeManager, "beacon-02");
    let second_app = world.add(Part::App, "phone");
    for (app, host, code) in [(APP, second_host, 1), (second_app, HOST, 2)] {
        world.offer(app, code);
        world.pair(host, code);
        world.wait(5);
        let (_, digits) = world.shown(host).unwrap();
        let pairing = world.asked(app).unwrap().pairing;
        world.with(app, |party, now, rng| party.digits(now, rng, pairing, digits)).unwrap();
        world.wait(5);
    }
    let sessions = |side| world.peers(side).iter().filter(|peer| peer.session.is_some()).count();
    assert_eq!([HOST, APP, second_host, second_app].map(sessions), [2, 2, 1, 1]);
}

#[test]
fn an_unfinished_pairing_is_given_up_after_a_day() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    for side in [HOST, APP] {
        world.restart(side);
    }
    world.wait(23 * 3600);
    assert_eq!(world.peers(HOST).len(), 1);
    world.wait(3600 + 60);
    world.assert_nobody_paired();
}

#[test]
fn the_host_and_the_app_say_when_they_started() {
    let world = World::paired();
    let created = UnixTime::from_epoch(START).as_secs();
    for side in [HOST, APP] {
        assert!((created..created + 5).contains(&world.peer(side).created));
    }
}
