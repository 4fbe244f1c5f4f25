//! Who a party is: an application-level secp256k1 key that signs, and the X25519 key that sessions need. The signature
//! binds the two. Never the libp2p key: a pairing must not be linked to a peer id that the network can see.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use k256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use k256::ecdsa::{Signature, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use waku_noise_session::kdf::hkdf;
use waku_noise_session::key::KeyPair;
use zeroize::Zeroizing;

/// Bytes of a compressed secp256k1 public key.
pub(crate) const IDENTITY_LEN: usize = 33;
/// Bytes of a signature: r and s.
pub(crate) const SIGNATURE_LEN: usize = 64;

/// The 32 bytes that all keys of a party come from. Zeroized on drop and never printed.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A fresh seed.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(bytes.as_mut());
        Self(bytes)
    }

    /// The bytes, for a store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret of the libp2p key, which is unrelated to the identity for whoever lacks the seed.
    pub fn libp2p_secret(&self) -> Zeroizing<[u8; 32]> {
        self.secp256k1_secret(b"libp2p").1
    }

    fn secp256k1_secret(&self, label: &[u8]) -> (SigningKey, Zeroizing<[u8; 32]>) {
        for counter in 0..=u8::MAX {
            let secret =
                hkdf::<32>(b"status-node-manager/seed/1", self.0.as_ref(), &[label, &[counter]].concat());
            if let Ok(key) = SigningKey::from_slice(secret.as_ref()) {
                return (key, secret);
            }
        }
        unreachable!("each of 256 tries misses the curve's order with a chance of 2^-128")
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A party's own keys.
#[derive(Clone)]
pub struct Identity {
    signing: SigningKey,
    noise: KeyPair,
}

impl Identity {
    /// The keys of a seed.
    pub fn from_seed(seed: &Seed) -> Self {
        let noise = hkdf::<32>(b"status-node-manager/seed/1", seed.0.as_ref(), b"noise-static");
        Self { signing: seed.secp256k1_secret(b"identity").0, noise: KeyPair::from_secret(&noise) }
    }

    /// Keys that are kept elsewhere: the secp256k1 secret and the X25519 secret. `None` when the first is zero or not
    /// below the curve's order.
    pub fn from_secrets(signing: &[u8; 32], noise: &[u8; 32]) -> Option<Self> {
        Some(Self { signing: SigningKey::from_slice(signing).ok()?, noise: KeyPair::from_secret(noise) })
    }

    /// The public half.
    pub fn key(&self) -> IdentityKey {
        IdentityKey(*self.signing.verifying_key())
    }

    pub(crate) fn noise(&self) -> &KeyPair {
        &self.noise
    }

    /// ECDSA over a SHA-256 digest, deterministic (RFC 6979), with low s.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        let signature: Signature =
            self.signing.sign_prehash(digest).expect("a digest of 32 bytes can be signed");
        signature.normalize_s().to_bytes().into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.key().fingerprint())
    }
}

/// A party's public identity: a point on secp256k1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IdentityKey(VerifyingKey);

impl IdentityKey {
    /// Reads a compressed key. `None` when the bytes are no point of the curve.
    pub fn from_bytes(bytes: &[u8; IDENTITY_LEN]) -> Option<Self> {
        VerifyingKey::from_sec1_bytes(bytes).ok().map(Self)
    }

    /// SEC1, compressed.
    pub fn to_bytes(&self) -> [u8; IDENTITY_LEN] {
        let point = self.0.to_sec1_point(true);
        point.as_bytes().try_into().expect("a compressed point has 33 bytes")
    }

    /// The short name of this identity.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest: [u8; 32] = Sha256::digest(self.to_bytes()).into();
        Fingerprint(*digest.first_chunk().expect("a digest has more than 8 bytes"))
    }

    /// Whether the signature is this identity's, with low s: of each signature only one form counts.
    pub(crate) fn verify(&self, digest: &[u8; 32], signature: &[u8; SIGNATURE_LEN]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| {
            signature.normalize_s() == signature && self.0.verify_prehash(digest, &signature).is_ok()
        })
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({})", self.fingerprint())
    }
}

/// By what people tell identities apart: the first 8 bytes of the key's SHA-256, shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let bytes = HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).map_err(|_| NotAFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NotAFingerprint)
    }
}

/// The text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 16 hexadecimal digits")]
pub struct NotAFingerprint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_seed_are_unrelated_and_always_the_same() {
        let seed = Seed::from([7; 32]);
        let identity = Identity::from_seed(&seed);
        assert_eq!(identity.key(), Identity::from_seed(&Seed::from([7; 32])).key());
        let libp2p = SigningKey::from_slice(seed.libp2p_secret().as_ref()).unwrap();
        assert_ne!(IdentityKey(*libp2p.verifying_key()), identity.key());
        assert_ne!(Identity::from_seed(&Seed::from([8; 32])).key(), identity.key());
    }

    #[test]
    fn only_the_low_form_of_a_signature_counts() {
        let identity = Identity::from_seed(&Seed::from([7; 32]));
        let signature = identity.sign(&[1; 32]);
        assert!(identity.key().verify(&[1; 32], &signature));
        assert!(!identity.key().verify(&[2; 32], &signature));
        let (r, s) = Signature::from_slice(&signature).unwrap().split_scalars();
        let high = Signature::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
        assert!(identity.key().0.verify_prehash(&[1; 32], &high).is_ok() || high.normalize_s() != high);
        assert!(!identity.key().verify(&[1; 32], &high.to_bytes().into()));
    }

    #[test]
    fn bytes_that_are_no_point_are_no_identity() {
        assert_eq!(IdentityKey::from_bytes(&[0; 33]), None);
        assert_eq!(IdentityKey::from_bytes(&[4; 33]), None);
        assert!(Identity::from_secrets(&[0; 32], &[1; 32]).is_none());
        assert!(Identity::from_secrets(&[0xff; 32], &[1; 32]).is_none());
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown() {
        let fingerprint = Identity::from_seed(&Seed::from([7; 32])).key().fingerprint();
        assert_eq!(fingerprint.to_string().to_uppercase().parse(), Ok(fingerprint));
        assert_eq!("12".parse::<Fingerprint>(), Err(NotAFingerprint));
    }
}
