//! 26/WAKU2-PAYLOAD version 1: message payloads that are padded, signed if wanted, and encrypted to whoever holds a key.
//!
//! What is sealed goes into the payload of a message whose version is [`VERSION`]; status-go, go-waku and js-waku
//! read and write it.
//!
//! * [`SymmetricKey::seal`] and [`SymmetricKey::open`]: for all who share 32 bytes (AES-256-GCM).
//! * [`PublicKey::seal`] and [`SecretKey::open`]: for one recipient (ECIES over secp256k1).
//! * [`layout`]: what lies below the encryption.
//!
//! ```
//! # use waku_payload::{SecretKey, SymmetricKey};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = <rand_chacha::ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::from_seed([0; 32]);
//! let (alice, bob) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
//! let sealed = bob.public().seal(b"hello", Some(&alice), &mut rng)?;
//! let opened = bob.open(&sealed)?;
//! assert_eq!((opened.payload.as_slice(), opened.signer), (&b"hello"[..], Some(alice.public())));
//!
//! let everybody = SymmetricKey::generate(&mut rng);
//! let sealed = everybody.seal(b"hello all", None, &mut rng)?;
//! assert_eq!(everybody.open(&sealed)?.payload.as_slice(), b"hello all");
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows no clock, no runtime and no randomness of its own, and compiles for wasm32.
//!
//! # What it does not promise
//! Nothing binds a payload to its message: a sealed payload can be sent again, under another content topic too, and a
//! signer has not said to whom. There is no forward secrecy: who learns a key reads all that was sealed for it.

mod ecies;
mod key;
pub mod layout;
mod symmetric;

use thiserror::Error;

pub use key::{InvalidPublicKey, InvalidSecret, PublicKey, SecretKey, SymmetricKey};
pub use layout::{LayoutError, Opened, PayloadTooLong};

/// The `version` of a message whose payload is sealed.
pub const VERSION: u32 = 1;

/// Most bytes that are looked at to open them: the longest payload, and room for padding, signature and encryption.
pub const MAX_SEALED_LEN: usize = layout::MAX_PAYLOAD_LEN + 1024;

/// Why sealed bytes cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Too short to be sealed this way, or longer than [`MAX_SEALED_LEN`].
    #[error("nothing sealed has {len} bytes")]
    Length {
        /// Bytes found.
        len: usize,
    },
    /// The sender's one-time key is not an uncompressed point of the curve.
    #[error("the sender's one-time key is not a point of secp256k1")]
    OneTimeKey,
    /// Forged, damaged, or sealed for another key.
    #[error("decryption failed: the payload is forged, damaged or for another key")]
    NotAuthentic,
    /// Who holds the key sealed something else than a payload.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}
