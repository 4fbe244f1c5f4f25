//! The places a session passes through: next, current, previous.

use std::time::Duration;

use super::exchange::Outcome;
use super::initiation::Stamp;
use super::link::Link;
use super::pace::Allowance;
use crate::key::PublicKey;
use crate::pattern::Role;
use crate::payload::PayloadV2;
use crate::session::{Opened, SealError, Sealed, Session, SessionId};
use crate::time::Instant;

/// How long a session is received on after its successor was first heard on.
const PREVIOUS_GRACE: Duration = Duration::from_secs(60);
/// A session on which nothing authentic came for so long is stale (37).
const EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// When the initiator of a session renews it.
const RENEW_AFTER: Duration = Duration::from_secs(60 * 60);
/// How much later the responder does, should the initiator not have.
const RENEW_GRACE: Duration = Duration::from_secs(10 * 60);
/// The wait before the third message is first repeated; it doubles after each.
const THIRD_RETRY: Duration = Duration::from_secs(1);
/// How often the third message is repeated before its session is given up.
const THIRD_REPEATS: u32 = 4;
/// How often at most a repeated third message is answered.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);
/// A party that said something that wants an answer, and has heard nothing for so long, makes a new session.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// A session and what its handshake leaves to remember.
pub(super) struct Live {
    pub(super) session: Session,
    pub(super) role: Role,
    /// When something authentic last came; at first, when the handshake ended.
    pub(super) heard: Instant,
    established: Instant,
    stamp: Stamp,
    knew: [u8; 32],
    peer_boot: [u8; 16],
    third: Vec<u8>,
    confirmed: Instant,
    /// When we said the first thing that wants an answer and has not been followed by anything of theirs.
    unanswered: Option<Instant>,
    repetitions: Allowance,
}

impl Live {
    pub(super) fn new(now: Instant, outcome: Outcome) -> Self {
        let Outcome { session, role, stamp, knew, peer_boot, third, .. } = outcome;
        Self {
            session,
            role,
            heard: now,
            established: now,
            stamp,
            knew,
            peer_boot,
            third,
            confirmed: now,
            unanswered: None,
            repetitions: Allowance::of_repetitions(),
        }
    }

    /// Seals a message of ours.
    pub(super) fn seal(
        &mut self,
        now: Instant,
        plaintext: &[u8],
        wants_answer: bool,
    ) -> Result<Sealed, SealError> {
        let sealed = self.session.seal(plaintext)?;
        if wants_answer {
            self.unanswered.get_or_insert(now);
        }
        Ok(sealed)
    }

    fn open(&mut self, now: Instant, payload: &PayloadV2<'_>) -> Option<Opened> {
        let opened = self.session.open(now, payload).ok()?;
        self.heard = now;
        self.unanswered = None;
        Some(opened)
    }

    /// Whether the two came about by glare: between the same two processes, and neither initiator knew of the other's
    /// session when it called. Both parties judge this from the same facts.
    fn raced(&self, other: &Self) -> bool {
        self.peer_boot == other.peer_boot
            && self.knew != other.session.id().termination()
            && other.knew != self.session.id().termination()
            && self.role != other.role
    }

    /// By this both parties order two sessions alike.
    fn order(&self, link: &Link) -> (Stamp, PublicKey) {
        let initiator = if self.role == Role::Initiator { link.local.public() } else { link.remote };
        (self.stamp, initiator)
    }

    fn renew_at(&self) -> Instant {
        let responder = if self.role == Role::Responder { RENEW_GRACE } else { Duration::ZERO };
        self.established + RENEW_AFTER + responder
    }
}

/// A session that left its place.
pub(super) enum Slot {
    Next(Live),
    Current(Live),
    Previous(Live),
}

/// The three places.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) next: Option<Live>,
    pub(super) current: Option<Live>,
    previous: Option<Live>,
    repeat: Option<Repeat>,
    /// When the previous session is erased; set once its successor was heard on.
    erase_previous: Option<Instant>,
    /// Whether a successor to the current session is being called for.
    pub(super) renewing: bool,
}

/// The third message's repetition.
struct Repeat {
    at: Instant,
    wait: Duration,
    left: u32,
}

impl Slots {
    pub(super) fn set_next(&mut self, now: Instant, live: Live) {
        self.next = Some(live);
        self.repeat = Some(Repeat { at: now + THIRD_RETRY, wait: THIRD_RETRY, left: THIRD_REPEATS });
    }

    /// Makes `live` the current session, unless it lost a race against the one there is. Returns a session that has
    /// to leave altogether.
    pub(super) fn establish(&mut self, link: &Link, live: Live) -> Option<Live> {
        let lost = self
            .current
            .as_ref()
            .is_some_and(|current| current.raced(&live) && current.order(link) > live.order(link));
        self.renewing = false;
        if lost {
            return self.previous.replace(live);
        }
        self.erase_previous = None;
        let replaced = self.current.replace(live)?;
        self.previous.replace(replaced)
    }

    /// Opens a transport message on whichever session expects it.
    pub(super) fn open(&mut self, now: Instant, payload: &PayloadV2<'_>) -> Option<(SessionId, Opened)> {
        let places = [&mut self.current, &mut self.next, &mut self.previous];
        let live = places.into_iter().flatten().find(|live| live.session.expects(payload))?;
        let opened = live.open(now, payload)?;
        let session = live.session.id();
        self.heard(now, session);
        Some((session, opened))
    }

    /// The session and index of a message that was received before, when it is time to tell of it. It is no sign of
    /// life: anybody can repeat it.
    pub(super) fn repeated(&mut self, now: Instant, payload: &PayloadV2<'_>) -> Option<(SessionId, u64)> {
        let places = [&mut self.current, &mut self.previous];
        let (live, index) = places
            .into_iter()
            .flatten()
            .find_map(|live| live.session.repeated(payload).map(|index| (live, index)))?;
        if live.repetitions.is_used_up(now) {
            return None;
        }
        live.repetitions.used(now);
        Some((live.session.id(), index))
    }

    /// Something authentic came on a session: if it is the current one, the previous one's days are counted.
    pub(super) fn heard(&mut self, now: Instant, session: SessionId) {
        let on_current = self.current.as_ref().is_some_and(|current| current.session.id() == session);
        if on_current && self.previous.is_some() && self.erase_previous.is_none() {
            self.erase_previous = Some(now + PREVIOUS_GRACE);
        }
    }

    /// The next session, when it is the one that was just heard on: its third message has come.
    pub(super) fn take_confirmed_next(&mut self, session: SessionId) -> Option<Live> {
        let live = self.next.take_if(|next| next.session.id() == session)?;
        self.repeat = None;
        Some(live)
    }

    pub(super) fn take(&mut self, session: SessionId) -> Option<Live> {
        [&mut self.current, &mut self.next, &mut self.previous]
            .into_iter()
            .find_map(|place| place.take_if(|live| live.session.id() == session))
    }

    pub(super) fn clear(&mut self) -> Vec<Live> {
        let slots = std::mem::take(self);
        [slots.next, slots.current, slots.previous].into_iter().flatten().collect()
    }

    /// Whether `payload` is the third message of the current session once more, and it is time to answer it again.
    pub(super) fn is_answered_third(&mut self, now: Instant, payload: &PayloadV2<'_>) -> bool {
        let Some(current) = &mut self.current else { return false };
        let due = current.role == Role::Responder
            && now.saturating_since(current.confirmed) >= CONFIRM_INTERVAL
            && payload.encode().is_ok_and(|bytes| bytes == current.third);
        if due {
            current.confirmed = now;
        }
        due
    }

    /// The third message, when it is time to repeat it.
    pub(super) fn third_to_repeat(&mut self, now: Instant) -> Option<Vec<u8>> {
        let repeat = self.repeat.as_mut().filter(|repeat| repeat.at <= now && repeat.left > 0)?;
        repeat.wait *= 2;
        repeat.at = now + repeat.wait;
        repeat.left -= 1;
        self.next.as_ref().map(|live| live.third.clone())
    }

    /// Takes out the sessions whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Slot> {
        let mut gone = Vec::new();
        if self.repeat.as_ref().is_some_and(|repeat| repeat.at <= now) {
            self.repeat = None;
            gone.extend(self.next.take().map(Slot::Next));
        }
        if self.erase_previous.is_some_and(|at| at <= now) {
            self.erase_previous = None;
            gone.extend(self.previous.take().map(Slot::Previous));
        }
        let stale = |live: &mut Live| live.heard + EXPIRY <= now;
        gone.extend(self.current.take_if(stale).map(Slot::Current));
        gone.extend(self.previous.take_if(stale).map(Slot::Previous));
        gone
    }

    /// Whether the current session needs a successor: it has come of age, or nobody answers on it.
    pub(super) fn renewal_due(&self, now: Instant) -> bool {
        self.renew_at().is_some_and(|at| at <= now)
    }

    /// When something here is due.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let expiry = [&self.current, &self.previous].into_iter().flatten().map(|live| live.heard + EXPIRY);
        let repeat = self.repeat.as_ref().map(|repeat| repeat.at);
        expiry.chain(self.renew_at()).chain(repeat).chain(self.erase_previous)
    }

    fn renew_at(&self) -> Option<Instant> {
        let current = self.current.as_ref().filter(|_| !self.renewing)?;
        let unanswered = current.unanswered.map(|since| since + ANSWER_TIMEOUT);
        Some(unanswered.map_or(current.renew_at(), |at| at.min(current.renew_at())))
    }
}
