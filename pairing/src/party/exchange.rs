//! What the two sides' exchanges of HELLO messages share.

use std::time::Duration;

use waku_noise_session::manager::Stamps;
use waku_noise_session::time::{Now, UnixTime};

use super::event::Introduction;
use super::peer::Peer;
use super::{Context, Part, Party};
use crate::hello::{self, AttemptId, Hello, Kind};
use crate::kdf::CodeKeys;
use crate::reason::Reason;
use crate::record::{Exchange, PairingId, PeerRecord, Stage, TakenLetters};
use crate::sas::Sas;
use crate::topic;

/// How far two clocks may be apart.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

impl Party {
    /// Tells the other side of an exchange that it is over, where HELLO messages are still being received.
    pub(super) fn reject_exchange(&mut self, cx: &mut Context<'_>, peer: &Peer, reason: Reason) {
        let rests_on = Some(peer.record.id());
        match peer.record.exchange() {
            Some(Exchange::App(app)) => {
                let Some(newest) = app.attempts.last() else { return };
                self.say_reject(cx, &app.keys, rests_on, reason, newest.digest, newest.id);
            }
            Some(Exchange::Manager(_)) => {
                let Some(attempt) = &self.attempt else { return };
                let Some(answers) = attempt.answer_digest() else { return };
                let (keys, id) = (attempt.keys.clone(), attempt.id);
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
                .find(|known| known.label.looks_like(&record.label) && known.identity != record.identity)
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
            code: None,
            letters: TakenLetters::default(),
            stage,
        }
    }
}

/// How far a clock that shows `time` (Unix seconds) is from ours, when that is too far.
pub(super) fn clock_skew(now: Now, time: u64) -> Option<Duration> {
    let apart = now.unix.abs_diff(UnixTime::from_secs(time));
    (apart > MAX_CLOCK_SKEW).then_some(apart)
}
