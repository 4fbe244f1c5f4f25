//! Two managers on a network that does as it is told.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::{
    Event, Link, Manager, Output, PairRoot, Place, Profile, SendError, Stamps,
};
use waku_noise_session::pattern::Role;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::SessionId;
use waku_noise_session::time::{Instant, Now, UnixTime};

pub(crate) static PROFILE: Profile = Profile {
    prologue: b"test/session/1",
    prologue_label: b"test prologue",
    initiation_label: b"test initiation",
    initiation_tag_label: b"test initiation tag",
    refusal_label: b"test refusal",
    refusal_tag_label: b"test refusal tag",
    letter_label: b"test letter",
    letter_tag_label: b"test letter tag",
};

pub(crate) const START: Duration = Duration::from_secs(1_760_000_000);

pub(crate) fn at(elapsed: Duration) -> Now {
    Now { instant: Instant::from_origin(elapsed), unix: UnixTime::from_epoch(START + elapsed) }
}

/// Both ends of one pairing. Party 0 has the lower public key, hence priority.
pub(crate) fn links() -> [Link; 2] {
    let mut keys = [KeyPair::from_secret(&[0x11; 32]), KeyPair::from_secret(&[0x22; 32])];
    keys.sort_by_key(KeyPair::public);
    let link = |us: usize, them: usize| Link {
        profile: &PROFILE,
        root: PairRoot::new(&keys[us], &keys[them].public(), &[7; 32]).unwrap(),
        local: keys[us].clone(),
        remote: keys[them].public(),
        local_part: u8::try_from(us).unwrap(),
        remote_part: u8::try_from(them).unwrap(),
    };
    [link(0, 1), link(1, 0)]
}

/// One side with what it has said, heard and saved.
pub(crate) struct Side {
    pub(crate) manager: Manager,
    pub(crate) said: VecDeque<Vec<u8>>,
    pub(crate) events: Vec<Event>,
    pub(crate) saved: Stamps,
    pub(crate) listening: HashSet<SessionId>,
}

impl Side {
    pub(crate) fn new(link: Link, saved: Stamps, boot: u8) -> Self {
        Self {
            manager: Manager::new(link, saved, [boot; 16]),
            said: VecDeque::new(),
            events: Vec::new(),
            saved,
            listening: HashSet::new(),
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.manager.poll_output() {
            match output {
                Output::Save(stamps) => self.saved = stamps,
                Output::Transmit { payload, place } => {
                    if let Place::Session(session) = place {
                        assert!(
                            self.listening.contains(&session),
                            "speaks on a session it does not listen to"
                        );
                    }
                    self.said.push_back(payload);
                }
                Output::Listen(session) => assert!(self.listening.insert(session)),
                Output::Forget(session) => assert!(self.listening.remove(&session)),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    pub(crate) fn hear(&mut self, now: Now, rng: &mut ChaCha20Rng, payload: &[u8]) {
        self.manager.handle_payload(now, rng, &PayloadV2::decode(payload).unwrap());
        self.drain();
    }

    pub(crate) fn established(&self) -> Option<(SessionId, Role)> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Established { session, role, .. } => Some((*session, *role)),
            _ => None,
        })
    }
}

pub(crate) struct World {
    pub(crate) sides: [Side; 2],
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now: Duration,
    pub(crate) boots: u8,
}

impl World {
    pub(crate) fn new() -> Self {
        let sides = links().map(|link| Side::new(link, Stamps::default(), 0));
        Self { sides, rng: ChaCha20Rng::seed_from_u64(5), now: Duration::ZERO, boots: 0 }
    }

    pub(crate) fn connected() -> Self {
        let mut world = Self::new();
        world.connect(0);
        world.exchange();
        world
    }

    pub(crate) fn now(&self) -> Now {
        at(self.now)
    }

    pub(crate) fn connect(&mut self, side: usize) {
        let now = self.now();
        self.sides[side].manager.connect(now);
        self.tick(side);
    }

    pub(crate) fn tick(&mut self, side: usize) {
        let now = self.now();
        self.sides[side].manager.handle_timeout(now, &mut self.rng);
        self.sides[side].drain();
    }

    pub(crate) fn wait(&mut self, duration: Duration) {
        self.now += duration;
        for side in 0..2 {
            while self.sides[side].manager.poll_timeout().is_some_and(|due| due <= self.now().instant) {
                self.tick(side);
            }
        }
    }

    /// Delivers one message of `from`; false when it has said nothing.
    pub(crate) fn deliver(&mut self, from: usize) -> bool {
        let Some(payload) = self.sides[from].said.pop_front() else { return false };
        let now = self.now();
        self.sides[1 - from].hear(now, &mut self.rng, &payload);
        true
    }

    /// Delivers everything until both are silent.
    pub(crate) fn exchange(&mut self) {
        while self.deliver(0) | self.deliver(1) {}
    }

    pub(crate) fn lose(&mut self, from: usize) -> Vec<Vec<u8>> {
        self.sides[from].said.drain(..).collect()
    }

    pub(crate) fn send(&mut self, from: usize, text: &[u8]) -> Result<u64, SendError> {
        let now = self.now();
        let sent = self.sides[from].manager.send(now, text, true);
        self.sides[from].drain();
        sent
    }

    pub(crate) fn received(&mut self, side: usize) -> Vec<Vec<u8>> {
        let events = std::mem::take(&mut self.sides[side].events);
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::Received { plaintext, .. } => Some(plaintext.to_vec()),
                _ => None,
            })
            .collect()
    }

    /// The repetitions that a side has told of since the last time.
    pub(crate) fn repeated(&mut self, side: usize) -> Vec<(SessionId, u64)> {
        let repetition = |event: &Event| match event {
            Event::Repeated { session, index } => Some((*session, *index)),
            _ => None,
        };
        let told = self.sides[side].events.iter().filter_map(repetition).collect();
        self.sides[side].events.retain(|event| repetition(event).is_none());
        told
    }

    pub(crate) fn assert_talks(&mut self) {
        for side in 0..2 {
            self.received(1 - side);
            self.send(side, b"hello").unwrap();
            self.exchange();
            assert_eq!(self.received(1 - side), [b"hello"], "from side {side}");
        }
    }

    /// A process takes a moment to start: long enough that calls of one after the other are not too many to be answered.
    pub(crate) fn restart(&mut self, side: usize) {
        self.now += Duration::from_secs(1);
        let link = links().into_iter().nth(side).unwrap();
        self.boots += 1;
        self.sides[side] = Side::new(link, self.sides[side].saved, self.boots);
    }

    pub(crate) fn assert_one_session(&self) -> SessionId {
        let sessions = [0, 1].map(|side| self.sides[side].manager.session());
        assert_eq!(sessions[0], sessions[1]);
        sessions[0].expect("there is a session")
    }

    pub(crate) fn hear_all(&mut self, side: usize, payloads: &[Vec<u8>]) {
        let now = self.now();
        for payload in payloads {
            self.sides[side].hear(now, &mut self.rng, payload);
        }
    }

    pub(crate) fn renew(&mut self, side: usize) {
        let now = self.now();
        self.sides[side].manager.renew(now);
        self.tick(side);
    }

    /// Waits until `side` calls, and returns how long that was; the call is lost.
    pub(crate) fn wait_for_call(&mut self, side: usize) -> Duration {
        let before = self.now;
        self.now = self.sides[side].manager.poll_timeout().unwrap().since_origin();
        self.tick(side);
        assert_eq!(self.lose(side).len(), 1);
        self.now.saturating_sub(before)
    }
}
