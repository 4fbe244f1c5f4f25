//! The session manager's promises one by one, on a network that does as it is told.

use std::time::Duration;

use waku_noise_session::manager::{CloseReason, Event, Output, PairRoot, SendError, Stamps, refuse};
use waku_noise_session::pattern::Role;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Now, UnixTime};

use crate::world::{START, Side, World, at, links};

#[test]
fn a_call_and_an_answer_make_a_session() {
    let mut world = World::connected();
    assert!(world.sides[0].events.contains(&Event::Replied));
    assert_eq!(world.sides[0].established().unwrap().1, Role::Initiator);
    assert_eq!(world.sides[1].established().unwrap().1, Role::Responder);
    world.assert_one_session();
    world.assert_talks();
}

#[test]
fn the_third_message_carries_the_initiators_data() {
    let mut world = World::new();
    world.sides[0].manager.set_data(b"opening".to_vec().into());
    world.connect(0);
    world.exchange();
    let told = world.sides[1].events.iter().any(
        |event| matches!(event, Event::Established { data, role: Role::Responder, .. } if **data == *b"opening"),
    );
    assert!(told);
}

#[test]
fn both_calling_at_once_end_up_on_one_session() {
    let mut world = World::new();
    world.connect(0);
    world.connect(1);
    world.exchange();
    world.assert_one_session();
    assert_eq!(world.sides[0].established().unwrap().1, Role::Initiator, "the lower key has priority");
    world.assert_talks();
}

#[test]
fn the_priority_side_answers_once_its_own_call_is_old() {
    let mut world = World::new();
    world.connect(0);
    world.lose(0);
    world.connect(1);
    world.deliver(1);
    assert!(world.sides[0].said.is_empty(), "young call: the other side's is ignored");
    world.lose(1);
    // Its own repeated calls keep getting lost; ten seconds after the last of them it gives way.
    world.sides[0].manager.handle_timeout(at(Duration::from_secs(3)), &mut world.rng);
    world.sides[0].drain();
    world.lose(0);
    world.now = Duration::from_secs(14);
    world.tick(1);
    world.deliver(1);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn of_two_sessions_that_came_about_the_later_called_one_stands_on_both_sides() {
    let mut world = World::new();
    world.connect(0);
    let first_call = world.lose(0).remove(0);
    world.now = Duration::from_secs(11);
    world.connect(1);
    world.deliver(1);
    world.deliver(0);
    let third = world.lose(1).remove(0);
    // Only now does the first call arrive, and both handshakes run to their end.
    let now = world.now();
    world.sides[1].hear(now, &mut world.rng, &first_call);
    world.deliver(1);
    world.sides[0].hear(now, &mut world.rng, &third);
    assert_eq!(world.sides.each_ref().map(|side| side.said.len()), [2, 0]);
    world.exchange();
    let session = world.assert_one_session();
    let initiated = world.sides[1].events.iter().any(
        |event| matches!(event, Event::Established { session: id, role: Role::Initiator, .. } if *id == session),
    );
    assert!(initiated, "side 1 called later");
    world.assert_talks();
}

#[test]
fn a_lost_call_is_repeated() {
    let mut world = World::new();
    world.connect(0);
    assert_eq!(world.lose(0).len(), 1);
    world.wait(Duration::from_secs(3));
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_late_reply_still_fits_one_of_the_last_three_calls() {
    let mut world = World::new();
    world.connect(0);
    world.deliver(0);
    let late = world.lose(1);
    for _ in 0..2 {
        world.wait(Duration::from_secs(6));
        assert!(!world.lose(0).is_empty());
    }
    let now = world.now();
    world.sides[0].hear(now, &mut world.rng, &late[0]);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_lost_third_message_is_repeated_and_answered_once_more() {
    let mut world = World::new();
    world.connect(0);
    world.deliver(0);
    world.deliver(1);
    assert_eq!(world.lose(0).len(), 1);
    assert_eq!(
        world.sides[0].manager.session(),
        None,
        "not before the other side has shown that it has the third"
    );
    world.wait(Duration::from_secs(1));
    assert!(world.deliver(0));
    assert_eq!(world.lose(1).len(), 1, "the confirmation is lost as well");
    world.wait(Duration::from_secs(2));
    world.exchange();
    world.assert_one_session();
    world.assert_talks();
}

#[test]
fn a_replayed_call_is_not_answered() {
    let mut world = World::new();
    world.connect(0);
    let call = world.sides[0].said[0].clone();
    world.exchange();
    let now = world.now();
    world.sides[1].hear(now, &mut world.rng, &call);
    assert!(world.sides[1].said.is_empty());
    world.restart(1);
    world.sides[1].hear(now, &mut world.rng, &call);
    assert!(world.sides[1].said.is_empty(), "not even after a restart");
    assert_eq!(world.sides[1].manager.session(), None);
}

#[test]
fn a_call_on_which_the_clock_jumped_back_is_answered() {
    let mut world = World::new();
    world.now = Duration::from_secs(3600);
    world.connect(0);
    world.exchange();
    world.restart(0);
    let an_hour_back = Now { unix: UnixTime::from_epoch(START), ..world.now() };
    world.sides[0].manager.connect(an_hour_back);
    world.sides[0].manager.handle_timeout(an_hour_back, &mut world.rng);
    world.sides[0].drain();
    world.exchange();
    world.assert_one_session();
}

#[test]
fn nothing_is_said_when_the_stamps_cannot_be_saved() {
    let mut world = World::new();
    let now = world.now();
    world.sides[0].manager.connect(now);
    world.sides[0].manager.handle_timeout(now, &mut world.rng);
    assert!(matches!(world.sides[0].manager.poll_output(), Some(Output::Save(_))));
    world.sides[0].manager.handle_save_failed();
    assert_eq!(world.sides[0].manager.poll_output(), None);
    world.wait(Duration::from_secs(3));
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_restarted_side_gets_a_new_session() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    for side in [0, 1] {
        world.restart(side);
        world.connect(side);
        world.exchange();
        assert_ne!(world.assert_one_session(), before);
        world.assert_talks();
    }
}

#[test]
fn messages_on_the_previous_session_are_still_received_for_a_minute() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    world.send(1, b"late").unwrap();
    world.send(1, b"too late").unwrap();
    let late = world.lose(1);
    let now = world.now();
    world.sides[0].manager.renew(now);
    world.wait(Duration::from_secs(1));
    world.exchange();
    assert_ne!(world.assert_one_session(), before);
    world.assert_talks();
    world.received(0);
    let now = world.now();
    world.sides[0].hear(now, &mut world.rng, &late[0]);
    assert_eq!(world.received(0), [b"late".to_vec()]);
    world.wait(Duration::from_secs(61));
    assert!(!world.sides[0].listening.contains(&before));
    let now = world.now();
    world.sides[0].hear(now, &mut world.rng, &late[1]);
    assert!(world.received(0).is_empty());
}

#[test]
fn a_session_is_renewed_after_an_hour() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    world.wait(Duration::from_secs(3599));
    world.exchange();
    assert_eq!(world.assert_one_session(), before);
    world.wait(Duration::from_secs(1));
    world.exchange();
    assert_ne!(world.assert_one_session(), before);
    world.assert_talks();
}

#[test]
fn a_session_is_renewed_after_many_messages() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    for _ in 0..(1 << 14) {
        world.send(0, b"x").unwrap();
        world.exchange();
    }
    world.wait(Duration::from_secs(1));
    world.exchange();
    assert_eq!(world.assert_one_session(), before);
    world.send(0, b"one more").unwrap();
    world.wait(Duration::ZERO);
    world.exchange();
    assert_ne!(world.assert_one_session(), before);
}

#[test]
fn who_is_not_answered_makes_a_new_session() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    world.restart(1);
    world.send(0, b"anybody?").unwrap();
    world.exchange();
    world.wait(Duration::from_secs(25));
    world.exchange();
    assert_ne!(world.assert_one_session(), before);
    world.assert_talks();
}

#[test]
fn closing_tells_the_other_side() {
    let mut world = World::connected();
    world.sides[0].manager.close();
    world.sides[0].drain();
    world.exchange();
    assert!(world.sides[1].events.contains(&Event::Closed(CloseReason::ByPeer)));
    for side in 0..2 {
        assert_eq!(world.sides[side].manager.session(), None);
        assert!(world.sides[side].listening.is_empty());
        assert_eq!(world.send(side, b"x"), Err(SendError::NoSession));
    }
}

#[test]
fn a_silent_session_expires_after_a_day() {
    let mut world = World::connected();
    // The hourly renewal finds nobody.
    for _ in 0..25 {
        world.wait(Duration::from_secs(3600));
        world.lose(0);
        world.lose(1);
    }
    for side in 0..2 {
        assert!(world.sides[side].events.contains(&Event::Closed(CloseReason::Expired)));
        assert_eq!(world.sides[side].manager.session(), None);
    }
}

#[test]
fn who_was_unpaired_is_told_at_its_next_call() {
    let mut world = World::new();
    world.connect(0);
    let call = world.sides[0].said.pop_front().unwrap();
    let [_, gone] = links();
    let now = world.now();
    let (refusal, stamp) = refuse(&gone, now, &mut world.rng, &PayloadV2::decode(&call).unwrap(), 3)
        .expect("the call is authentic");
    assert_eq!(stamp, world.sides[0].saved.sent);
    world.sides[0].hear(now, &mut world.rng, &refusal);
    assert!(world.sides[0].events.contains(&Event::Refused { reason: 3 }));
    // Replayed against a later call it says nothing.
    world.sides[0].events.clear();
    world.restart(0);
    world.connect(0);
    world.sides[0].hear(now, &mut world.rng, &refusal);
    assert!(world.sides[0].events.is_empty());
}

#[test]
fn strangers_are_not_answered() {
    let mut world = World::new();
    world.connect(0);
    let call = world.sides[0].said.pop_front().unwrap();
    let mut stranger_link = links().into_iter().nth(1).unwrap();
    stranger_link.root = PairRoot::from([9; 32]);
    let mut stranger = Side::new(stranger_link.clone(), Stamps::default(), 9);
    let now = world.now();
    stranger.hear(now, &mut world.rng, &call);
    assert!(stranger.said.is_empty());
    assert!(refuse(&stranger_link, now, &mut world.rng, &PayloadV2::decode(&call).unwrap(), 1).is_none());
    // A copy with a damaged seal costs one AEAD and leaves no trace.
    let mut damaged = call.clone();
    damaged[80] ^= 1;
    world.sides[1].hear(now, &mut world.rng, &damaged);
    assert!(world.sides[1].said.is_empty());
    assert_eq!(world.sides[1].saved, Stamps::default());
}
