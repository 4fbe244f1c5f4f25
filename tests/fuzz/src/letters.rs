//! What lies on the topics of a peer's letters: from the peer, who may write anything, and from strangers.

use std::collections::BTreeSet;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_noise_session::handshake_state::HandshakeKey;
use waku_noise_session::key::KeyPair;
use waku_noise_session::letter::{open, seal};
use waku_noise_session::manager::{Link, PairRoot, Profile, Stamps};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::identity::Identity;
use waku_pairing::letter::{LIFETIME, LetterId, MAX_AHEAD, MAX_BODY};
use waku_pairing::party::{Config, Letter, Output, Part, Party};
use waku_pairing::record::{Confirmation, PeerRecord, Stage, TakenLetters};
use waku_pairing::store::{Change, Stored};

use super::script::Script;

/// The labels of the protocol's sessions and letters.
static PROFILE: Profile = Profile {
    prologue: b"status-node-manager/session/1",
    prologue_label: b"snm/1 prologue",
    initiation_label: b"snm/1 hs1",
    initiation_tag_label: b"snm/1 hs1-tag",
    refusal_label: b"snm/1 refusal",
    refusal_tag_label: b"snm/1 refusal-tag",
    letter_label: b"snm/1 letter",
    letter_tag_label: b"snm/1 letter-tag",
};

/// 2026-01-01.
const START: u64 = 1_767_225_600;
const DAY: u64 = 24 * 60 * 60;
const TRANSCRIPT: [u8; 32] = [7; 32];
const VERSION: u8 = 1;
/// Letters of a run: fewer than a process remembers to have handed on.
const MAX_LETTERS: usize = 200;

/// What is handed on was written by the peer within a week, comes once in a process, and not after it was acknowledged;
/// what strangers write is never handed on.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    while let Some(step) = script.byte() {
        if world.step(step, &mut script).is_none() {
            break;
        }
    }
}

struct World {
    party: Party,
    stored: Stored,
    /// The peer's end.
    link: Link,
    now: Duration,
    rng: ChaCha8Rng,
    /// Plaintexts by the peer, and its letters as they went out, with their day.
    written: BTreeSet<Vec<u8>>,
    posted: Vec<(u64, Vec<u8>)>,
    /// Handed on in this process, and acknowledged in any.
    handed_on: BTreeSet<LetterId>,
    acknowledged: BTreeSet<LetterId>,
}

impl World {
    fn new() -> Self {
        let identity = |secret: u8| {
            Identity::from_secrets(&[secret; 32], &[secret; 32]).expect("the secrets are in range")
        };
        let (ours, theirs) = (KeyPair::from_secret(&[1; 32]), KeyPair::from_secret(&[2; 32]));
        let record = PeerRecord {
            identity: identity(2).key(),
            noise: theirs.public(),
            label: "beacon-01".parse().expect("the label is plain text"),
            alias: None,
            transcript: TRANSCRIPT,
            sas: None,
            created: START,
            last_heard: None,
            stamps: Stamps::default(),
            code: None,
            letters: TakenLetters::default(),
            stage: Stage::Confirmed(Confirmation { compared: true, at: START, acknowledged: true }),
        };
        let stored = Stored { peers: [(record.id(), record)].into(), ..Stored::default() };
        let root =
            PairRoot::new(&theirs, &ours.public(), &TRANSCRIPT).expect("honest keys are not of low order");
        let remote = ours.public();
        let link = Link { profile: &PROFILE, root, local: theirs, remote, local_part: 1, remote_part: 2 };
        let mut world = Self {
            party: party(stored.clone(), Duration::ZERO),
            stored,
            link,
            now: Duration::ZERO,
            rng: ChaCha8Rng::seed_from_u64(1),
            written: BTreeSet::new(),
            posted: Vec::new(),
            handed_on: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
        };
        world.drain();
        world
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) -> Option<()> {
        match step % 8 {
            // The peer writes what it likes, in a form that is right or not.
            0 => {
                let plaintext = script.bytes()?.to_vec();
                self.write(script.byte()?, plaintext);
            }
            1 | 2 => {
                let (back, ahead, nonce) = (script.byte()?, script.byte()?, script.byte()?);
                let secs = START + self.now.as_secs() + 60 * u64::from(ahead) - 3600 * u64::from(back);
                let nanos = secs.saturating_mul(1_000_000_000).to_be_bytes();
                let len = if step % 8 == 1 { 3 } else { MAX_BODY - 1 + usize::from(nonce % 3) };
                let plaintext = [&[VERSION][..], &nanos, &[nonce; 16], &vec![nonce; len]].concat();
                self.write_on(secs / DAY, plaintext);
            }
            // Somebody says again what it wrote, bent or on another day's topic.
            3 => {
                let which = usize::from(script.byte()?);
                let (day, payload) = self.posted.get(which)?.clone();
                self.hear(day, &payload);
            }
            4 => {
                let (which, place, change) = (script.byte()?, script.byte()?, script.byte()?);
                let (day, mut payload) = self.posted.get(usize::from(which))?.clone();
                let place = usize::from(place) * payload.len() / 256;
                payload[place] ^= change;
                self.hear(day + u64::from(change == 0), &payload);
            }
            5 => {
                let invented = script.bytes()?;
                let day = self.today() - u64::from(step >> 7);
                self.hear(day, invented);
                let payload = PayloadV2 {
                    nametag: [step; 16].into(),
                    protocol_id: ProtocolId::ChaChaPoly,
                    handshake_keys: vec![HandshakeKey::Clear([step; 32].into())],
                    transport_message: invented,
                };
                assert!(open(&self.link, day, &payload).is_none(), "a stranger's letter was opened");
                self.hear(day, &payload.encode().expect("one key is not too many"));
            }
            6 => {
                let which = usize::from(script.byte()?);
                let id = *self.handed_on.iter().nth(which)?;
                let pairing = *self.stored.peers.keys().next()?;
                self.party.acknowledge(self.now(), pairing, id).expect("the peer is known");
                self.acknowledged.insert(id);
                self.drain();
            }
            _ => {
                self.now += Duration::from_secs(3600 * u64::from(script.byte()?));
                if step & 0x80 == 0 {
                    self.party.handle_timeout(self.now(), &mut self.rng);
                } else {
                    self.party = party(self.stored.clone(), self.now);
                    self.handed_on.clear();
                }
                self.drain();
            }
        }
        Some(())
    }

    fn now(&self) -> Now {
        now(self.now)
    }

    fn today(&self) -> u64 {
        self.now().unix.day()
    }

    fn write(&mut self, back: u8, plaintext: Vec<u8>) {
        self.write_on(self.today() - u64::from(back % 16), plaintext);
    }

    fn write_on(&mut self, day: u64, plaintext: Vec<u8>) {
        if self.posted.len() == MAX_LETTERS {
            return;
        }
        let Ok(payload) = seal(&self.link, &mut self.rng, day, &plaintext) else { return };
        self.written.insert(plaintext);
        self.posted.push((day, payload.clone()));
        self.hear(day, &payload);
    }

    /// A message on the topic of the peer's letters of a day, if the party knows one.
    fn hear(&mut self, day: u64, payload: &[u8]) {
        let topics = self.party.letter_topics(self.now(), UnixTime::default());
        let Some(which) = (day + 7).checked_sub(self.today()).and_then(|which| usize::try_from(which).ok())
        else {
            return;
        };
        let Some((_, topic)) = topics.get(which) else { return };
        let now = self.now();
        self.party.handle_message(now, &mut self.rng, topic, payload);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.party.poll_output() {
            match output {
                Output::Letter(letter) => self.check(&letter),
                Output::Save(changes) => {
                    for change in &changes {
                        if let Change::PutPeer(record) = change {
                            assert_eq!(PeerRecord::decode(&record.encode()).as_ref(), Ok(&**record));
                        }
                    }
                    self.stored.apply(&changes);
                }
                _ => {}
            }
        }
    }

    fn check(&mut self, letter: &Letter) {
        let plaintext = [&[VERSION][..], &letter.id.to_bytes(), &letter.body].concat();
        assert!(self.written.contains(&plaintext), "handed on what the peer did not write");
        assert!(letter.body.len() <= MAX_BODY);
        let (now, sent_at) = (self.now().unix, letter.id.sent_at());
        assert!(
            now <= sent_at + LIFETIME && sent_at <= now + MAX_AHEAD,
            "handed on what is not of this week"
        );
        assert!(self.handed_on.insert(letter.id), "handed on twice");
        assert!(!self.acknowledged.contains(&letter.id), "handed on after it was acknowledged");
    }
}

fn now(elapsed: Duration) -> Now {
    Now {
        instant: Instant::from_origin(elapsed),
        unix: UnixTime::from_epoch(Duration::from_secs(START) + elapsed),
    }
}

fn party(stored: Stored, elapsed: Duration) -> Party {
    let identity = Identity::from_secrets(&[1; 32], &[1; 32]).expect("the secrets are in range");
    let config = Config::new(Part::App, "laptop".parse().expect("the label is plain text"));
    Party::new(config, identity, stored, [1; 16], now(elapsed))
}
