//! The app's side of the exchange of HELLO messages.

use std::time::Duration;

use rand_core::CryptoRng;
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now};

use super::event::{Event, Failure, Step};
use super::exchange::clock_skew;
use super::peer::Peer;
use super::{Context, Ending, Party, UnknownPeer};
use crate::hello::{self, Hello, Kind};
use crate::kdf::CodeKeys;
use crate::reason::Reason;
use crate::record::{AppExchange, Attempt, Exchange, PairingId, PeerRecord, Stage};
use crate::sas::Sas;
use crate::store::Change;
use crate::topic;

/// Attempts that one code is good for: each is another guess for a man in the middle.
const MAX_ATTEMPTS: usize = 3;
/// How often at most a HELLO_APP is refused.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

/// The HELLO_APP that was refused last, by its digest, and when.
pub(super) struct Refusal {
    digest: [u8; 32],
    at: Instant,
}

impl Party {
    /// As the app: the six digits that a person read off the host and typed in. If they are right the pairing stands;
    /// if not, nothing is left of it.
    ///
    /// # Errors
    /// [`DigitsError`].
    pub fn digits(
        &mut self,
        now: Now,
        rng: &mut dyn CryptoRng,
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

    pub(super) fn handle_hello_as_app(&mut self, cx: &mut Context<'_>, payload: &PayloadV2<'_>) {
        let Some(keys) = self.keys_for(payload.nametag) else { return };
        let Some(plaintext) = hello::open(&keys.app, payload) else { return };
        let digest = hello::digest(&plaintext);
        let locked = self.exchange_on(&keys.topic);
        if self.handle_known_hello(cx, &keys, locked, &digest) {
            return;
        }
        let hello = match Hello::decode(&plaintext, &keys.topic) {
            Ok(hello) => hello,
            Err(error) => return tracing::debug!(%error, "not a HELLO"),
        };
        match hello.kind {
            Kind::HelloApp { requires_sas, commitment } => {
                let plaintext = plaintext.to_vec();
                let received = HelloApp { keys, hello, plaintext, digest, requires_sas, commitment };
                if !self.is_mine(&received.hello) {
                    self.handle_hello_app(cx, locked, received);
                }
            }
            Kind::Reject { reason, answers } => {
                let is_rejected = |peer: &Peer| match peer.record.exchange() {
                    Some(Exchange::App(app)) => {
                        peer.record.identity == hello.identity
                            && app.attempts.last().is_some_and(|newest| newest.id == hello.attempt)
                            && (answers == [0; 32] || answers == hello::digest(&app.hello_node_manager))
                    }
                    _ => false,
                };
                if let Some(id) = locked.filter(|id| self.peers.get(id).is_some_and(is_rejected)) {
                    self.bury(cx, id, Ending::theirs(reason));
                }
            }
            Kind::HelloNodeManager { .. } => {}
        }
    }

    /// The keys that messages under this nametag are sealed with.
    fn keys_for(&self, tag: MessageNametag) -> Option<CodeKeys> {
        let exchanges = self.peers.values().filter_map(|peer| match peer.record.exchange()? {
            Exchange::App(app) => Some(&app.keys),
            Exchange::Manager(_) => None,
        });
        exchanges.chain(self.code.as_ref().map(|code| &code.keys)).find(|keys| keys.app.tag == tag).cloned()
    }

    /// Whether a HELLO_APP was heard before. The newest is answered again, at most once a second; earlier ones were
    /// replaced, or have served.
    fn handle_known_hello(
        &mut self,
        cx: &mut Context<'_>,
        keys: &CodeKeys,
        locked: Option<PairingId>,
        digest: &[u8; 32],
    ) -> bool {
        let Some((id, peer)) = locked.and_then(|id| Some((id, self.peers.get_mut(&id)?))) else {
            let served = self.code_on(&keys.topic).and_then(|code| code.spent.as_ref());
            return served.is_some_and(|served| served.contains(digest));
        };
        let Some(Exchange::App(exchange)) = peer.record.exchange() else { return false };
        let known = exchange.attempts.iter().rposition(|attempt| attempt.digest == *digest);
        if known.is_some_and(|at| at + 1 == exchange.attempts.len()) {
            let answer = exchange.hello_node_manager.clone();
            if peer.may_answer(cx.now) {
                self.say_hello(cx, id, keys, &answer);
            }
        }
        known.is_some()
    }

    /// A HELLO_APP that was not heard before.
    fn handle_hello_app(&mut self, cx: &mut Context<'_>, locked: Option<PairingId>, received: HelloApp) {
        let Some(id) = locked else {
            if self.code_on(&received.keys.topic).is_none_or(|code| code.spent.is_some()) {
                self.refuse_hello(cx, &received, Reason::CodeSpent);
            } else if self.clock_agrees(cx, &received) {
                self.accept(cx, received, None);
            }
            return;
        };
        let Some(peer) = self.peers.get(&id) else { return };
        let Some(Exchange::App(exchange)) = peer.record.exchange() else { return };
        let same_machine =
            peer.record.identity == received.hello.identity && peer.record.noise == received.hello.noise;
        let (expired, replaced) = (exchange.code_expires < cx.now.unix, exchange.clone());
        let changed = exchange.attempts.iter().any(|attempt| attempt.id == received.hello.attempt);
        let burnt = if same_machine {
            (changed || exchange.attempts.len() >= MAX_ATTEMPTS).then_some(Reason::CodeSpent)
        } else {
            // Two machines used this code: nobody can tell which was meant.
            Some(Reason::TwoMachines)
        };
        if let Some(reason) = burnt {
            self.bury(cx, id, Ending::ours(reason));
            self.refuse_hello(cx, &received, reason);
        } else if expired {
            self.refuse_hello(cx, &received, Reason::CodeSpent);
        } else if self.clock_agrees(cx, &received) {
            self.accept(cx, received, Some((id, *replaced)));
        }
    }

    /// Locks the code to the sender of a HELLO_APP and answers it; `replaced` is the same machine's earlier attempt.
    fn accept(
        &mut self,
        cx: &mut Context<'_>,
        received: HelloApp,
        replaced: Option<(PairingId, AppExchange)>,
    ) {
        let HelloApp { keys, hello, plaintext, digest, requires_sas, commitment } = received;
        if self.graves.values().any(|grave| grave.holds(&hello.attempt)) {
            return;
        }
        let (replaced, earlier) = replaced.unzip();
        let code = self.code_on(&keys.topic);
        let terms = code.map(|code| code.terms).unwrap_or_default();
        let code_expires = code
            .map(|code| code.expires_unix)
            .or(earlier.as_ref().map(|earlier| earlier.code_expires))
            .unwrap_or(cx.now.unix);
        let requires = terms.compare_digits || earlier.as_ref().is_some_and(|earlier| earlier.compare);
        let mut attempts = earlier.map_or(Vec::new(), |earlier| earlier.attempts);
        attempts.push(Attempt { id: hello.attempt, digest });
        let mut n_app = [0; 32];
        cx.rng.fill_bytes(&mut n_app);
        let kind = Kind::HelloNodeManager { requires_sas: requires, n_app, answers: digest };
        let answer = self.hello(cx.now, kind, hello.attempt).encode(&self.me.identity, &keys.topic);
        let exchange = AppExchange {
            keys: keys.clone(),
            attempts,
            hello_node_manager: answer.clone(),
            commitment,
            n_app,
            compare: requires || requires_sas,
            code_expires,
        };
        let transcript = hello::transcript(&plaintext, &answer);
        let stage = Stage::Pending(Exchange::App(Box::new(exchange)));
        let record = PeerRecord {
            code: Some(keys.name()),
            ..PeerRecord::begin(&hello, transcript, None, cx.now, stage)
        };
        let id = record.id();
        let Some(mut peer) = Peer::new(&self.me, cx.now, record) else { return };
        self.outbox.event(Event::Step(Step::HelloAppReceived));
        peer.may_answer(cx.now);
        let mut changes = vec![peer.put()];
        self.peers.insert(id, peer);
        if let Some(replaced) = replaced {
            self.peers.remove(&replaced);
            changes.push(Change::RemovePeer(replaced));
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

    /// Says REJECT to a HELLO_APP, at most once a second. Whether it was said to this one for the first time.
    fn refuse_hello(&mut self, cx: &mut Context<'_>, received: &HelloApp, reason: Reason) -> bool {
        let HelloApp { keys, hello, digest, .. } = received;
        let too_soon = |refusal: &Refusal| cx.now.instant.saturating_since(refusal.at) < REFUSAL_INTERVAL;
        if self.refusal.as_ref().is_some_and(too_soon) {
            return false;
        }
        let refusal = Refusal { digest: *digest, at: cx.now.instant };
        let before = self.refusal.replace(refusal);
        self.say_reject(cx, keys, None, reason, *digest, hello.attempt);
        before.is_none_or(|before| before.digest != *digest)
    }

    /// Whether the sender's clock is near enough to ours, or we were told not to mind. Otherwise it is told.
    fn clock_agrees(&mut self, cx: &mut Context<'_>, received: &HelloApp) -> bool {
        let Some(apart) = clock_skew(cx.now, received.hello.time) else { return true };
        if self.code_on(&received.keys.topic).is_some_and(|code| code.terms.allow_clock_skew) {
            self.outbox.event(Event::ClockSkew { apart });
            return true;
        }
        if self.refuse_hello(cx, received, Reason::ClockSkew) {
            let failure = Failure::ClockSkew { apart };
            self.outbox.event(Event::PairingFailed { pairing: None, failure });
        }
        false
    }
}

/// An authentic HELLO_APP.
struct HelloApp {
    keys: CodeKeys,
    hello: Hello,
    plaintext: Vec<u8>,
    digest: [u8; 32],
    requires_sas: bool,
    commitment: [u8; 32],
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
