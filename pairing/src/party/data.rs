//! What the applications of paired parties say to each other inside a session.
//!
//! A party carries bytes and knows nothing of them. Messages are lost, come twice or in another order: whoever needs more
//! keeps what it has [`Sent`], and says the very same bytes again.

use std::fmt;

use rand_core::CryptoRng;
use waku_noise_session::manager::{Place, SendError};
use waku_noise_session::session::SessionId;
use waku_noise_session::time::Now;
use zeroize::Zeroizing;

use super::{Context, Output, Party, UnknownPeer};
use crate::record::PairingId;

/// What comes in the sessions with a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message.
    Data(Data),
    /// A message came again, byte for byte, on the current session or its predecessor: the peer may not know that it
    /// came, so acknowledge it again. It may have come before the pairing stood; then there was no [`Data`] for it, and
    /// there is nothing to acknowledge. A stranger who recorded the message can repeat it too, so at most 16 at once and
    /// ten a second are told of a session.
    Repeated {
        /// Who sent it.
        pairing: PairingId,
        /// In which session.
        session: SessionId,
        /// Its place in the order of what the peer sent in this session.
        index: u64,
    },
}

/// A message of a peer whose pairing stands. Those of the parties themselves, pings for example, are among them: their
/// places in the order count too.
#[derive(Clone, PartialEq, Eq)]
pub struct Data {
    /// Who says it.
    pub pairing: PairingId,
    /// In which session.
    pub session: SessionId,
    /// Its place in the order of what the peer sent in this session, from 0 on. Each comes once, in any order.
    pub index: u64,
    /// An envelope of frames.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// Without what it says.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairing, session, index, plaintext } = self;
        f.debug_struct("Data")
            .field("pairing", pairing)
            .field("session", session)
            .field("index", index)
            .field("len", &plaintext.len())
            .finish()
    }
}

/// A message as it went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its place in the order of what this party sent there, from 0 on.
    pub index: u64,
    /// An encoded PayloadV2, sealed.
    pub payload: Vec<u8>,
    /// Whether stores are to keep it for a peer that is away.
    pub is_kept: bool,
}

impl Party {
    /// Says something to a peer whose pairing stands, in the session with it.
    ///
    /// # Errors
    /// [`DataError`]; nothing is said then.
    pub fn send(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        pairing: PairingId,
        plaintext: &[u8],
        is_kept: bool,
    ) -> Result<Sent, DataError> {
        let peer = self.peers.get_mut(&pairing).ok_or(UnknownPeer)?;
        if !peer.record.is_confirmed() {
            return Err(DataError::NotConfirmed);
        }
        let (session, sealed) = peer.sessions.seal(now, plaintext, false)?;
        let topic = peer.topic_of(now, Place::Session(session));
        let sent = Sent { session, index: sealed.index, payload: sealed.payload, is_kept };
        self.outbox.publish_data(pairing, topic, sent.payload.clone(), is_kept);
        self.drain_sessions(&mut Context { now, rng }, pairing);
        Ok(sent)
    }

    /// Says the very same bytes again, which a peer that has them takes for nothing new.
    ///
    /// # Errors
    /// [`DataError`]; nothing is said then.
    pub fn resend(&mut self, now: Now, pairing: PairingId, sent: &Sent) -> Result<(), DataError> {
        let peer = self.peers.get(&pairing).ok_or(UnknownPeer)?;
        if peer.sessions.session() != Some(sent.session) {
            return Err(SendError::NoSession.into());
        }
        let topic = peer.topic_of(now, Place::Session(sent.session));
        self.outbox.publish_data(pairing, topic, sent.payload.clone(), sent.is_kept);
        Ok(())
    }

    /// Hands on what a peer says.
    pub(super) fn handle_data(
        &mut self,
        pairing: PairingId,
        session: SessionId,
        index: u64,
        plaintext: &Zeroizing<Vec<u8>>,
    ) {
        let stands = self.peers.get(&pairing).is_some_and(|peer| peer.record.is_confirmed());
        if stands {
            let data = Data { pairing, session, index, plaintext: plaintext.clone() };
            self.outbox.after(pairing, Output::Incoming(Incoming::Data(data)));
        }
    }

    /// Hands on that a peer may not know what came.
    pub(super) fn handle_repeated(&mut self, pairing: PairingId, session: SessionId, index: u64) {
        let stands = self.peers.get(&pairing).is_some_and(|peer| peer.record.is_confirmed());
        if stands {
            let repeated = Incoming::Repeated { pairing, session, index };
            self.outbox.after(pairing, Output::Incoming(repeated));
        }
    }
}

/// Something that was not said to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// There is no such peer.
    #[error(transparent)]
    UnknownPeer(#[from] UnknownPeer),
    /// The pairing does not stand yet.
    #[error("the pairing is not confirmed")]
    NotConfirmed,
    /// There is no session to say it in, or it is too long.
    #[error(transparent)]
    Send(#[from] SendError),
}
