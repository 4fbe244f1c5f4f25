//! What lies below the encryption (26/WAKU2-PAYLOAD, "Payload encoding").
//!
//! ```text
//! flags (1) | payload length, little-endian (1 to 3) | payload | padding | [signature (65)]
//! ```
//!
//! Bits 0 and 1 of the flags are the bytes in the length, bit 2 says that a signature follows: ECDSA over the Keccak-256
//! of all before it, as `r | s | v`.
//!
//! # Differences from the specification
//! The length has 0 to 3 bytes, for two bits cannot say 4; without it the payload is empty, as go-waku reads it. The
//! recovery id `v` is written as 0 or 1, as go-waku and js-waku do; 27 and 28 are read too.

use std::fmt;

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use rand_core::CryptoRng;
use sha3::{Digest, Keccak256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{PublicKey, SecretKey};

/// The longest payload: its length fits three bytes.
pub const MAX_PAYLOAD_LEN: usize = 0x00ff_ffff;

/// What is sealed has a multiple of these bytes.
pub const BLOCK_LEN: usize = 256;

/// Bytes of a signature: r and s of 32 bytes each, and the recovery id.
pub const SIGNATURE_LEN: usize = 65;

const LENGTH_MASK: u8 = 0b011;
const SIGNED: u8 = 0b100;
/// What Ethereum adds to a recovery id.
const RECOVERY_OFFSET: u8 = 27;

/// What was sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The payload. Zeroized on drop.
    pub payload: Zeroizing<Vec<u8>>,
    /// The padding: random bytes, or whatever the sender put there.
    pub padding: Vec<u8>,
    /// Who signed it, if anybody did. Whose key it is, is for the caller to know.
    pub signer: Option<PublicKey>,
}

/// Shows lengths and the signer only.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("payload_len", &self.payload.len())
            .field("padding_len", &self.padding.len())
            .field("signer", &self.signer)
            .finish()
    }
}

/// Lays out `payload` with 1 to 256 bytes of random padding, up to a multiple of [`BLOCK_LEN`] with the signature.
///
/// # Errors
/// When the payload is longer than [`MAX_PAYLOAD_LEN`].
pub fn encode(
    payload: &[u8],
    signer: Option<&SecretKey>,
    rng: &mut dyn CryptoRng,
) -> Result<Zeroizing<Vec<u8>>, PayloadTooLong> {
    let length = length_field(payload.len())?;
    let signature_len = if signer.is_some() { SIGNATURE_LEN } else { 0 };
    let unpadded = 1 + length.len() + payload.len() + signature_len;
    let padded = (unpadded / BLOCK_LEN + 1) * BLOCK_LEN;

    // Its whole length at once: what grows leaves copies of the payload behind.
    let mut data = Zeroizing::new(Vec::with_capacity(padded));
    let length_len = u8::try_from(length.len()).expect("a length has at most three bytes");
    data.push(length_len | if signer.is_some() { SIGNED } else { 0 });
    data.extend_from_slice(&length);
    data.extend_from_slice(payload);
    let padding = data.len();
    data.resize(padded - signature_len, 0);
    rng.fill_bytes(data.get_mut(padding..).expect("padding only makes it longer"));
    if let Some(signer) = signer {
        let signature = sign(&data, signer);
        data.extend_from_slice(&signature);
    }
    Ok(data)
}

/// Reads what [`encode`] wrote, or another sender with padding of any length.
///
/// # Errors
/// When it is shorter than it says, or has a signature of nobody.
pub fn decode(data: &[u8]) -> Result<Opened, LayoutError> {
    let (flags, _) = data.split_first().ok_or(LayoutError::Truncated)?;
    let (unsigned, signature) = if flags & SIGNED == 0 {
        (data, None)
    } else {
        let (unsigned, signature) = data.split_last_chunk().ok_or(LayoutError::Truncated)?;
        (unsigned, Some(signature))
    };
    let (_, rest) = unsigned.split_first().ok_or(LayoutError::Truncated)?;
    let (length, rest) =
        rest.split_at_checked(usize::from(flags & LENGTH_MASK)).ok_or(LayoutError::Truncated)?;
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (payload, padding) = rest.split_at_checked(length).ok_or(LayoutError::Truncated)?;
    Ok(Opened {
        payload: Zeroizing::new(payload.to_vec()),
        padding: padding.to_vec(),
        signer: signature.map(|signature| recover(unsigned, signature)).transpose()?,
    })
}

/// The length in as few bytes as it needs, but one at least.
fn length_field(len: usize) -> Result<Vec<u8>, PayloadTooLong> {
    if len > MAX_PAYLOAD_LEN {
        return Err(PayloadTooLong { len });
    }
    let mut field = len.to_le_bytes().to_vec();
    while field.len() > 1 && field.last() == Some(&0) {
        field.pop();
    }
    Ok(field)
}

fn sign(data: &[u8], signer: &SecretKey) -> [u8; SIGNATURE_LEN] {
    let (signature, recovery_id) = signer.signing().sign_prehash_recoverable(&Keccak256::digest(data));
    let mut bytes = [recovery_id.to_byte(); SIGNATURE_LEN];
    if let Some(r_and_s) = bytes.first_chunk_mut() {
        *r_and_s = signature.to_bytes().into();
    }
    bytes
}

/// The only key that can have made the signature.
fn recover(data: &[u8], signature: &[u8; SIGNATURE_LEN]) -> Result<PublicKey, LayoutError> {
    let (v, r_and_s) = signature.split_last().ok_or(LayoutError::Signature)?;
    let recovery_id = RecoveryId::from_byte(v.checked_sub(RECOVERY_OFFSET).unwrap_or(*v));
    let recovery_id = recovery_id.ok_or(LayoutError::Signature)?;
    let signature = Signature::from_slice(r_and_s).map_err(|_| LayoutError::Signature)?;
    VerifyingKey::recover_from_prehash(&Keccak256::digest(data), &signature, recovery_id)
        .map(PublicKey::from)
        .map_err(|_| LayoutError::Signature)
}

/// The payload does not fit its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a payload of {len} bytes cannot be sealed: {MAX_PAYLOAD_LEN} are possible")]
pub struct PayloadTooLong {
    /// Its length in bytes.
    pub len: usize,
}

/// Bytes that are not laid out as a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// Shorter than its flags and its length say.
    #[error("the payload is cut off")]
    Truncated,
    /// No key can have made the signature.
    #[error("the payload has a signature of nobody")]
    Signature,
}
