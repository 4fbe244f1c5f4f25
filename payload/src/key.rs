//! Keys: one that is shared, and secp256k1 pairs to seal for and to sign with.

use std::fmt;

use k256::ecdsa::{SigningKey, VerifyingKey};
use k256::elliptic_curve::Generate;
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes in an uncompressed public key.
pub(crate) const POINT_LEN: usize = 65;

/// What an uncompressed public key begins with.
const UNCOMPRESSED: u8 = 4;

/// A key that all who talk to each other share: 32 bytes for AES-256. Zeroized on drop and never printed.
#[derive(Clone)]
pub struct SymmetricKey(Zeroizing<[u8; 32]>);

impl SymmetricKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// The bytes, for a store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SymmetricKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(..)")
    }
}

/// A secp256k1 key that opens what was sealed for its public half, and signs. Zeroized on drop and never printed.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A fresh key.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self(SigningKey::generate_from_rng(rng))
    }

    /// The key of 32 bytes, big-endian.
    ///
    /// # Errors
    /// When the number is zero or not below the order of the curve.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidSecret> {
        SigningKey::from_slice(bytes).map(Self).map_err(|_| InvalidSecret)
    }

    /// The bytes, for a store.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.0
    }

    /// ECDH: the x-coordinate of the point that both sides can compute, 32 bytes.
    pub(crate) fn diffie_hellman(&self, remote: &PublicKey) -> Zeroizing<[u8; 32]> {
        let shared = k256::ecdh::diffie_hellman(self.0.as_nonzero_scalar(), remote.0.as_affine());
        Zeroizing::new((*shared.raw_secret_bytes()).into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public())
    }
}

/// A point on secp256k1: whom something is sealed for, or who signed it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads a key in SEC1 form: 33 bytes compressed, or 65 bytes uncompressed.
    ///
    /// # Errors
    /// When the bytes are no point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidPublicKey> {
        VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| InvalidPublicKey)
    }

    /// SEC1, uncompressed: 4, then x and y, each 32 bytes big-endian. So Waku nodes show and send keys.
    pub fn to_bytes(&self) -> [u8; POINT_LEN] {
        let point = self.0.to_sec1_point(false);
        point.as_bytes().try_into().expect("an uncompressed point has 65 bytes")
    }

    /// Reads a key in uncompressed form alone.
    pub(crate) fn from_uncompressed(bytes: &[u8; POINT_LEN]) -> Result<Self, InvalidPublicKey> {
        if bytes.first() == Some(&UNCOMPRESSED) { Self::from_bytes(bytes) } else { Err(InvalidPublicKey) }
    }
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        Self(key)
    }
}

/// The compressed form in hexadecimal digits.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = self.0.to_sec1_point(true);
        point.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// Bytes that are not a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a secp256k1 secret key: it must be between 1 and the order of the curve")]
pub struct InvalidSecret;

/// Bytes that are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a point of secp256k1 in SEC1 form")]
pub struct InvalidPublicKey;

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn debug_output_never_holds_the_secret() {
        let secret = SecretKey::from_bytes(&[0xab; 32]).unwrap();
        for text in [format!("{secret:?}"), format!("{:?}", SymmetricKey::from([0xab; 32]))] {
            assert!(!text.contains("abab"), "{text}");
            assert!(!text.contains("171, 171"), "{text}");
        }
    }

    #[test]
    fn a_public_key_is_read_in_both_forms() {
        let key = SecretKey::from_bytes(&[0x11; 32]).unwrap().public();
        let compressed = key.0.to_sec1_point(true);
        assert_eq!(PublicKey::from_bytes(compressed.as_bytes()), Ok(key));
        assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
    }

    #[test]
    fn refuses_what_is_no_key() {
        let order =
            HEXLOWER.decode(b"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
        let order: [u8; 32] = order.try_into().unwrap();
        let mut last = order;
        last[31] -= 1;
        assert!(SecretKey::from_bytes(&last).is_ok());
        for secret in [[0; 32], order, [0xff; 32]] {
            assert_eq!(SecretKey::from_bytes(&secret).map(|_| ()), Err(InvalidSecret));
        }
        for bytes in [&[][..], &[0], &[2; 32], &[4; POINT_LEN], &[0; POINT_LEN]] {
            assert_eq!(PublicKey::from_bytes(bytes), Err(InvalidPublicKey), "{bytes:?}");
        }
    }
}
