//! Those who were unpaired: for a month they are told so when they call.

use std::time::Duration;

use waku_noise_session::manager::{Link, Stamp, live_days, refuse};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::time::{Instant, Now};
use waku_proto::ContentTopic;

use super::{Context, Me, Party};
use crate::hello::AttemptId;
use crate::kdf::CodeName;
use crate::profile::link;
use crate::reason::Reason;
use crate::record::{PairingId, Tombstone};
use crate::store::Change;
use crate::topic;

/// How long a tombstone is kept.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often at most a call is refused.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Grave {
    link: Link,
    attempts: Vec<AttemptId>,
    code: Option<CodeName>,
    reason: Reason,
    /// Unix seconds.
    at: u64,
    refused: Option<(Stamp, Instant)>,
}

impl Grave {
    pub(super) fn new(me: &Me, tombstone: &Tombstone) -> Option<Self> {
        Some(Self {
            link: link(me.config.part, &me.identity, &tombstone.noise, &tombstone.transcript)?,
            attempts: tombstone.attempts.clone(),
            code: tombstone.code,
            reason: tombstone.reason,
            at: tombstone.at,
            refused: None,
        })
    }

    pub(super) fn topics(&self, now: Now) -> impl Iterator<Item = ContentTopic> {
        live_days(now.unix.day()).into_iter().map(|day| topic::rendezvous(&self.link.root, day))
    }

    pub(super) fn holds(&self, attempt: &AttemptId) -> bool {
        self.attempts.contains(attempt)
    }

    pub(super) fn is_of_code(&self, code: CodeName) -> bool {
        self.code == Some(code)
    }

    fn is_over(&self, now: Now) -> bool {
        now.unix.as_secs().saturating_sub(self.at) >= LIFETIME.as_secs()
    }
}

impl Party {
    /// Tells a caller that its pairing no longer stands, once for each call.
    pub(super) fn refuse(&mut self, cx: &mut Context<'_>, id: PairingId, payload: &PayloadV2<'_>) {
        let Some(grave) = self.graves.get_mut(&id) else { return };
        let too_soon = |(_, at): (Stamp, Instant)| cx.now.instant.saturating_since(at) < REFUSAL_INTERVAL;
        if grave.refused.is_some_and(too_soon) {
            return;
        }
        let Some((refusal, stamp)) = refuse(&grave.link, cx.now, cx.rng, payload, grave.reason.into()) else {
            return;
        };
        if grave.refused.is_none_or(|(refused, _)| stamp > refused) {
            grave.refused = Some((stamp, cx.now.instant));
            let topic = topic::rendezvous(&grave.link.root, cx.now.unix.day());
            self.outbox.publish(Some(id), topic, refusal);
        }
    }

    /// Removes the tombstones that have stood long enough.
    pub(super) fn level_graves(&mut self, now: Now) {
        let over: Vec<_> =
            self.graves.iter().filter(|(_, grave)| grave.is_over(now)).map(|(id, _)| *id).collect();
        for id in over {
            self.graves.remove(&id);
            self.outbox.save(id, vec![Change::RemoveTombstone(id)]);
            self.topics.dirty();
        }
    }
}
