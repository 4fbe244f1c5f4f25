//! The engine against two others, byte for byte, with padding off and no extra associated data: `snow` where it can
//! speak the pattern, `noise-protocol` for WakuPairing, which snow cannot express.

use noise_protocol::patterns::{HandshakePattern, Token as OracleToken};
use noise_protocol::{HandshakeState as OracleState, U8Array};
use noise_rust_crypto::{ChaCha20Poly1305, Sha256, X25519, sensitive::Sensitive};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use waku_noise_session::handshake_state::{HandshakeKey, HandshakeMessage, HandshakeState, Setup};
use waku_noise_session::key::{KeyPair, Psk, PublicKey};
use waku_noise_session::pattern::{Pattern, Role, Token};

/// Patterns outside 35 that show the tables are general.
const KK: Pattern = Pattern {
    name: "KK",
    initiator_pre_message: &[Token::S],
    responder_pre_message: &[Token::S],
    messages: &[&[Token::E, Token::Es, Token::Ss], &[Token::E, Token::Ee, Token::Se]],
};
const IK: Pattern = Pattern {
    name: "IK",
    initiator_pre_message: &[],
    responder_pre_message: &[Token::S],
    messages: &[&[Token::E, Token::Es, Token::S, Token::Ss], &[Token::E, Token::Ee, Token::Se]],
};

/// The keys and words of one run, drawn from a seed.
struct Script {
    statics: [[u8; 32]; 2],
    ephemerals: [[u8; 32]; 2],
    psk: [u8; 32],
    prologue: Vec<u8>,
    payloads: Vec<Vec<u8>>,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut key = || {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            key
        };
        let (statics, ephemerals, psk) = ([key(), key()], [key(), key()], key());
        let mut words = |longest: u32| {
            let mut bytes = vec![0; usize::try_from(rng.next_u32() % (longest + 1)).unwrap()];
            rng.fill_bytes(&mut bytes);
            bytes
        };
        Self { statics, ephemerals, psk, prologue: words(64), payloads: (0..3).map(|_| words(600)).collect() }
    }

    fn public(&self, party: usize) -> PublicKey {
        KeyPair::from_secret(&self.statics[party]).public()
    }

    fn party(&self, pattern: &'static Pattern, role: Role) -> HandshakeState {
        let (ours, theirs) = if role == Role::Initiator { (0, 1) } else { (1, 0) };
        let mut setup = Setup::new(pattern, role, &self.prologue);
        setup.local_static = Some(KeyPair::from_secret(&self.statics[ours]));
        setup.local_ephemeral = Some(KeyPair::from_secret(&self.ephemerals[ours]));
        setup.remote_static = Some(self.public(theirs));
        setup.remote_ephemeral = Some(KeyPair::from_secret(&self.ephemerals[theirs]).public());
        setup.psk = Some(Psk::from(self.psk));
        HandshakeState::new(setup).unwrap()
    }
}

fn flatten(message: &HandshakeMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    for key in &message.keys {
        match key {
            HandshakeKey::Clear(public) => bytes.extend_from_slice(public.as_bytes()),
            HandshakeKey::Encrypted(sealed) => bytes.extend_from_slice(sealed),
        }
    }
    bytes.extend_from_slice(&message.payload);
    bytes
}

/// Splits another engine's message into keys and payload, by the lengths of our own.
fn like(message: &HandshakeMessage, bytes: &[u8]) -> HandshakeMessage {
    let mut rest = bytes;
    let keys = message.keys.iter().map(|key| match key {
        HandshakeKey::Clear(_) => {
            let (key, after) = rest.split_first_chunk::<32>().unwrap();
            rest = after;
            HandshakeKey::Clear(PublicKey::from(*key))
        }
        HandshakeKey::Encrypted(_) => {
            let (key, after) = rest.split_first_chunk::<48>().unwrap();
            rest = after;
            HandshakeKey::Encrypted(*key)
        }
    });
    let keys = keys.collect();
    HandshakeMessage { keys, payload: rest.to_vec() }
}

/// Another engine's party.
trait Oracle {
    fn write(&mut self, payload: &[u8]) -> Vec<u8>;
    fn read(&mut self, message: &[u8]) -> Vec<u8>;
    fn hash(&self) -> Vec<u8>;
}

/// Our two parties and the oracle's two, all four with the same keys, speak the same bytes and understand each other.
fn agrees(script: &Script, pattern: &'static Pattern, mut oracles: [impl Oracle; 2]) {
    let mut ours = [script.party(pattern, Role::Initiator), script.party(pattern, Role::Responder)];
    for turn in 0..pattern.messages.len() {
        let payload = &script.payloads[turn];
        let (writer, reader) = (turn % 2, 1 - turn % 2);
        let message = ours[writer].write_message(&mut ChaCha20Rng::seed_from_u64(0), payload, &[]).unwrap();
        let theirs = oracles[writer].write(payload);
        assert_eq!(flatten(&message), theirs, "{} message {turn}", pattern.name);
        let received = like(&message, &theirs);
        let read = ours[reader].read_message(&received.keys, &received.payload, &[]).unwrap();
        assert_eq!(*read, *payload);
        assert_eq!(oracles[reader].read(&flatten(&message)), *payload);
    }
    for (party, oracle) in ours.iter().zip(&oracles) {
        assert!(party.is_finished());
        assert_eq!(party.handshake_hash().as_slice(), oracle.hash());
    }
}

impl Oracle for snow::HandshakeState {
    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let len = self.write_message(payload, &mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let len = self.read_message(message, &mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn hash(&self) -> Vec<u8> {
        self.get_handshake_hash().to_vec()
    }
}

fn equals_snow(pattern: &'static Pattern) {
    for seed in 0..20 {
        let script = Script::new(seed);
        let parties = [(0, 1), (1, 0)].map(|(us, them)| {
            let name = pattern.protocol_name().parse().unwrap();
            let mut builder = snow::Builder::new(name)
                .prologue(&script.prologue)
                .unwrap()
                .fixed_ephemeral_key_for_testing_only(&script.ephemerals[us]);
            let knows_remote =
                if us == 0 { pattern.responder_pre_message } else { pattern.initiator_pre_message };
            let public = script.public(them);
            if !knows_remote.is_empty() {
                builder = builder.remote_public_key(public.as_bytes()).unwrap();
            }
            if pattern.name.contains("psk") {
                builder = builder.psk(0, &script.psk).unwrap();
            }
            builder = builder.local_private_key(&script.statics[us]).unwrap();
            if us == 0 { builder.build_initiator() } else { builder.build_responder() }.unwrap()
        });
        agrees(&script, pattern, parties);
    }
}

#[test]
fn k1k1_equals_snow() {
    equals_snow(&Pattern::K1K1);
}

#[test]
fn xk1_equals_snow() {
    equals_snow(&Pattern::XK1);
}

#[test]
fn xx_equals_snow() {
    equals_snow(&Pattern::XX);
}

#[test]
fn xxpsk0_equals_snow() {
    equals_snow(&Pattern::XXPSK0);
}

#[test]
fn tables_outside_35_equal_snow() {
    equals_snow(&KK);
    equals_snow(&IK);
}

type NoiseProtocol = OracleState<X25519, ChaCha20Poly1305, Sha256>;

impl Oracle for NoiseProtocol {
    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        self.write_message_vec(payload).unwrap()
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        self.read_message_vec(message).unwrap()
    }

    fn hash(&self) -> Vec<u8> {
        self.get_hash().to_vec()
    }
}

#[test]
fn waku_pairing_equals_noise_protocol() {
    use OracleToken::{E, EE, ES, S, SE, SS};
    for seed in 0..20 {
        let script = Script::new(seed);
        let parties = [0, 1].map(|us| {
            let pattern =
                HandshakePattern::new(&[], &[E], &[&[E, EE], &[S, ES], &[S, SE, SS]], "WakuPairing");
            let secret = |bytes: &[u8; 32]| Sensitive::from_slice(bytes);
            let remote = KeyPair::from_secret(&script.ephemerals[1]).public();
            NoiseProtocol::new(
                pattern,
                us == 0,
                &script.prologue,
                Some(secret(&script.statics[us])),
                Some(secret(&script.ephemerals[us])),
                None,
                (us == 0).then_some(*remote.as_bytes()),
            )
        });
        agrees(&script, &Pattern::WAKU_PAIRING, parties);
    }
}
