//! A session after the handshake: transport messages, 37/WAKU2-NOISE-SESSIONS' id, topic and termination.
//!
//! On the wire a message's nametag index is its nonce, so what is lost, reordered or duplicated under way costs
//! nothing: the nametag says which nonce to decrypt with. The state changes only when a message is authentic.
//!
//! A message is opened once. When the very same bytes come again, which is what a sender does whose acknowledgement was
//! lost, [`OpenError::Repeated`] says which message it was, for the [`MAX_REMEMBERED`] opened last. Anybody who recorded
//! a message can repeat it too, so a repetition proves nothing about the other party, not even that it is there.
//!
//! # Differences from 37
//! * The id is `HKDF(h)` under a label of its own: taken literally it would equal a nametag secret.
//! * Termination is accepted only inside the session. `h` can be recomputed by an observer, so a termination in clear
//!   could be forged.

mod id;
mod received;
mod rekey;
mod window;

pub use id::SessionId;
pub use received::MAX_REMEMBERED;
pub use window::{MAX_SKIPPED, SKIPPED_LIFETIME, WINDOW};

use zeroize::Zeroizing;

use crate::cipher_state::{DecryptError, MAX_NONCE, NonceExhausted, TAG_LEN};
use crate::handshake::HandshakeResult;
use crate::message_nametag::NametagSecret;
use crate::padding::{PaddingError, pad_from, padded_len, unpad};
use crate::payload::{HEADER_LEN, PayloadError, PayloadV2, ProtocolId, transport_header};
use crate::time::Instant;
use received::Received;
use rekey::KeyChain;
use window::ReceiveWindow;

/// The longest plaintext of one message: what fits 150 KB Waku messages once padded, with room for a rate limit proof
/// and the message's own fields (602 blocks of 248 bytes, less one byte of padding).
pub const MAX_PLAINTEXT: usize = 602 * crate::padding::BLOCK_LEN - 1;

/// Both directions of a session. Keys are zeroized on drop.
pub struct Session {
    id: SessionId,
    sender: Sender,
    keys: KeyChain,
    window: ReceiveWindow,
    received: Received,
}

struct Sender {
    keys: KeyChain,
    nametags: NametagSecret,
    next: u64,
}

/// A message of ours, ready to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its place in the order we sent in.
    pub index: u64,
    /// The encoded [`PayloadV2`]. Sending it again is safe; sealing other bytes under its index is not possible.
    pub payload: Vec<u8>,
}

/// An authentic message of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its place in the order they sent in.
    pub index: u64,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Bytes for the layer above.
    Data(Zeroizing<Vec<u8>>),
    /// 37's termination: the session is stale from now on.
    Termination,
}

impl Session {
    /// The session of a finished handshake. `rekey` renews the keys every 1,024 messages, by index; only between
    /// parties that both said they can, for no published library does it.
    pub fn new(result: HandshakeResult, rekey: bool) -> Self {
        Self {
            id: SessionId::of_handshake(result.handshake_hash()),
            sender: Sender {
                keys: KeyChain::new(result.send_key, rekey),
                nametags: result.send_nametags,
                next: 0,
            },
            keys: KeyChain::new(result.receive_key, rekey),
            window: ReceiveWindow::new(result.receive_nametags),
            received: Received::default(),
        }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// How many messages we have sealed.
    pub fn sent(&self) -> u64 {
        self.sender.next
    }

    /// Pads, encrypts and frames `plaintext` under the next index.
    ///
    /// # Errors
    /// [`SealError`] when it is longer than [`MAX_PLAINTEXT`] or the indices are used up; nothing is consumed then.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Sealed, SealError> {
        if plaintext.len() > MAX_PLAINTEXT {
            return Err(SealError::TooLong { len: plaintext.len() });
        }
        self.sender.seal(plaintext).map_err(SealError::from)
    }

    /// The message that ends the session (37 "Session termination"): `SHA-256(session-id)`, inside the session.
    ///
    /// # Errors
    /// [`NonceExhausted`] when not even this one can be sealed.
    pub fn seal_termination(&mut self) -> Result<Sealed, NonceExhausted> {
        self.sender.seal(&self.id.termination())
    }

    /// Opens a message of theirs, in whatever order it comes, at most once.
    ///
    /// # Errors
    /// [`OpenError`]; the session is then as before.
    pub fn open(&mut self, now: Instant, payload: &PayloadV2<'_>) -> Result<Opened, OpenError> {
        if !is_transport(payload) {
            return Err(OpenError::NotTransport);
        }
        let Some(index) = self.window.index_of(payload.nametag) else {
            let repeated = self.repeated(payload).map(|index| OpenError::Repeated { index });
            return Err(repeated.unwrap_or(OpenError::UnknownNametag));
        };
        let (body, tag) = payload.transport_message.split_last_chunk::<TAG_LEN>().ok_or(DecryptError)?;
        let mut plaintext = Zeroizing::new(body.to_vec());
        let key = self.keys.key_for(index);
        key.open_in_place(index, payload.nametag.as_bytes(), &mut plaintext, tag)?;
        let len = unpad(&plaintext)?.len();
        plaintext.truncate(len);
        self.window.mark_received(now, index);
        self.keys.advance(index, key, self.window.lowest_expected());
        let content =
            if self.id.is_termination(&plaintext) { Content::Termination } else { Content::Data(plaintext) };
        // What told nothing is not worth an acknowledgement.
        if matches!(&content, Content::Data(plaintext) if !plaintext.is_empty()) {
            self.received.remember(payload.nametag, index, payload.transport_message);
        }
        Ok(Opened { index, content })
    }

    /// The index of a message with something in it that was opened before, when this is the same byte for byte. Nothing
    /// changes.
    pub fn repeated(&self, payload: &PayloadV2<'_>) -> Option<u64> {
        self.received.index_of(payload.nametag, payload.transport_message).filter(|_| is_transport(payload))
    }

    /// Whether `nametag` is one this session waits for.
    pub fn expects(&self, payload: &PayloadV2<'_>) -> bool {
        self.window.index_of(payload.nametag).is_some()
    }
}

fn is_transport(payload: &PayloadV2<'_>) -> bool {
    payload.protocol_id == ProtocolId::AfterHandshake && payload.handshake_keys.is_empty()
}

impl Sender {
    fn seal(&mut self, plaintext: &[u8]) -> Result<Sealed, NonceExhausted> {
        let index = self.next;
        if index >= MAX_NONCE {
            return Err(NonceExhausted);
        }
        let nametag = self.nametags.nametag(index);
        let body_len = padded_len(plaintext.len());
        let mut payload = Vec::with_capacity(HEADER_LEN + body_len + TAG_LEN);
        payload.extend_from_slice(&transport_header(nametag, body_len + TAG_LEN));
        payload.extend_from_slice(plaintext);
        pad_from(&mut payload, HEADER_LEN);
        let key = self.keys.key_for(index);
        let (_, body) = payload.split_at_mut(HEADER_LEN);
        let tag = key.seal_in_place(index, nametag.as_bytes(), body);
        payload.extend_from_slice(&tag);
        self.keys.advance(index, key, index);
        self.next += 1;
        Ok(Sealed { index, payload })
    }
}

/// Why a plaintext was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It would not fit a Waku message.
    #[error("{len} bytes are more than the {MAX_PLAINTEXT} one message can carry")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// The session has sent all it can.
    #[error(transparent)]
    Exhausted(#[from] NonceExhausted),
}

/// Why a message was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes are no payload.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A message of a handshake or of symmetric encryption.
    #[error("not a transport message")]
    NotTransport,
    /// A message that was opened before, byte for byte: its sender may not know that it came.
    #[error("the message with index {index} was opened before")]
    Repeated {
        /// Its place in the order they sent in.
        index: u64,
    },
    /// An old duplicate, a message too far ahead or too old, or one for somebody else.
    #[error("no message with this nametag is expected")]
    UnknownNametag,
    /// Forged or damaged.
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    /// Authentic but not padded.
    #[error(transparent)]
    Padding(#[from] PaddingError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher_state::CipherKey;

    /// A sender whose next message has the index `next`. Its keys are not renewed: from the first to the last that
    /// would be four million times.
    fn sender(next: u64) -> Sender {
        let keys = KeyChain::new(CipherKey::new(Zeroizing::new([7; 32])), false);
        Sender { keys, nametags: NametagSecret::new(Zeroizing::new([8; 32])), next }
    }

    #[test]
    fn no_nonce_serves_twice_once_they_are_used_up() {
        let mut sender = sender(MAX_NONCE - 2);
        let last = [(); 2].map(|()| sender.seal(b"the same words").unwrap());
        assert_eq!(last.each_ref().map(|sealed| sealed.index), [MAX_NONCE - 2, MAX_NONCE - 1]);
        assert_ne!(last[0].payload[HEADER_LEN..], last[1].payload[HEADER_LEN..]);
        for _ in 0..3 {
            assert_eq!(sender.seal(b"more"), Err(NonceExhausted));
            assert_eq!(sender.next, MAX_NONCE, "it neither advances nor wraps");
        }
    }
}
