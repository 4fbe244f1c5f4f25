//! Power cuts: at every single output of either side, before it is acted on.

use crate::world::{APP, HOST, World};

/// People do what they would: wait, type the digits, and when that leads nowhere start over with a fresh code.
fn persevere(world: &mut World) {
    for code in 1..3 {
        for _ in 0..3 {
            revive(world);
            world.wait(40);
            revive(world);
            if world.asked(APP).is_some() && world.shown(HOST).is_some() {
                // The app may lose power just now, or have been asked before it did.
                _ = world.type_digits();
            }
        }
        revive(world);
        world.wait(60);
        if world.peers(HOST).is_empty() || world.peers(APP).is_empty() {
            for side in [HOST, APP] {
                world.with(side, |party, now, rng| party.cancel(now, rng));
            }
            world.offer(APP, code);
            world.pair(HOST, code);
        }
    }
    world.wait(60);
}

fn revive(world: &mut World) {
    for side in [HOST, APP] {
        if world.sides[side].party.is_none() {
            world.start(side);
        }
    }
}

#[test]
fn a_power_cut_at_any_output_of_either_side_is_survived() {
    let outputs = {
        let world = World::paired();
        [HOST, APP].map(|side| world.sides[side].outputs)
    };
    assert!(outputs.iter().all(|outputs| *outputs > 12), "{outputs:?}");
    for side in [HOST, APP] {
        for crash in 0..outputs[side] {
            let mut world = World::new();
            world.sides[side].crashes_at = Some(crash);
            world.offer(APP, 0);
            if world.sides[HOST].party.is_some() {
                world.pair(HOST, 0);
            }
            world.wait(5);
            persevere(&mut world);
            assert_eq!(world.sides[side].crashes_at, None, "side {side} lost power at output {crash}");
            world.assert_paired();
            world.assert_talks();
        }
    }
}

#[test]
fn what_was_confirmed_before_a_power_cut_is_confirmed_after_it() {
    let mut world = World::paired();
    let pairing = world.pairing();
    for _ in 0..5 {
        for side in [HOST, APP] {
            world.sides[side].crashes_at = Some(world.sides[side].outputs + 3);
            world.wait(600);
            if world.sides[side].party.is_none() {
                world.start(side);
            }
            world.sides[side].crashes_at = None;
            world.wait(60);
        }
    }
    assert_eq!(world.pairing(), pairing);
    world.assert_paired();
}
