//! From the code to the topic and the keys of the HELLO messages.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};
use waku_noise_session::kdf::{hkdf, hkdf_expand};
use waku_noise_session::message_nametag::{MessageNametag, NAMETAG_LEN};
use zeroize::Zeroizing;

use crate::code::Code;

/// The one suite that is spoken. It is a constant of the protocol, not negotiated: publishing just once under a suite
/// that does not stretch the code would let anyone search for it at the speed of a hash.
pub(crate) const SUITE_ARGON2ID: u8 = 2;

const STRETCH_SALT: &[u8] = b"status-node-manager/pairing/1/stretch";
const TOPIC_SALT: &[u8] = b"status-node-manager/pairing/1/topic";
const HANDSHAKE_KEY_SALT: &[u8] = b"status-node-manager/pairing/1/handshake-key";

/// Argon2id's memory in KiB, passes and lanes.
const ARGON2_COST: (u32, u32, u32) = (64 * 1024, 3, 1);

/// What both sides derive from the code: `T`, which names the topic, and the keys under which the HELLO messages are
/// sealed, one for each direction so that nothing can be reflected. The keys are zeroized on drop; nothing of it is
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeKeys {
    pub(crate) topic: [u8; 32],
    pub(crate) app: DirectionKeys,
    pub(crate) node_manager: DirectionKeys,
}

/// The nametag and key of one HELLO message: [`CodeKeys::app`] of `HELLO_APP`, which goes to the app.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DirectionKeys {
    pub(crate) tag: MessageNametag,
    pub(crate) key: Zeroizing<[u8; 32]>,
}

/// A code's name: the first 16 bytes of the SHA-256 of its topic secret `T`, which opens nothing.
pub type CodeName = [u8; 16];

impl CodeKeys {
    /// Stretches the code. Takes about a third of a second and 64 MiB by design; run it where blocking is fine.
    pub fn derive(code: &Code) -> Self {
        Self::from_stretched(stretch(code).as_ref())
    }

    /// The code's name, by which a store knows that it was used.
    pub(crate) fn name(&self) -> CodeName {
        let digest: [u8; 32] = Sha256::digest(self.topic).into();
        *digest.first_chunk().expect("a digest has 32 bytes")
    }

    fn from_stretched(stretched: &[u8]) -> Self {
        let topic = *hkdf(TOPIC_SALT, stretched, b"");
        let handshake_key = hkdf::<32>(HANDSHAKE_KEY_SALT, stretched, b"");
        let direction = |tag: &[u8], key: &[u8]| DirectionKeys {
            tag: (*hkdf_expand::<NAMETAG_LEN>(&handshake_key, tag)).into(),
            key: hkdf_expand(&handshake_key, key),
        };
        Self {
            topic,
            app: direction(b"snm/1 hello-app nametag", b"snm/1 hello-app key"),
            node_manager: direction(b"snm/1 hello-node-manager nametag", b"snm/1 hello-node-manager key"),
        }
    }
}

impl fmt::Debug for CodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKeys(..)")
    }
}

fn stretch(code: &Code) -> Zeroizing<[u8; 32]> {
    let (memory, passes, lanes) = ARGON2_COST;
    let params =
        Params::new(memory, passes, lanes, Some(32)).expect("the protocol's cost is within Argon2's bounds");
    let mut stretched = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(code.to_bytes().as_ref(), STRETCH_SALT, stretched.as_mut())
        .expect("password, salt and output have lengths that Argon2 accepts");
    stretched
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn code() -> Code {
        Code::from(0x0123_4567_89ab_cdef)
    }

    fn hex(bytes: &[u8]) -> String {
        HEXLOWER.encode(bytes)
    }

    /// The protocol's published vector.
    #[test]
    fn derives_what_the_vector_says() {
        assert_eq!(
            hex(stretch(&code()).as_ref()),
            "0b373698971e243f1a7e54b50121a64084dfc165ec0b7fbc4a60b0e8fe3c4167"
        );
        let keys = CodeKeys::derive(&code());
        assert_eq!(hex(&keys.topic), "80d9362c6106e8879e99b40011b2adae955cc917d00f648a0fd193ec80c9ea98");
        assert_eq!(
            hex(keys.app.key.as_ref()),
            "c949b2ffa61253a9ad479bd07b3887ef9ea1cb41e2b6e7fa01f6afe67369b558"
        );
        assert_eq!(hex(keys.app.tag.as_bytes()), "d8aa829a0c0cd55435b01ef30c535cee");
        assert_eq!(
            hex(keys.node_manager.key.as_ref()),
            "0730feaa260b6e0cf91d5b89351ba6c2693e210863591ab42cf3c1bf1cd5a4ab"
        );
        assert_eq!(hex(keys.node_manager.tag.as_bytes()), "0dfe077194bcbbb7c1c63f552ec52553");
    }

    /// What the plain suite, which is never spoken, would give.
    #[test]
    fn derives_the_plain_suite_of_the_vector() {
        let keys = CodeKeys::from_stretched(code().to_bytes().as_ref());
        assert_eq!(hex(&keys.topic), "23cd9b4c9b1e1610fe2ece4e41545e746f3f68b94e92052db3f88ae617bbeb92");
        let handshake_key = hkdf::<32>(HANDSHAKE_KEY_SALT, code().to_bytes().as_ref(), b"");
        assert_eq!(
            hex(handshake_key.as_ref()),
            "e186553164f16645c95166f6a27edfe39d3340dd5035f5bf2cfc0282bfc860fe"
        );
    }
}
