//! The node's identity key.

use core::fmt;

use libp2p::identity::{self, secp256k1};
use thiserror::Error;
use waku_discovery::k256::ecdsa::SigningKey;
use zeroize::Zeroizing;

use crate::PeerId;

/// A secp256k1 key pair: the kind of key a peer id and an ENR (31/WAKU2-ENR) can share.
#[derive(Clone)]
pub struct Keypair(identity::Keypair);

impl Keypair {
    /// A new random key.
    pub fn generate() -> Self {
        Self(identity::Keypair::generate_secp256k1())
    }

    /// The key of 32 secret bytes, big-endian.
    ///
    /// # Errors
    /// When the number is zero or not below the order of the curve.
    pub fn from_secret(secret: [u8; 32]) -> Result<Self, InvalidSecret> {
        let secret = secp256k1::SecretKey::try_from_bytes(secret).map_err(|_| InvalidSecret)?;
        Ok(Self(secp256k1::Keypair::from(secret).into()))
    }

    /// The peer id that belongs to the key.
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) fn public(&self) -> identity::PublicKey {
        self.0.public()
    }

    /// The key that signs node records.
    pub(crate) fn signing_key(&self) -> SigningKey {
        let pair = self.0.clone().try_into_secp256k1().expect("no other kind of key is made here");
        let secret = Zeroizing::new(pair.secret().to_bytes());
        SigningKey::from_slice(secret.as_ref()).expect("a secret key of the same curve is one here too")
    }

    pub(crate) fn into_libp2p(self) -> identity::Keypair {
        self.0
    }
}

/// Shows the peer id only.
impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keypair").field(&self.peer_id()).finish()
    }
}

/// The peer id of a compressed public key. `None` when it is no point of the curve.
pub(crate) fn peer_id_of(public: &[u8]) -> Option<PeerId> {
    let key = secp256k1::PublicKey::try_from_bytes(public).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

/// Bytes that are not a secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a secp256k1 secret key: it must be between 1 and the order of the curve")]
pub struct InvalidSecret;
