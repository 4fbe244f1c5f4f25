//! The short authentication string: six digits that both machines compute from what they heard. With a man in the
//! middle they differ.
//!
//! The manager commits to `n_nm` in `HELLO_APP`, the app sends `n_app`, the manager opens `n_nm` only inside the Noise
//! handshake: whoever sits in between must fix its own numbers before it sees either honest one, and so has one guess
//! in a million.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use waku_noise_session::kdf::hkdf;
use zeroize::Zeroizing;

/// Bytes of `n_nm` and `n_app`.
pub(crate) const NONCE_LEN: usize = 32;

/// Six digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sas(u32);

impl Sas {
    const MODULUS: u64 = 1_000_000;

    /// `HKDF-SHA256(salt = th, ikm = n_nm || n_app, info = "snm-pairing/1 sas", 8) as u64 BE mod 10^6`.
    pub(crate) fn compute(transcript: &[u8; 32], n_nm: &[u8; NONCE_LEN], n_app: &[u8; NONCE_LEN]) -> Self {
        let nonces = Zeroizing::new([n_nm.as_slice(), n_app].concat());
        let bytes = hkdf::<8>(transcript, &nonces, b"snm-pairing/1 sas");
        Self(u32::try_from(u64::from_be_bytes(*bytes) % Self::MODULUS).expect("a million fits 32 bits"))
    }

    /// The digits as a number, for a store.
    pub fn as_u32(self) -> u32 {
        self.0
    }

    /// Reads them back from a store. `None` when the number has more than six digits.
    pub fn from_u32(number: u32) -> Option<Self> {
        (u64::from(number) < Self::MODULUS).then_some(Self(number))
    }
}

impl fmt::Display for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sas(..)")
    }
}

/// Reads what a person typed: exactly six digits, with spaces and dashes allowed between them.
impl FromStr for Sas {
    type Err = NotSixDigits;

    fn from_str(typed: &str) -> Result<Self, NotSixDigits> {
        let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotSixDigits);
        }
        digits.parse().map(Self).map_err(|_| NotSixDigits)
    }
}

/// What was typed cannot be the short authentication string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("type the six digits that the host shows")]
pub struct NotSixDigits;

/// `SHA-256("snm-pairing/1 commit" || n_nm)`.
pub(crate) fn commitment(n_nm: &[u8; NONCE_LEN]) -> [u8; 32] {
    Sha256::new().chain_update(b"snm-pairing/1 commit").chain_update(n_nm).finalize().into()
}

/// Whether `opening` is what `commitment` committed to.
pub(crate) fn opens(commitment: &[u8; 32], opening: &[u8; NONCE_LEN]) -> bool {
    self::commitment(opening).ct_eq(commitment).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exactly_six_digits() {
        assert_eq!("570605".parse(), Ok(Sas(570_605)));
        assert_eq!(" 057-060 ".parse(), Ok(Sas(57_060)));
        for wrong in ["", "57060", "5706055", "57060a", "+57060"] {
            assert_eq!(wrong.parse::<Sas>(), Err(NotSixDigits), "{wrong}");
        }
    }

    #[test]
    fn shows_leading_zeros() {
        assert_eq!(Sas(42).to_string(), "000042");
    }
}
