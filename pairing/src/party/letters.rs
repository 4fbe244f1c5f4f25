//! Letters to peers that are away, and from them: what [`crate::letter`] says.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use rand_core::CryptoRng;
use waku_noise_session::letter::{open, seal};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Now, UnixTime};
use waku_proto::ContentTopic;
use zeroize::Zeroizing;

use super::peer::Peer;
use super::{Party, UnknownPeer};
use crate::letter::{self, LIFETIME, LetterId, MAX_BODY};
use crate::record::PairingId;
use crate::topic;

/// Letters of one peer that are known to have been handed on; the oldest are forgotten when there are more.
const MAX_OFFERED: usize = 256;

/// A letter of a peer whose pairing stands. It comes again, at the latest with the next process, until it is
/// [acknowledged](Party::acknowledge).
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who wrote it.
    pub pairing: PairingId,
    /// Its name, which holds when it was written.
    pub id: LetterId,
    /// What it says, at most [`MAX_BODY`] bytes.
    pub body: Zeroizing<Vec<u8>>,
}

/// Without what it says.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairing, id, body } = self;
        f.debug_struct("Letter").field("pairing", pairing).field("id", id).field("len", &body.len()).finish()
    }
}

/// A letter as it went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Its name.
    pub id: LetterId,
    /// An encoded PayloadV2, sealed.
    pub payload: Vec<u8>,
}

/// The letters of one peer that were handed on in the life of this process.
#[derive(Default)]
pub(super) struct Offered(BTreeSet<LetterId>);

impl Offered {
    /// Notes a letter. False when it was there already.
    fn insert(&mut self, id: LetterId) -> bool {
        let is_new = self.0.insert(id);
        if self.0.len() > MAX_OFFERED {
            self.0.pop_first();
        }
        is_new
    }
}

impl Party {
    /// Writes a letter to a peer whose pairing stands, for a store to keep until the peer is there. Nothing of it is
    /// kept on this side.
    ///
    /// # Errors
    /// [`PostError`]; nothing is published then.
    pub fn post(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        pairing: PairingId,
        body: &[u8],
    ) -> Result<Posted, PostError> {
        let link = self.peers.get(&pairing).ok_or(UnknownPeer)?.link_if_confirmed();
        let link = link.ok_or(PostError::NotConfirmed)?;
        if body.len() > MAX_BODY {
            return Err(PostError::TooLong { len: body.len() });
        }
        let id = LetterId::new(now.unix, rng);
        let payload = seal(link, rng, id.sent_at().day(), &letter::encode(id, body))
            .expect("the length was checked, and the pairing's root was made with the peer's key");
        let posted = Posted { id, payload };
        self.repost(pairing, &posted)?;
        Ok(posted)
    }

    /// Publishes a letter once more, byte for byte: a peer that has it does not hand it on again.
    ///
    /// # Errors
    /// [`PostError`]; nothing is published then.
    pub fn repost(&mut self, pairing: PairingId, posted: &Posted) -> Result<(), PostError> {
        let link = self.peers.get(&pairing).ok_or(UnknownPeer)?.link_if_confirmed();
        let link = link.ok_or(PostError::NotConfirmed)?;
        let topic = topic::letters(&link.root, link.local_part, posted.id.sent_at().day());
        self.outbox.publish_data(pairing, topic, posted.payload.clone(), true);
        Ok(())
    }

    /// The application has acted on a letter: it is not handed on again, by any process.
    ///
    /// # Errors
    /// [`UnknownPeer`].
    pub fn acknowledge(&mut self, now: Now, pairing: PairingId, id: LetterId) -> Result<(), UnknownPeer> {
        let peer = self.peers.get_mut(&pairing).ok_or(UnknownPeer)?;
        if !peer.record.letters.holds(&id) {
            peer.record.letters.take(now.unix, id);
            self.outbox.save(pairing, vec![peer.put()]);
        }
        Ok(())
    }

    /// Where letters to this party may lie that were written since it was last there, at most a week back: what to ask a
    /// store for. What is found goes to [`Party::handle_message`].
    pub fn letter_topics(&self, now: Now, since: UnixTime) -> Vec<(PairingId, ContentTopic)> {
        // The writer's clock may be a day behind.
        let first = since.day().saturating_sub(1);
        let of_peer = |(id, peer): (&PairingId, &Peer)| {
            let topics = peer.letter_topics(now).filter(|(day, _)| *day >= first);
            topics.map(|(_, topic)| (*id, topic)).collect::<Vec<_>>()
        };
        self.peers.iter().flat_map(of_peer).collect()
    }

    /// The last polled [`super::Output::Letter`] found no reader: it is handed on when it comes again.
    pub fn handle_letter_dropped(&mut self, pairing: PairingId, id: LetterId) {
        if let Some(peer) = self.peers.get_mut(&pairing) {
            peer.offered.0.remove(&id);
        }
    }

    /// A message on the topic of a peer's letters of a day.
    pub(super) fn handle_letter(&mut self, now: Now, pairing: PairingId, day: u64, payload: &PayloadV2<'_>) {
        let Some(peer) = self.peers.get_mut(&pairing) else { return };
        let Some(plaintext) = peer.link_if_confirmed().and_then(|link| open(link, day, payload)) else {
            return;
        };
        let Some((id, body)) = letter::decode(&plaintext) else { return };
        let is_wanted = id.sent_at().day() == day && id.is_fresh(now.unix) && !peer.record.letters.holds(&id);
        if is_wanted && peer.offered.insert(id) {
            self.outbox.letter(Letter { pairing, id, body: Zeroizing::new(body.to_vec()) });
        }
    }
}

/// The days of which letters may still be read: clocks may be a day apart.
pub(super) fn readable_days(today: u64) -> RangeInclusive<u64> {
    let week = LIFETIME.as_secs() / (24 * 60 * 60);
    today.saturating_sub(week)..=today.saturating_add(1)
}

/// Why a letter was not posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There is no such peer.
    #[error(transparent)]
    UnknownPeer(#[from] UnknownPeer),
    /// The pairing does not stand yet.
    #[error("the pairing is not confirmed")]
    NotConfirmed,
    /// It is longer than [`MAX_BODY`].
    #[error("{len} bytes are more than the {MAX_BODY} one letter can carry")]
    TooLong {
        /// How long it is.
        len: usize,
    },
}
