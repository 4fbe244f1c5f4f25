//! The app's code: offered, locked to whoever answers it, spent.

use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::ContentTopic;

use super::event::{Event, Failure};
use super::{Context, Part, Party, Terms};
use crate::code::CODE_LIFETIME;
use crate::kdf::CodeKeys;
use crate::record::{Exchange, PairingId};
use crate::topic;

/// A code of ours, until its ten minutes are over. While there is an exchange on its topic it is locked to that.
pub(super) struct Code {
    pub(super) keys: CodeKeys,
    pub(super) terms: Terms,
    expires: Instant,
    pub(super) expires_unix: UnixTime,
    /// When it has served or is burnt: the digests of each `HELLO_APP` it served. Whoever else says one is refused; theirs
    /// may still come, late, while they wait for our CONFIRM.
    pub(super) spent: Option<Vec<[u8; 32]>>,
}

impl Code {
    pub(super) fn topic(&self) -> ContentTopic {
        topic::pairing(&self.keys.topic)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.expires
    }
}

impl Party {
    /// As the app: waits for a host on a fresh code, for [`CODE_LIFETIME`]. Show the code only once the topic that this
    /// subscribes to is being received on. An earlier code that no host has answered is forgotten.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn offer(&mut self, now: Now, keys: CodeKeys, terms: Terms) -> Result<(), OfferError> {
        if self.me.config.part != Part::App {
            return Err(OfferError::NotTheApp);
        }
        let name = keys.name();
        let in_use = self.code.as_ref().is_some_and(|code| code.keys.topic == keys.topic);
        if in_use
            || self.peers.values().any(|peer| peer.record.code == Some(name))
            || self.graves.values().any(|grave| grave.is_of_code(name))
        {
            return Err(OfferError::CodeUsed);
        }
        let (expires, expires_unix) = (now.instant + CODE_LIFETIME, now.unix + CODE_LIFETIME);
        self.code = Some(Code { keys, terms, expires, expires_unix, spent: None });
        self.topics.dirty();
        self.refresh_topics(now);
        Ok(())
    }

    pub(super) fn expire_code(&mut self, cx: &mut Context<'_>) {
        if self.code.as_ref().is_some_and(|code| code.expires <= cx.now.instant) {
            if self.code_is_unanswered() {
                self.outbox.event(Event::PairingFailed { pairing: None, failure: Failure::Expired });
            }
            self.code = None;
            self.topics.dirty();
        }
    }

    /// Whether a code waits for a host.
    fn code_is_unanswered(&self) -> bool {
        self.code
            .as_ref()
            .is_some_and(|code| code.spent.is_none() && self.exchange_on(&code.keys.topic).is_none())
    }

    /// The code waits for a host no longer. Whether it did.
    pub(super) fn withdraw_code(&mut self) -> bool {
        let waited = self.code_is_unanswered();
        if let Some(code) = self.code.as_mut().filter(|_| waited) {
            code.spent = Some(Vec::new());
        }
        waited
    }

    /// The exchange under way on a code's topic.
    pub(super) fn exchange_on(&self, topic: &[u8; 32]) -> Option<PairingId> {
        self.peers.iter().find_map(|(id, peer)| match peer.record.exchange()? {
            Exchange::App(app) if app.keys.topic == *topic => Some(*id),
            _ => None,
        })
    }

    /// An exchange came to its end. What it served is not refused when it served well.
    pub(super) fn spend_code_of(&mut self, exchange: &Exchange, served: bool) {
        if let (Exchange::App(exchange), Some(code)) = (exchange, &mut self.code)
            && exchange.keys.topic == code.keys.topic
        {
            let digests = exchange.attempts.iter().map(|attempt| attempt.digest);
            code.spent = Some(digests.filter(|_| served).collect());
        }
    }

    /// The end of an exchange could not be kept: its code is locked to it as before.
    pub(super) fn unspend_code(&mut self) {
        let locked = self.code.as_ref().is_some_and(|code| self.exchange_on(&code.keys.topic).is_some());
        if let Some(code) = self.code.as_mut().filter(|_| locked) {
            code.spent = None;
        }
    }

    /// The code that this topic was derived from, if it is still in memory.
    pub(super) fn code_on(&self, topic: &[u8; 32]) -> Option<&Code> {
        self.code.as_ref().filter(|code| code.keys.topic == *topic)
    }
}

/// Why a code was not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// This party is a node manager.
    #[error("only the app offers a code")]
    NotTheApp,
    /// A code is good for one pairing.
    #[error("this code was used before; make a fresh one")]
    CodeUsed,
}
