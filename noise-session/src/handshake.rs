//! Handshakes as 35/WAKU2-NOISE puts them on the wire: padded payloads, message nametags, [`PayloadV2`].

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::cipher_state::CipherKey;
use crate::handshake_state::{HandshakeState, ReadError, Setup, SetupError, WriteError};
use crate::kdf::hkdf;
use crate::key::PublicKey;
use crate::message_nametag::{MessageNametag, NAMETAG_LEN, NametagSecret};
use crate::padding::{PaddingError, pad, unpad};
use crate::pattern::Role;
use crate::payload::{PayloadV2, ProtocolId};
use crate::symmetric_state::HASH_LEN;

/// A handshake under way, message by message.
#[derive(Clone)]
pub struct Handshake {
    protocol_id: ProtocolId,
    state: HandshakeState,
}

impl Handshake {
    /// Starts a handshake of 35.
    ///
    /// # Errors
    /// [`StartError`] when 35 gives the pattern no protocol id or a key is missing.
    pub fn new(setup: Setup<'_>) -> Result<Self, StartError> {
        let protocol_id =
            ProtocolId::of(setup.pattern).ok_or(StartError::NoProtocolId(setup.pattern.name))?;
        Ok(Self { protocol_id, state: HandshakeState::new(setup)? })
    }

    /// Writes our next message around `payload`, under `nametag`.
    ///
    /// # Errors
    /// [`WriteError`]; the handshake is then as before.
    pub fn write(
        &mut self,
        rng: &mut dyn CryptoRng,
        nametag: MessageNametag,
        payload: &[u8],
    ) -> Result<Vec<u8>, WriteError> {
        let message = self.state.write_message(rng, &pad(payload), nametag.as_bytes())?;
        let payload = PayloadV2 {
            nametag,
            protocol_id: self.protocol_id,
            handshake_keys: message.keys,
            transport_message: &message.payload,
        };
        Ok(payload.encode().expect("a handshake message of 35 holds at most three keys"))
    }

    /// Reads the other party's next message and returns its payload. The nametag it came under is authenticated with
    /// the payload wherever there is a key; whether it is the one expected is the caller's to check.
    ///
    /// # Errors
    /// [`HandshakeReadError`]; the handshake is then as before.
    pub fn read(&mut self, payload: &PayloadV2<'_>) -> Result<Zeroizing<Vec<u8>>, HandshakeReadError> {
        if payload.protocol_id != self.protocol_id {
            return Err(HandshakeReadError::OtherProtocol(payload.protocol_id));
        }
        let mut next = self.state.clone();
        let padded = next.read_message(
            &payload.handshake_keys,
            payload.transport_message,
            payload.nametag.as_bytes(),
        )?;
        let plaintext = Zeroizing::new(unpad(&padded)?.to_vec());
        self.state = next;
        Ok(plaintext)
    }

    /// The nametag that the deployed implementations give the next message: `HKDF(h)[0..16]`, with `h` after the
    /// message just written or read.
    pub fn next_nametag(&self) -> MessageNametag {
        let nametag: Zeroizing<[u8; NAMETAG_LEN]> = hkdf(self.state.handshake_hash(), &[], &[]);
        (*nametag).into()
    }

    /// The Noise state below.
    pub fn state(&self) -> &HandshakeState {
        &self.state
    }

    /// The keys of the finished handshake (35 "`HandshakeResult`").
    ///
    /// # Errors
    /// [`Unfinished`] while messages are missing.
    pub fn finish(self) -> Result<HandshakeResult, Unfinished> {
        let [initiator, responder] = self.state.split().ok_or(Unfinished)?;
        let hash = Zeroizing::new(*self.state.handshake_hash());
        let secrets = hkdf::<64>(hash.as_ref(), &[], &[]);
        let secret = |half: usize| {
            let bytes = secrets.as_chunks::<32>().0.get(half).expect("64 bytes are two secrets");
            NametagSecret::new(Zeroizing::new(*bytes))
        };
        let (nms1, nms2) = (secret(0), secret(1));
        let (send_key, receive_key, receive_nametags, send_nametags) = match self.state.role() {
            Role::Initiator => (initiator, responder, nms1, nms2),
            Role::Responder => (responder, initiator, nms2, nms1),
        };
        Ok(HandshakeResult {
            send_key: CipherKey::new(send_key),
            receive_key: CipherKey::new(receive_key),
            send_nametags,
            receive_nametags,
            handshake_hash: hash,
            remote_static: self.state.remote_static(),
        })
    }
}

/// What a finished handshake leaves: keys and nametag secrets for both directions.
#[derive(Clone)]
pub struct HandshakeResult {
    pub(crate) send_key: CipherKey,
    pub(crate) receive_key: CipherKey,
    pub(crate) send_nametags: NametagSecret,
    pub(crate) receive_nametags: NametagSecret,
    pub(crate) handshake_hash: Zeroizing<[u8; HASH_LEN]>,
    pub(crate) remote_static: Option<PublicKey>,
}

impl HandshakeResult {
    /// `h` at the end of the handshake.
    pub fn handshake_hash(&self) -> &[u8; HASH_LEN] {
        &self.handshake_hash
    }

    /// The other party's static key.
    pub fn remote_static(&self) -> Option<PublicKey> {
        self.remote_static
    }
}

/// Why a handshake cannot start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The pattern is not one of 35's.
    #[error("35/WAKU2-NOISE gives the pattern {0} no protocol id")]
    NoProtocolId(&'static str),
    /// A key is missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// Why a handshake message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeReadError {
    /// A message of another handshake pattern, or of none.
    #[error("the message has protocol id {}", *.0 as u8)]
    OtherProtocol(ProtocolId),
    /// Noise refused it.
    #[error(transparent)]
    Noise(#[from] ReadError),
    /// It is authentic but not padded.
    #[error(transparent)]
    Padding(#[from] PaddingError),
}

/// The handshake still lacks messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the handshake is not finished")]
pub struct Unfinished;
