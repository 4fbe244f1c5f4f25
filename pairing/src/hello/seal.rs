//! HELLO messages on the wire: [`PayloadV2`] of protocol id 30, 35's symmetric ChaChaPoly.
//!
//! `tag || 1e || 00 || length u64 LE || nonce(12) || ChaCha20Poly1305(key, nonce, AD = tag, pkcs7_248(plaintext))`

use rand_core::CryptoRng;
use waku_noise_session::cipher_state::{chachapoly_open, chachapoly_seal};
use waku_noise_session::padding::{pad, unpad};
use waku_noise_session::payload::{PayloadV2, ProtocolId};
use zeroize::Zeroizing;

use crate::kdf::DirectionKeys;

const NONCE_LEN: usize = 12;
/// The longest sealed HELLO: a label of 64 bytes makes it two blocks of padding, and there is the AEAD's tag.
const MAX_SEALED_LEN: usize = 2 * 248 + 16;

/// Seals a plaintext under a fresh nonce: a repetition is another message to the network.
pub(crate) fn seal(keys: &DirectionKeys, rng: &mut dyn CryptoRng, plaintext: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let sealed = chachapoly_seal(&keys.key, &nonce, keys.tag.as_bytes(), &pad(plaintext));
    let payload = PayloadV2 {
        nametag: keys.tag,
        protocol_id: ProtocolId::ChaChaPoly,
        handshake_keys: Vec::new(),
        transport_message: &[&nonce[..], &sealed].concat(),
    };
    payload.encode().expect("there are no keys to be too many")
}

/// Opens a payload that was sealed for this direction. `None` for anything else: the tag tells most of it apart
/// without decrypting.
pub(crate) fn open(keys: &DirectionKeys, payload: &PayloadV2<'_>) -> Option<Zeroizing<Vec<u8>>> {
    if payload.protocol_id != ProtocolId::ChaChaPoly || payload.nametag != keys.tag {
        return None;
    }
    let (nonce, sealed) = payload.transport_message.split_first_chunk::<NONCE_LEN>()?;
    if sealed.len() > MAX_SEALED_LEN {
        return None;
    }
    let padded = chachapoly_open(&keys.key, nonce, keys.tag.as_bytes(), sealed).ok()?;
    unpad(&padded).ok().map(|plaintext| Zeroizing::new(plaintext.to_vec()))
}
