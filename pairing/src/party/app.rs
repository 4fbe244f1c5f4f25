//! The app's side of the exchange of HELLO messages.

use std::time::Duration;

use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_proto::ContentTopic;

use super::event::{Event, Failure, Step};
use super::peer::Peer;
use super::{Context, Ending, Part, Party, Terms, UnknownPeer};
use crate::code::CODE_LIFETIME;
use crate::hello::{self, AttemptId, Hello, Kind};
use crate::kdf::CodeKeys;
use crate::reason::Reason;
use crate::record::{AppExchange, Exchange, PairingId, PeerRecord, Stage};
use crate::sas::Sas;
use crate::store::Change;
use crate::topic;

/// Attempts that one code is good for: each is another guess for a man in the middle.
const MAX_ATTEMPTS: usize = 3;
/// How often at most a spent code is said to be spent.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

/// A code of ours.
pub(super) enum Code {
    /// Shown, and good for a pairing.
    Live {
        keys: CodeKeys,
        terms: Terms,
        /// The pairing that the first valid HELLO_APP locked it to.
        pairing: Option<PairingId>,
        expires: Instant,
        expires_unix: UnixTime,
    },
    /// Used or burnt. Its keys are gone; what is left says so to whoever types it in all the same.
    Spent {
        topic: ContentTopic,
        tag: MessageNametag,
        refusal: Vec<u8>,
        refused: Option<Instant>,
        expires: Instant,
    },
}

impl Code {
    pub(super) fn topic(&self) -> ContentTopic {
        match self {
            Self::Live { keys, .. } => topic::pairing(&keys.topic),
            Self::Spent { topic, .. } => topic.clone(),
        }
    }

    /// Whether no host has answered it.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Live { pairing: None, .. })
    }

    pub(super) fn deadline(&self) -> Instant {
        match self {
            Self::Live { expires, .. } | Self::Spent { expires, .. } => *expires,
        }
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
        let known =
            |exchange: &Exchange| matches!(exchange, Exchange::App(app) if app.keys.topic == keys.topic);
        let in_use = self.code.as_ref().is_some_and(|code| code.topic() == topic::pairing(&keys.topic));
        if in_use || self.peers.values().filter_map(|peer| peer.record.exchange()).any(known) {
            return Err(OfferError::CodeUsed);
        }
        self.code = Some(Code::Live {
            keys,
            terms,
            pairing: None,
            expires: now.instant + CODE_LIFETIME,
            expires_unix: now.unix + CODE_LIFETIME,
        });
        self.topics.dirty();
        self.refresh_topics(now);
        Ok(())
    }

    /// As the app: the six digits that a person read off the host and typed in. If they are right the pairing stands;
    /// if not, nothing is left of it.
    ///
    /// # Errors
    /// [`DigitsError`].
    pub fn digits(
        &mut self,
        now: Now,
        rng: &mut dyn rand_core::CryptoRng,
        pairing: PairingId,
        typed: Sas,
    ) -> Result<(), DigitsError> {
        let peer = self.peers.get(&pairing).ok_or(UnknownPeer)?;
        let Stage::Keyed(Exchange::App(_)) = &peer.record.stage else { return Err(DigitsError::NotAsked) };
        let right = peer.record.sas == Some(typed);
        let mut cx = Context { now, rng };
        if right {
            self.confirm(&mut cx, pairing, true);
        } else {
            self.bury(&mut cx, pairing, Ending::ours(Reason::WrongDigits));
        }
        self.refresh_topics(now);
        if right { Ok(()) } else { Err(DigitsError::Wrong) }
    }

    pub(super) fn expire_code(&mut self, cx: &mut Context<'_>) {
        let Some(code) = self.code.take_if(|code| code.deadline() <= cx.now.instant) else { return };
        if code.is_unanswered() {
            self.outbox.event(Event::PairingFailed(Failure::Expired));
        }
        self.topics.dirty();
    }

    /// The code's pairing came to its end, good or bad: its keys are erased.
    pub(super) fn spend_code_of(&mut self, cx: &mut Context<'_>, peer: &Peer) {
        let id = peer.record.id();
        let is_its = |code: &mut Code| matches!(code, Code::Live { pairing, .. } if *pairing == Some(id));
        let Some(Code::Live { keys, expires, .. }) = self.code.take_if(is_its) else { return };
        let kind = Kind::Reject { reason: Reason::CodeSpent, answers: [0; 32] };
        let refusal = self.hello(cx.now, kind, [0; 16]).encode(&self.me.identity, &keys.topic);
        self.code = Some(Code::Spent {
            topic: topic::pairing(&keys.topic),
            tag: keys.app.tag,
            refusal: hello::seal(&keys.node_manager, cx.rng, &refusal),
            refused: None,
            expires,
        });
    }

    /// The pairing that the code was locked to could not be kept: the code waits for a host again.
    pub(super) fn unlock_code(&mut self, id: PairingId) {
        if let Some(Code::Live { pairing, .. }) = &mut self.code {
            pairing.take_if(|pairing| *pairing == id);
        }
    }

    pub(super) fn handle_hello_as_app(&mut self, cx: &mut Context<'_>, payload: &PayloadV2<'_>) {
        self.refuse_spent_code(cx, payload);
        let Some((keys, locked)) = self.keys_for(payload.nametag) else { return };
        let Some(plaintext) = hello::open(&keys.app, payload) else { return };
        let hello = match Hello::decode(&plaintext, &keys.topic) {
            Ok(hello) => hello,
            Err(error) => return tracing::debug!(%error, "not a HELLO"),
        };
        match hello.kind {
            Kind::HelloApp { requires_sas, commitment } => {
                if self.is_mine(&hello) || !self.clock_agrees(cx, &keys, &hello, &plaintext) {
                    return;
                }
                self.outbox.event(Event::Step(Step::HelloAppReceived));
                let received =
                    HelloApp { keys, hello, plaintext: plaintext.to_vec(), requires_sas, commitment };
                match locked {
                    Some(id) => self.handle_another_hello_app(cx, id, received),
                    None => self.accept(cx, received, None),
                }
            }
            Kind::Reject { reason, .. } => {
                let is_of = |id: &PairingId| {
                    self.peers.get(id).is_some_and(|peer| peer.record.identity == hello.identity)
                };
                if let Some(id) = locked.filter(is_of) {
                    self.bury(cx, id, Ending::theirs(reason));
                }
            }
            Kind::HelloNodeManager { .. } => {}
        }
    }

    /// The keys that messages under this nametag are sealed with, and the pairing the code is locked to.
    fn keys_for(&self, tag: MessageNametag) -> Option<(CodeKeys, Option<PairingId>)> {
        let exchanges = self.peers.iter().filter_map(|(id, peer)| match peer.record.exchange()? {
            Exchange::App(app) if app.keys.app.tag == tag => Some((app.keys.clone(), Some(*id))),
            _ => None,
        });
        let code = match &self.code {
            Some(Code::Live { keys, .. }) if keys.app.tag == tag => Some((keys.clone(), None)),
            _ => None,
        };
        exchanges.chain(code).next()
    }

    /// A HELLO_APP on a code that is locked already.
    fn handle_another_hello_app(&mut self, cx: &mut Context<'_>, id: PairingId, received: HelloApp) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(Exchange::App(exchange)) = peer.record.exchange() else { return };
        let same_machine =
            peer.record.identity == received.hello.identity && peer.record.noise == received.hello.noise;
        if !same_machine {
            // Two machines used this code: nobody can tell which was meant.
            self.bury(cx, id, Ending::ours(Reason::TwoMachines));
            return self.reject(cx, &received, Reason::TwoMachines);
        }
        if exchange.hello_app_digest == hello::digest(&received.plaintext) {
            let (keys, answer) = (exchange.keys.clone(), exchange.hello_node_manager.clone());
            if peer.may_answer(cx.now) {
                self.say_hello(cx, id, &keys, &answer);
            }
            return;
        }
        let attempts = exchange.attempts.clone();
        if attempts.contains(&received.hello.attempt) || attempts.len() >= MAX_ATTEMPTS {
            self.bury(cx, id, Ending::ours(Reason::CodeSpent));
        } else if exchange.code_expires < cx.now.unix {
            self.reject(cx, &received, Reason::CodeSpent);
        } else {
            self.accept(cx, received, Some((id, attempts)));
        }
    }

    /// Locks the code to the sender of a HELLO_APP and answers it; `replaced` is the same machine's earlier attempt.
    fn accept(
        &mut self,
        cx: &mut Context<'_>,
        received: HelloApp,
        replaced: Option<(PairingId, Vec<AttemptId>)>,
    ) {
        let HelloApp { keys, hello, plaintext, requires_sas, commitment } = received;
        if self.graves.values().any(|grave| grave.holds(&hello.attempt)) {
            return;
        }
        let mut n_app = [0; 32];
        cx.rng.fill_bytes(&mut n_app);
        let requires = self.terms().compare_digits;
        let kind =
            Kind::HelloNodeManager { requires_sas: requires, n_app, answers: hello::digest(&plaintext) };
        let answer = self.hello(cx.now, kind, hello.attempt).encode(&self.me.identity, &keys.topic);
        let (replaced, mut attempts) =
            replaced.map_or((None, Vec::new()), |(id, attempts)| (Some(id), attempts));
        attempts.push(hello.attempt);
        let exchange = AppExchange {
            keys: keys.clone(),
            attempts,
            hello_app_digest: hello::digest(&plaintext),
            hello_node_manager: answer.clone(),
            commitment,
            n_app,
            compare: requires || requires_sas,
            code_expires: self.code_expires(cx.now),
        };
        let transcript = hello::transcript(&plaintext, &answer);
        let stage = Stage::Pending(Exchange::App(Box::new(exchange)));
        let record = PeerRecord::begin(&hello, transcript, None, cx.now, stage);
        let id = record.id();
        let Some(mut peer) = Peer::new(&self.me, cx.now, record) else { return };
        let mut changes = vec![peer.put()];
        peer.may_answer(cx.now);
        if let Some(replaced) = replaced {
            self.peers.remove(&replaced);
            changes.push(Change::RemovePeer(replaced));
        }
        self.peers.insert(id, peer);
        if let Some(Code::Live { pairing, .. }) = &mut self.code {
            *pairing = Some(id);
        }
        self.topics.dirty();
        self.outbox.save(id, changes);
        self.say_hello(cx, id, &keys, &answer);
    }

    fn say_hello(&mut self, cx: &mut Context<'_>, id: PairingId, keys: &CodeKeys, answer: &[u8]) {
        let payload = hello::seal(&keys.node_manager, cx.rng, answer);
        self.outbox.publish(Some(id), topic::pairing(&keys.topic), payload);
        self.outbox.event_after(id, Event::Step(Step::HelloNodeManagerSent));
    }

    /// What the code was offered on. A process that has forgotten insists on everything.
    fn terms(&self) -> Terms {
        match &self.code {
            Some(Code::Live { terms, .. }) => *terms,
            _ => Terms::default(),
        }
    }

    fn code_expires(&self, now: Now) -> UnixTime {
        match &self.code {
            Some(Code::Live { expires_unix, .. }) => *expires_unix,
            _ => now.unix,
        }
    }

    fn reject(&mut self, cx: &mut Context<'_>, received: &HelloApp, reason: Reason) {
        let answers = hello::digest(&received.plaintext);
        self.say_reject(cx, &received.keys, None, reason, answers, received.hello.attempt);
    }

    fn refuse_spent_code(&mut self, cx: &mut Context<'_>, payload: &PayloadV2<'_>) {
        if let Some(Code::Spent { topic, tag, refusal, refused, .. }) = &mut self.code
            && *tag == payload.nametag
            && refused.is_none_or(|at| cx.now.instant.saturating_since(at) >= REFUSAL_INTERVAL)
        {
            *refused = Some(cx.now.instant);
            self.outbox.publish(None, topic.clone(), refusal.clone());
        }
    }

    /// Whether the sender's clock is near enough to ours, or we were told not to mind. Otherwise it is told.
    fn clock_agrees(
        &mut self,
        cx: &mut Context<'_>,
        keys: &CodeKeys,
        hello: &Hello,
        plaintext: &[u8],
    ) -> bool {
        let Some(apart) = super::attempt::clock_skew(cx.now, hello.time) else { return true };
        if self.terms().allow_clock_skew {
            self.outbox.event(Event::ClockSkew { apart });
            return true;
        }
        self.say_reject(cx, keys, None, Reason::ClockSkew, hello::digest(plaintext), hello.attempt);
        self.outbox.event(Event::PairingFailed(Failure::ClockSkew { apart }));
        false
    }
}

/// An authentic HELLO_APP.
struct HelloApp {
    keys: CodeKeys,
    hello: Hello,
    plaintext: Vec<u8>,
    requires_sas: bool,
    commitment: [u8; 32],
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

/// Why six digits were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigitsError {
    /// There is no such pairing.
    #[error(transparent)]
    UnknownPeer(#[from] UnknownPeer),
    /// The pairing does not wait for digits.
    #[error("this pairing does not wait for digits")]
    NotAsked,
    /// They differ: a slip, or somebody in between. The pairing is gone; start over with a fresh code.
    #[error(
        "the digits differ from those this side computed; the pairing was given up, start over with a fresh code"
    )]
    Wrong,
}
