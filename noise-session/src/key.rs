//! X25519 keys (35/WAKU2-NOISE, "Supported Cryptographic Protocols").

use std::fmt;

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Bytes in an X25519 key, secret or public.
pub const KEY_LEN: usize = 32;

/// An X25519 public key: a little-endian u-coordinate of 32 bytes.
///
/// Any 32 bytes are a public key; those of low order are found out when they are used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// The 32 bytes that travel on the wire.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl From<[u8; KEY_LEN]> for PublicKey {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// An X25519 secret key with its public half. The secret is zeroized on drop and never printed.
#[derive(Clone)]
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    /// A fresh key pair.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        rng.fill_bytes(secret.as_mut());
        Self::from_secret(&secret)
    }

    /// The key pair of 32 secret bytes. X25519 clamps them when they are used.
    pub fn from_secret(secret: &[u8; KEY_LEN]) -> Self {
        let secret = StaticSecret::from(*secret);
        let public = PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// X25519 with another party's public key.
    ///
    /// # Errors
    /// [`LowOrderKey`] when the result does not depend on our secret; such a key is never honest.
    pub fn diffie_hellman(&self, remote: &PublicKey) -> Result<Zeroizing<[u8; KEY_LEN]>, LowOrderKey> {
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(remote.0));
        if shared.was_contributory() {
            Ok(Zeroizing::new(shared.to_bytes()))
        } else {
            Err(LowOrderKey(*remote))
        }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public)
    }
}

/// A remote public key of low order: every shared secret with it is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the remote public key {0} is of low order")]
pub struct LowOrderKey(pub PublicKey);

/// A 32-byte pre-shared key of full entropy (XXpsk0). Zeroized on drop and never printed.
#[derive(Clone)]
pub struct Psk(Zeroizing<[u8; KEY_LEN]>);

impl Psk {
    pub(crate) fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

impl From<[u8; KEY_LEN]> for Psk {
    fn from(bytes: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl PartialEq for Psk {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_ref()).into()
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_keys_of_low_order() {
        let pair = KeyPair::from_secret(&[0x11; 32]);
        for low_order in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            let remote = PublicKey::from(low_order);
            assert_eq!(pair.diffie_hellman(&remote).map(|_| ()), Err(LowOrderKey(remote)));
        }
    }

    #[test]
    fn debug_output_never_holds_the_secret() {
        let secret = [0xab; 32];
        for text in [format!("{:?}", KeyPair::from_secret(&secret)), format!("{:?}", Psk::from(secret))] {
            assert!(!text.contains("abab"), "{text}");
            assert!(!text.contains("171, 171"), "{text}");
        }
    }
}
