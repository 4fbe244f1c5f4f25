//! What the three K1K1 messages say.
//!
//! K1K1 leaves the first message's payload in clear, so it is sealed under a key of the pairing: junk is told from an
//! initiation by one AEAD, and the strictly increasing [`Stamp`] inside refuses replays (WireGuard's TAI64N rule).
//!
//! ```text
//! message 1 payload = nonce(12) || ChaChaPoly(key, nonce, AD = ephemeral, initiation)
//! initiation        = version(1) || time u64 BE ns || counter u64 BE || boot id(16) || capabilities u32 BE
//!                     || SHA-256(last session id)(32, zero when none)
//! message 2 payload = version(1) || capabilities u32 BE || boot id(16)
//! message 3 payload = version(1) || application data
//! ```

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::link::Link;
use crate::cipher_state::{chachapoly_open, chachapoly_seal};
use crate::key::PublicKey;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 12;

/// The bits of the capability fields that this crate knows.
pub(super) mod capability {
    /// Keys are renewed by index every 1,024 messages.
    pub(crate) const REKEY: u32 = 1;
}

/// When an initiation was made, by its maker's clock, and a counter that rises even when the clock does not. Between
/// two of one party the later is always the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// Initiations made before this one.
    pub counter: u64,
}

impl Stamp {
    /// The stamp after this one, at `time`.
    pub(super) fn next(self, time: u64) -> Self {
        Self { time: time.max(self.time), counter: self.counter.saturating_add(1) }
    }
}

/// The first message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Initiation {
    pub(super) stamp: Stamp,
    pub(super) boot_id: [u8; 16],
    pub(super) capabilities: u32,
    pub(super) last_session: [u8; 32],
}

impl Initiation {
    pub(super) fn seal(&self, link: &Link, rng: &mut dyn CryptoRng, ephemeral: &PublicKey) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        rng.fill_bytes(&mut nonce);
        let plaintext = [
            &[VERSION][..],
            &self.stamp.time.to_be_bytes(),
            &self.stamp.counter.to_be_bytes(),
            &self.boot_id,
            &self.capabilities.to_be_bytes(),
            &self.last_session,
        ]
        .concat();
        let sealed = chachapoly_seal(&link.initiation_key(), &nonce, ephemeral.as_bytes(), &plaintext);
        [&nonce[..], &sealed].concat()
    }

    pub(super) fn open(link: &Link, ephemeral: &PublicKey, payload: &[u8]) -> Option<Self> {
        let (nonce, sealed) = payload.split_first_chunk::<NONCE_LEN>()?;
        let plaintext = chachapoly_open(&link.initiation_key(), nonce, ephemeral.as_bytes(), sealed).ok()?;
        let mut fields = Fields(plaintext.strip_prefix(&[VERSION])?);
        let initiation = Self {
            stamp: Stamp {
                time: u64::from_be_bytes(fields.take()?),
                counter: u64::from_be_bytes(fields.take()?),
            },
            boot_id: fields.take()?,
            capabilities: u32::from_be_bytes(fields.take()?),
            last_session: fields.take()?,
        };
        Some(initiation)
    }
}

/// The second message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) capabilities: u32,
    pub(super) boot_id: [u8; 16],
}

impl Reply {
    pub(super) fn encode(&self) -> Vec<u8> {
        [&[VERSION][..], &self.capabilities.to_be_bytes(), &self.boot_id].concat()
    }

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload.strip_prefix(&[VERSION])?);
        Some(Self { capabilities: u32::from_be_bytes(fields.take()?), boot_id: fields.take()? })
    }
}

/// The third message's content: what the initiator's application wants the responder's to know.
pub(super) fn encode_finish(data: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&[VERSION], data].concat())
}

pub(super) fn decode_finish(payload: &[u8]) -> Option<&[u8]> {
    payload.strip_prefix(&[VERSION])
}

/// Fixed-length fields in order. What a later version appends is passed over.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}
