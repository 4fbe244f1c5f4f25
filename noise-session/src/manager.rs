//! The sessions of one pairing: K1K1 handshakes at a rendezvous, glare, renewal, and at any time at most one session to
//! send on.
//!
//! A sans-I/O core. Feed it with `handle_*`, `connect`, `send`; after each call drain [`Manager::poll_output`] and ask
//! [`Manager::poll_timeout`] when to call [`Manager::handle_timeout`]. Outputs are to be acted on in their order: what
//! follows an [`Output::Save`] may be said only once that is durable.
//!
//! Keys live in memory only. A restart makes a new handshake, which rules out that a nonce serves twice.
//!
//! As in WireGuard there are three places for a session: *next*, whose third message is on its way; *current*, which is
//! sent on; *previous*, which is still received on for a while. When both parties start at once the one with the lower
//! public key has priority, and where two sessions come about all the same, the one with the larger initiation stamp
//! wins on both sides. And silence is noticed: who said something that wants an answer, and hears nothing at all, makes a
//! new session.

mod exchange;
mod initiation;
mod link;
mod output;
mod pace;
mod refusal;
mod slots;

use std::collections::VecDeque;
use std::time::Duration;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use initiation::Stamp;
pub use link::{Link, PairRoot, Profile, live_days};
pub use output::{CloseReason, Event, Output, Place};
pub use refusal::refuse;

use crate::payload::{PayloadV2, ProtocolId};
use crate::session::{Content, SealError, Sealed, SessionId};
use crate::time::{Instant, Now};
use exchange::{Answer, Attempt, Boot, Outcome, open_initiation};
use initiation::Initiation;
use pace::{Allowance, Calls};
use refusal::open_refusal;
use slots::{Live, Slot, Slots};

/// Handshakes kept waiting on either side, so that a late message still finds its own.
const MAX_EXCHANGES: usize = 3;
/// How long the priority side ignores initiations after its own, and how long a party that answered waits before it
/// calls again.
const GLARE_PRIORITY: Duration = Duration::from_secs(10);
/// The wait after our first call when the other party called meanwhile: a good deal longer than a message and its answer
/// take.
const SECOND_CALL: Duration = Duration::from_millis(500);
/// The first wait when the other party took its leave: it will call.
const RETRY_AFTER_CLOSE: Duration = Duration::from_secs(30);
/// Messages sent before a session is renewed.
const RENEW_AFTER_MESSAGES: u64 = 1 << 14;

/// What must outlive the process: the latest initiations of both parties. Without `seen` an old initiation could be
/// replayed, without `sent` ours would be taken for a replay after our clock jumped back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamps {
    /// Our latest.
    pub sent: Stamp,
    /// Their latest that we answered.
    pub seen: Stamp,
}

/// The sessions of one pairing.
pub struct Manager {
    link: Link,
    boot: Boot,
    /// What our application says in the third message.
    data: Zeroizing<Vec<u8>>,
    stamps: Stamps,
    /// Whether we call, or only answer.
    calling: bool,
    calls: Calls,
    attempts: VecDeque<Attempt>,
    answered: Allowance,
    answers: VecDeque<Answer>,
    slots: Slots,
    outputs: VecDeque<Output>,
}

impl Manager {
    /// The longest wait between two calls, unless another is set.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

    /// A manager without a session, that answers but does not call. `stamps` come from the store; `boot_id` is random
    /// per process.
    pub fn new(link: Link, stamps: Stamps, boot_id: [u8; 16]) -> Self {
        Self {
            link,
            boot: Boot { id: boot_id, last_session: [0; 32] },
            data: Zeroizing::default(),
            stamps,
            calling: false,
            calls: Calls::new(Self::LONGEST_WAIT),
            attempts: VecDeque::new(),
            answered: Allowance::of_answers(),
            answers: VecDeque::new(),
            slots: Slots::default(),
            outputs: VecDeque::new(),
        }
    }

    /// What the third message of our handshakes says from now on.
    pub fn set_data(&mut self, data: Zeroizing<Vec<u8>>) {
        self.data = data;
    }

    /// Calls the other party until there is a session, and again whenever there is none.
    pub fn connect(&mut self, now: Now) {
        self.connect_after(now, Duration::ZERO);
    }

    /// The same, with the first call after a while.
    pub fn connect_after(&mut self, now: Now, wait: Duration) {
        self.calling = true;
        if self.slots.current.is_none() {
            self.calls.begin(now.instant + wait);
        }
    }

    /// The longest wait between two calls from the next one on, give or take a fifth.
    pub fn set_longest_wait(&mut self, cap: Duration) {
        self.calls.set_longest_wait(cap);
    }

    /// Makes a new session even though there is one.
    pub fn renew(&mut self, now: Now) {
        if !self.slots.renewing {
            self.slots.renewing = true;
            self.calls.begin(now.instant);
        }
    }

    /// The network is back: whatever waits for its next try tries now.
    pub fn handle_network_up(&mut self, now: Now) {
        if self.calls.next().is_some() {
            self.calls.begin(now.instant);
        }
    }

    /// Seals a message on the current session and returns its index. With `wants_answer` the other party is one that
    /// answers such a message: if nothing at all is heard of it, a new session is made.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sent then.
    pub fn send(&mut self, now: Now, plaintext: &[u8], wants_answer: bool) -> Result<u64, SendError> {
        let (session, sealed) = self.seal(now, plaintext, wants_answer)?;
        let Sealed { index, payload } = sealed;
        self.outputs.push_back(Output::Transmit { place: Place::Session(session), payload });
        Ok(index)
    }

    /// As [`Manager::send`], but for the caller to transmit, as often as is needed: the other party takes it once.
    ///
    /// # Errors
    /// [`SendError`]; nothing is sealed then.
    pub fn seal(
        &mut self,
        now: Now,
        plaintext: &[u8],
        wants_answer: bool,
    ) -> Result<(SessionId, Sealed), SendError> {
        let live = self.slots.current.as_mut().ok_or(SendError::NoSession)?;
        let sealed = live.seal(now.instant, plaintext, wants_answer)?;
        let session = live.session.id();
        if sealed.index >= RENEW_AFTER_MESSAGES {
            self.renew(now);
        }
        Ok((session, sealed))
    }

    /// Ends every session, telling the other party inside the current one, and stops calling.
    pub fn close(&mut self) {
        self.calling = false;
        self.calls.pause();
        self.attempts.clear();
        self.answers.clear();
        for mut live in self.slots.clear() {
            self.terminate(&mut live);
            self.forget(&live);
        }
    }

    /// 37's termination. A session that has used up its nonces ends in silence; the other party notices by itself.
    fn terminate(&mut self, live: &mut Live) {
        let place = Place::Session(live.session.id());
        if let Ok(sealed) = live.session.seal_termination() {
            self.outputs.push_back(Output::Transmit { place, payload: sealed.payload });
        }
    }

    /// The session to send on.
    pub fn session(&self) -> Option<SessionId> {
        self.slots.current.as_ref().map(|live| live.session.id())
    }

    /// When something authentic last came on the current session.
    pub fn last_heard(&self) -> Option<Instant> {
        self.slots.current.as_ref().map(|live| live.heard)
    }

    /// The next thing for the caller to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// An [`Output::Save`] could not be made durable: what was to be said after it is not said. Timers bring the
    /// exchange back.
    pub fn handle_save_failed(&mut self) {
        self.outputs.clear();
    }

    /// When to call [`Self::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.calls.next().into_iter().chain(self.slots.deadlines()).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        if let Some(third) = self.slots.third_to_repeat(now.instant) {
            self.outputs.push_back(Output::Transmit { place: Place::Rendezvous, payload: third });
        }
        for gone in self.slots.expire(now.instant) {
            match gone {
                Slot::Next(live) => {
                    self.forget(&live);
                    let wants_one = self.calling && self.slots.current.is_none();
                    if wants_one || self.slots.renewing {
                        self.calls.begin(now.instant);
                    }
                }
                Slot::Previous(live) => self.forget(&live),
                Slot::Current(mut live) => {
                    self.terminate(&mut live);
                    self.forget(&live);
                    self.close_event(now, CloseReason::Expired);
                }
            }
        }
        if self.slots.renewal_due(now.instant) {
            self.renew(now);
        }
        if self.calls.are_due(now.instant) {
            self.start_attempt(now, rng);
        }
    }

    /// A payload that was published at the rendezvous or at a session's topic; anything may come.
    pub fn handle_payload(&mut self, now: Now, rng: &mut dyn CryptoRng, payload: &PayloadV2<'_>) {
        match payload.protocol_id {
            ProtocolId::AfterHandshake => self.handle_transport(now, payload),
            ProtocolId::K1K1 => self.handle_handshake(now, rng, payload),
            ProtocolId::ChaChaPoly => self.handle_refusal(now, payload),
            _ => {}
        }
    }

    fn handle_handshake(&mut self, now: Now, rng: &mut dyn CryptoRng, payload: &PayloadV2<'_>) {
        if let Some((initiation, _)) = open_initiation(&self.link, now, payload) {
            self.handle_initiation(now, rng, initiation, payload);
        } else if let Some(attempt) =
            self.attempts.iter_mut().find(|attempt| attempt.expects(payload.nametag))
        {
            if let Some(outcome) = attempt.finish(rng, payload, &self.data) {
                self.handle_reply(now, outcome);
            }
        } else if let Some(answer) = self.answers.iter_mut().find(|answer| answer.expects(payload.nametag)) {
            if let Some(outcome) = answer.finish(payload) {
                self.handle_third(now, outcome);
            }
        } else if self.slots.is_answered_third(now.instant, payload) {
            self.confirm(now);
        }
    }

    fn handle_initiation(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        initiation: Initiation,
        payload: &PayloadV2<'_>,
    ) {
        if initiation.stamp <= self.stamps.seen {
            return;
        }
        let priority = self.link.local.public() < self.link.remote;
        let ours_is_fresh = self
            .attempts
            .back()
            .is_some_and(|attempt| now.instant.saturating_since(attempt.started) < GLARE_PRIORITY);
        if priority && ours_is_fresh {
            return self.call_again_soon();
        }
        if self.answered.is_used_up(now.instant) {
            return;
        }
        let Some((answer, second)) = Answer::start(&self.link, rng, &self.boot, initiation, payload) else {
            return;
        };
        if !priority {
            self.attempts.clear();
        }
        self.calls.postpone(now.instant + GLARE_PRIORITY);
        self.answered.used(now.instant);
        self.stamps.seen = initiation.stamp;
        self.outputs.push_back(Output::Save(self.stamps));
        self.outputs.push_back(Output::Transmit { place: Place::Rendezvous, payload: second });
        push_bounded(&mut self.answers, answer);
    }

    /// The other party calls, too: it is there, but may not have been when we called first.
    fn call_again_soon(&mut self) {
        if self.attempts.len() == 1
            && let Some(first) = self.attempts.front()
        {
            self.calls.hasten(first.started + SECOND_CALL);
        }
    }

    /// The second message of a handshake of ours: the third goes out, and again until it is answered.
    fn handle_reply(&mut self, now: Now, outcome: Outcome) {
        self.attempts.clear();
        self.calls.pause();
        if let Some(replaced) = self.slots.next.take() {
            self.forget(&replaced);
        }
        let third = outcome.third.clone();
        let live = Live::new(now.instant, outcome);
        self.outputs.push_back(Output::Event(Event::Replied));
        self.outputs.push_back(Output::Listen(live.session.id()));
        self.outputs.push_back(Output::Transmit { place: Place::Rendezvous, payload: third });
        self.slots.set_next(now.instant, live);
    }

    /// The third message of a handshake of theirs: the session stands; a first message on it says so.
    fn handle_third(&mut self, now: Now, mut outcome: Outcome) {
        let data = std::mem::take(&mut outcome.data);
        let live = Live::new(now.instant, outcome);
        self.outputs.push_back(Output::Listen(live.session.id()));
        if self.establish(live, data) {
            self.confirm(now);
        }
    }

    /// Puts a session in its place. Returns whether it is the current one now.
    fn establish(&mut self, live: Live, data: Zeroizing<Vec<u8>>) -> bool {
        self.attempts.clear();
        self.answers.clear();
        self.calls.end();
        let (session, role) = (live.session.id(), live.role);
        if let Some(dropped) = self.slots.establish(&self.link, live) {
            self.forget(&dropped);
        }
        let is_current = self.session() == Some(session);
        if is_current {
            self.boot.last_session = session.termination();
            self.outputs.push_back(Output::Event(Event::Established { session, role, data }));
        }
        is_current
    }

    /// An empty message on the current session, which tells the initiator that its third message came.
    fn confirm(&mut self, now: Now) {
        // It can fail only once the session is exhausted, and then it is being renewed.
        let _ = self.send(now, &[], false);
    }

    fn handle_transport(&mut self, now: Now, payload: &PayloadV2<'_>) {
        let Some((session, opened)) = self.slots.open(now.instant, payload) else {
            let told = |(session, index)| Output::Event(Event::Repeated { session, index });
            return self.outputs.extend(self.slots.repeated(now.instant, payload).map(told));
        };
        if let Some(live) = self.slots.take_confirmed_next(session) {
            self.establish(live, Zeroizing::default());
            self.slots.heard(now.instant, session);
        }
        match opened.content {
            Content::Termination => {
                let was_current = self.session() == Some(session);
                if let Some(live) = self.slots.take(session) {
                    self.forget(&live);
                }
                if was_current {
                    self.close_event(now, CloseReason::ByPeer);
                }
            }
            Content::Data(plaintext) if plaintext.is_empty() => {}
            Content::Data(plaintext) => {
                self.outputs.push_back(Output::Event(Event::Received {
                    session,
                    index: opened.index,
                    plaintext,
                }));
            }
        }
    }

    fn handle_refusal(&mut self, now: Now, payload: &PayloadV2<'_>) {
        let Some((reason, ephemeral)) = open_refusal(&self.link, now, payload) else { return };
        if self.attempts.iter().any(|attempt| attempt.is_of(&ephemeral)) {
            self.outputs.push_back(Output::Event(Event::Refused { reason }));
        }
    }

    fn start_attempt(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let stamp = self.stamps.sent.next(now.unix.as_nanos());
        let (attempt, payload) = Attempt::start(&self.link, now, rng, &self.boot, stamp);
        self.stamps.sent = stamp;
        self.outputs.push_back(Output::Save(self.stamps));
        self.outputs.push_back(Output::Transmit { place: Place::Rendezvous, payload });
        push_bounded(&mut self.attempts, attempt);
        self.calls.made(now.instant, rng);
    }

    fn close_event(&mut self, now: Now, reason: CloseReason) {
        self.outputs.push_back(Output::Event(Event::Closed(reason)));
        // A renewal under way has nothing left to succeed.
        self.slots.renewing = false;
        self.calls.pause();
        if self.calling {
            let wait = if reason == CloseReason::ByPeer { RETRY_AFTER_CLOSE } else { Duration::ZERO };
            self.calls.begin(now.instant + wait);
        }
    }

    fn forget(&mut self, live: &Live) {
        self.outputs.push_back(Output::Forget(live.session.id()));
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The other party has not answered yet, or has gone.
    #[error("there is no session with the other side")]
    NoSession,
    /// The message cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() == MAX_EXCHANGES {
        queue.pop_front();
    }
    queue.push_back(item);
}
