//! What a paired peer may say inside its session.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::{self, Link, Manager, PairRoot, Profile, Stamps};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::identity::Identity;
use waku_pairing::party::{Config, Output, Part, Party};
use waku_pairing::record::{Confirmation, PeerRecord, Stage, TakenLetters};
use waku_pairing::store::Stored;
use waku_proto::ContentTopic;

use super::script::Script;

/// The labels of the protocol's sessions.
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
const TRANSCRIPT: [u8; 32] = [7; 32];
/// The most that one message may have done.
const MAX_OUTPUTS: usize = 128;
/// `Envelope { frames: [Ping { id: 7 }] }`, and the same with a `Pong`.
const PING: [u8; 6] = [0x0a, 0x04, 0x3a, 0x02, 0x08, 0x07];
const PONG: [u8; 6] = [0x0a, 0x04, 0x42, 0x02, 0x08, 0x07];

/// A message has bounded effects, and as long as the pairing and the session stand a ping is answered.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let Some(part) = script.byte() else { return };
    let mut world = World::new(if part & 1 == 0 { Part::NodeManager } else { Part::App });
    world.connect();
    while let Some(said) = script.bytes() {
        if world.peer.send(now(), said, false).is_err() {
            return;
        }
        world.exchange();
    }
    let session = world.party.peers(now()).next().and_then(|peer| peer.session).map(|session| session.id);
    if session.is_some() && world.peer.session() == session && world.peer.send(now(), &PING, true).is_ok() {
        world.received.clear();
        world.exchange();
        assert!(world.received.iter().any(|plaintext| plaintext[..] == PONG), "a ping was not answered");
    }
}

fn now() -> Now {
    Now { instant: Instant::from_origin(Duration::ZERO), unix: UnixTime::from_secs(START) }
}

struct World {
    party: Party,
    /// The sessions of the peer, without anything above them.
    peer: Manager,
    topics: Vec<ContentTopic>,
    rng: ChaCha8Rng,
    /// What the party published, and what the peer received.
    said: Vec<Vec<u8>>,
    received: Vec<Vec<u8>>,
}

impl World {
    fn new(part: Part) -> Self {
        let identity = |secret: u8| {
            Identity::from_secrets(&[secret; 32], &[secret; 32]).expect("the secrets are in range")
        };
        let (ours, theirs) = (KeyPair::from_secret(&[1; 32]), KeyPair::from_secret(&[2; 32]));
        let record = PeerRecord {
            identity: identity(2).key(),
            noise: theirs.public(),
            label: "laptop".parse().expect("the label is plain text"),
            alias: None,
            transcript: TRANSCRIPT,
            sas: None,
            created: START,
            last_heard: None,
            stamps: Stamps::default(),
            code: None,
            letters: TakenLetters::default(),
            stage: Stage::Confirmed(Confirmation {
                compared: true,
                at: START,
                acknowledged: part == Part::NodeManager,
            }),
        };
        let stored = Stored { peers: [(record.id(), record)].into(), ..Stored::default() };
        let config = Config::new(part, "beacon-01".parse().expect("the label is plain text"));
        let [local_part, remote_part] = if part == Part::App { [1, 2] } else { [2, 1] };
        let root =
            PairRoot::new(&theirs, &ours.public(), &TRANSCRIPT).expect("honest keys are not of low order");
        let remote = ours.public();
        let link = Link { profile: &PROFILE, root, local: theirs, remote, local_part, remote_part };
        Self {
            party: Party::new(config, identity(1), stored, [1; 16], now()),
            peer: Manager::new(link, Stamps::default(), [2; 16]),
            topics: Vec::new(),
            rng: ChaCha8Rng::seed_from_u64(1),
            said: Vec::new(),
            received: Vec::new(),
        }
    }

    fn connect(&mut self) {
        self.party.handle_timeout(now(), &mut self.rng);
        self.drain_party();
        self.exchange();
        assert!(self.peer.session().is_some(), "no session on a good network");
    }

    /// Lets both hear each other until neither says anything more.
    fn exchange(&mut self) {
        loop {
            for payload in std::mem::take(&mut self.said) {
                let payload = PayloadV2::decode(&payload).expect("what is published can be read");
                self.peer.handle_payload(now(), &mut self.rng, &payload);
            }
            let answers = self.drain_peer();
            if answers.is_empty() {
                return;
            }
            for payload in answers {
                // Any topic of the pairing will do, but for those of letters; its messages are told apart by nametags.
                let is_of_sessions = |topic: &&ContentTopic| !topic.as_str().contains("/l-");
                let Some(topic) = self.topics.iter().find(is_of_sessions).cloned() else { return };
                self.party.handle_message(now(), &mut self.rng, &topic, &payload);
                self.drain_party();
            }
        }
    }

    fn drain_party(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.party.poll_output() {
            outputs += 1;
            assert!(outputs <= MAX_OUTPUTS, "one message did more than {MAX_OUTPUTS} things");
            match output {
                Output::Subscribe(topic) => self.topics.push(topic),
                Output::Unsubscribe(topic) => self.topics.retain(|known| *known != topic),
                Output::Publish { payload, .. } => self.said.push(payload),
                Output::Save(_) | Output::Event(_) | Output::Incoming(_) | Output::Letter(_) => {}
            }
        }
    }

    fn drain_peer(&mut self) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        while let Some(output) = self.peer.poll_output() {
            match output {
                manager::Output::Transmit { payload, .. } => said.push(payload),
                manager::Output::Event(manager::Event::Received { plaintext, .. }) => {
                    self.received.push(plaintext.to_vec());
                }
                _ => {}
            }
        }
        said
    }
}
