//! When the manager calls, answers, renews and ends its sessions.

use std::time::Duration;

use waku_noise_session::manager::{CloseReason, Event, Output, Place};
use waku_noise_session::pattern::Role;
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::session::SessionId;
use waku_noise_session::time::Instant;

use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Only what is said on sessions.
fn transport(said: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let is_transport =
        |payload: &Vec<u8>| PayloadV2::decode(payload).unwrap().protocol_id == ProtocolId::AfterHandshake;
    said.into_iter().filter(is_transport).collect()
}

impl World {
    fn hear_all(&mut self, side: usize, payloads: &[Vec<u8>]) {
        let now = self.now();
        for payload in payloads {
            self.sides[side].hear(now, &mut self.rng, payload);
        }
    }

    fn renew(&mut self, side: usize) {
        let now = self.now();
        self.sides[side].manager.renew(now);
        self.tick(side);
    }

    /// Waits until `side` calls, and returns how long that was; the call is lost.
    fn wait_for_call(&mut self, side: usize) -> Duration {
        let before = self.now;
        self.now = self.sides[side].manager.poll_timeout().unwrap().since_origin();
        self.tick(side);
        assert_eq!(self.lose(side).len(), 1);
        self.now.saturating_sub(before)
    }
}

#[test]
fn a_second_call_within_half_a_second_is_answered_when_it_is_repeated() {
    let mut world = World::new();
    world.connect(0);
    world.deliver(0);
    assert_eq!(world.lose(1).len(), 1);
    world.connect(0);
    let second_call = world.lose(0);
    world.now = Duration::from_millis(499);
    world.hear_all(1, &second_call);
    assert!(world.sides[1].said.is_empty());
    world.now = Duration::from_millis(500);
    world.hear_all(1, &second_call);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn the_first_call_waits_as_long_as_it_is_told() {
    let mut world = World::new();
    let now = world.now();
    world.sides[0].manager.connect_after(now, Duration::from_secs(5));
    assert_eq!(world.sides[0].manager.poll_timeout(), Some(Instant::from_origin(Duration::from_secs(5))));
    world.wait(Duration::from_millis(4999));
    world.tick(0);
    assert!(world.sides[0].said.is_empty());
    world.wait(Duration::from_millis(1));
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_session_that_stands_is_not_called_for_again() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    let now = world.now();
    world.sides[0].manager.connect_after(now, Duration::from_secs(5));
    world.wait(Duration::from_secs(10));
    assert!(world.sides[0].said.is_empty());
    assert_eq!(world.assert_one_session(), before);
}

#[test]
fn waits_between_calls_double_up_to_five_minutes() {
    let mut world = World::new();
    world.connect(0);
    world.lose(0);
    for nominal in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        let wait = world.wait_for_call(0);
        let nominal = Duration::from_secs(nominal);
        assert!(wait >= nominal.mul_f64(0.79) && wait <= nominal.mul_f64(1.21), "{wait:?} for {nominal:?}");
    }
}

#[test]
fn the_longest_wait_holds_for_a_caller_that_has_long_backed_off() {
    let mut world = World::new();
    world.connect(0);
    world.lose(0);
    for _ in 0..10 {
        world.wait_for_call(0);
    }
    for cap in [Duration::from_secs(10), Duration::from_secs(1)] {
        world.sides[0].manager.set_longest_wait(cap);
        world.wait_for_call(0);
        for _ in 0..5 {
            let wait = world.wait_for_call(0);
            assert!(wait >= cap.mul_f64(0.79) && wait <= cap.mul_f64(1.21), "{wait:?} for {cap:?}");
        }
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
    let mut world = World::connected();
    let original = world.assert_one_session();
    // Both renew; each answers the other's call before it hears of its own.
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
    // Side 1 hears the losing session's third message first, side 0 the winning one's.
    world.hear_all(1, &third_of_0);
    world.hear_all(0, &third_of_1);
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
fn who_only_answers_calls_no_more_when_its_session_ends_during_a_renewal() {
    for replied in [false, true] {
        let mut world = World::connected();
        world.now += Duration::from_secs(1);
        world.renew(1);
        if replied {
            world.deliver(1);
            world.deliver(0);
        }
        world.lose(1);
        world.sides[0].manager.close();
        world.sides[0].drain();
        world.exchange();
        assert!(world.sides[1].events.contains(&Event::Closed(CloseReason::ByPeer)));
        // The third message is still repeated for a while.
        world.wait(Duration::from_secs(1));
        for _ in 0..30 {
            world.wait(Duration::from_secs(1));
            world.lose(1);
        }
        world.wait(HOUR);
        assert!(world.sides[1].said.is_empty(), "replied: {replied}");
        assert_eq!(world.sides[1].manager.poll_timeout(), None);
    }
}
