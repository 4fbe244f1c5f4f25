//! The HELLO messages: identities, swapped under keys that only the code yields.
//!
//! `HELLO_APP` goes from the node manager to the app and carries the manager's identity; `HELLO_NODE_MANAGER` goes back
//! with the app's. `REJECT` goes either way and ends the pairing. Plaintext, big-endian:
//!
//! ```text
//!   0   1  version = 1
//!   1   1  type: 1 HELLO_APP, 2 HELLO_NODE_MANAGER, 3 REJECT
//!   2   1  key derivation suite = 2
//!   3   1  HELLO: bit 0 "I require the six digits"; REJECT: the reason
//!   4   8  Unix seconds at which this attempt started
//!  12  16  attempt id
//!  28  33  identity key, secp256k1, compressed
//!  61  32  Noise static key, X25519
//!  93  32  HELLO_APP: commitment to n_nm; HELLO_NODE_MANAGER: n_app; REJECT: zero
//! 125  32  HELLO_APP: zero; HELLO_NODE_MANAGER and REJECT: SHA-256 of the plaintext they answer, zero if none
//! 157   1  label length l <= 64
//! 158   l  label, UTF-8, printable
//! 158+l 64 ECDSA (r || s, low s) over SHA-256("snm-pairing/1 sig" || T || bytes[0..158+l])
//! ```
//!
//! The plaintext is the same in every repetition of an attempt; only the AEAD nonce changes.

mod label;
mod seal;

use sha2::{Digest, Sha256};
use waku_noise_session::key::PublicKey;

pub use label::{Label, LabelError};
pub(crate) use seal::{open, seal};

use crate::identity::{IDENTITY_LEN, Identity, IdentityKey, SIGNATURE_LEN};
use crate::kdf::SUITE_ARGON2ID;
use crate::reason::Reason;

const VERSION: u8 = 1;
const FLAG_REQUIRES_SAS: u8 = 1;

/// An authentic HELLO or REJECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) kind: Kind,
    /// Unix seconds at which the attempt started, by the sender's clock.
    pub(crate) time: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) identity: IdentityKey,
    pub(crate) noise: PublicKey,
    pub(crate) label: Label,
}

/// What a message says beyond who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    HelloApp { requires_sas: bool, commitment: [u8; 32] },
    HelloNodeManager { requires_sas: bool, n_app: [u8; 32], answers: [u8; 32] },
    Reject { reason: Reason, answers: [u8; 32] },
}

/// The random name of one run of `pair`.
pub(crate) type AttemptId = [u8; 16];

impl Hello {
    /// The signed plaintext.
    pub(crate) fn encode(&self, signer: &Identity, topic: &[u8; 32]) -> Vec<u8> {
        let (kind, flags, nonce, answers) = match self.kind {
            Kind::HelloApp { requires_sas, commitment } => (1, u8::from(requires_sas), commitment, [0; 32]),
            Kind::HelloNodeManager { requires_sas, n_app, answers } => {
                (2, u8::from(requires_sas), n_app, answers)
            }
            Kind::Reject { reason, answers } => (3, reason.into(), [0; 32], answers),
        };
        let label = self.label.as_str().as_bytes();
        let mut plaintext = [
            &[VERSION, kind, SUITE_ARGON2ID, flags][..],
            &self.time.to_be_bytes(),
            &self.attempt,
            &self.identity.to_bytes(),
            self.noise.as_bytes(),
            &nonce,
            &answers,
            &[u8::try_from(label.len()).expect("a label has at most 64 bytes")],
            label,
        ]
        .concat();
        let signature = signer.sign(&signed_digest(topic, &plaintext));
        plaintext.extend_from_slice(&signature);
        plaintext
    }

    /// Reads and verifies a plaintext.
    pub(crate) fn decode(plaintext: &[u8], topic: &[u8; 32]) -> Result<Self, HelloError> {
        let (signed, signature) =
            plaintext.split_last_chunk::<SIGNATURE_LEN>().ok_or(HelloError::Truncated)?;
        let mut fields = Fields(signed);
        let [version, kind, suite, flags] = fields.take()?;
        if version != VERSION {
            return Err(HelloError::UnknownVersion(version));
        }
        if suite != SUITE_ARGON2ID {
            return Err(HelloError::WrongSuite(suite));
        }
        let time = u64::from_be_bytes(fields.take()?);
        let attempt = fields.take()?;
        let identity =
            IdentityKey::from_bytes(&fields.take::<IDENTITY_LEN>()?).ok_or(HelloError::BadIdentity)?;
        let noise = PublicKey::from(fields.take::<32>()?);
        let (nonce, answers) = (fields.take()?, fields.take()?);
        let [label_len] = fields.take()?;
        if usize::from(label_len) != fields.0.len() {
            return Err(HelloError::Truncated);
        }
        let label = Label::try_from(fields.0)?;
        let requires_sas = flags & FLAG_REQUIRES_SAS != 0;
        let kind = match kind {
            1 => Kind::HelloApp { requires_sas, commitment: nonce },
            2 => Kind::HelloNodeManager { requires_sas, n_app: nonce, answers },
            3 => Kind::Reject { reason: Reason::from(flags), answers },
            kind => return Err(HelloError::UnknownType(kind)),
        };
        if !identity.verify(&signed_digest(topic, signed), signature) {
            return Err(HelloError::BadSignature);
        }
        Ok(Self { kind, time, attempt, identity, noise, label })
    }
}

fn signed_digest(topic: &[u8; 32], signed: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"snm-pairing/1 sig")
        .chain_update(topic)
        .chain_update(signed)
        .finalize()
        .into()
}

/// `th = SHA-256(HELLO_APP plaintext || HELLO_NODE_MANAGER plaintext)`, which the session is keyed to.
pub(crate) fn transcript(hello_app: &[u8], hello_node_manager: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(hello_app).chain_update(hello_node_manager).finalize().into()
}

/// The name of a plaintext in the message that answers it.
pub(crate) fn digest(plaintext: &[u8]) -> [u8; 32] {
    Sha256::digest(plaintext).into()
}

/// Fixed-length fields in order.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HelloError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(HelloError::Truncated)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Why a message under the code's keys is no HELLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error("it is cut short")]
    Truncated,
    #[error("its version is {0}")]
    UnknownVersion(u8),
    #[error("its key derivation suite is {0}")]
    WrongSuite(u8),
    #[error("its type is {0}")]
    UnknownType(u8),
    #[error("its identity is no point of secp256k1")]
    BadIdentity,
    #[error("its label: {0}")]
    Label(#[from] LabelError),
    #[error("its signature is not its identity's")]
    BadSignature,
}
