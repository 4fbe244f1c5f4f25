//! How sessions are renewed, race each other and end.

use std::time::Duration;

use waku_noise_session::manager::{CloseReason, Event, Output, Place};
use waku_noise_session::pattern::Role;
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::session::SessionId;

use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Only what is said on sessions.
fn transport(said: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let is_transport =
        |payload: &Vec<u8>| PayloadV2::decode(payload).unwrap().protocol_id == ProtocolId::AfterHandshake;
    said.into_iter().filter(is_transport).collect()
}

impl World {
    /// Both sides renewed, each answered the other's call before it heard of its own, and each has heard the other's
    /// third message: side 1 believes in the losing session, side 0 in the winning one. With the session before.
    fn racing() -> (Self, SessionId) {
        let mut world = Self::connected();
        let original = world.assert_one_session();
        world.renew(0);
        let call_of_0 = world.lose(0);
        world.now = Duration::from_secs(11);
        world.renew(1);
        world.deliver(1);
        world.deliver(0);
        let third_of_1 = world.lose(1);
        world.hear_all(1, &call_of_0);
        world.deliver(1);
        let third_of_0 = world.lose(0);
        world.hear_all(1, &third_of_0);
        world.hear_all(0, &third_of_1);
        (world, original)
    }
}

#[test]
fn the_answerer_renews_ten_minutes_later_if_the_caller_has_not() {
    let mut world = World::connected();
    world.now = HOUR + Duration::from_secs(10 * 60 - 1);
    world.tick(1);
    assert!(world.sides[1].said.is_empty());
    world.now += Duration::from_secs(1);
    world.tick(1);
    assert_eq!(world.sides[1].said.len(), 1);
}

#[test]
fn the_answerer_keeps_the_previous_session_until_a_minute_after_the_first_word_on_the_new_one() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    for text in [&b"one"[..], b"two", b"three"] {
        world.send(0, text).unwrap();
    }
    let late = world.lose(0);
    world.now += Duration::from_secs(1);
    world.renew(0);
    world.exchange();
    assert_eq!(world.sides[1].established().unwrap().1, Role::Responder);
    assert_ne!(world.assert_one_session(), before);

    // Its confirmation may have been lost, so that the caller still speaks on the previous session.
    world.wait(Duration::from_secs(600));
    world.received(1);
    world.hear_all(1, &late[..1]);
    assert_eq!(world.received(1), [b"one"]);

    world.send(0, b"first word").unwrap();
    world.exchange();
    world.received(1);
    world.wait(Duration::from_secs(59));
    world.hear_all(1, &late[1..2]);
    assert_eq!(world.received(1), [b"two"]);
    world.wait(Duration::from_secs(1));
    assert!(!world.sides[1].listening.contains(&before));
    world.hear_all(1, &late[2..]);
    assert!(world.received(1).is_empty());
}

#[test]
fn an_expired_session_ends_with_a_termination() {
    let mut world = World::connected();
    world.now = 12 * HOUR;
    world.send(0, b"half a day later").unwrap();
    world.deliver(0);
    // Side 0 hears nothing for a day after the handshake; side 1 heard it at noon.
    world.wait(12 * HOUR);
    assert!(world.sides[0].events.contains(&Event::Closed(CloseReason::Expired)));
    let last_words = transport(world.lose(0));
    world.hear_all(1, &last_words);
    assert!(world.sides[1].events.contains(&Event::Closed(CloseReason::ByPeer)));
    for side in 0..2 {
        assert_eq!(world.sides[side].manager.session(), None);
        assert!(world.sides[side].listening.is_empty());
    }
}

#[test]
fn closing_terminates_the_next_the_current_and_the_previous_session() {
    let mut world = World::connected();
    let previous = world.assert_one_session();
    world.now += Duration::from_secs(1);
    world.renew(0);
    world.exchange();
    let current = world.assert_one_session();
    world.now += Duration::from_secs(1);
    world.renew(0);
    world.deliver(0);
    world.deliver(1);
    let [next] = world.sides[0]
        .listening
        .iter()
        .copied()
        .filter(|session| ![previous, current].contains(session))
        .collect::<Vec<SessionId>>()[..]
    else {
        panic!("listens to the next session")
    };
    let third = world.lose(0);

    world.sides[0].manager.close();
    let mut terminations = Vec::new();
    let (mut told, mut forgotten) = (Vec::new(), Vec::new());
    while let Some(output) = world.sides[0].manager.poll_output() {
        match output {
            Output::Transmit { place: Place::Session(session), payload } => {
                told.push(session);
                terminations.push(payload);
            }
            Output::Forget(session) => forgotten.push(session),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(told, [next, current, previous]);
    assert_eq!(forgotten, told);

    // The other side understands each, also on the session whose third message comes late.
    world.hear_all(1, &third);
    world.lose(1);
    world.hear_all(1, &terminations);
    assert_eq!(world.sides[1].manager.session(), None);
    assert!(world.sides[1].listening.is_empty());
    assert_eq!(world.sides[0].manager.poll_timeout(), None, "it calls no more");
}

#[test]
fn a_renewal_that_lost_a_race_does_not_block_the_next() {
    let (mut world, original) = World::racing();
    world.exchange();
    let winner = world.assert_one_session();
    assert_ne!(winner, original);
    assert_eq!(
        world.sides.each_ref().map(|side| side.listening.len()),
        [2, 2],
        "the loser is still heard on"
    );
    world.assert_talks();

    let mut before = winner;
    for side in [0, 1] {
        world.wait(Duration::from_secs(61));
        world.renew(side);
        world.exchange();
        let renewed = world.assert_one_session();
        assert_ne!(renewed, before, "side {side} renews");
        before = renewed;
        world.assert_talks();
    }
    world.wait(HOUR);
    world.exchange();
    assert_ne!(world.assert_one_session(), before, "and so does time");
}

#[test]
fn a_renewal_during_which_the_loser_of_a_race_is_heard_of_does_not_block_the_next() {
    let (mut world, _) = World::racing();
    let word_on_the_winner = world.lose(0);
    world.renew(0);
    world.lose(0);
    world.deliver(1);
    world.hear_all(1, &word_on_the_winner);
    let winner = world.assert_one_session();
    world.wait(Duration::from_secs(1));
    world.renew(0);
    world.exchange();
    assert_ne!(world.assert_one_session(), winner);
}

#[test]
fn a_repeated_third_message_is_answered_once_a_second() {
    let mut world = World::new();
    world.connect(0);
    world.deliver(0);
    world.deliver(1);
    let third = world.lose(0);
    world.hear_all(1, &third);
    assert_eq!(world.lose(1).len(), 1);
    for (millis, answers) in [(999, 0), (1000, 1), (1999, 0), (2000, 1)] {
        world.now = Duration::from_millis(millis);
        world.hear_all(1, &third);
        assert_eq!(world.lose(1).len(), answers, "after {millis} ms");
    }
}
