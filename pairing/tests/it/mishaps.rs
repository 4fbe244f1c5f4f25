//! Bad networks and bad disks.

use waku_pairing::party::{Event, StageView};

use crate::world::{APP, HOST, World};

#[test]
fn pairs_through_a_network_that_loses_half() {
    for seed in 0..20 {
        let mut world = World::empty(seed);
        world.add(waku_pairing::party::Part::NodeManager, "beacon-01");
        world.add(waku_pairing::party::Part::App, "laptop");
        (world.loss, world.doubled) = (50, 20);
        world.offer(APP, 0);
        world.pair(HOST, 0);
        world.wait(580);
        assert!(world.asked(APP).is_some(), "seed {seed}");
        world.type_digits().unwrap();
        world.wait(120);
        let stages = [HOST, APP].map(|side| world.peer(side).stage);
        assert_eq!(stages, [StageView::Confirmed { compared: true }; 2], "seed {seed}");
    }
}

/// Each save of a whole pairing fails once, on either side: what rests on it is not said, and the pairing comes about
/// all the same when the disk is well again.
#[test]
fn a_disk_that_fails_once_at_any_moment_costs_nothing_but_time() {
    let saves = {
        let world = World::paired();
        [HOST, APP].map(|side| world.sides[side].disk.saves)
    };
    assert!(saves.iter().all(|saves| *saves >= 4), "{saves:?}");
    for side in [HOST, APP] {
        for failing in 0..saves[side] {
            let mut world = World::new();
            world.sides[side].disk.fails_after = Some(failing);
            world.offer(APP, 0);
            world.pair(HOST, 0);
            world.wait(120);
            let case = format!("side {side}, save {failing}");
            if world.peer(APP).stage == StageView::Keyed {
                // A confirmation that could not be kept is asked for again.
                _ = world.type_digits();
                world.wait(60);
                if world.peer(APP).stage == StageView::Keyed {
                    world.type_digits().unwrap();
                }
            }
            world.wait(60);
            assert!(world.sides[side].events.contains(&Event::StoreFailed), "{case}");
            world.assert_paired();
            world.assert_talks();
        }
    }
}

#[test]
fn a_disk_that_never_writes_pairs_nobody_and_says_nothing() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.sides[APP].published.clear();
    world.sides[APP].disk.broken = true;
    world.wait(600);
    assert!(world.sides[APP].published.is_empty(), "persist before you speak");
    assert_eq!(world.peers(HOST), []);
    assert!(world.sides[APP].events.contains(&Event::StoreFailed));
}

#[test]
fn an_unpairing_that_cannot_be_kept_is_not_said() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let saves = world.sides[APP].disk.saves;
    world.sides[APP].disk.fails_after = Some(saves);
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    assert!(world.sides[APP].events.contains(&Event::StoreFailed));
    assert!(!world.sides[APP].events.iter().any(|event| matches!(event, Event::Unpaired { .. })));
    world.wait(60);
    world.assert_paired();
}

#[test]
fn a_session_outlives_a_save_by_which_the_pairing_came_no_further() {
    let mut world = World::paired();
    let (pairing, session) = (world.pairing(), world.peer(APP).session.unwrap().id);
    world.sides[APP].disk.broken = true;
    world.with(APP, |party, _, _| party.rename(pairing, Some("home".parse().unwrap()))).unwrap();
    assert!(world.sides[APP].events.contains(&Event::StoreFailed));
    assert_eq!(world.peer(APP).alias, None);
    assert_eq!(world.peer(APP).session.unwrap().id, session);
    world.assert_talks();
}
