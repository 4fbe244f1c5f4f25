//! The secret two paired parties share, and what the manager derives from it.

use std::fmt;

use zeroize::Zeroizing;

use crate::kdf::{hkdf_expand, hkdf_extract};
use crate::key::{KeyPair, LowOrderKey, PublicKey};
use crate::message_nametag::{MessageNametag, NAMETAG_LEN};

/// The labels under which an application derives its keys, so that two applications never share one.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile {
    /// The clear part of the handshake prologue.
    pub prologue: &'static [u8],
    /// Label of the secret part of the prologue.
    pub prologue_label: &'static [u8],
    /// Label of the key that seals the first handshake message.
    pub initiation_label: &'static [u8],
    /// Label of the first handshake message's nametag.
    pub initiation_tag_label: &'static [u8],
    /// Label of the key that seals a refusal.
    pub refusal_label: &'static [u8],
    /// Label of a refusal's nametag.
    pub refusal_tag_label: &'static [u8],
    /// Label of the keys that seal [letters](crate::letter).
    pub letter_label: &'static [u8],
    /// Label of a letter's nametag.
    pub letter_tag_label: &'static [u8],
}

/// A 32-byte secret that only the two parties of a pairing can compute. Zeroized on drop and never printed.
#[derive(Clone)]
pub struct PairRoot(Zeroizing<[u8; 32]>);

impl PairRoot {
    /// `HKDF-Extract(salt = transcript hash, ikm = X25519(own static, peer static))`: bound to both static keys and to
    /// what was said when they were exchanged.
    ///
    /// # Errors
    /// [`LowOrderKey`] when the peer's key is of low order.
    pub fn new(local: &KeyPair, remote: &PublicKey, transcript: &[u8; 32]) -> Result<Self, LowOrderKey> {
        Ok(Self(hkdf_extract(transcript, local.diffie_hellman(remote)?.as_ref())))
    }

    /// `N` bytes for the purpose that `info` names.
    pub fn expand<const N: usize>(&self, info: &[u8]) -> Zeroizing<[u8; N]> {
        hkdf_expand(&self.0, info)
    }

    /// The 32 bytes, for a store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for PairRoot {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for PairRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairRoot(..)")
    }
}

/// One end of a pairing.
#[derive(Debug, Clone)]
pub struct Link {
    /// The application's labels.
    pub profile: &'static Profile,
    /// What only the two parties know.
    pub root: PairRoot,
    /// Our static key.
    pub local: KeyPair,
    /// Theirs.
    pub remote: PublicKey,
    /// A byte that names our part in the pairing; theirs must be another. It keeps the two directions' tags apart.
    pub local_part: u8,
    /// The byte that names their part.
    pub remote_part: u8,
}

impl Link {
    /// `profile prologue || HKDF-Expand(root, prologue label)`: a secret prologue keeps `h`, and with it nametags and
    /// session ids, from observers.
    pub(super) fn prologue(&self) -> Zeroizing<Vec<u8>> {
        let secret = self.root.expand::<32>(self.profile.prologue_label);
        Zeroizing::new([self.profile.prologue, secret.as_ref()].concat())
    }

    pub(super) fn initiation_key(&self) -> Zeroizing<[u8; 32]> {
        self.root.expand(self.profile.initiation_label)
    }

    pub(super) fn refusal_key(&self) -> Zeroizing<[u8; 32]> {
        self.root.expand(self.profile.refusal_label)
    }

    pub(super) fn initiation_tag(&self, part: u8, day: u64) -> MessageNametag {
        self.tag(self.profile.initiation_tag_label, part, day)
    }

    pub(super) fn refusal_tag(&self, part: u8, day: u64) -> MessageNametag {
        self.tag(self.profile.refusal_tag_label, part, day)
    }

    /// `HKDF-Expand(root, label || part || day as u64 BE, 16)`.
    fn tag(&self, label: &[u8], part: u8, day: u64) -> MessageNametag {
        let info = [label, &[part], &day.to_be_bytes()].concat();
        let tag = self.root.expand::<NAMETAG_LEN>(&info);
        (*tag).into()
    }
}

/// The days whose tags and topics are live on `day`: clocks may be a day apart.
pub fn live_days(day: u64) -> [u64; 3] {
    [day.saturating_sub(1), day, day.saturating_add(1)]
}
