//! The manager's side of the exchange of HELLO messages: one run of `pair`.

use std::time::Duration;

use rand_core::CryptoRng;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::ContentTopic;
use zeroize::Zeroizing;

use super::event::{Event, Failure, Step};
use super::exchange::clock_skew;
use super::peer::Peer;
use super::{Context, Ending, Part, Party, Terms};
use crate::code::CODE_LIFETIME;
use crate::hello::{self, AttemptId, Hello, Kind};
use crate::identity::IdentityKey;
use crate::kdf::CodeKeys;
use crate::reason::Reason;
use crate::record::{Exchange, ManagerExchange, PairingId, PeerRecord, Stage};
use crate::sas::{self, Sas};
use crate::store::Change;
use crate::topic;

/// Seconds after the start at which HELLO_APP is said; after the last of these every [`LATER_WAIT`].
const EARLY_SENDS: [u64; 6] = [0, 1, 3, 7, 15, 30];
const LATER_WAIT: Duration = Duration::from_secs(30);
/// The wait before it is said again when the answer could not be kept.
const REOPENED_WAIT: Duration = Duration::from_secs(10);
/// The most times HELLO_APP is said in one run.
const MAX_SENDS: u32 = 25;

/// One run of `pair`. It listens until its code's ten minutes are over, also when the pairing stands: if then another
/// app answers, nobody can tell which was meant.
pub(super) struct Attempt {
    pub(super) keys: CodeKeys,
    pub(super) id: AttemptId,
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

    /// The digest of the HELLO_NODE_MANAGER that was accepted.
    pub(super) fn answer_digest(&self) -> Option<[u8; 32]> {
        self.answer.as_ref().map(|answer| answer.digest)
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
    /// As the manager: looks for the app that shows this code, for [`CODE_LIFETIME`]. An earlier run whose pairing stands
    /// or has failed makes way.
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
        if self.attempt.as_ref().is_some_and(|attempt| !self.has_served(attempt)) {
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

    fn has_served(&self, attempt: &Attempt) -> bool {
        let under_way = |id: PairingId| self.peers.get(&id).is_some_and(|peer| !peer.record.is_confirmed());
        attempt.answered().is_some_and(|id| !under_way(id))
    }

    /// Ends the pairing under way, if there is one, and tells the other side. Returns those that came so far as to have
    /// a name.
    pub fn cancel(&mut self, now: Now, rng: &mut dyn CryptoRng) -> Vec<PairingId> {
        let mut cx = Context { now, rng };
        let unconfirmed =
            self.peers.iter().filter(|(_, peer)| !peer.record.is_confirmed()).map(|(id, _)| *id);
        let under_way: Vec<_> = unconfirmed.collect();
        for id in &under_way {
            self.bury(&mut cx, *id, Ending::ours(Reason::Cancelled));
        }
        let waited = self.withdraw_code();
        let tried = self.attempt.take_if(|attempt| attempt.answer.is_none());
        if let Some(Attempt { keys, id, .. }) = &tried {
            self.say_reject(&mut cx, keys, None, Reason::Cancelled, [0; 32], *id);
        }
        if waited || tried.is_some() {
            let failure = Failure::Rejected { reason: Reason::Cancelled, by_peer: false };
            self.outbox.event(Event::PairingFailed { pairing: None, failure });
        }
        self.topics.dirty();
        self.refresh_topics(now);
        under_way
    }

    /// Says HELLO_APP when it is due; gives up when the code's time is over.
    pub(super) fn drive_attempt(&mut self, cx: &mut Context<'_>) {
        let Some(attempt) = &mut self.attempt else { return };
        if attempt.expires() <= cx.now.instant {
            let unanswered = attempt.answer.is_none();
            self.attempt = None;
            self.topics.dirty();
            if unanswered {
                self.outbox.event(Event::PairingFailed { pairing: None, failure: Failure::Expired });
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
        if attempt.answer_digest() == Some(hello::digest(&plaintext)) {
            return;
        }
        let hello = match Hello::decode(&plaintext, &attempt.keys.topic) {
            Ok(hello) => hello,
            Err(error) => return tracing::debug!(%error, "not a HELLO"),
        };
        if hello.attempt != attempt.id || self.is_mine(&hello) {
            return;
        }
        match hello.kind {
            Kind::HelloNodeManager { requires_sas, n_app, answers } if answers == attempt.digest => {
                if attempt.answer.is_some() {
                    self.handle_another_answer(cx, &hello, hello::digest(&plaintext));
                } else {
                    self.handle_answer(cx, &hello, &plaintext, requires_sas, &n_app);
                }
            }
            Kind::Reject { reason, answers } if answers == attempt.digest => {
                self.handle_reject(cx, &hello, reason);
            }
            _ => {}
        }
    }

    /// Two apps answered, or one changed its mind before a person had a say: nobody can tell which was meant.
    fn handle_another_answer(&mut self, cx: &mut Context<'_>, hello: &Hello, digest: [u8; 32]) {
        let Some(attempt) = &self.attempt else { return };
        let Some(id) = attempt.answered() else { return };
        let same_app = self.peers.get(&id).is_some_and(|peer| peer.record.identity == hello.identity);
        if !(same_app && self.has_served(attempt)) {
            let (keys, attempt) = (attempt.keys.clone(), attempt.id);
            self.bury(cx, id, Ending::ours(Reason::TwoMachines));
            self.say_reject(cx, &keys, Some(id), Reason::TwoMachines, digest, attempt);
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
        if let Some(apart) = clock_skew(cx.now, hello.time) {
            if !attempt.terms.allow_clock_skew {
                let (keys, id) = (attempt.keys.clone(), attempt.id);
                self.attempt = None;
                self.topics.dirty();
                self.say_reject(cx, &keys, None, Reason::ClockSkew, digest, id);
                let failure = Failure::ClockSkew { apart };
                return self.outbox.event(Event::PairingFailed { pairing: None, failure });
            }
            self.outbox.event(Event::ClockSkew { apart });
        }
        let transcript = hello::transcript(&attempt.hello, plaintext);
        let digits = Sas::compute(&transcript, &attempt.n_nm, n_app);
        let compare = attempt.terms.compare_digits || requires_sas;
        let exchange = ManagerExchange { attempt: attempt.id, n_nm: attempt.n_nm.clone(), compare };
        let stage = Stage::Pending(Exchange::Manager(exchange));
        let record = PeerRecord::begin(hello, transcript, Some(digits), cx.now, stage);
        let id = record.id();
        let peer = self.introduce(&record);
        let Some(pending) = Peer::new(&self.me, cx.now, record) else { return };
        let dropped = self.drop_unconfirmed(hello.identity);
        let removals = dropped.iter().map(|dropped| Change::RemovePeer(*dropped));
        self.outbox.save(id, [pending.put()].into_iter().chain(removals).collect());
        self.outbox.event_after(id, Event::Step(Step::HelloNodeManagerReceived));
        self.outbox.event_after(id, Event::ShowDigits { peer, digits, compare });
        for dropped in dropped {
            let failure = Failure::Rejected { reason: Reason::Cancelled, by_peer: false };
            self.outbox.event_after(id, Event::PairingFailed { pairing: Some(dropped), failure });
        }
        self.peers.insert(id, pending);
        if let Some(attempt) = &mut self.attempt {
            attempt.answer = Some(Answer { pairing: id, digest });
        }
        self.topics.dirty();
        self.drive_peer(cx, id);
    }

    /// One exchange at a time with each identity: the latest.
    fn drop_unconfirmed(&mut self, identity: IdentityKey) -> Vec<PairingId> {
        let is_dropped = |peer: &&Peer| peer.record.identity == identity && !peer.record.is_confirmed();
        let dropped: Vec<_> = self.peers.values().filter(is_dropped).map(|peer| peer.record.id()).collect();
        self.peers.retain(|id, _| !dropped.contains(id));
        dropped
    }

    /// The answer could not be kept: HELLO_APP is said again after a while, so that it is repeated.
    pub(super) fn reopen_attempt(&mut self, now: Now, id: PairingId) {
        if let Some(attempt) = &mut self.attempt
            && attempt.answer.take_if(|answer| answer.pairing == id).is_some()
        {
            attempt.next_send = now.instant + REOPENED_WAIT;
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
            let is_theirs =
                |peer: &Peer| peer.record.identity == hello.identity && !peer.record.is_confirmed();
            if self.peers.get(&id).is_some_and(is_theirs) {
                self.bury(cx, id, Ending::theirs(reason));
            }
            return;
        }
        self.attempt = None;
        self.topics.dirty();
        let failure = match reason {
            Reason::ClockSkew => {
                Failure::ClockSkew { apart: cx.now.unix.abs_diff(UnixTime::from_secs(hello.time)) }
            }
            reason => Failure::Rejected { reason, by_peer: true },
        };
        self.outbox.event(Event::PairingFailed { pairing: None, failure });
    }
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
