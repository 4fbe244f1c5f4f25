//! The content topics a party receives on: declared as a whole, and told to the caller as changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use waku_noise_session::time::{Instant, Now};
use waku_proto::ContentTopic;

use super::outbox::Output;
use crate::record::PairingId;

const DAY_SECS: u64 = 24 * 60 * 60;

/// Whose messages come on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// HELLO messages.
    Hello,
    /// A peer, at the rendezvous or in a session.
    Peer(PairingId),
    /// A peer's letters of a day.
    Letters(PairingId, u64),
    /// Somebody who was unpaired, at the rendezvous.
    Grave(PairingId),
}

#[derive(Default)]
pub(super) struct Topics {
    owners: BTreeMap<ContentTopic, Owner>,
    /// Topics of the past, on which nothing is said any more but something may lie in a store.
    found: BTreeMap<ContentTopic, Owner>,
    changes: VecDeque<Output>,
    /// The day the topics were declared on, and when the next begins; `None` before the first declaration and when
    /// something changed.
    fresh: Option<(u64, Instant)>,
}

impl Topics {
    pub(super) fn owner(&self, topic: &ContentTopic) -> Option<Owner> {
        self.owners.get(topic).or_else(|| self.found.get(topic)).copied()
    }

    /// Something changed: the topics have to be declared anew.
    pub(super) fn dirty(&mut self) {
        self.fresh = None;
    }

    /// Whether the topics have to be declared: something changed, or it is another day, or should be by now: a clock
    /// that was set back has another midnight.
    pub(super) fn is_stale(&self, now: Now) -> bool {
        self.fresh.is_none_or(|(day, next)| day != now.unix.day() || next <= now.instant)
    }

    /// Declares all topics: those to receive on, and those of which something may be found.
    pub(super) fn replace(
        &mut self,
        now: Now,
        wanted: BTreeMap<ContentTopic, Owner>,
        found: BTreeMap<ContentTopic, Owner>,
    ) {
        let gone = self.owners.keys().filter(|topic| !wanted.contains_key(*topic));
        let new = wanted.keys().filter(|topic| !self.owners.contains_key(*topic));
        let changes = new.cloned().map(Output::Subscribe).chain(gone.cloned().map(Output::Unsubscribe));
        self.changes.extend(changes);
        self.owners = wanted;
        self.found = found;
        let until_midnight = Duration::from_secs(DAY_SECS - now.unix.as_secs() % DAY_SECS);
        self.fresh = Some((now.unix.day(), now.instant + until_midnight));
    }

    /// When the topics of the next day have to be declared.
    pub(super) fn next_day(&self) -> Option<Instant> {
        self.fresh.map(|(_, next)| next)
    }

    pub(super) fn poll_change(&mut self) -> Option<Output> {
        self.changes.pop_front()
    }
}
