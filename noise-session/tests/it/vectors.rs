//! Byte-exactness against `vectors/waku-noise.json` (js-noise with fixed ephemerals and an independent reference agree
//! on it) and against the generic Noise vector of cacophony for K1K1.

use crate::support::FixedRng;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use std::collections::BTreeMap;
use waku_noise_session::handshake::Handshake;
use waku_noise_session::handshake_state::{HandshakeKey, HandshakeState, Setup};
use waku_noise_session::key::{KeyPair, Psk, PublicKey};
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use waku_noise_session::session::{Content, Session};
use waku_noise_session::time::Instant;

#[derive(Deserialize)]
pub(crate) struct Vectors {
    keys: BTreeMap<String, KeyVector>,
    psk: Hex,
    patterns: BTreeMap<String, PatternVector>,
}

#[derive(Deserialize)]
struct KeyVector {
    r#priv: Hex,
    r#pub: Hex,
}

#[derive(Deserialize)]
struct PatternVector {
    protocol_id: u8,
    prologue: Hex,
    h_after_premessages: Hex,
    messages: Vec<MessageVector>,
    h: Hex,
    i2r_nametags_0_1_49_50: [Hex; 4],
    transport: Vec<TransportVector>,
}

#[derive(Deserialize)]
struct MessageVector {
    nametag: Hex,
    payload: Hex,
    wire: Hex,
    h: Hex,
    next_nametag: Hex,
}

#[derive(Deserialize)]
struct TransportVector {
    dir: String,
    n: u64,
    pt: Hex,
    wire: Hex,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        HEXLOWER.decode(text.as_bytes()).map(Self)
    }
}

impl Hex {
    pub(crate) fn array<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().unwrap()
    }
}

pub(crate) fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../vectors/waku-noise.json")).unwrap()
}

impl Vectors {
    fn key(&self, name: &str) -> KeyPair {
        KeyPair::from_secret(&self.keys[name].r#priv.array())
    }

    /// `h` at the end of a pattern's handshake.
    pub(crate) fn handshake_hash(&self, name: &str) -> &[u8] {
        &self.patterns[name].h.0
    }

    /// Both sides of a pattern as the vectors set them up, initiator first.
    fn parties(&self, name: &str) -> [Handshake; 2] {
        let vector = &self.patterns[name];
        let pattern = ProtocolId::try_from(vector.protocol_id).unwrap().pattern().unwrap();
        assert_eq!(pattern.name, name);
        [Role::Initiator, Role::Responder].map(|role| {
            let mut setup = Setup::new(pattern, role, &vector.prologue.0);
            let (ours, theirs) = if role == Role::Initiator { ("A", "B") } else { ("B", "A") };
            let public = |key: String| Some(self.key(&key).public());
            setup.local_static = Some(self.key(&format!("{ours}_s")));
            setup.local_ephemeral = Some(self.key(&format!("{ours}_e")));
            match (name, role) {
                ("K1K1", _) | ("XK1", Role::Initiator) => setup.remote_static = public(format!("{theirs}_s")),
                ("WakuPairing", Role::Initiator) => setup.remote_ephemeral = public("B_e".into()),
                ("XXpsk0", _) => setup.psk = Some(Psk::from(self.psk.array())),
                _ => {}
            }
            Handshake::new(setup).unwrap()
        })
    }

    /// Runs a pattern's handshake, checking every byte, and returns both sides' sessions.
    pub(crate) fn run(&self, name: &str) -> [Session; 2] {
        let vector = &self.patterns[name];
        let mut parties = self.parties(name);
        for party in &parties {
            assert_eq!(
                party.state().handshake_hash(),
                &vector.h_after_premessages.array(),
                "{name} pre-messages"
            );
        }
        for (turn, message) in vector.messages.iter().enumerate() {
            let [writer, reader] = {
                let [initiator, responder] = &mut parties;
                if turn % 2 == 0 { [initiator, responder] } else { [responder, initiator] }
            };
            let nametag = MessageNametag::from(message.nametag.array());
            let wire = writer.write(&mut FixedRng::unused(), nametag, &message.payload.0).unwrap();
            assert_eq!(HEXLOWER.encode(&wire), HEXLOWER.encode(&message.wire.0), "{name} message {turn}");

            let decoded = PayloadV2::decode(&wire).unwrap();
            assert_eq!(decoded.encode().unwrap(), wire);
            assert_eq!(reader.read(&decoded).unwrap().as_slice(), message.payload.0, "{name} message {turn}");
            for side in [&writer, &reader] {
                assert_eq!(side.state().handshake_hash(), &message.h.array(), "{name} message {turn}");
                assert_eq!(
                    side.next_nametag().as_bytes(),
                    &message.next_nametag.array(),
                    "{name} message {turn}"
                );
            }
        }
        parties.map(|party| {
            let result = party.finish().unwrap();
            assert_eq!(result.handshake_hash(), &vector.h.array());
            Session::new(result, false)
        })
    }
}

fn handshake_and_transport_equal_js_noise(name: &str) {
    let vectors = vectors();
    let vector = &vectors.patterns[name];
    let [mut initiator, mut responder] = vectors.run(name);
    assert!(!vector.transport.is_empty());
    for transport in &vector.transport {
        let (sender, receiver) = match transport.dir.as_str() {
            "i2r" => (&mut initiator, &mut responder),
            _ => (&mut responder, &mut initiator),
        };
        let sealed = sender.seal(&transport.pt.0).unwrap();
        assert_eq!(sealed.index, transport.n);
        assert_eq!(
            HEXLOWER.encode(&sealed.payload),
            HEXLOWER.encode(&transport.wire.0),
            "{name} {}",
            transport.dir
        );
        let opened = receiver.open(Instant::default(), &PayloadV2::decode(&sealed.payload).unwrap()).unwrap();
        assert_eq!(opened.index, transport.n);
        assert_eq!(opened.content, Content::Data(transport.pt.0.clone().into()));
    }
    let mut sender = vectors.run(name).into_iter().next().unwrap();
    let nametags: Vec<_> = (0..51).map(|_| sender.seal(b"").unwrap().payload[..16].to_vec()).collect();
    for (index, expected) in [0, 1, 49, 50].into_iter().zip(&vector.i2r_nametags_0_1_49_50) {
        assert_eq!(nametags[index], expected.0, "{name} nametag {index}");
    }
}

#[test]
fn k1k1_equals_js_noise() {
    handshake_and_transport_equal_js_noise("K1K1");
}

#[test]
fn xk1_equals_js_noise() {
    handshake_and_transport_equal_js_noise("XK1");
}

#[test]
fn xx_equals_js_noise() {
    handshake_and_transport_equal_js_noise("XX");
}

#[test]
fn xxpsk0_equals_js_noise() {
    handshake_and_transport_equal_js_noise("XXpsk0");
}

#[test]
fn waku_pairing_equals_js_noise() {
    handshake_and_transport_equal_js_noise("WakuPairing");
}

#[test]
fn public_keys_are_those_of_the_vectors() {
    let vectors = vectors();
    for (name, key) in &vectors.keys {
        assert_eq!(vectors.key(name).public().as_bytes(), &key.r#pub.array(), "{name}");
    }
}

/// cacophony's vector for `Noise_K1K1_25519_ChaChaPoly_SHA256`: no padding, no extra associated data.
#[test]
fn k1k1_equals_cacophony() {
    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEXLOWER.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }
    let statics = [
        KeyPair::from_secret(&hex("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1")),
        KeyPair::from_secret(&hex("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893")),
    ];
    let ephemerals: [[u8; 32]; 2] = [
        hex("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"),
        hex("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"),
    ];
    let mut parties = [(Role::Initiator, 0, 1), (Role::Responder, 1, 0)].map(|(role, ours, theirs)| {
        let mut setup = Setup::new(&Pattern::K1K1, role, b"John Galt");
        setup.local_static = Some(statics[ours].clone());
        setup.remote_static = Some(statics[theirs].public());
        HandshakeState::new(setup).unwrap()
    });
    let messages = [
        (
            "Ludwig von Mises",
            "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573",
        ),
        (
            "Murray Rothbard",
            "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088435f008044c96e02deeeda04e1123996efae34ce309c42751300ea7bc614a26a",
        ),
        ("F. A. Hayek", "50a588bbac71d878a55cc96a569e3253cac426b448d967ac5c3405"),
    ];
    for (turn, (payload, ciphertext)) in messages.into_iter().enumerate() {
        let mut rng = FixedRng::new(&ephemerals[turn % 2]);
        let [writer, reader] = {
            let [initiator, responder] = &mut parties;
            if turn % 2 == 0 { [initiator, responder] } else { [responder, initiator] }
        };
        let message = writer.write_message(&mut rng, payload.as_bytes(), &[]).unwrap();
        let mut bytes = Vec::new();
        for key in &message.keys {
            let HandshakeKey::Clear(public) = key else { panic!("K1K1 sends no static key") };
            bytes.extend_from_slice(public.as_bytes());
        }
        bytes.extend_from_slice(&message.payload);
        assert_eq!(HEXLOWER.encode(&bytes), ciphertext, "message {turn}");
        assert_eq!(
            reader.read_message(&message.keys, &message.payload, &[]).unwrap().as_slice(),
            payload.as_bytes()
        );
    }
    for party in &parties {
        assert_eq!(
            HEXLOWER.encode(party.handshake_hash()),
            "7e05d09202e16920ffba59ae9a7d67bfb234473b22cc66109479849834611730"
        );
    }
}

/// The framing of a real pairing between nwaku and js-noise on the Waku network (2024-02-15).
#[test]
fn parses_the_fields_of_a_recorded_pairing() {
    fn recorded(nametag: &str, protocol_id: u8, key: &[u8], flag: u8, transport: usize) -> Vec<u8> {
        let mut bytes = HEXLOWER.decode(nametag.as_bytes()).unwrap();
        bytes.extend([protocol_id, u8::try_from(1 + key.len()).unwrap(), flag]);
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(&u64::try_from(transport).unwrap().to_le_bytes());
        bytes.extend(std::iter::repeat_n(0x5a, transport));
        bytes
    }
    let key: [u8; 32] = HEXLOWER
        .decode(b"a721b0193e920ba4416989f4070bcbc94ad9dc4a4bfb33b3ac6b091951bd3718")
        .unwrap()
        .try_into()
        .unwrap();
    let first = recorded("a3893dd090bfb615405b297c9d8e38c9", 14, &key, 0, 264);
    assert_eq!(first.len(), 323);
    let payload = PayloadV2::decode(&first).unwrap();
    assert_eq!(payload.protocol_id, ProtocolId::WakuPairing);
    assert_eq!(payload.handshake_keys, [HandshakeKey::Clear(PublicKey::from(key))]);
    assert_eq!(payload.transport_message.len(), 264);

    let third = recorded("39d6db6700b30a016b851faa593acd9f", 14, &[7; 48], 1, 264);
    assert_eq!(third.len(), 339);
    assert_eq!(PayloadV2::decode(&third).unwrap().handshake_keys, [HandshakeKey::Encrypted([7; 48])]);
}
