//! Which past messages are still to be asked of stores, and when. A core: time is an argument.
//!
//! A gap is a time in which messages on a content topic may have been missed. It opens when nothing could be received
//! for a while, when the machine slept, and with a topic that is received on late. It is asked for once there is
//! somebody to receive from again, and once more some seconds later: stores keep a message a moment after it was relayed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use waku::ContentTopic;
use waku_noise_session::time::{Instant, Now, UnixTime};

/// How much more is asked for before a gap: clocks differ, and that a connection is dead is noticed late.
const LOOK_BACK: Duration = Duration::from_secs(60);
/// What is older is not asked for.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Time from the first look into a gap to the second.
const SECOND_LOOK: Duration = Duration::from_secs(15);
/// Least time between two askings.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// Time from an asking that failed to the next; doubles each time.
const FIRST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_secs(10 * 60);
/// How often the calendar is looked at, for a machine that slept.
const TICK: Duration = Duration::from_secs(10);
/// By how much a tick may be late.
const TICK_SLACK: Duration = Duration::from_secs(30);

/// The gaps of a channel.
#[derive(Debug)]
pub(super) struct Gaps {
    /// The topics received on, with the gap each has.
    topics: BTreeMap<ContentTopic, Option<Gap>>,
    /// Since when nothing can be received; `None` while something can.
    deaf_since: Option<UnixTime>,
    last_tick: UnixTime,
    next_tick: Instant,
    is_asking: bool,
    not_before: Instant,
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    since: UnixTime,
    due: Instant,
    /// It is the second look.
    is_second: bool,
    /// It has changed since it was asked for.
    is_changed: bool,
}

/// What to ask stores for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// Content topics, with the time from which messages on them are wanted.
    pub(super) topics: Vec<(ContentTopic, UnixTime)>,
    /// Until when: the time of asking.
    pub(super) until: UnixTime,
}

impl Gaps {
    /// Nothing can be received yet; for the topics of the beginning that is so since a time, now if none is given.
    pub(super) fn new(now: Now, since: Option<UnixTime>) -> Self {
        Self {
            topics: BTreeMap::new(),
            deaf_since: Some(since.unwrap_or(now.unix).min(now.unix)),
            last_tick: now.unix,
            next_tick: now.instant + TICK,
            is_asking: false,
            not_before: now.instant,
            failures: 0,
        }
    }

    /// The topics are these from now on. `is_late` when new ones take a while to be received on.
    pub(super) fn set_topics(&mut self, now: Now, topics: &BTreeSet<ContentTopic>, is_late: bool) {
        self.topics.retain(|topic, _| topics.contains(topic));
        let since = self.deaf_since.or_else(|| is_late.then_some(now.unix));
        for topic in topics {
            let new = since.map(|since| Gap { since, due: now.instant, is_second: false, is_changed: false });
            self.topics.entry(topic.clone()).or_insert(new);
        }
    }

    /// Something can be received, or nothing any more.
    pub(super) fn set_hearing(&mut self, now: Now, is_hearing: bool) {
        match (self.deaf_since, is_hearing) {
            (None, false) => self.deaf_since = Some(now.unix),
            (Some(since), true) => {
                self.deaf_since = None;
                self.open_all(now, since);
            }
            _ => {}
        }
    }

    /// Messages on some topics may have been missed since a time.
    pub(super) fn open<'a>(
        &mut self,
        now: Now,
        topics: impl IntoIterator<Item = &'a ContentTopic>,
        since: UnixTime,
    ) {
        for topic in topics {
            let Some(gap) = self.topics.get_mut(topic) else { continue };
            // What a second look would have asked for is asked for with this.
            let since = gap.map_or(since, |gap| gap.since.min(since));
            *gap = Some(Gap { since, due: now.instant, is_second: false, is_changed: true });
        }
        self.hurry(now);
    }

    fn open_all(&mut self, now: Now, since: UnixTime) {
        let topics: Vec<_> = self.topics.keys().cloned().collect();
        self.open(now, &topics, since);
    }

    /// An asking that failed may succeed now: somebody else can be asked.
    pub(super) fn hurry(&mut self, now: Now) {
        if self.failures > 0 {
            self.not_before = self.not_before.min(now.instant + MIN_INTERVAL);
        }
    }

    /// Looks at the clocks.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        if now.instant < self.next_tick {
            return;
        }
        let last = std::mem::replace(&mut self.last_tick, now.unix);
        self.next_tick = now.instant + TICK;
        if last + TICK + TICK_SLACK < now.unix {
            tracing::debug!("the machine slept, or its clock was set");
            self.open_all(now, last);
        }
    }

    /// What is to be asked now, if anything: tell [`Self::handle_answer`] how it went.
    pub(super) fn next_ask(&mut self, now: Now) -> Option<Ask> {
        if !self.may_ask() || now.instant < self.not_before {
            return None;
        }
        let earliest = UnixTime::from_epoch(since_epoch(now.unix).saturating_sub(MAX_AGE));
        let mut topics = Vec::new();
        for (topic, gap) in &mut self.topics {
            let Some(gap) = gap.as_mut().filter(|gap| gap.due <= now.instant) else { continue };
            gap.is_changed = false;
            let since = since_epoch(gap.since.min(now.unix)).saturating_sub(LOOK_BACK);
            topics.push((topic.clone(), UnixTime::from_epoch(since).max(earliest)));
        }
        if topics.is_empty() {
            return None;
        }
        self.is_asking = true;
        self.not_before = now.instant + MIN_INTERVAL;
        Some(Ask { topics, until: now.unix })
    }

    /// Whether there is anything that is to be asked now.
    pub(super) fn wants_to_ask(&self, now: Now) -> bool {
        self.may_ask() && self.topics.values().flatten().any(|gap| gap.due <= now.instant)
    }

    fn may_ask(&self) -> bool {
        !self.is_asking && self.deaf_since.is_none()
    }

    /// How it went.
    pub(super) fn handle_answer(&mut self, now: Now, ask: &Ask, is_answered: bool) {
        self.is_asking = false;
        if !is_answered {
            let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10)).min(LONGEST_RETRY);
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.instant + wait;
            return;
        }
        self.failures = 0;
        for (topic, _) in &ask.topics {
            let Some(slot) = self.topics.get_mut(topic) else { continue };
            *slot = match *slot {
                Some(gap) if gap.is_changed => Some(gap),
                Some(Gap { is_second: false, .. }) => Some(Gap {
                    since: ask.until,
                    due: now.instant + SECOND_LOOK,
                    is_second: true,
                    is_changed: false,
                }),
                _ => None,
            };
        }
    }

    /// When to call [`Self::handle_timeout`] next, if nothing is to be asked.
    pub(super) fn next_tick(&self) -> Instant {
        self.next_tick
    }

    /// When to call [`Self::handle_timeout`] and [`Self::next_ask`] next, if nothing else happens.
    pub(super) fn poll_timeout(&self) -> Instant {
        let due = self.topics.values().flatten().map(|gap| gap.due).min();
        let ask = due.filter(|_| self.may_ask()).map(|due| due.max(self.not_before));
        ask.unwrap_or(self.next_tick).min(self.next_tick)
    }
}

fn since_epoch(time: UnixTime) -> Duration {
    time.abs_diff(UnixTime::default())
}

#[cfg(test)]
mod tests;
