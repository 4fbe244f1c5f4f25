//! What go-waku and js-waku sealed is opened, and sealed again to the same bytes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::convert::Infallible;

use data_encoding::{BASE64, HEXLOWER};
use rand_core::{TryCryptoRng, TryRng};
use serde::Deserialize;
use waku_payload::{Opened, PublicKey, SecretKey, SymmetricKey};

/// Who sealed is named under `source` in the files.
const FILES: [&str; 2] = [include_str!("vectors/go-waku.json"), include_str!("vectors/js-waku.json")];

#[derive(Deserialize)]
struct Vectors {
    symmetric_key: String,
    recipient: String,
    recipient_public: String,
    signer: String,
    signer_public: String,
    sealed: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    kind: Kind,
    signed: bool,
    payload_len: usize,
    /// What a sender chose; random bytes where there is none.
    padding: Option<String>,
    sealed: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Symmetric,
    Asymmetric,
}

impl Vectors {
    fn all() -> impl Iterator<Item = Self> {
        FILES.into_iter().map(|file| serde_json::from_str(file).unwrap())
    }

    fn symmetric_key(&self) -> SymmetricKey {
        bytes32(&self.symmetric_key).into()
    }

    fn recipient(&self) -> SecretKey {
        SecretKey::from_bytes(&bytes32(&self.recipient)).unwrap()
    }

    fn signer(&self) -> SecretKey {
        SecretKey::from_bytes(&bytes32(&self.signer)).unwrap()
    }

    fn open(&self, vector: &Message) -> Opened {
        let sealed = vector.bytes();
        match vector.kind {
            Kind::Symmetric => self.symmetric_key().open(&sealed).unwrap(),
            Kind::Asymmetric => self.recipient().open(&sealed).unwrap(),
        }
    }
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        BASE64.decode(self.sealed.as_bytes()).unwrap()
    }

    /// Byte i is 7 i + 3 modulo 256.
    fn payload(&self) -> Vec<u8> {
        (0..self.payload_len).map(|i| u8::try_from((7 * i + 3) % 256).unwrap()).collect()
    }
}

fn bytes32(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

#[test]
fn opens_what_go_waku_and_js_waku_sealed() {
    for vectors in Vectors::all() {
        let signer =
            PublicKey::from_bytes(&HEXLOWER.decode(vectors.signer_public.as_bytes()).unwrap()).unwrap();
        assert!(vectors.sealed.len() >= 18);
        for vector in &vectors.sealed {
            let opened = vectors.open(vector);
            assert_eq!(opened.payload.as_slice(), vector.payload());
            assert_eq!(opened.signer, vector.signed.then_some(signer));
            match &vector.padding {
                Some(padding) => assert_eq!(HEXLOWER.encode(&opened.padding), *padding),
                None => assert!((1..=256).contains(&opened.padding.len())),
            }
        }
    }
}

#[test]
fn vectors_cover_every_size_of_the_length_in_use_with_both_encryptions() {
    for kind in [Kind::Symmetric, Kind::Asymmetric] {
        for len in [0, 1, 255, 256, 65535, 65536] {
            let covers = |vectors: Vectors| {
                vectors.sealed.iter().any(|vector| vector.kind == kind && vector.payload_len == len)
            };
            assert!(Vectors::all().any(covers), "{len}");
        }
    }
}

#[test]
fn derives_the_public_keys_of_go_waku_and_js_waku() {
    for vectors in Vectors::all() {
        assert_eq!(HEXLOWER.encode(&vectors.recipient().public().to_bytes()), vectors.recipient_public);
        assert_eq!(HEXLOWER.encode(&vectors.signer().public().to_bytes()), vectors.signer_public);
    }
}

/// Signatures are deterministic on all three sides, so that padding and nonce decide on every byte.
#[test]
fn seals_to_the_same_bytes_as_go_waku_and_js_waku_with_their_padding_and_nonce() {
    for vectors in Vectors::all() {
        let is_ours = |vector: &&Message| vector.kind == Kind::Symmetric && vector.padding.is_none();
        for vector in vectors.sealed.iter().filter(is_ours) {
            let sealed = vector.bytes();
            let nonce = &sealed[sealed.len() - 12..];
            let mut rng = FixedRng([vectors.open(vector).padding.as_slice(), nonce].concat());
            let signer = vector.signed.then(|| vectors.signer());
            let again = vectors.symmetric_key().seal(&vector.payload(), signer.as_ref(), &mut rng).unwrap();
            assert!(again == sealed, "{} bytes, signed: {}", vector.payload_len, vector.signed);
            assert!(rng.0.is_empty());
        }
    }
}

/// Hands out the given bytes, and panics when asked for more.
struct FixedRng(Vec<u8>);

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("nothing here draws 32 bits at once")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("nothing here draws 64 bits at once")
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.copy_from_slice(&self.0[..to.len()]);
        self.0.drain(..to.len());
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}
