//! What a manager tells of messages that come more than once.

use std::time::Duration;

use crate::world::World;

/// Side 0 has said something to side 1, which has heard it.
fn said() -> (World, Vec<u8>, u64) {
    let mut world = World::connected();
    let index = world.send(0, b"word").unwrap();
    let [payload] = world.lose(0).try_into().unwrap();
    world.hear_all(1, std::slice::from_ref(&payload));
    assert_eq!(world.received(1), [b"word"]);
    (world, payload, index)
}

#[test]
fn a_message_that_comes_again_is_told_and_not_received_again() {
    let (mut world, payload, index) = said();
    let session = world.assert_one_session();
    world.hear_all(1, &[payload.clone(), payload]);
    assert_eq!(world.repeated(1), [(session, index); 2]);
    assert_eq!(world.received(1), Vec::<Vec<u8>>::new());
}

#[test]
fn a_repetition_on_the_previous_session_is_told_until_it_is_erased() {
    let (mut world, payload, index) = said();
    let before = world.assert_one_session();
    world.renew(0);
    world.exchange();
    world.assert_talks();
    assert_ne!(world.assert_one_session(), before);
    world.hear_all(1, std::slice::from_ref(&payload));
    assert_eq!(world.repeated(1), [(before, index)]);
    world.wait(Duration::from_secs(61));
    world.hear_all(1, std::slice::from_ref(&payload));
    assert_eq!(world.repeated(1), []);
}

#[test]
fn somebody_who_repeats_without_end_is_told_of_now_and_then() {
    let (mut world, payload, _) = said();
    world.hear_all(1, &vec![payload.clone(); 1000]);
    assert_eq!(world.repeated(1).len(), 16);
    world.now += Duration::from_secs(1);
    world.hear_all(1, &vec![payload.clone(); 1000]);
    assert_eq!(world.repeated(1).len(), 10);
    world.assert_talks();
}

#[test]
fn a_repetition_is_no_sign_of_life() {
    let (mut world, payload, _) = said();
    let heard = world.sides[1].manager.last_heard();
    world.now += Duration::from_secs(5);
    world.hear_all(1, &[payload]);
    assert_eq!(world.repeated(1).len(), 1);
    assert_eq!(world.sides[1].manager.last_heard(), heard);
}

#[test]
fn a_message_said_back_to_its_sender_is_no_repetition() {
    let (mut world, payload, _) = said();
    world.hear_all(0, &[payload]);
    assert_eq!(world.repeated(0), []);
}

#[test]
fn nothing_is_told_of_a_session_that_was_closed() {
    let (mut world, payload, _) = said();
    world.sides[1].manager.close();
    world.sides[1].drain();
    world.hear_all(1, &[payload]);
    assert_eq!(world.repeated(1), []);
}
