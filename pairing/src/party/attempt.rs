//! The manager's side of the exchange of HELLO messages: one run of `pair`.

use std::time::Duration;

use rand_core::CryptoRng;
use waku_noise_session::manager::Stamps;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::ContentTopic;
use zeroize::Zeroizing;

use super::event::{Event, Failure, Introduction, Step};
use super::peer::Peer;
use super::{Context, Ending, Part, Party, Terms};
use crate::code::CODE_LIFETIME;
use crate::hello::{self, AttemptId, Hello, Kind};
use crate::kdf::CodeKeys;
use crate::reason::Reason;
use crate::record::{Exchange, ManagerExchange, PairingId, PeerRecord, Stage};
use crate::sas::{self, Sas};
use crate::topic;

/// Seconds after the start at which HELLO_APP is said; after the last of these every [`LATER_WAIT`].
const EARLY_SENDS: [u64; 6] = [0, 1, 3, 7, 15, 30];
const LATER_WAIT: Duration = Duration::from_secs(30);
/// The most times HELLO_APP is said in one run.
const MAX_SENDS: u32 = 25;
/// How far two clocks may be apart.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// One run of `pair`.
pub(super) struct Attempt {
    keys: CodeKeys,
    id: AttemptId,
    /// HELLO_APP, the same in every repetition, and its digest.
    hello: Vec<u8>,
    digest: [u8; 32],
    n_nm: Zeroizing<[u8; 32]>,
    terms: Terms,
    started: Instant,
    sends: u32,
    next_send: Instant,
    answer: Option<Answer>,
}

/// The HELLO_NODE_MANAGER that was accepted.
struct Answer {
    pairing: PairingId,
    digest: [u8; 32],
}

impl Attempt {
    pub(super) fn topic(&self) -> ContentTopic {
        topic::pairing(&self.keys.topic)
    }

    pub(super) fn answered(&self) -> Option<PairingId> {
        self.answer.as_ref().map(|answer| answer.pairing)
    }

    pub(super) fn send_soon(&mut self, now: Now) {
        self.next_send = self.next_send.min(now.instant);
    }

    pub(super) fn deadline(&self) -> Instant {
        let sends = (self.answer.is_none() && self.sends < MAX_SENDS).then_some(self.next_send);
        sends.into_iter().chain([self.expires()]).min().expect("one of the two is there")
    }

    fn expires(&self) -> Instant {
        self.started + CODE_LIFETIME
    }

    fn schedule(&mut self, cx: &mut Context<'_>) {
        let after = |sends: u32| EARLY_SENDS.get(usize::try_from(sends).unwrap_or(usize::MAX)).copied();
        let wait = match (self.sends.checked_sub(1).and_then(after), after(self.sends)) {
            (Some(last), Some(next)) => Duration::from_secs(next - last),
            _ => LATER_WAIT,
        };
        let share = f64::from(cx.rng.next_u32()) / f64::from(u32::MAX);
        self.next_send = cx.now.instant + wait.mul_f64(0.8 + 0.4 * share);
    }
}

impl Party {
    /// As the manager: looks for the app that shows this code, for [`CODE_LIFETIME`].
    ///
    /// # Errors
    /// [`PairError`].
    pub fn pair(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
        keys: CodeKeys,
        terms: Terms,
    ) -> Result<(), PairError> {
        if self.me.config.part != Part::NodeManager {
            return Err(PairError::NotTheManager);
        }
        if self.attempt.is_some() {
            return Err(PairError::Busy);
        }
        let (mut n_nm, mut id) = (Zeroizing::new([0; 32]), AttemptId::default());
        rng.fill_bytes(n_nm.as_mut());
        rng.fill_bytes(&mut id);
        let requires_sas = terms.compare_digits;
        let kind = Kind::HelloApp { requires_sas, commitment: sas::commitment(&n_nm) };
        let hello = self.hello(now, kind, id).encode(&self.me.identity, &keys.topic);
        let (started, next_send) = (now.instant, now.instant);
        let digest = hello::digest(&hello);
        self.attempt = Some(Attempt {
            keys,
            id,
            hello,
            digest,
            n_nm,
            terms,
            started,
            sends: 0,
            next_send,
            answer: None,
        });
        self.topics.dirty();
        self.handle_timeout(now, rng);
        Ok(())
    }

    /// Ends the pairing under way, if there is one, and tells the other side.
    pub fn cancel(&mut self, now: Now, rng: &mut dyn CryptoRng) {
        let mut cx = Context { now, rng };
        let unconfirmed =
            self.peers.iter().filter(|(_, peer)| !peer.record.is_confirmed()).map(|(id, _)| *id);
        let under_way: Vec<_> = unconfirmed.collect();
        for id in under_way {
            self.bury(&mut cx, id, Ending::ours(Reason::Cancelled));
        }
        let offered = self.code.take_if(|code| code.is_unanswered()).is_some();
        let tried = self.attempt.take();
        if let Some(Attempt { keys, id, .. }) = &tried {
            self.say_reject(&mut cx, keys, None, Reason::Cancelled, [0; 32], *id);
        }
        if offered || tried.is_some() {
            let reason = Reason::Cancelled;
            self.outbox.event(Event::PairingFailed(Failure::Rejected { reason, by_peer: false }));
        }
        self.topics.dirty();
        self.refresh_topics(now);
    }

    /// Says HELLO_APP when it is due; gives up when the code's time is over.
    pub(super) fn drive_attempt(&mut self, cx: &mut Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        if attempt.expires() <= cx.now.instant {
            let unanswered = attempt.answer.is_none();
            self.attempt = None;
            self.topics.dirty();
            if unanswered {
                self.outbox.event(Event::PairingFailed(Failure::Expired));
            }
        } else if attempt.deadline() <= cx.now.instant {
            let payload = hello::seal(&attempt.keys.app, cx.rng, &attempt.hello);
            attempt.sends += 1;
            attempt.schedule(cx);
            self.outbox.publish(None, attempt.topic(), payload);
            self.outbox.event(Event::Step(Step::HelloAppSent { nth: attempt.sends }));
        }
    }

    pub(super) fn handle_hello_as_manager(&mut self, cx: &mut Context<'_>, payload: &PayloadV2<'_>) {
        let Some(attempt) = &self.attempt else { return };
        let Some(plaintext) = hello::open(&attempt.keys.node_manager, payload) else { return };
        let hello = match Hello::decode(&plaintext, &attempt.keys.topic) {
            Ok(hello) => hello,
            Err(error) => return tracing::debug!(%error, "not a HELLO"),
        };
        match hello.kind {
            Kind::HelloNodeManager { requires_sas, n_app, answers }
                if answers == attempt.digest && !self.is_mine(&hello) =>
            {
                self.handle_answer(cx, &hello, &plaintext, requires_sas, &n_app);
            }
            Kind::Reject { reason, answers }
                if answers == attempt.digest || (reason == Reason::CodeSpent && answers == [0; 32]) =>
            {
                self.handle_reject(cx, &hello, reason);
            }
            _ => {}
        }
    }

    fn handle_answer(
        &mut self,
        cx: &mut Context<'_>,
        hello: &Hello,
        plaintext: &[u8],
        requires_sas: bool,
        n_app: &[u8; 32],
    ) {
        let Some(attempt) = &self.attempt else { return };
        let digest = hello::digest(plaintext);
        match &attempt.answer {
            Some(answer) if answer.digest == digest => return,
            Some(answer) => {
                // Two apps answered, or one changed its mind: nobody can tell which was meant.
                let id = answer.pairing;
                return self.bury(cx, id, Ending::ours(Reason::TwoMachines));
            }
            None => {}
        }
        if let Some(apart) = clock_skew(cx.now, hello.time) {
            if !attempt.terms.allow_clock_skew {
                let (keys, id) = (attempt.keys.clone(), attempt.id);
                self.attempt = None;
                self.topics.dirty();
                self.say_reject(cx, &keys, None, Reason::ClockSkew, digest, id);
                return self.outbox.event(Event::PairingFailed(Failure::ClockSkew { apart }));
            }
            self.outbox.event(Event::ClockSkew { apart });
        }
        let transcript = hello::transcript(&attempt.hello, plaintext);
        let digits = Sas::compute(&transcript, &attempt.n_nm, n_app);
        let compare = attempt.terms.compare_digits || requires_sas;
        let exchange = Exchange::Manager(ManagerExchange { n_nm: attempt.n_nm.clone(), compare });
        let record = PeerRecord::begin(hello, transcript, Some(digits), cx.now, Stage::Pending(exchange));
        let id = record.id();
        let peer = self.introduce(&record);
        let Some(pending) = Peer::new(&self.me, cx.now, record) else { return };
        self.outbox.save(id, vec![pending.put()]);
        self.outbox.event_after(id, Event::Step(Step::HelloNodeManagerReceived));
        self.outbox.event_after(id, Event::ShowDigits { peer, digits, compare });
        self.peers.insert(id, pending);
        if let Some(attempt) = &mut self.attempt {
            attempt.answer = Some(Answer { pairing: id, digest });
        }
        self.topics.dirty();
        self.drive_peer(cx, id);
    }

    /// The answer could not be kept: HELLO_APP is said again, so that it is repeated.
    pub(super) fn reopen_attempt(&mut self, now: Now, id: PairingId) {
        if let Some(attempt) = &mut self.attempt
            && attempt.answer.take_if(|answer| answer.pairing == id).is_some()
        {
            attempt.send_soon(now);
        }
    }

    /// A pairing that was under way when the process ended: whoever comes to look finds the digits.
    pub(super) fn show_digits_again(&mut self, id: PairingId) {
        let Some(record) = self.peers.get(&id).map(|peer| &peer.record) else { return };
        if let (Some(Exchange::Manager(exchange)), Some(digits)) = (record.exchange(), record.sas) {
            let (peer, compare) = (self.introduce(record), exchange.compare);
            self.outbox.event(Event::ShowDigits { peer, digits, compare });
        }
    }

    fn handle_reject(&mut self, cx: &mut Context<'_>, hello: &Hello, reason: Reason) {
        let Some(attempt) = &self.attempt else { return };
        if let Some(id) = attempt.answered() {
            return self.bury(cx, id, Ending::theirs(reason));
        }
        self.attempt = None;
        self.topics.dirty();
        let apart = cx.now.unix.abs_diff(UnixTime::from_secs(hello.time));
        self.outbox.event(Event::PairingFailed(match reason {
            Reason::ClockSkew => Failure::ClockSkew { apart },
            reason => Failure::Rejected { reason, by_peer: true },
        }));
    }

    /// Tells the other side of an exchange that it is over, where HELLO messages are still being received.
    pub(super) fn reject_exchange(&mut self, cx: &mut Context<'_>, peer: &Peer, reason: Reason) {
        let rests_on = Some(peer.record.id());
        match peer.record.exchange() {
            Some(Exchange::App(app)) => {
                let attempt = app.attempts.last().copied().unwrap_or_default();
                self.say_reject(cx, &app.keys, rests_on, reason, app.hello_app_digest, attempt);
            }
            Some(Exchange::Manager(_)) => {
                let Some(attempt) = &self.attempt else { return };
                let Some(answer) = &attempt.answer else { return };
                let (keys, answers, id) = (attempt.keys.clone(), answer.digest, attempt.id);
                self.say_reject(cx, &keys, rests_on, reason, answers, id);
            }
            None => {}
        }
    }

    /// Says REJECT, once what is saved for `rests_on` is durable.
    pub(super) fn say_reject(
        &mut self,
        cx: &mut Context<'_>,
        keys: &CodeKeys,
        rests_on: Option<PairingId>,
        reason: Reason,
        answers: [u8; 32],
        attempt: AttemptId,
    ) {
        let reject = self.hello(cx.now, Kind::Reject { reason, answers }, attempt);
        let plaintext = reject.encode(&self.me.identity, &keys.topic);
        let direction = if self.me.config.part == Part::App { &keys.node_manager } else { &keys.app };
        let payload = hello::seal(direction, cx.rng, &plaintext);
        self.outbox.publish(rests_on, topic::pairing(&keys.topic), payload);
    }

    pub(super) fn hello(&self, now: Now, kind: Kind, attempt: AttemptId) -> Hello {
        Hello {
            kind,
            time: now.unix.as_secs(),
            attempt,
            identity: self.me.identity.key(),
            noise: self.me.identity.noise().public(),
            label: self.me.config.label.clone(),
        }
    }

    /// Whether a HELLO comes from ourselves.
    pub(super) fn is_mine(&self, hello: &Hello) -> bool {
        hello.identity == self.me.identity.key() || hello.noise == self.me.identity.noise().public()
    }

    pub(super) fn introduce(&self, record: &PeerRecord) -> Introduction {
        let confirmed = || self.peers.values().map(|peer| &peer.record).filter(|known| known.is_confirmed());
        Introduction {
            pairing: record.id(),
            label: record.label.clone(),
            fingerprint: record.fingerprint(),
            again: confirmed().any(|known| known.identity == record.identity),
            namesake: confirmed()
                .find(|known| known.label == record.label && known.identity != record.identity)
                .map(PeerRecord::fingerprint),
        }
    }
}

impl PeerRecord {
    /// The record of a peer that has just said HELLO.
    pub(super) fn begin(
        hello: &Hello,
        transcript: [u8; 32],
        sas: Option<Sas>,
        now: Now,
        stage: Stage,
    ) -> Self {
        Self {
            identity: hello.identity,
            noise: hello.noise,
            label: hello.label.clone(),
            alias: None,
            transcript,
            sas,
            created: now.unix.as_secs(),
            last_heard: None,
            stamps: Stamps::default(),
            stage,
        }
    }
}

/// How far a clock that shows `time` (Unix seconds) is from ours, when that is too far.
pub(super) fn clock_skew(now: Now, time: u64) -> Option<Duration> {
    let apart = now.unix.abs_diff(UnixTime::from_secs(time));
    (apart > MAX_CLOCK_SKEW).then_some(apart)
}

/// Why a pairing did not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// This party is an app.
    #[error("only a node manager types a code in")]
    NotTheManager,
    /// One code at a time.
    #[error("a pairing is under way; finish or cancel it first")]
    Busy,
}
