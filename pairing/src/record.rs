//! What a party keeps about a peer and about those it no longer knows. Records outlive the process; keys of sessions
//! are never among them.

mod encoding;
mod letters;

use std::fmt;

use waku_noise_session::key::PublicKey;
use waku_noise_session::manager::Stamps;
use waku_noise_session::time::UnixTime;
use zeroize::Zeroizing;

pub use encoding::RecordError;
pub use letters::TakenLetters;

use crate::hello::{AttemptId, Label};
use crate::identity::{Fingerprint, IdentityKey};
use crate::kdf::{CodeKeys, CodeName};
use crate::reason::Reason;
use crate::sas::{NONCE_LEN, Sas};

/// A pairing's name: the first 16 bytes of its transcript hash, alike on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairingId([u8; 16]);

impl PairingId {
    pub(crate) fn of_transcript(transcript: &[u8; 32]) -> Self {
        Self(*transcript.first_chunk().expect("a transcript hash has 32 bytes"))
    }

    /// The pairing that these bytes name, as [`Self::as_bytes`] gave them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store's key.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for PairingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PairingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A peer, in whatever stage of pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its identity.
    pub identity: IdentityKey,
    /// Its X25519 key, bound to the identity by the signature of its HELLO.
    pub noise: PublicKey,
    /// What it calls itself.
    pub label: Label,
    /// What it is called on this side, if a person gave it a name.
    pub alias: Option<Label>,
    /// `th`, over both HELLO messages.
    pub transcript: [u8; 32],
    /// The six digits, as soon as they can be computed. Kept, so that they can be compared later.
    pub sas: Option<Sas>,
    /// Unix seconds at which the HELLO messages were swapped.
    pub created: u64,
    /// Unix seconds at which a session was last established or heard on, as far as it was written down.
    pub last_heard: Option<u64>,
    /// The latest initiations of either side.
    pub stamps: Stamps,
    /// On the app's side: the code it came from, so that none serves twice.
    pub code: Option<CodeName>,
    /// Its letters that were acknowledged.
    pub letters: TakenLetters,
    /// How far the pairing has come.
    pub stage: Stage,
}

impl PeerRecord {
    /// The pairing's name.
    pub fn id(&self) -> PairingId {
        PairingId::of_transcript(&self.transcript)
    }

    /// The short name of the peer's identity.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// What to call the peer: its name on this side, or else its own.
    pub fn name(&self) -> &Label {
        self.alias.as_ref().unwrap_or(&self.label)
    }

    /// Whether the pairing stands.
    pub fn is_confirmed(&self) -> bool {
        matches!(self.stage, Stage::Confirmed(_))
    }

    /// Whether both sides know that the pairing stands.
    pub(crate) fn is_acknowledged(&self) -> bool {
        matches!(self.stage, Stage::Confirmed(Confirmation { acknowledged: true, .. }))
    }

    pub(crate) fn exchange(&self) -> Option<&Exchange> {
        match &self.stage {
            Stage::Pending(exchange) | Stage::Keyed(exchange) => Some(exchange),
            Stage::Confirmed(_) => None,
        }
    }
}

impl Stage {
    /// Whether the pairing has come as far as another state of it, no matter whether the other side is known to know.
    pub(crate) fn is_as_far_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Confirmed(one), Self::Confirmed(other)) => {
                Confirmation { acknowledged: other.acknowledged, ..*one } == *other
            }
            (one, other) => one == other,
        }
    }
}

/// How far a pairing has come. Nothing is authorised before it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// HELLO messages were swapped; the peer may try one handshake.
    Pending(Exchange),
    /// The peer has shown that it holds its key and saw the same HELLO messages.
    Keyed(Exchange),
    /// The pairing stands.
    Confirmed(Confirmation),
}

/// What is known of a pairing that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmation {
    /// Whether a person compared the six digits.
    pub compared: bool,
    /// Unix seconds.
    pub at: u64,
    /// Whether the other side is known to have it on disk.
    pub acknowledged: bool,
}

/// What is needed until a pairing stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Exchange {
    /// On the app's side.
    App(Box<AppExchange>),
    /// On the manager's side.
    Manager(ManagerExchange),
}

/// The app's side of an exchange of HELLO messages. Repetitions of a HELLO are answered from it after a restart too.
#[derive(Clone, PartialEq, Eq)]
pub struct AppExchange {
    pub(crate) keys: CodeKeys,
    /// Each `HELLO_APP` that was accepted, oldest first. The newest is the one answered.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) hello_node_manager: Vec<u8>,
    pub(crate) commitment: [u8; 32],
    pub(crate) n_app: [u8; NONCE_LEN],
    /// Whether a person has to compare the six digits.
    pub(crate) compare: bool,
    /// When the code stops to be good for another attempt.
    pub(crate) code_expires: UnixTime,
}

/// A HELLO_APP: its attempt's id, and its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) digest: [u8; 32],
}

/// The manager's side: the nonce it committed to, opened in the handshake's third message.
#[derive(Clone, PartialEq, Eq)]
pub struct ManagerExchange {
    pub(crate) attempt: AttemptId,
    pub(crate) n_nm: Zeroizing<[u8; NONCE_LEN]>,
    pub(crate) compare: bool,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App(_) => "App(..)",
            Self::Manager(_) => "Manager(..)",
        })
    }
}

/// A pairing that was ended. Whoever calls on it is refused; the attempts it came from are not accepted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The identity that was unpaired.
    pub identity: IdentityKey,
    /// Its X25519 key.
    pub noise: PublicKey,
    /// The ended pairing's transcript hash.
    pub transcript: [u8; 32],
    /// The attempts of an exchange that did not come to its end.
    pub attempts: Vec<AttemptId>,
    /// Unix seconds.
    pub at: u64,
    /// Why.
    pub reason: Reason,
    /// On the app's side: the code it came from.
    pub code: Option<CodeName>,
}

impl Tombstone {
    /// The ended pairing's name.
    pub fn id(&self) -> PairingId {
        PairingId::of_transcript(&self.transcript)
    }

    pub(crate) fn of(record: &PeerRecord, at: u64, reason: Reason) -> Self {
        let attempts = match record.exchange() {
            Some(Exchange::App(exchange)) => exchange.attempts.iter().map(|attempt| attempt.id).collect(),
            Some(Exchange::Manager(exchange)) => vec![exchange.attempt],
            None => Vec::new(),
        };
        let PeerRecord { identity, noise, transcript, code, .. } = *record;
        Self { identity, noise, transcript, attempts, at, reason, code }
    }
}
