//! Living parties: the driver and its handle, on a bus in memory.

#[allow(dead_code, reason = "the example's own main is not run here")]
#[path = "../../examples/in_memory.rs"]
mod in_memory;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use in_memory::{Bus, BusChannel, wait_for};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use waku_noise_session::time::UnixTime;
use waku_pairing::endpoint::{ChannelClosed, CommandError, Handle, endpoint};
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::party::{Config, Event, Incoming, Letter, OfferError, Part, PingError, PostError, Terms};
use waku_pairing::record::PairingId;
use waku_pairing::store::{Change, MemoryStore, PeerStore, StoreError, Stored};
use waku_proto::WakuMessage;

use crate::world::keys;

const UNCOMPARED: Terms = Terms { compare_digits: false, allow_clock_skew: false };

/// A store in memory that can be told to fail.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(MemoryStore, bool)>>);

impl Disk {
    fn break_down(&self) {
        self.0.lock().unwrap().1 = true;
    }
}

impl PeerStore for Disk {
    fn load(&mut self) -> Result<Stored, StoreError> {
        self.0.lock().unwrap().0.load()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut disk = self.0.lock().unwrap();
        if disk.1 { Err(StoreError::new("the disk is full")) } else { disk.0.apply(changes) }
    }
}

struct Living {
    handle: Handle,
    disk: Disk,
    data: mpsc::Receiver<Incoming>,
    data_dropped: Arc<AtomicU64>,
    letters: mpsc::Receiver<Letter>,
    letters_dropped: Arc<AtomicU64>,
    driver: JoinHandle<Result<(), ChannelClosed>>,
}

fn start(part: Part, bus: &Bus) -> Living {
    let identity = Identity::from_seed(&Seed::generate(&mut UnwrapErr(SysRng)));
    let config = Config::new(part, "label".parse().unwrap());
    let disk = Disk::default();
    let rng = Box::new(UnwrapErr(SysRng));
    let (handle, mut driver) = endpoint(config, identity, BusChannel::join(bus), disk.clone(), rng).unwrap();
    let (data, data_dropped) = driver.data(4);
    let (letters, letters_dropped) = driver.letters(2);
    let driver = tokio::spawn(driver.run());
    Living { handle, disk, data, data_dropped, letters, letters_dropped, driver }
}

/// A host and an app in session.
async fn paired(code: u64) -> (Living, Living, PairingId) {
    let bus = Bus::default();
    let (host, app) = (start(Part::NodeManager, &bus), start(Part::App, &bus));
    let mut events = host.handle.events();
    app.handle.offer(keys(code), UNCOMPARED).await.unwrap();
    host.handle.pair(keys(code), UNCOMPARED).await.unwrap();
    let up = wait_for(&mut events, |event| match event {
        Event::SessionUp { pairing, .. } => Some(pairing),
        _ => None,
    });
    let pairing = up.await.unwrap();
    (host, app, pairing)
}

#[tokio::test]
async fn pairs_pings_and_takes_its_leave() {
    let (host, app, pairing) = paired(0).await;
    host.handle.ping(pairing).await.unwrap();
    app.handle.ping(pairing).await.unwrap();
    let mut events = app.handle.events();
    host.handle.close().await.unwrap();
    assert_eq!(host.driver.await.unwrap(), Ok(()));
    wait_for(&mut events, |event| (event == Event::SessionDown { pairing }).then_some(())).await.unwrap();
    assert!(matches!(app.handle.ping(pairing).await, Err(CommandError::Refused(_))));
    assert_eq!(host.handle.peers().await.unwrap_err(), CommandError::Ended);
}

#[tokio::test]
async fn a_ping_ends_with_its_session() {
    let (host, app, pairing) = paired(0).await;
    app.driver.abort();
    let (ping, unpaired) = tokio::join!(host.handle.ping(pairing), host.handle.unpair(pairing));
    assert!(matches!(ping, Err(CommandError::Refused(PingError::Send(_)))), "{ping:?}");
    assert_eq!(unpaired, Ok(()));
}

#[tokio::test]
async fn what_cannot_be_written_did_not_happen() {
    let (host, _app, pairing) = paired(0).await;
    host.disk.break_down();
    let renamed = host.handle.rename(pairing, Some("home".parse().unwrap())).await;
    assert_eq!(renamed, Err(CommandError::NotSaved));
    assert_eq!(host.handle.unpair(pairing).await, Err(CommandError::NotSaved));
    let peers = host.handle.peers().await.unwrap();
    assert_eq!((peers.len(), &peers[0].alias), (1, &None));
}

#[tokio::test]
async fn ends_when_its_last_handle_is_dropped() {
    let host = start(Part::NodeManager, &Bus::default());
    let second = host.handle.clone();
    drop(host.handle);
    second.peers().await.unwrap();
    drop(second);
    assert_eq!(host.driver.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn refusals_are_told_to_whoever_asked() {
    let host = start(Part::NodeManager, &Bus::default());
    assert_eq!(
        host.handle.offer(keys(0), UNCOMPARED).await,
        Err(CommandError::Refused(OfferError::NotTheApp))
    );
}

#[tokio::test]
async fn a_closed_channel_ends_the_driver_with_an_error() {
    let bus = Bus::default();
    let host = start(Part::NodeManager, &bus);
    bus.lock().unwrap().clear();
    assert_eq!(host.driver.await.unwrap(), Err(ChannelClosed));
}

#[tokio::test]
async fn carries_what_applications_say_and_drops_what_nobody_reads() {
    let (host, mut app, pairing) = paired(0).await;
    let word = |number: u8| zeroize::Zeroizing::new(vec![0xfa, 0x06, 1, number]);
    let sent = app.handle.send(pairing, word(0), false).await.unwrap();
    assert!(!sent.is_kept);
    for number in 0..20 {
        host.handle.send(pairing, word(number), true).await.unwrap();
    }
    // An answer comes after what was said before it.
    host.handle.ping(pairing).await.unwrap();
    let mut heard = Vec::new();
    while let Ok(data) = app.data.try_recv() {
        heard.push(data);
    }
    let is_word = |incoming: &&Incoming| matches!(incoming, Incoming::Data(data) if data.plaintext.starts_with(&[0xfa]));
    let words = heard.iter().filter(is_word).count();
    assert!((1..=4).contains(&words) && heard.len() <= 4, "{heard:?}");
    assert!(app.data_dropped.load(Ordering::Relaxed) >= 16);
    assert!(!format!("{heard:?}").contains("250, 6"), "{heard:?}");
}

#[tokio::test]
async fn tells_what_came_again() {
    let (host, mut app, pairing) = paired(0).await;
    let word = zeroize::Zeroizing::new(vec![0xfa, 0x06, 1, 7]);
    while app.data.try_recv().is_ok() {}
    let sent = host.handle.send(pairing, word, false).await.unwrap();
    host.handle.resend(pairing, sent.clone()).await.unwrap();
    let repeated = Incoming::Repeated { pairing, session: sent.session, index: sent.index };
    while app.data.recv().await.unwrap() != repeated {}
}

#[tokio::test]
async fn carries_letters_and_hands_them_on_until_they_are_acknowledged() {
    let (host, mut app, pairing) = paired(0).await;
    let body = |number: u8| zeroize::Zeroizing::new(vec![number; 10]);
    let mut posted = Vec::new();
    for number in 0..3 {
        posted.push(host.handle.post(pairing, body(number)).await.unwrap());
    }
    host.handle.ping(pairing).await.unwrap();
    assert_eq!(app.letters_dropped.load(Ordering::Relaxed), 1);
    for number in 0..2 {
        let letter = app.letters.try_recv().unwrap();
        assert_eq!((letter.id, &letter.body), (posted[usize::from(number)].id, &body(number)));
        app.handle.acknowledge(pairing, letter.id).await.unwrap();
        let stored = app.disk.clone().load().unwrap();
        assert!(stored.peers[&pairing].letters.holds(&letter.id));
    }
    // What nobody had room for comes again, from a store for instance.
    let topics = app.handle.letter_topics(UnixTime::default()).await.unwrap();
    for (_, topic) in topics {
        for posted in &posted {
            let message = WakuMessage::new(&topic, posted.payload.clone(), 1).with_version(2);
            app.handle.hand_in(message).await.unwrap();
        }
    }
    let letter = app.letters.try_recv().unwrap();
    assert_eq!((letter.id, &letter.body), (posted[2].id, &body(2)));
    assert!(app.letters.try_recv().is_err());
    app.disk.break_down();
    assert_eq!(app.handle.acknowledge(pairing, letter.id).await, Err(CommandError::NotSaved));
    host.handle.repost(pairing, posted[0].clone()).await.unwrap();
    let too_long = host.handle.post(pairing, zeroize::Zeroizing::new(vec![0; 70_000])).await;
    assert_eq!(too_long, Err(CommandError::Refused(PostError::TooLong { len: 70_000 })));
}
