//! When the manager calls, and when it answers a call.

use std::time::Duration;

use waku_noise_session::manager::{CloseReason, Event};
use waku_noise_session::time::Instant;

use crate::world::World;

#[test]
fn after_four_calls_one_is_answered_in_half_a_second() {
    let mut world = World::new();
    for _ in 0..4 {
        world.connect(0);
        world.deliver(0);
        assert_eq!(world.lose(1).len(), 1);
    }
    world.connect(0);
    let fifth_call = world.lose(0);
    world.now = Duration::from_millis(499);
    world.hear_all(1, &fifth_call);
    assert!(world.sides[1].said.is_empty());
    world.now = Duration::from_millis(500);
    world.hear_all(1, &fifth_call);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_call_that_nobody_may_have_heard_is_repeated_soon_after_the_other_side_calls() {
    let mut world = World::new();
    world.connect(0);
    assert_eq!(world.lose(0).len(), 1);
    world.wait(Duration::from_millis(100));
    world.connect(1);
    world.deliver(1);
    assert!(world.sides[0].said.is_empty(), "its own call is young");
    world.wait(Duration::from_millis(399));
    assert!(world.sides[0].said.is_empty());
    world.wait(Duration::from_millis(1));
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
fn who_answered_a_call_holds_its_own_back_for_ten_seconds() {
    let mut world = World::new();
    world.connect(1);
    world.lose(1);
    world.connect(0);
    world.deliver(0);
    assert_eq!(world.lose(1).len(), 1, "the answer");
    assert_eq!(world.wait_for_call(1), Duration::from_secs(10));
}

#[test]
fn who_was_left_waits_half_a_minute_to_be_called() {
    let mut world = World::connected();
    let now = world.now();
    world.sides[1].manager.connect(now);
    world.sides[0].manager.close();
    world.sides[0].drain();
    world.exchange();
    assert_eq!(world.wait_for_call(1), Duration::from_secs(30));
}

#[test]
fn a_call_that_waits_goes_out_when_the_network_is_back() {
    let mut world = World::new();
    world.connect(0);
    world.lose(0);
    for _ in 0..6 {
        world.wait_for_call(0);
    }
    let now = world.now();
    world.sides[0].manager.handle_network_up(now);
    world.tick(0);
    world.exchange();
    world.assert_one_session();

    let now = world.now();
    world.sides[0].manager.handle_network_up(now);
    world.tick(0);
    assert!(world.sides[0].said.is_empty(), "nothing waits once there is a session");
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
        world.wait(Duration::from_secs(60 * 60));
        assert!(world.sides[1].said.is_empty(), "replied: {replied}");
        assert_eq!(world.sides[1].manager.poll_timeout(), None);
    }
}

#[test]
fn who_is_answered_keeps_its_session() {
    let mut world = World::connected();
    let before = world.assert_one_session();
    for side in [0, 1] {
        world.send(side, b"anybody?").unwrap();
    }
    world.exchange();
    world.wait(Duration::from_secs(60));
    world.exchange();
    assert_eq!(world.assert_one_session(), before);
}

#[test]
fn who_closes_while_it_calls_calls_no_more() {
    let mut world = World::new();
    world.connect(0);
    world.deliver(0);
    world.sides[0].manager.close();
    assert_eq!(world.sides[0].manager.poll_timeout(), None);
    world.deliver(1);
    assert!(world.sides[0].said.is_empty() && world.sides[0].events.is_empty(), "the answer comes too late");
}
