//! Handshake messages that somebody between the two parties forged, damaged or swapped.

use std::time::Duration;

use waku_noise_session::manager::{Event, Stamps};

use crate::world::World;

/// Messages under a copied nametag that an exchange bears.
const TRIES: usize = 32;
const NAMETAG: std::ops::Range<usize> = 0..16;
const EPHEMERAL: std::ops::Range<usize> = 19..51;

fn damaged(payload: &[u8]) -> Vec<u8> {
    let mut damaged = payload.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    damaged
}

/// `payload` with a part of `other`.
fn spliced(payload: &[u8], part: std::ops::Range<usize>, other: &[u8]) -> Vec<u8> {
    let mut spliced = payload.to_vec();
    spliced[part.clone()].copy_from_slice(&other[part]);
    spliced
}

impl World {
    fn hear(&mut self, side: usize, payload: &[u8]) {
        let now = self.now();
        self.sides[side].hear(now, &mut self.rng, payload);
    }

    fn say(&mut self, side: usize) -> Vec<u8> {
        self.sides[side].said.pop_front().unwrap()
    }

    /// Side 0 has called and been answered: the second message.
    fn second(&mut self) -> Vec<u8> {
        self.connect(0);
        self.deliver(0);
        self.say(1)
    }

    /// The handshake up to its third message, which side 1 has not heard.
    fn third(&mut self) -> Vec<u8> {
        let second = self.second();
        self.hear(0, &second);
        self.say(0)
    }
}

#[test]
fn a_call_whose_ephemeral_was_swapped_is_refused() {
    let mut world = World::new();
    world.connect(0);
    let call = world.say(0);
    world.connect(0);
    let other = world.say(0);
    assert_eq!(call[NAMETAG], other[NAMETAG], "the two differ in the ephemeral and what it binds");
    for swapped in [spliced(&call, EPHEMERAL, &other), spliced(&other, EPHEMERAL, &call)] {
        world.hear(1, &swapped);
        assert!(world.sides[1].said.is_empty());
        assert_eq!(world.sides[1].saved, Stamps::default());
    }
    world.hear(1, &call);
    assert_eq!(world.sides[1].said.len(), 1);
}

#[test]
fn a_damaged_second_message_leaves_the_call_waiting() {
    let mut world = World::new();
    let second = world.second();
    for at in [NAMETAG.start, EPHEMERAL.start, EPHEMERAL.end + 8, second.len() - 1] {
        let mut damaged = second.clone();
        damaged[at] ^= 1;
        world.hear(0, &damaged);
        assert!(world.sides[0].said.is_empty() && world.sides[0].events.is_empty(), "byte {at}");
    }
    world.hear(0, &second);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn a_damaged_third_message_leaves_the_answer_waiting() {
    let mut world = World::new();
    let third = world.third();
    for at in [NAMETAG.start, 26, third.len() / 2, third.len() - 1] {
        let mut damaged = third.clone();
        damaged[at] ^= 1;
        world.hear(1, &damaged);
        assert!(world.sides[1].said.is_empty() && world.sides[1].events.is_empty(), "byte {at}");
    }
    world.hear(1, &third);
    world.exchange();
    world.assert_one_session();
}

#[test]
fn the_third_message_of_another_handshake_is_refused_under_any_nametag() {
    let mut world = World::new();
    let first = world.third();
    world.now += Duration::from_millis(500);
    let second = world.third();
    for swapped in [spliced(&first, NAMETAG, &second), spliced(&second, NAMETAG, &first)] {
        world.hear(1, &swapped);
        assert!(world.sides[1].said.is_empty() && world.sides[1].events.is_empty());
    }
    world.hear(1, &second);
    world.exchange();
    world.assert_one_session();
    world.assert_talks();
}

#[test]
fn a_call_bears_some_junk_replies() {
    let mut world = World::new();
    let second = world.second();
    for _ in 1..TRIES {
        world.hear(0, &damaged(&second));
    }
    world.hear(0, &second);
    assert_eq!(world.sides[0].events, [Event::Replied]);
}

#[test]
fn after_too_many_junk_replies_the_next_call_works() {
    let mut world = World::new();
    let second = world.second();
    for _ in 0..TRIES {
        world.hear(0, &damaged(&second));
    }
    world.hear(0, &second);
    assert!(world.sides[0].events.is_empty(), "the call is deaf");
    world.wait(Duration::from_secs(3));
    world.exchange();
    world.assert_one_session();
    world.assert_talks();
}

#[test]
fn after_too_many_junk_third_messages_the_next_call_works() {
    let mut world = World::new();
    let third = world.third();
    for _ in 0..TRIES {
        world.hear(1, &damaged(&third));
    }
    // The caller repeats its third message to no avail, gives up and calls anew.
    for _ in 0..31 {
        world.wait(Duration::from_secs(1));
        assert!(world.sides[1].events.is_empty(), "the answer is deaf");
        world.exchange();
    }
    world.assert_one_session();
    world.assert_talks();
}
