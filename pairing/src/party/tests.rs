//! A party against a stranger who knows the code and says what it likes.

mod as_app;
mod as_manager;

use std::sync::LazyLock;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use waku_noise_session::manager::{self, Manager, PairRoot, Place, Stamps};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::ContentTopic;

use super::*;
use crate::code::Code;
use crate::hello::{self, AttemptId, Hello, Kind};
use crate::identity::Seed;
use crate::kdf::CodeKeys;
use crate::profile::link;
use crate::record::PeerRecord;
use crate::topic;

const START: u64 = 1_760_000_000;
const RELAXED: Terms = Terms { compare_digits: false, allow_clock_skew: false };

/// Stretching takes a third of a second, so it is done once for each code.
fn keys(code: usize) -> CodeKeys {
    static KEYS: LazyLock<[CodeKeys; 2]> =
        LazyLock::new(|| [0, 1].map(|code| CodeKeys::derive(&Code::from(code))));
    KEYS[code].clone()
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&Seed::from([seed; 32]))
}

/// The party that is tested, with all it said.
struct Tested {
    party: Party,
    rng: ChaCha8Rng,
    elapsed: Duration,
    said: Vec<(ContentTopic, Vec<u8>)>,
    events: Vec<Event>,
}

impl Tested {
    fn new(part: Part) -> Self {
        let config = Config::new(part, "tested".parse().unwrap());
        let mut tested = Self {
            party: Party::new(config, identity(1), Stored::default(), [1; 16], now(Duration::ZERO)),
            rng: ChaCha8Rng::seed_from_u64(7),
            elapsed: Duration::ZERO,
            said: Vec::new(),
            events: Vec::new(),
        };
        tested.drain();
        tested
    }

    fn app(terms: Terms) -> Self {
        let mut app = Self::new(Part::App);
        app.party.offer(app.now(), keys(0), terms).unwrap();
        app.drain();
        app
    }

    fn manager(terms: Terms) -> Self {
        let mut manager = Self::new(Part::NodeManager);
        manager.party.pair(manager.now(), &mut manager.rng, keys(0), terms).unwrap();
        manager.drain();
        manager
    }

    fn now(&self) -> Now {
        now(self.elapsed)
    }

    fn drain(&mut self) {
        while let Some(output) = self.party.poll_output() {
            match output {
                Output::Publish { topic, payload, .. } => self.said.push((topic, payload)),
                Output::Event(event) => self.events.push(event),
                _ => {}
            }
        }
    }

    fn hear(&mut self, topic: &ContentTopic, payload: &[u8]) {
        self.party.handle_message(self.now(), &mut self.rng, topic, payload);
        self.drain();
    }

    fn wait(&mut self, secs: u64) {
        self.elapsed += Duration::from_secs(secs);
        self.party.handle_timeout(self.now(), &mut self.rng);
        self.drain();
    }

    /// The HELLO messages said since the last time, opened with a code's keys.
    fn hellos(&mut self, keys: &CodeKeys) -> Vec<(Hello, Vec<u8>)> {
        let direction = match self.party.me.config.part {
            Part::App => &keys.node_manager,
            Part::NodeManager => &keys.app,
        };
        let said = self.said.extract_if(.., |(topic, _)| *topic == topic::pairing(&keys.topic));
        let opened = said.map(|(_, payload)| {
            let plaintext = hello::open(direction, &PayloadV2::decode(&payload).unwrap()).unwrap();
            (Hello::decode(&plaintext, &keys.topic).unwrap(), plaintext.to_vec())
        });
        opened.collect()
    }

    fn records(&self) -> Vec<&PeerRecord> {
        self.party.peers.values().map(|peer| &peer.record).collect()
    }

    fn failures(&self) -> Vec<Failure> {
        let failed = |event: &Event| match event {
            Event::PairingFailed { failure, .. } => Some(*failure),
            _ => None,
        };
        self.events.iter().filter_map(failed).collect()
    }

    fn rejected(&self) -> Vec<(Reason, bool)> {
        let reason = |failure| match failure {
            Failure::Rejected { reason, by_peer } => Some((reason, by_peer)),
            _ => None,
        };
        self.failures().into_iter().filter_map(reason).collect()
    }
}

fn now(elapsed: Duration) -> Now {
    let unix = Duration::from_secs(START) + elapsed;
    Now { instant: Instant::from_origin(elapsed), unix: UnixTime::from_epoch(unix) }
}

/// Somebody who knows the code.
struct Stranger {
    identity: Identity,
    attempt: AttemptId,
    keys: CodeKeys,
    time: u64,
    rng: ChaCha8Rng,
}

impl Stranger {
    fn new(seed: u8) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed.into());
        Self { identity: identity(seed), attempt: [seed; 16], keys: keys(0), time: START, rng }
    }

    fn hello(&self, kind: Kind) -> Vec<u8> {
        let hello = Hello {
            kind,
            time: self.time,
            attempt: self.attempt,
            identity: self.identity.key(),
            noise: self.identity.noise().public(),
            label: "stranger".parse().unwrap(),
        };
        hello.encode(&self.identity, &self.keys.topic)
    }

    /// Says a plaintext to the tested party, sealed as the code has it.
    fn say(&mut self, tested: &mut Tested, plaintext: &[u8]) {
        let direction = match tested.party.me.config.part {
            Part::App => &self.keys.app,
            Part::NodeManager => &self.keys.node_manager,
        };
        let payload = hello::seal(direction, &mut self.rng, plaintext);
        tested.hear(&topic::pairing(&self.keys.topic), &payload);
    }

    /// This end of the pairing that a HELLO to `tested` and its answer made.
    fn sessions(&self, tested: &Tested, transcript: &[u8; 32]) -> Sessions {
        let part = tested.party.me.config.part.other();
        let link =
            link(part, &self.identity, &tested.party.me.identity.noise().public(), transcript).unwrap();
        let root = link.root.clone();
        Sessions { manager: Manager::new(link, Stamps::default(), [2; 16]), root, heard: Vec::new() }
    }
}

/// The stranger's end of the sessions.
struct Sessions {
    manager: Manager,
    root: PairRoot,
    heard: Vec<Frame>,
}

impl Sessions {
    /// Carries messages to and fro until both are silent.
    fn exchange(&mut self, tested: &mut Tested) {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        loop {
            let theirs: Vec<_> = tested.said.drain(..).collect();
            for (_, payload) in &theirs {
                let payload = PayloadV2::decode(payload).unwrap();
                self.manager.handle_payload(tested.now(), &mut rng, &payload);
            }
            self.manager.handle_timeout(tested.now(), &mut rng);
            let mut silent = theirs.is_empty();
            while let Some(output) = self.manager.poll_output() {
                match output {
                    manager::Output::Transmit { place, payload } => {
                        silent = false;
                        let topic = match place {
                            Place::Rendezvous => topic::rendezvous(&self.root, tested.now().unix.day()),
                            Place::Session(session) => topic::session(session),
                        };
                        tested.hear(&topic, &payload);
                    }
                    manager::Output::Event(manager::Event::Received { plaintext, .. }) => {
                        self.heard.extend(Frame::decode_all(&plaintext));
                    }
                    _ => {}
                }
            }
            if silent {
                return;
            }
        }
    }

    fn say(&mut self, tested: &mut Tested, frame: Frame) {
        self.manager.send(tested.now(), &frame.encode(), false).unwrap();
        self.exchange(tested);
    }
}
