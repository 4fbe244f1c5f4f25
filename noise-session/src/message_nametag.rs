//! Message nametags: the 16 bytes by which a receiver knows its messages without decrypting (43/WAKU2-DEVICE-PAIRING
//! "Message nametag"; as deployed).

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a message nametag.
pub const NAMETAG_LEN: usize = 16;

/// The first field of every [`PayloadV2`](crate::payload::PayloadV2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MessageNametag([u8; NAMETAG_LEN]);

impl MessageNametag {
    /// The 16 bytes on the wire.
    pub fn as_bytes(&self) -> &[u8; NAMETAG_LEN] {
        &self.0
    }
}

impl From<[u8; NAMETAG_LEN]> for MessageNametag {
    fn from(bytes: [u8; NAMETAG_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for MessageNametag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret that one direction's transport nametags come from. Zeroized on drop and never printed.
#[derive(Clone)]
pub struct NametagSecret(Zeroizing<[u8; 32]>);

impl NametagSecret {
    pub(crate) fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The nametag of the message with this index: `SHA-256(secret || index as u64 LE)[0..16]`. On the wire the index
    /// of a message is also its nonce.
    pub fn nametag(&self, index: u64) -> MessageNametag {
        let mut hasher = Sha256::new();
        hasher.update(self.0.as_ref());
        hasher.update(index.to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let mut nametag = [0; NAMETAG_LEN];
        nametag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        MessageNametag(nametag)
    }
}

impl fmt::Debug for NametagSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NametagSecret(..)")
    }
}
