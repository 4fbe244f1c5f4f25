//! Letters: sealed messages between the two parties of a pairing that need no session. Whoever is away reads them later,
//! in a process that has no key but its static one.
//!
//! As in Noise's N an ephemeral key meets the reader's static one; in the place of a signature there is the pairing's
//! secret, which only the two know.
//!
//! ```text
//! PayloadV2 of protocol id 30
//! nametag           = HKDF-Expand(root, letter tag label || part || day u64 BE || e, 16)
//! handshake message = 00 || e
//! transport message = nonce(12) || ChaChaPoly(key, nonce, AD = nametag, pkcs7_248(plaintext))
//! key               = HKDF(salt = HKDF-Expand(root, letter label, 32), ikm = X25519(e, reader's static key),
//!                          info = letter label || part || day u64 BE || e || writer's static key || reader's static key)
//! ```
//!
//! `part` is the writer's, `day` counts days since the Unix epoch by its clock, `e` is its ephemeral public key. The
//! static keys' owners and all they said when they met are bound by the root. Each letter has a nametag of its own,
//! which proves that the ephemeral key comes from one who knows the root: what strangers make up costs a hash, and only
//! what they repeat, bent or not, a Diffie-Hellman.
//!
//! # What it holds
//! * The writer keeps nothing, not even a counter, and its keys open nothing it wrote.
//! * Nothing is shared with sessions but the root, under labels of its own.
//! * Whoever gets the reader's static key can read every letter to it, and write some in the other's name. For what must
//!   stay secret after that there are sessions.
//! * A letter can be said again by anybody. Know it by something inside it, and refuse what is old.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::cipher_state::{TAG_LEN, chachapoly_open, chachapoly_seal};
use crate::handshake_state::HandshakeKey;
use crate::kdf::hkdf;
use crate::key::{KEY_LEN, KeyPair, LowOrderKey, PublicKey};
use crate::manager::Link;
use crate::message_nametag::{MessageNametag, NAMETAG_LEN};
use crate::padding::{BLOCK_LEN, pad, unpad};
use crate::payload::{PayloadV2, ProtocolId};

const NONCE_LEN: usize = 12;
/// Blocks of padding in the longest letter: 64 KiB, and 183 bytes for what goes with them.
const MAX_BLOCKS: usize = 265;

/// The longest plaintext, in bytes.
pub const MAX_PLAINTEXT: usize = MAX_BLOCKS * BLOCK_LEN - 1;

/// Seals a letter to the other party of a pairing on a day (since the Unix epoch). The payload can be published as
/// often as need be.
///
/// # Errors
/// [`SealError`] when it is too long or the other party's key is of low order.
pub fn seal(link: &Link, rng: &mut dyn CryptoRng, day: u64, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(SealError::TooLong { len: plaintext.len() });
    }
    let ephemeral = KeyPair::generate(rng);
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let letter = Letter {
        link,
        part: link.local_part,
        day,
        ephemeral: ephemeral.public(),
        writer: link.local.public(),
        reader: link.remote,
    };
    let nametag = letter.nametag();
    let key = letter.key(&*ephemeral.diffie_hellman(&link.remote)?);
    let sealed = chachapoly_seal(&key, &nonce, nametag.as_bytes(), &pad(plaintext));
    let payload = PayloadV2 {
        nametag,
        protocol_id: ProtocolId::ChaChaPoly,
        handshake_keys: vec![HandshakeKey::Clear(ephemeral.public())],
        transport_message: &[&nonce[..], &sealed].concat(),
    };
    Ok(payload.encode().expect("one key is not too many"))
}

/// Opens a letter that the other party of a pairing wrote on a day (since the Unix epoch). `None` for anything else.
pub fn open(link: &Link, day: u64, payload: &PayloadV2<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let [HandshakeKey::Clear(ephemeral)] = payload.handshake_keys.as_slice() else { return None };
    let (nonce, sealed) = payload.transport_message.split_first_chunk::<NONCE_LEN>()?;
    if payload.protocol_id != ProtocolId::ChaChaPoly || sealed.len() > MAX_BLOCKS * BLOCK_LEN + TAG_LEN {
        return None;
    }
    let letter = Letter {
        link,
        part: link.remote_part,
        day,
        ephemeral: *ephemeral,
        writer: link.remote,
        reader: link.local.public(),
    };
    let nametag = letter.nametag();
    if !bool::from(nametag.as_bytes().ct_eq(payload.nametag.as_bytes())) {
        return None;
    }
    let key = letter.key(&*link.local.diffie_hellman(ephemeral).ok()?);
    let padded = chachapoly_open(&key, nonce, nametag.as_bytes(), sealed).ok()?;
    unpad(&padded).ok().map(|plaintext| Zeroizing::new(plaintext.to_vec()))
}

/// Who writes to whom, and when.
struct Letter<'a> {
    link: &'a Link,
    part: u8,
    day: u64,
    ephemeral: PublicKey,
    writer: PublicKey,
    reader: PublicKey,
}

impl Letter<'_> {
    fn nametag(&self) -> MessageNametag {
        let label = self.link.profile.letter_tag_label;
        (*self.link.root.expand::<NAMETAG_LEN>(&self.info(label))).into()
    }

    fn key(&self, shared: &[u8; KEY_LEN]) -> Zeroizing<[u8; KEY_LEN]> {
        let label = self.link.profile.letter_label;
        let secret = self.link.root.expand::<32>(label);
        let info = [&self.info(label), &self.writer.as_bytes()[..], self.reader.as_bytes()].concat();
        hkdf(secret.as_ref(), shared, &info)
    }

    fn info(&self, label: &[u8]) -> Vec<u8> {
        [label, &[self.part], &self.day.to_be_bytes(), self.ephemeral.as_bytes()].concat()
    }
}

/// Why a letter was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is longer than [`MAX_PLAINTEXT`].
    #[error("{len} bytes are more than the {MAX_PLAINTEXT} one letter can carry")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// No honest party has such a key.
    #[error(transparent)]
    LowOrderKey(#[from] LowOrderKey),
}
