//! Session ids and what 37/WAKU2-NOISE-SESSIONS derives from them.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::kdf::hkdf;
use crate::symmetric_state::HASH_LEN;

/// 37's session-id: 32 bytes that both parties know. Whoever knows it can find the session's topic, no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 32]);

impl SessionId {
    const LABEL: &[u8] = b"waku-noise-session-id";

    pub(crate) fn of_handshake(hash: &[u8; HASH_LEN]) -> Self {
        Self(*hkdf(hash, &[], Self::LABEL))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 37's ct-id, which names the session's content topic: `SHA-256(SHA-256(session-id))`.
    pub fn ct_id(&self) -> [u8; 32] {
        Sha256::digest(self.termination()).into()
    }

    /// What a termination message says: `SHA-256(session-id)`.
    pub fn termination(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    pub(crate) fn is_termination(&self, plaintext: &[u8]) -> bool {
        plaintext.ct_eq(&self.termination()).into()
    }
}

impl fmt::Debug for SessionId {
    /// The first bytes of the ct-id: enough to tell sessions apart in a log, and public anyway.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ct_id().iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
