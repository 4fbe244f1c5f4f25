//! A host and an app that pair while an attacker knows the code: it hears everything, and says whatever it likes under
//! the code's keys.

use std::collections::{BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use k256::ecdsa::signature::hazmat::PrehashSigner as _;
use k256::ecdsa::{Signature, SigningKey};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use waku_noise_session::cipher_state::{chachapoly_open, chachapoly_seal};
use waku_noise_session::padding::{pad, unpad};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::code::Code;
use waku_pairing::identity::Identity;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Config, Event, Output, Part, Party, Terms};
use waku_pairing::record::{PeerRecord, Tombstone};
use waku_pairing::store::{Change, Stored};
use waku_proto::ContentTopic;

use super::script::Script;

const HOST: usize = 0;
const APP: usize = 1;

/// 2026-01-01.
const START: Duration = Duration::from_secs(1_767_225_600);
/// The most that one call may have done, and the longest payload.
const MAX_OUTPUTS: usize = 32;
const MAX_PAYLOAD: usize = 1024;

/// The code of the protocol's published vector, and the nametags and keys that the vector gives for it.
const CODE: u64 = 0x0123_4567_89ab_cdef;
const TOPIC: [u8; 32] = hex("80d9362c6106e8879e99b40011b2adae955cc917d00f648a0fd193ec80c9ea98");
/// Of what goes to the host, and of what goes to the app.
const TAGS: [[u8; 16]; 2] =
    [hex("0dfe077194bcbbb7c1c63f552ec52553"), hex("d8aa829a0c0cd55435b01ef30c535cee")];
const KEYS: [[u8; 32]; 2] = [
    hex("0730feaa260b6e0cf91d5b89351ba6c2693e210863591ab42cf3c1bf1cd5a4ab"),
    hex("c949b2ffa61253a9ad479bd07b3887ef9ea1cb41e2b6e7fa01f6afe67369b558"),
];

/// Stretching takes a third of a second.
static CODE_KEYS: LazyLock<CodeKeys> = LazyLock::new(|| CodeKeys::derive(&Code::from(CODE)));
static ATTACKER: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::from_slice(&[3; 32]).expect("it is below the curve's order"));

/// Whatever is said, nobody is paired without the digits, at most one pairing is kept, and what is kept can be read.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new();
    while let Some(step) = script.byte() {
        if world.step(step, &mut script).is_none() {
            break;
        }
    }
}

const fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits = text.as_bytes();
    let (mut bytes, mut at) = ([0; N], 0);
    while at < N {
        bytes[at] = 16 * value(digits[2 * at]) + value(digits[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn value(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}

struct Side {
    party: Party,
    subscribed: BTreeSet<ContentTopic>,
}

struct World {
    sides: [Side; 2],
    /// To whom, where, and what.
    flight: VecDeque<(usize, ContentTopic, Vec<u8>)>,
    /// The attempt and the digest of the latest honest HELLO to each side.
    heard: [([u8; 16], [u8; 32]); 2],
    now: Duration,
    rng: ChaCha8Rng,
}

impl World {
    fn new() -> Self {
        let starts = [(Part::NodeManager, "beacon-01", 0x01, 0x11), (Part::App, "laptop", 0x02, 0x22)];
        let now = Now { instant: Instant::default(), unix: UnixTime::from_epoch(START) };
        let sides = starts.map(|(part, label, signing, noise)| {
            let identity =
                Identity::from_secrets(&[signing; 32], &[noise; 32]).expect("the secrets are in range");
            let config = Config::new(part, label.parse().expect("the label is plain text"));
            let party = Party::new(config, identity, Stored::default(), [signing; 16], now);
            Side { party, subscribed: BTreeSet::new() }
        });
        let (flight, heard, rng) = (VecDeque::new(), [([0; 16], [0; 32]); 2], ChaCha8Rng::seed_from_u64(1));
        let mut world = Self { sides, flight, heard, now: Duration::ZERO, rng };
        let offered = world.sides[APP].party.offer(now, CODE_KEYS.clone(), Terms::default());
        offered.expect("the code is fresh");
        let paired = world.sides[HOST].party.pair(now, &mut world.rng, CODE_KEYS.clone(), Terms::default());
        paired.expect("nothing is under way");
        world.drain(APP);
        world.drain(HOST);
        world
    }

    fn now(&self) -> Now {
        Now { instant: Instant::from_origin(self.now), unix: UnixTime::from_epoch(START + self.now) }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) -> Option<()> {
        let to = usize::from(step >> 7);
        match step % 6 {
            0 => self.pass(Duration::from_millis(100 * u64::from(script.byte()?))),
            1 => {
                let (to, topic, payload) = self.flight.pop_front()?;
                self.hear(to, &topic, &payload);
            }
            2 => _ = self.flight.pop_front(),
            3 => {
                let which = usize::from(script.byte()?);
                let topic = self.sides[to].subscribed.iter().nth(which).cloned();
                let invented = script.bytes()?;
                self.hear(to, &topic?, invented);
            }
            4 => {
                let plaintext = script.bytes()?;
                self.say(to, plaintext);
            }
            _ => {
                let (how, fields) = (script.byte()?, script.bytes()?);
                let plaintext = self.signed(to, how, fields);
                self.say(to, &plaintext);
            }
        }
        Some(())
    }

    /// A HELLO that is signed as it should be; `how` says what else is right about it.
    fn signed(&self, to: usize, how: u8, fields: &[u8]) -> Vec<u8> {
        let mut plaintext = fields.to_vec();
        plaintext.resize(fields.len().clamp(158, 158 + 64), 0);
        plaintext[0] = 1;
        plaintext[2] = 2;
        plaintext[28..61].copy_from_slice(ATTACKER.verifying_key().to_sec1_point(true).as_bytes());
        plaintext[157] = u8::try_from(plaintext.len() - 158).expect("the label was cut to 64 bytes");
        if how & 1 == 0 {
            plaintext[4..12].copy_from_slice(&self.now().unix.as_secs().to_be_bytes());
        }
        if how & 2 == 0 {
            plaintext[125..157].copy_from_slice(&self.heard[1 - to].1);
        }
        if how & 8 == 0 {
            plaintext[12..28].copy_from_slice(&self.heard[1 - to].0);
        }
        if how & 4 == 0 {
            plaintext[61..93].copy_from_slice(&[0x33; 32]);
        }
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"snm-pairing/1 sig")
            .chain_update(TOPIC)
            .chain_update(&plaintext)
            .finalize()
            .into();
        let signature: Signature =
            ATTACKER.sign_prehash(&digest).expect("a digest of 32 bytes can be signed");
        plaintext.extend_from_slice(&signature.normalize_s().to_bytes());
        plaintext
    }

    /// Says something under the code's keys.
    fn say(&mut self, to: usize, plaintext: &[u8]) {
        let (nonce, tag) = ([0xee; 12], TAGS[to]);
        let sealed = chachapoly_seal(&KEYS[to], &nonce, &tag, &pad(plaintext));
        let payload = PayloadV2 {
            nametag: tag.into(),
            protocol_id: ProtocolId::ChaChaPoly,
            handshake_keys: Vec::new(),
            transport_message: &[&nonce[..], &sealed].concat(),
        };
        let payload = payload.encode().expect("there are no keys to be too many");
        let name = u128::from_be_bytes(*TOPIC.first_chunk().expect("a topic's name has 32 bytes"));
        let topic = format!("/status-node-manager/1/pair-{name:032x}/proto");
        self.hear(to, &topic.parse().expect("four parts, none of them empty"), &payload);
    }

    fn hear(&mut self, to: usize, topic: &ContentTopic, payload: &[u8]) {
        let now = self.now();
        self.sides[to].party.handle_message(now, &mut self.rng, topic, payload);
        self.drain(to);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in [HOST, APP] {
            let now = self.now();
            self.sides[side].party.handle_timeout(now, &mut self.rng);
            self.drain(side);
            let next = self.sides[side].party.poll_timeout();
            assert!(
                next.is_none_or(|next| next > now.instant),
                "what is due is done, or it would be done for ever"
            );
        }
    }

    fn drain(&mut self, side: usize) {
        let mut outputs = 0;
        while let Some(output) = self.sides[side].party.poll_output() {
            outputs += 1;
            assert!(outputs <= MAX_OUTPUTS, "one call did more than {MAX_OUTPUTS} things");
            match output {
                Output::Subscribe(topic) => assert!(self.sides[side].subscribed.insert(topic)),
                Output::Unsubscribe(topic) => assert!(self.sides[side].subscribed.remove(&topic)),
                Output::Save(changes) => changes.iter().for_each(can_be_read),
                Output::Publish { topic, payload, .. } => self.publish(1 - side, topic, payload),
                Output::Incoming(_) | Output::Letter(_) => {
                    panic!("an application was heard before the pairing stands")
                }
                Output::Event(event) => {
                    assert!(!matches!(event, Event::Confirmed { .. }), "paired without digits");
                }
            }
        }
        assert!(self.sides[side].party.peers(self.now()).count() <= 1, "more pairings than codes");
    }

    fn publish(&mut self, to: usize, topic: ContentTopic, payload: Vec<u8>) {
        assert!(payload.len() <= MAX_PAYLOAD, "{} bytes were published", payload.len());
        let published = PayloadV2::decode(&payload).expect("what is published can be read");
        if let Some((nonce, sealed)) = published.transport_message.split_first_chunk()
            && let Ok(padded) = chachapoly_open(&KEYS[to], nonce, &TAGS[to], sealed)
        {
            let plaintext = unpad(&padded).expect("an honest HELLO is padded");
            let attempt = plaintext[12..28].try_into().expect("an honest HELLO has 158 bytes or more");
            self.heard[to] = (attempt, Sha256::digest(plaintext).into());
        }
        self.flight.push_back((to, topic, payload));
    }
}

/// A store gets back what it was given.
fn can_be_read(change: &Change) {
    match change {
        Change::PutPeer(record) => assert_eq!(PeerRecord::decode(&record.encode()).as_ref(), Ok(&**record)),
        Change::PutTombstone(tombstone) => {
            assert_eq!(Tombstone::decode(&tombstone.encode()).as_ref(), Ok(&**tombstone));
        }
        Change::RemovePeer(_) | Change::RemoveTombstone(_) => {}
    }
}
