//! Letters: to an app that is closed, through a store, once or more, and from nobody else.

use std::time::Duration;

use waku_noise_session::time::UnixTime;
use waku_pairing::letter::{LetterId, MAX_BODY};
use waku_pairing::party::{PostError, Posted, UnknownPeer};
use waku_pairing::record::PairingId;

use crate::world::{APP, HOST, START, World};

const DAY: u64 = 24 * 3600;

impl World {
    fn post(&mut self, side: usize, pairing: PairingId, body: &[u8]) -> Result<Posted, PostError> {
        self.with(side, |party, now, rng| party.post(now, rng, pairing, body))
    }

    fn acknowledge(&mut self, side: usize, pairing: PairingId, id: LetterId) {
        self.with(side, |party, now, _| party.acknowledge(now, pairing, id)).unwrap();
    }

    /// What a side read since the last time.
    fn read(&mut self, side: usize) -> Vec<Vec<u8>> {
        self.sides[side].letters.drain(..).map(|letter| letter.body.to_vec()).collect()
    }
}

#[test]
fn an_app_that_was_closed_finds_letters_in_the_store_and_needs_nobody_for_it() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.crash(APP);
    let ids = [&b"disk almost full"[..], b"a block was missed"].map(|body| {
        world.wait(DAY);
        world.post(HOST, pairing, body).unwrap().id
    });
    world.wait(3 * DAY);
    world.crash(HOST);
    world.start(APP);
    world.look_into_store(APP, START);
    let letters = &world.sides[APP].letters;
    assert_eq!(
        letters.iter().map(|letter| (letter.pairing, letter.id)).collect::<Vec<_>>(),
        ids.map(|id| (pairing, id))
    );
    assert_eq!(ids[0].sent_at(), UnixTime::from_epoch(START + Duration::from_secs(10 + DAY)));
    assert_eq!(world.read(APP), [&b"disk almost full"[..], b"a block was missed"]);
}

#[test]
fn who_is_there_reads_a_letter_at_once_and_not_again_from_the_store() {
    let mut world = World::paired();
    let pairing = world.pairing();
    for (from, to) in [(HOST, APP), (APP, HOST)] {
        world.post(from, pairing, b"word").unwrap();
        world.wait(2);
        assert_eq!(world.read(to), [b"word"]);
        world.look_into_store(to, START);
        world.look_into_store(from, START);
        assert_eq!(world.read(to), Vec::<Vec<u8>>::new());
        assert_eq!(world.read(from), Vec::<Vec<u8>>::new(), "its own");
    }
}

#[test]
fn a_letter_comes_again_after_a_power_cut_until_it_is_acknowledged() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let id = world.post(HOST, pairing, b"word").unwrap().id;
    world.wait(2);
    assert_eq!(world.read(APP), [b"word"]);
    for _ in 0..2 {
        world.restart(APP);
        world.look_into_store(APP, START);
        assert_eq!(world.read(APP), [b"word"]);
    }
    world.acknowledge(APP, pairing, id);
    let saves = world.sides[APP].disk.saves;
    world.acknowledge(APP, pairing, id);
    assert_eq!(world.sides[APP].disk.saves, saves, "nothing new to write");
    world.restart(APP);
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
}

#[test]
fn an_acknowledgement_that_could_not_be_written_did_not_happen() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let id = world.post(HOST, pairing, b"word").unwrap().id;
    world.wait(2);
    world.sides[APP].disk.broken = true;
    world.acknowledge(APP, pairing, id);
    world.sides[APP].disk.broken = false;
    assert!(world.peer(APP).session.is_some(), "the session is none the worse for it");
    world.restart(APP);
    world.sides[APP].letters.clear();
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), [b"word"]);
    world.acknowledge(APP, pairing, id);
    assert!(world.sides[APP].disk.store.0.peers[&pairing].letters.holds(&id));
}

#[test]
fn a_letter_that_nobody_read_comes_again() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.sides[APP].is_deaf = true;
    world.post(HOST, pairing, b"word").unwrap();
    world.wait(2);
    world.sides[APP].is_deaf = false;
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), [b"word"]);
}

#[test]
fn a_letter_that_is_said_again_is_the_same_letter() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.loss = 100;
    let posted = world.post(HOST, pairing, b"word").unwrap();
    world.loss = 0;
    for _ in 0..3 {
        world.with(HOST, |party, _, _| party.repost(pairing, &posted)).unwrap();
        world.wait(DAY);
    }
    assert_eq!(world.read(APP), [b"word"]);
    assert!(
        world.kept.iter().all(|(topic, payload)| *topic == world.kept[0].0 && *payload == posted.payload)
    );
    assert_eq!(world.kept.len(), 4);
}

#[test]
fn a_letter_is_refused_after_a_week() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.crash(APP);
    world.post(HOST, pairing, b"early").unwrap();
    world.wait(3600);
    world.post(HOST, pairing, b"late").unwrap();
    world.wait(7 * DAY - 1800);
    world.start(APP);
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), [b"late"]);
    world.restart(APP);
    world.wait(3600);
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
}

#[test]
fn a_letter_from_the_future_waits_until_it_is_not() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.sides[HOST].clock = 16 * 60;
    world.post(HOST, pairing, b"word").unwrap();
    world.wait(2);
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
    world.wait(60);
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), [b"word"]);
}

#[test]
fn a_letter_from_a_clock_most_of_a_day_behind_is_found() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.crash(APP);
    world.sides[HOST].clock = -23 * 3600;
    let since = START + world.now;
    world.post(HOST, pairing, b"word").unwrap();
    world.wait(DAY);
    world.start(APP);
    world.look_into_store(APP, since);
    assert_eq!(world.read(APP), [b"word"]);
}

#[test]
fn nothing_is_kept_of_what_is_posted() {
    let mut world = World::paired();
    let pairing = world.pairing();
    let (saves, before) = (world.sides[HOST].disk.saves, world.sides[HOST].disk.store.0.clone());
    world.post(HOST, pairing, b"word").unwrap();
    assert_eq!(world.sides[HOST].disk.saves, saves);
    assert_eq!(world.sides[HOST].disk.store.0, before);
}

#[test]
fn the_body_has_a_longest_length() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.post(HOST, pairing, &vec![7; MAX_BODY]).unwrap();
    world.wait(2);
    assert_eq!(world.read(APP), [vec![7; MAX_BODY]]);
    let refused = world.post(HOST, pairing, &vec![7; MAX_BODY + 1]);
    assert_eq!(refused, Err(PostError::TooLong { len: MAX_BODY + 1 }));
}

#[test]
fn nothing_of_an_unpaired_peer_is_read_and_nothing_is_posted_to_it() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.hears = |_, _| false;
    world.post(HOST, pairing, b"before").unwrap();
    world.with(APP, |party, now, rng| party.unpair(now, rng, pairing)).unwrap();
    world.post(HOST, pairing, b"after").unwrap();
    for _ in 0..2 {
        assert_eq!(world.with(APP, |party, now, _| party.letter_topics(now, UnixTime::default())), []);
        for (topic, payload) in world.kept.clone() {
            world.with(APP, |party, now, rng| party.handle_message(now, rng, &topic, &payload));
        }
        assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
        world.restart(APP);
    }
    assert_eq!(world.post(APP, pairing, b"word"), Err(PostError::UnknownPeer(UnknownPeer)));
}

#[test]
fn letters_of_a_pairing_end_with_it() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.crash(APP);
    world.post(HOST, pairing, b"word").unwrap();
    world.wait(2);
    world.start(APP);
    world.pair_by_hand(1);
    world.assert_paired();
    assert_ne!(world.pairing(), pairing);
    world.look_into_store(APP, START);
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
    let unknown = world.with(APP, |party, now, rng| {
        let id = LetterId::from([0; 24]);
        (party.acknowledge(now, pairing, id), party.post(now, rng, pairing, b"word").unwrap_err())
    });
    assert_eq!(unknown, (Err(UnknownPeer), PostError::UnknownPeer(UnknownPeer)));
}

#[test]
fn before_a_pairing_stands_there_are_no_letters() {
    let mut world = World::new();
    world.offer(APP, 0);
    world.pair(HOST, 0);
    world.wait(5);
    let pairing = world.peer(HOST).pairing;
    assert_eq!(world.post(HOST, pairing, b"word"), Err(PostError::NotConfirmed));
    for side in [HOST, APP] {
        assert_eq!(world.with(side, |party, now, _| party.letter_topics(now, UnixTime::default())), []);
    }
    world.type_digits().unwrap();
    world.wait(5);
    world.post(HOST, pairing, b"word").unwrap();
    world.wait(2);
    assert_eq!(world.read(APP), [b"word"]);
}

#[test]
fn a_letter_belongs_to_the_topic_of_its_day() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.hears = |_, _| false;
    world.post(HOST, pairing, b"word").unwrap();
    let (own, payload) = world.kept.pop().unwrap();
    let topics = world.with(APP, |party, now, _| party.letter_topics(now, UnixTime::default()));
    for (_, topic) in topics.into_iter().filter(|(_, topic)| *topic != own) {
        world.with(APP, |party, now, rng| party.handle_message(now, rng, &topic, &payload));
    }
    assert_eq!(world.read(APP), Vec::<Vec<u8>>::new());
    world.with(APP, |party, now, rng| party.handle_message(now, rng, &own, &payload));
    assert_eq!(world.read(APP), [b"word"]);
}

#[test]
fn letters_are_received_around_today_and_looked_for_a_week_back() {
    let mut world = World::paired();
    let topics = |world: &mut World, side, since: Duration| {
        let since = UnixTime::from_epoch(since);
        let topics = world.with(side, |party, now, _| party.letter_topics(now, since));
        topics.into_iter().map(|(_, topic)| topic).collect::<Vec<_>>()
    };
    let [host, app] = [HOST, APP].map(|side| topics(&mut world, side, Duration::ZERO));
    assert_eq!((host.len(), app.len()), (9, 9));
    assert!(host.iter().all(|topic| !app.contains(topic)), "each direction has topics of its own");
    assert!(app.iter().all(|topic| topic.as_str().starts_with("/status-node-manager/1/l-")));
    let days_ago = |days| (START + world.now).saturating_sub(Duration::from_secs(days * DAY));
    let (now, earlier) = (days_ago(0), days_ago(2));
    assert_eq!(topics(&mut world, APP, now), app[6..], "clocks may be a day apart");
    assert_eq!(topics(&mut world, APP, earlier), app[4..]);
    let received: Vec<_> = app.iter().filter(|topic| world.sides[APP].subscribed.contains(topic)).collect();
    assert_eq!(received, app[6..].iter().collect::<Vec<_>>());
    world.wait(DAY);
    let next = topics(&mut world, APP, Duration::ZERO);
    assert_eq!(next[..8], app[1..]);
    assert!(next[6..].iter().all(|topic| world.sides[APP].subscribed.contains(topic)));
    assert!(!world.sides[APP].subscribed.contains(&app[6]));
}

#[test]
fn what_is_said_about_a_letter_does_not_hold_what_it_says() {
    let mut world = World::paired();
    let pairing = world.pairing();
    world.post(HOST, pairing, &[0xab; 40]).unwrap();
    world.wait(2);
    let text = format!("{:?}", world.sides[APP].letters);
    assert!(text.contains("40") && !text.contains("171, 171") && !text.contains("abab"), "{text}");
}
