//! Life after pairing: restarts, absences, midnight, names, unpairing.

use std::time::Duration;

use waku_noise_session::manager::SendError;
use waku_pairing::party::{DataError, Event, PingError, StageView, UnknownPeer};
use waku_pairing::reason::Reason;

use crate::world::{APP, HOST, World};

#[test]
fn either_side_restarted_from_disk_is_back_in_session_without_a_code() {
    let mut world = World::paired();
    for side in [HOST, APP] {
        let before = world.peer(side).session.unwrap().id;
        world.restart(side);
        world.wait(5);
        world.assert_paired();
        assert_ne!(world.peer(side).session.unwrap().id, before);
        world.assert_talks();
    }
}

#[test]
fn both_restarted_at_once_are_back_in_session() {
    let mut world = World::paired();
    world.crash(HOST);
    world.crash(APP);
    world.start(HOST);
    world.start(APP);
    world.wait(5);
    world.assert_paired();
    world.assert_talks();
}

#[test]
fn a_side_that_was_away_for_weeks_is_back_in_session() {
    let mut world = World::paired();
    world.crash(APP);
    world.wait(21 * 24 * 3600);
    world.start(APP);
    world.wait(5);
    world.assert_paired();
}

#[test]
fn a_session_outlives_midnight_and_so_does_finding_each_other() {
    let mut world = World::paired();
    world.wait(2 * 3600);
    world.assert_paired();
    world.assert_talks();
    world.restart(HOST);
    world.wait(5);
    world.assert_paired();
}

#[test]
fn clocks_most_of_a_day_apart_still_find_each_other() {
    let mut world = World::paired();
    world.sides[HOST].clock = 20 * 3600;
    world.restart(HOST);
    world.wait(30);
    world.assert_paired();
    world.assert_talks();
}

#[test]
fn a_clock_that_jumped_back_does_not_lock_a_side_out() {
    let mut world = World::paired();
    world.sides[HOST].clock = -12 * 3600;
    world.restart(HOST);
    world.wait(30);
    world.assert_paired();
}

#[test]
fn an_outage_is_survived_and_ends_when_the_network_is_back() {
    let mut world = World::paired();
    world.loss = 100;
    world.wait(3600);
    world.loss = 0;
    for side in [HOST, APP] {
        world.with(side, |party, now, _| party.handle_network_up(now));
    }
    world.wait(10);
    world.assert_paired();
    world.assert_talks();
}

#[test]
fn a_silent_session_is_pinged_by_one_side_a_minute() {
    let mut world = World::paired();
    world.wait(60);
    for side in &mut world.sides {
        side.published.clear();
    }
    world.wait(600);
    let published: usize = world.sides.iter().map(|side| side.published.len()).sum();
    // Ten pings and ten pongs, and not twice that.
    assert!((18..=26).contains(&published), "{published} messages in ten minutes");
}

#[test]
fn leaving_is_noticed_at_once() {
    let mut world = World::paired();
    world.with(HOST, |party, now, rng| party.close(now, rng));
    world.crash(HOST);
    world.wait(1);
    let pairing = world.peer(APP).pairing;
    assert!(world.sides[APP].events.contains(&Event::SessionDown { pairing }));
    assert_eq!(world.peer(APP).session, None);
    assert!(matches!(
        world.with(APP, |party, now, rng| party.ping(now, rng, pairing)),
        Err(PingError::Send(_))
    ));
    world.start(HOST);
    world.wait(5);
    world.assert_paired();
}

#[test]
fn a_name_given_on_this_side_is_kept() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.with(APP, |party, _, _| party.rename(pairing, Some("home".parse().unwrap()))).unwrap();
    world.restart(APP);
    assert_eq!(world.peer(APP).name().as_str(), "home");
    assert_eq!(world.peer(APP).label.as_str(), "beacon-01");
    world.with(APP, |party, _, _| party.rename(pairing, None)).unwrap();
    assert_eq!(world.peer(APP).name().as_str(), "beacon-01");
}

#[test]
fn unpairing_in_session_ends_it_on_both_sides() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    world.wait(2);
    world.assert_nobody_paired();
    for (side, by_peer) in [(APP, false), (HOST, true)] {
        let told = world.sides[side].events.iter().any(
            |event| matches!(event, Event::Unpaired { by_peer: by, peer, reason: Reason::Unpaired } if *by == by_peer && peer.pairing == pairing),
        );
        assert!(told, "side {side}");
        assert_eq!(world.sides[side].disk.store.0.tombstones[&pairing].reason, Reason::Unpaired);
    }
    let again = world.with(APP, |party, now, rng| party.unpair(now, rng, pairing));
    assert_eq!(again, Err(UnknownPeer));
}

#[test]
fn who_was_away_when_it_was_unpaired_is_told_when_it_calls() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.crash(HOST);
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    world.wait(24 * 3600);
    world.restart(APP);
    world.start(HOST);
    world.wait(10);
    world.assert_nobody_paired();
    let told =
        world.sides[HOST].events.iter().any(|event| matches!(event, Event::Unpaired { by_peer: true, .. }));
    assert!(told);
}

#[test]
fn a_tombstone_is_kept_for_a_month() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    world.wait(29 * 24 * 3600);
    assert_eq!(world.sides[APP].disk.store.0.tombstones.len(), 1);
    world.wait(2 * 24 * 3600);
    assert!(world.sides[APP].disk.store.0.tombstones.is_empty());
    assert!(world.sides[APP].subscribed.is_empty());
}

#[test]
fn who_was_unpaired_can_be_paired_again() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    world.wait(2);
    world.pair_by_hand(1);
    world.assert_paired();
    assert_ne!(world.pairing(), pairing);
    assert_eq!(world.peer(HOST).stage, StageView::Confirmed { compared: true });
}

#[test]
fn a_ping_tells_the_round_trip() {
    let mut world = World::paired();
    world.latency = Duration::from_secs(2);
    let pairing = world.pairing();
    world.with(HOST, |party, now, rng| party.ping(now, rng, pairing)).unwrap();
    world.wait(10);
    let measured = world.peer(HOST).session.unwrap().round_trip.unwrap();
    assert!((2..=6).contains(&measured.as_secs()), "{measured:?}");
}

/// What the app heard of the host's application; pings are the parties' own.
fn said_to_app(world: &World) -> Vec<Vec<u8>> {
    let heard = world.sides[APP].heard.iter();
    heard.map(|data| data.plaintext.to_vec()).filter(|plaintext| plaintext.starts_with(b"\xfa")).collect()
}

/// A frame of a field number that parties do not know: `0xfa 0x06` begins field 111, of bytes.
const FRAME: &[u8] = b"\xfa\x06\x05hello";

#[test]
fn data_reaches_the_peer_once_however_often_it_is_said() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let sent = world.with(HOST, |party, now, rng| party.send(now, rng, pairing, FRAME, true)).unwrap();
    for _ in 0..3 {
        world.with(HOST, |party, now, _| party.resend(now, pairing, &sent)).unwrap();
    }
    world.wait(5);
    assert_eq!(said_to_app(&world), [FRAME]);
    let data = world.sides[APP].heard.iter().find(|data| data.plaintext.as_slice() == FRAME).unwrap();
    assert_eq!((data.pairing, data.session, data.index), (pairing, sent.session, sent.index));
    assert_eq!(world.sides[APP].repeated, [(sent.session, sent.index); 3], "and each repetition is told");
    world.assert_talks();
}

#[test]
fn data_that_was_lost_arrives_when_it_is_said_again() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.loss = 100;
    let sent = world.with(HOST, |party, now, rng| party.send(now, rng, pairing, FRAME, false)).unwrap();
    world.wait(5);
    assert_eq!(said_to_app(&world), Vec::<Vec<u8>>::new());
    world.loss = 0;
    world.with(HOST, |party, now, _| party.resend(now, pairing, &sent)).unwrap();
    world.wait(5);
    assert_eq!(said_to_app(&world), [FRAME]);
}

#[test]
fn repetitions_by_a_stranger_are_told_now_and_then_and_only_while_the_pairing_stands() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let sent = world.with(HOST, |party, now, rng| party.send(now, rng, pairing, FRAME, false)).unwrap();
    let (topic, payload) = world.sides[HOST].published.last().cloned().unwrap();
    world.wait(5);
    for _ in 0..500 {
        world.send(APP, Duration::ZERO, topic.clone(), payload.clone());
    }
    world.wait(1);
    assert_eq!(world.sides[APP].repeated, [(sent.session, sent.index); 16]);
    assert_eq!(said_to_app(&world), [FRAME]);
    world.with(APP, |party, now, rng| {
        party.unpair(now, rng, pairing).unwrap();
        party.handle_message(now, rng, &topic, &payload);
    });
    assert_eq!(world.sides[APP].repeated.len(), 16);
}

#[test]
fn data_of_a_session_that_is_gone_is_not_said_again() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let sent = world.with(HOST, |party, now, rng| party.send(now, rng, pairing, FRAME, true)).unwrap();
    world.restart(HOST);
    world.wait(60);
    let again = world.with(HOST, |party, now, _| party.resend(now, pairing, &sent));
    assert_eq!(again, Err(DataError::Send(SendError::NoSession)));
    let unknown = world.with(HOST, |party, now, rng| {
        party.unpair(now, rng, pairing).unwrap();
        party.send(now, rng, pairing, FRAME, true)
    });
    assert_eq!(unknown, Err(DataError::UnknownPeer(UnknownPeer)));
}
