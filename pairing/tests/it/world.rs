//! Parties, their disks, and a network that does as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use waku_noise_session::session::SessionId;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::code::Code;
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{
    Config, Data, Event, Incoming, Introduction, Letter, Output, Part, Party, PeerView, StageView, Terms,
};
use waku_pairing::record::PairingId;
use waku_pairing::sas::Sas;
use waku_pairing::store::{MemoryStore, PeerStore};
use waku_proto::ContentTopic;

/// The host of most tests, and the app.
pub(crate) const HOST: usize = 0;
pub(crate) const APP: usize = 1;

/// 2026-01-01, 22:00 UTC.
pub(crate) const START: Duration = Duration::from_secs(1_767_222_000 + 23 * 3600);

/// The longest that a late message takes.
const LATE: Duration = Duration::from_secs(600);

/// Stretching takes a third of a second, so it is done once for each code.
pub(crate) fn keys(code: u64) -> CodeKeys {
    static KEYS: LazyLock<[CodeKeys; 3]> =
        LazyLock::new(|| [0, 1, 2].map(|code| CodeKeys::derive(&Code::from(code))));
    KEYS[usize::try_from(code).unwrap()].clone()
}

/// A disk that can fail.
#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) store: MemoryStore,
    /// Saves that succeed before one fails; `None` for a good disk.
    pub(crate) fails_after: Option<usize>,
    /// Whether every save fails.
    pub(crate) broken: bool,
    pub(crate) saves: usize,
}

impl Disk {
    fn save(&mut self, changes: &[waku_pairing::store::Change]) -> bool {
        if self.broken || self.fails_after == Some(self.saves) {
            self.fails_after = None;
            return false;
        }
        self.saves += 1;
        self.store.apply(changes).unwrap();
        true
    }
}

/// A machine: a party while it runs, and what survives it.
pub(crate) struct Side {
    pub(crate) party: Option<Party>,
    pub(crate) config: Config,
    pub(crate) terms: Terms,
    identity: Identity,
    pub(crate) disk: Disk,
    pub(crate) subscribed: BTreeSet<ContentTopic>,
    pub(crate) events: Vec<Event>,
    /// What the other application said, oldest first.
    pub(crate) heard: Vec<Data>,
    /// Which of its messages came again, by session and index.
    pub(crate) repeated: Vec<(SessionId, u64)>,
    /// The letters that were handed on, oldest first.
    pub(crate) letters: Vec<Letter>,
    /// Whether nobody reads letters.
    pub(crate) is_deaf: bool,
    /// Outputs acted on so far, and the one at which the machine loses power.
    pub(crate) outputs: usize,
    pub(crate) crashes_at: Option<usize>,
    /// How far its wall clock is off, in seconds.
    pub(crate) clock: i64,
    pub(crate) published: Vec<(ContentTopic, Vec<u8>)>,
}

pub(crate) struct World {
    pub(crate) sides: Vec<Side>,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) now: Duration,
    /// In flight, by arrival: to whom, on which topic, what.
    flight: BTreeMap<(Duration, u64), (usize, ContentTopic, Vec<u8>)>,
    messages: u64,
    /// What a store kept.
    pub(crate) kept: Vec<(ContentTopic, Vec<u8>)>,
    /// Percent of messages lost, and doubled.
    pub(crate) loss: u32,
    pub(crate) doubled: u32,
    /// Percent of messages that take minutes.
    pub(crate) late: u32,
    pub(crate) latency: Duration,
    /// Who hears whom; everybody everybody by default.
    pub(crate) hears: fn(from: usize, to: usize) -> bool,
}

impl World {
    /// A host and an app that have never met.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty(1);
        world.add(Part::NodeManager, "beacon-01");
        world.add(Part::App, "laptop");
        world
    }

    /// A host and an app that are paired, in session.
    pub(crate) fn paired() -> Self {
        let mut world = Self::new();
        world.pair_by_hand(0);
        world.assert_paired();
        world
    }

    pub(crate) fn empty(seed: u64) -> Self {
        Self {
            sides: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: Duration::ZERO,
            flight: BTreeMap::new(),
            messages: 0,
            kept: Vec::new(),
            loss: 0,
            doubled: 0,
            late: 0,
            latency: Duration::from_millis(200),
            hears: |_, _| true,
        }
    }

    pub(crate) fn add(&mut self, part: Part, label: &str) -> usize {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        self.sides.push(Side {
            party: None,
            config: Config::new(part, label.parse().unwrap()),
            terms: Terms::default(),
            identity: Identity::from_seed(&Seed::from(seed)),
            disk: Disk::default(),
            subscribed: BTreeSet::new(),
            events: Vec::new(),
            heard: Vec::new(),
            repeated: Vec::new(),
            letters: Vec::new(),
            is_deaf: false,
            outputs: 0,
            crashes_at: None,
            clock: 0,
            published: Vec::new(),
        });
        let side = self.sides.len() - 1;
        self.start(side);
        side
    }

    pub(crate) fn now(&self, side: usize) -> Now {
        let unix = START + self.now;
        let unix = Duration::from_secs(unix.as_secs().saturating_add_signed(self.sides[side].clock));
        Now { instant: Instant::from_origin(self.now), unix: UnixTime::from_epoch(unix) }
    }

    /// Starts a side from its disk.
    pub(crate) fn start(&mut self, side: usize) {
        let now = self.now(side);
        let mut boot_id = [0; 16];
        self.rng.fill_bytes(&mut boot_id);
        let machine = &mut self.sides[side];
        let stored = machine.disk.store.load().unwrap();
        let party = Party::new(machine.config.clone(), machine.identity.clone(), stored, boot_id, now);
        machine.party = Some(party);
        self.drain(side);
    }

    /// Cuts the power: what is not on disk is gone.
    pub(crate) fn crash(&mut self, side: usize) {
        self.sides[side].party = None;
        self.sides[side].subscribed.clear();
    }

    pub(crate) fn restart(&mut self, side: usize) {
        self.crash(side);
        self.start(side);
    }

    /// Has a party do something and acts on its outputs.
    pub(crate) fn with<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Party, Now, &mut ChaCha8Rng) -> R,
    ) -> R {
        let now = self.now(side);
        let result = act(self.sides[side].party.as_mut().expect("the side runs"), now, &mut self.rng);
        self.drain(side);
        result
    }

    fn drain(&mut self, side: usize) {
        let now = self.now(side);
        while let Some(party) = &mut self.sides[side].party
            && let Some(output) = party.poll_output()
        {
            let machine = &mut self.sides[side];
            if machine.crashes_at == Some(machine.outputs) {
                machine.crashes_at = None;
                self.crash(side);
                return;
            }
            machine.outputs += 1;
            match output {
                Output::Subscribe(topic) => assert!(machine.subscribed.insert(topic), "subscribed twice"),
                Output::Unsubscribe(topic) => {
                    assert!(machine.subscribed.remove(&topic), "was not subscribed")
                }
                Output::Save(changes) => {
                    if !machine.disk.save(&changes) {
                        machine.party.as_mut().unwrap().handle_save_failed(now, &mut self.rng);
                    }
                }
                Output::Publish { topic, payload, is_kept } => {
                    if is_kept {
                        self.kept.push((topic.clone(), payload.clone()));
                    }
                    self.publish(side, &topic, &payload);
                }
                Output::Event(event) => machine.events.push(event),
                Output::Incoming(Incoming::Data(data)) => machine.heard.push(data),
                Output::Incoming(Incoming::Repeated { session, index, .. }) => {
                    machine.repeated.push((session, index));
                }
                Output::Letter(letter) if machine.is_deaf => {
                    machine.party.as_mut().unwrap().handle_letter_dropped(letter.pairing, letter.id);
                }
                Output::Letter(letter) => {
                    let kept = &machine.disk.store.0.peers[&letter.pairing];
                    assert!(kept.is_confirmed(), "a letter of a pairing that does not stand");
                    assert!(!kept.letters.holds(&letter.id), "a letter that was acknowledged");
                    machine.letters.push(letter);
                }
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.next_u32() % 100 < percent
    }

    fn share(&mut self) -> f64 {
        f64::from(self.rng.next_u32()) / f64::from(u32::MAX)
    }

    fn publish(&mut self, from: usize, topic: &ContentTopic, payload: &[u8]) {
        self.sides[from].published.push((topic.clone(), payload.to_vec()));
        for to in
            (0..self.sides.len()).filter(|to| *to != from && (self.hears)(from, *to)).collect::<Vec<_>>()
        {
            for _ in 0..=u32::from(self.chance(self.doubled)) {
                if !self.chance(self.loss) {
                    let jitter = self.latency.mul_f64(self.share());
                    let delay =
                        if self.chance(self.late) { LATE.mul_f64(self.share()) } else { Duration::ZERO };
                    self.send(to, self.latency / 2 + jitter + delay, topic.clone(), payload.to_vec());
                }
            }
        }
    }

    /// Puts a message on its way.
    pub(crate) fn send(&mut self, to: usize, latency: Duration, topic: ContentTopic, payload: Vec<u8>) {
        self.messages += 1;
        self.flight.insert((self.now + latency, self.messages), (to, topic, payload));
    }

    /// Lets time pass, with every arrival and every timer at its moment.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let arrival = self.flight.first_key_value().map(|((when, _), _)| *when);
            let timers = self.sides.iter().filter_map(|side| side.party.as_ref()?.poll_timeout());
            let next = timers.map(Instant::since_origin).chain(arrival).min().filter(|next| *next <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (to, topic, payload)) = self.flight.pop_first().unwrap();
                if self.sides[to].party.is_some() && self.sides[to].subscribed.contains(&topic) {
                    self.with(to, |party, now, rng| party.handle_message(now, rng, &topic, &payload));
                }
            } else {
                self.tick();
            }
        }
        self.now = until;
    }

    fn tick(&mut self) {
        for side in 0..self.sides.len() {
            if self.sides[side].party.is_some() {
                self.with(side, |party, now, rng| party.handle_timeout(now, rng));
                let next = self.sides[side].party.as_ref().and_then(Party::poll_timeout);
                let now = self.now(side).instant;
                assert!(
                    next.is_none_or(|next| next > now),
                    "side {side} would be asked again at once, forever"
                );
            }
        }
    }

    pub(crate) fn wait(&mut self, secs: u64) {
        self.advance(Duration::from_secs(secs));
    }

    /// Hands to a side what a store has of letters to it.
    pub(crate) fn look_into_store(&mut self, side: usize, since: Duration) {
        let since = UnixTime::from_epoch(since);
        let topics = self.with(side, |party, now, _| party.letter_topics(now, since));
        for (topic, payload) in self.kept.clone() {
            if topics.iter().any(|(_, known)| *known == topic) && self.sides[side].party.is_some() {
                self.with(side, |party, now, rng| party.handle_message(now, rng, &topic, &payload));
            }
        }
    }

    // What people do.

    pub(crate) fn offer(&mut self, app: usize, code: u64) {
        let terms = self.sides[app].terms;
        self.with(app, |party, now, _| party.offer(now, keys(code), terms)).unwrap();
    }

    pub(crate) fn pair(&mut self, host: usize, code: u64) {
        let terms = self.sides[host].terms;
        self.with(host, |party, now, rng| party.pair(now, rng, keys(code), terms)).unwrap();
    }

    /// The digits that the host shows.
    pub(crate) fn shown(&self, host: usize) -> Option<(Introduction, Sas)> {
        self.sides[host].events.iter().rev().find_map(|event| match event {
            Event::ShowDigits { peer, digits, .. } => Some((peer.clone(), *digits)),
            _ => None,
        })
    }

    /// Who the app asks the digits of.
    pub(crate) fn asked(&self, app: usize) -> Option<Introduction> {
        self.sides[app].events.iter().rev().find_map(|event| match event {
            Event::AskDigits(peer) => Some(peer.clone()),
            _ => None,
        })
    }

    /// A person types the digits the host shows into the app.
    pub(crate) fn type_digits(&mut self) -> Result<(), waku_pairing::party::DigitsError> {
        let (_, digits) = self.shown(HOST).expect("the host shows digits");
        let pairing = self.asked(APP).expect("the app asks for digits").pairing;
        self.with(APP, |party, now, rng| party.digits(now, rng, pairing, digits))
    }

    /// The whole story, on a good network.
    pub(crate) fn pair_by_hand(&mut self, code: u64) {
        self.offer(APP, code);
        self.pair(HOST, code);
        self.wait(5);
        self.type_digits().unwrap();
        self.wait(5);
    }

    // What can be seen.

    pub(crate) fn peers(&self, side: usize) -> Vec<PeerView> {
        self.sides[side].party.as_ref().expect("the side runs").peers(self.now(side)).collect()
    }

    pub(crate) fn peer(&self, side: usize) -> PeerView {
        let mut peers = self.peers(side);
        assert_eq!(peers.len(), 1, "{peers:?}");
        peers.remove(0)
    }

    pub(crate) fn pairing(&self) -> PairingId {
        self.peer(HOST).pairing
    }

    /// Both sides have the other confirmed, in memory and on disk, and are in the same session.
    pub(crate) fn assert_paired(&self) {
        let [host, app] = [HOST, APP].map(|side| {
            let peer = self.peer(side);
            assert!(matches!(peer.stage, StageView::Confirmed { .. }), "side {side}: {peer:?}");
            let stored = &self.sides[side].disk.store.0.peers;
            assert!(stored.len() == 1 && stored[&peer.pairing].is_confirmed(), "side {side}: not on disk");
            peer
        });
        assert_eq!(host.pairing, app.pairing);
        assert_eq!(host.digits, app.digits);
        let [at_host, at_app] = [&host, &app].map(|peer| peer.session.expect("there is a session").id);
        assert_eq!(at_host, at_app);
    }

    pub(crate) fn assert_nobody_paired(&self) {
        for side in 0..self.sides.len() {
            assert_eq!(self.peers(side), [], "side {side}");
            assert!(self.sides[side].disk.store.0.peers.is_empty(), "side {side}: on disk");
        }
    }

    /// Both sides answer pings.
    pub(crate) fn assert_talks(&mut self) {
        for side in [HOST, APP] {
            let pairing = self.peer(side).pairing;
            let id = self.with(side, |party, now, rng| party.ping(now, rng, pairing)).unwrap();
            self.wait(2);
            let answered = self.sides[side]
                .events
                .iter()
                .any(|event| matches!(event, Event::Pong { id: pong, .. } if *pong == id));
            assert!(answered, "side {side} was not answered");
        }
    }

    pub(crate) fn failures(&self, side: usize) -> Vec<waku_pairing::party::Failure> {
        let failed = |event: &Event| match event {
            Event::PairingFailed { failure, .. } => Some(*failure),
            _ => None,
        };
        self.sides[side].events.iter().filter_map(failed).collect()
    }
}
