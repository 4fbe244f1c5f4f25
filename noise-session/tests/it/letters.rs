//! Letters: who can open which, and what plain primitives make of the layout that the module documents.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use hkdf::Hkdf;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::Sha256;
use waku_noise_session::key::{KeyPair, LowOrderKey, PublicKey};
use waku_noise_session::letter::{MAX_PLAINTEXT, SealError, open, seal};
use waku_noise_session::manager::{Link, PairRoot};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use x25519_dalek::StaticSecret;

use crate::world::links;

const DAY: u64 = 20_370;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(3)
}

fn read(link: &Link, day: u64, bytes: &[u8]) -> Option<Vec<u8>> {
    open(link, day, &PayloadV2::decode(bytes).ok()?).map(|plaintext| plaintext.to_vec())
}

/// A letter as the documentation has it, from the primitives alone.
struct ByHand {
    root: [u8; 32],
    part: u8,
    writer: [u8; 32],
    reader: [u8; 32],
}

impl ByHand {
    /// The letters of the first link to the second, whose static secrets are known.
    fn new(link: &Link) -> Self {
        Self {
            root: *link.root.as_bytes(),
            part: link.local_part,
            writer: *link.local.public().as_bytes(),
            reader: *link.remote.as_bytes(),
        }
    }

    fn expand<const N: usize>(&self, info: &[&[u8]]) -> [u8; N] {
        let mut bytes = [0; N];
        Hkdf::<Sha256>::from_prk(&self.root).unwrap().expand(&info.concat(), &mut bytes).unwrap();
        bytes
    }

    fn nametag(&self, ephemeral: &[u8; 32]) -> [u8; 16] {
        self.expand(&[b"test letter tag", &[self.part], &DAY.to_be_bytes(), ephemeral])
    }

    fn cipher(&self, ephemeral: &[u8; 32], shared: &[u8; 32]) -> ChaCha20Poly1305 {
        let salt = self.expand::<32>(&[b"test letter"]);
        let info: [&[u8]; 6] =
            [b"test letter", &[self.part], &DAY.to_be_bytes(), ephemeral, &self.writer, &self.reader];
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(&salt), shared).expand(&info.concat(), &mut key).unwrap();
        ChaCha20Poly1305::new(&key.into())
    }

    fn seal(&self, secret: [u8; 32], padded: &[u8]) -> Vec<u8> {
        let secret = StaticSecret::from(secret);
        let ephemeral = x25519_dalek::PublicKey::from(&secret).to_bytes();
        let shared = secret.diffie_hellman(&self.reader.into()).to_bytes();
        self.frame(&ephemeral, &shared, padded)
    }

    fn frame(&self, ephemeral: &[u8; 32], shared: &[u8; 32], padded: &[u8]) -> Vec<u8> {
        let (nametag, nonce) = (self.nametag(ephemeral), [0xd5; 12]);
        let sealed = self
            .cipher(ephemeral, shared)
            .encrypt(&Nonce::from(nonce), Payload { msg: padded, aad: &nametag })
            .unwrap();
        let len = u64::try_from(nonce.len() + sealed.len()).unwrap().to_le_bytes();
        [&nametag[..], &[30, 33, 0], ephemeral, &len, &nonce, &sealed].concat()
    }

    /// What a payload says, padded.
    fn open(&self, reader_secret: [u8; 32], payload: &[u8]) -> Vec<u8> {
        let (nametag, rest) = payload.split_first_chunk::<16>().unwrap();
        let rest = rest.strip_prefix(&[30, 33, 0]).unwrap();
        let (ephemeral, rest) = rest.split_first_chunk::<32>().unwrap();
        let (len, rest) = rest.split_first_chunk::<8>().unwrap();
        assert_eq!(u64::from_le_bytes(*len), u64::try_from(rest.len()).unwrap());
        let (nonce, sealed) = rest.split_first_chunk::<12>().unwrap();
        assert_eq!(*nametag, self.nametag(ephemeral));
        let shared = StaticSecret::from(reader_secret).diffie_hellman(&(*ephemeral).into()).to_bytes();
        let cipher = self.cipher(ephemeral, &shared);
        cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: nametag }).unwrap()
    }
}

/// The two ends, and the second one's static secret.
fn ends() -> ([Link; 2], [u8; 32]) {
    let [first, second] = links();
    let secrets = [[0x11; 32], [0x22; 32]];
    let secret = secrets.into_iter().find(|secret| KeyPair::from_secret(secret).public() == first.remote);
    ([first, second], secret.unwrap())
}

#[test]
fn plain_primitives_read_what_is_sealed() {
    let ([writer, _], reader_secret) = ends();
    let payload = seal(&writer, &mut rng(), DAY, b"disk almost full").unwrap();
    let padded = ByHand::new(&writer).open(reader_secret, &payload);
    assert_eq!(padded, [&b"disk almost full"[..], &[232; 232]].concat());
}

#[test]
fn what_plain_primitives_seal_is_read() {
    let ([writer, reader], _) = ends();
    let payload = ByHand::new(&writer).seal([0x55; 32], &[&b"disk almost full"[..], &[232; 232]].concat());
    assert_eq!(read(&reader, DAY, &payload).unwrap(), b"disk almost full");
}

#[test]
fn what_is_not_padded_is_refused() {
    let ([writer, reader], _) = ends();
    for padded in [&b"disk almost full"[..], &[], &[0; 248]] {
        let payload = ByHand::new(&writer).seal([0x55; 32], padded);
        assert_eq!(read(&reader, DAY, &payload), None, "{} bytes", padded.len());
    }
}

#[test]
fn a_letter_is_for_the_other_party_and_its_day_alone() {
    let [writer, reader] = links();
    let payload = seal(&writer, &mut rng(), DAY, b"word").unwrap();
    assert_eq!(read(&reader, DAY, &payload).unwrap(), b"word");
    assert_eq!(read(&writer, DAY, &payload), None, "said back to its writer");
    for day in [DAY - 1, DAY + 1] {
        assert_eq!(read(&reader, day, &payload), None, "day {day}");
    }
    let mut other_root = reader.clone();
    other_root.root = PairRoot::new(&reader.local, &reader.remote, &[8; 32]).unwrap();
    assert_eq!(read(&other_root, DAY, &payload), None, "another pairing of the same two");
    let mut other_part = reader.clone();
    other_part.remote_part = 9;
    assert_eq!(read(&other_part, DAY, &payload), None, "another part");
    let mut other_writer = reader.clone();
    other_writer.remote = KeyPair::from_secret(&[0x33; 32]).public();
    assert_eq!(read(&other_writer, DAY, &payload), None, "another writer's key");
    let mut other_reader = reader;
    other_reader.local = KeyPair::from_secret(&[0x33; 32]);
    assert_eq!(read(&other_reader, DAY, &payload), None, "another reader's key");
}

#[test]
fn no_two_letters_have_anything_in_common() {
    let [writer, _] = links();
    let mut rng = rng();
    let [first, second] = [(); 2].map(|()| seal(&writer, &mut rng, DAY, b"word").unwrap());
    assert_eq!(first.len(), second.len());
    // But for id, length of the key and its flag, length of the text.
    for part in [0..16, 19..51, 59..335] {
        assert_ne!(first[part.clone()], second[part]);
    }
}

#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let [writer, reader] = links();
    let payload = seal(&writer, &mut rng(), DAY, b"word").unwrap();
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        assert_eq!(read(&reader, DAY, &changed), None, "byte {at}");
        assert_eq!(read(&reader, DAY, &payload[..at]), None, "{at} bytes");
    }
    let mut other_kind = PayloadV2::decode(&payload).unwrap();
    other_kind.protocol_id = ProtocolId::AfterHandshake;
    assert!(open(&reader, DAY, &other_kind).is_none());
}

#[test]
fn keys_of_low_order_are_refused_on_either_side() {
    let [mut writer, reader] = links();
    let low_order = [0; 32];
    let payload = ByHand::new(&writer).frame(&low_order, &[0; 32], &[248; 248]);
    assert_eq!(read(&reader, DAY, &payload), None);
    writer.remote = PublicKey::from(low_order);
    let refused = seal(&writer, &mut rng(), DAY, b"word");
    assert_eq!(refused, Err(SealError::LowOrderKey(LowOrderKey(low_order.into()))));
}

#[test]
fn a_letter_has_a_longest_text() {
    let [writer, reader] = links();
    let longest = vec![7; MAX_PLAINTEXT];
    let payload = seal(&writer, &mut rng(), DAY, &longest).unwrap();
    assert!(payload.len() < 70_000, "{}", payload.len());
    assert_eq!(read(&reader, DAY, &payload).unwrap(), longest);
    let refused = seal(&writer, &mut rng(), DAY, &vec![7; MAX_PLAINTEXT + 1]);
    assert_eq!(refused, Err(SealError::TooLong { len: MAX_PLAINTEXT + 1 }));
    let padded = vec![248; MAX_PLAINTEXT + 1 + 248];
    assert_eq!(read(&reader, DAY, &ByHand::new(&writer).seal([0x55; 32], &padded)), None);
}

proptest! {
    #[test]
    fn whatever_is_sealed_is_read(text in prop::collection::vec(any::<u8>(), 0..1000), day: u64) {
        let [writer, reader] = links();
        let payload = seal(&writer, &mut rng(), day, &text).unwrap();
        prop_assert_eq!((payload.len() - 87) % 248, 0);
        prop_assert_eq!(read(&reader, day, &payload), Some(text));
    }

    #[test]
    fn what_strangers_write_is_not_read(
        nametag: [u8; 16],
        ephemeral: [u8; 32],
        transport in prop::collection::vec(any::<u8>(), 0..600),
        known_key: bool,
    ) {
        let [writer, reader] = links();
        let nametag = if known_key { ByHand::new(&writer).nametag(&ephemeral) } else { nametag };
        let len = u64::try_from(transport.len()).unwrap().to_le_bytes();
        let payload = [&nametag[..], &[30, 33, 0], &ephemeral, &len, &transport].concat();
        prop_assert_eq!(read(&reader, DAY, &payload), None);
    }
}
