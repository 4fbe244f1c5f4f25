//! What came on a session, and when that is to be said.

use std::collections::BTreeMap;
use std::time::Duration;

use waku_noise_session::time::Instant;

use crate::flight::TRIES;
use crate::frame::{Ack, MAX_RANGES};
use crate::ranges::Ranges;
use crate::rtt::MAX_ACK_DELAY;

/// After so many messages that want it, an acknowledgement goes by itself.
const EVERY: u32 = 4;
/// Ranges kept; the lowest are forgotten when there are more.
const MAX_KEPT: usize = 256;
/// Messages whose repetitions are counted.
const MAX_COUNTED: usize = 1024;

#[derive(Default)]
pub(crate) struct Arrivals {
    received: Ranges,
    newest: Option<(u64, Instant)>,
    /// Messages that want an acknowledgement and have none yet.
    wanting: u32,
    due: Option<Instant>,
    /// Whether something came since the last acknowledgement.
    news: bool,
    repeats: BTreeMap<u64, u32>,
}

impl Arrivals {
    pub(crate) fn arrived(&mut self, now: Instant, index: u64, wants_ack: bool) {
        self.received.insert(index..index.saturating_add(1));
        if self.received.count() > MAX_KEPT {
            self.received.pop_first();
        }
        if self.newest.is_none_or(|(newest, _)| index > newest) {
            self.newest = Some((index, now));
        }
        self.news = true;
        if wants_ack {
            self.want(now);
        }
    }

    /// A message came once more: its acknowledgement was lost. That is said as often as an honest sender sends the message,
    /// for anyone can repeat what was published.
    pub(crate) fn repeated(&mut self, now: Instant, index: u64) {
        if !self.received.contains(index) {
            return;
        }
        if self.repeats.len() >= MAX_COUNTED && !self.repeats.contains_key(&index) {
            self.repeats.pop_first();
        }
        let repeats = self.repeats.entry(index).or_default();
        if *repeats < TRIES {
            *repeats += 1;
            self.news = true;
            self.want(now);
        }
    }

    /// What came was for another process of this side: the sender learns that from the next message, so that goes now.
    pub(crate) fn misdirected(&mut self, now: Instant) {
        self.news = true;
        self.due = Some(now);
    }

    fn want(&mut self, now: Instant) {
        self.wanting += 1;
        let at = if self.wanting >= EVERY { now } else { now + MAX_ACK_DELAY };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When an acknowledgement goes by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What to say, if there is anything new.
    pub(crate) fn ack(&self, now: Instant, window: u32) -> Option<Ack> {
        let (largest, at) = self.newest.filter(|_| self.news)?;
        let delay = now.saturating_since(at);
        let ranges = self.received.descending().take(MAX_RANGES);
        Some(Ack {
            largest,
            received: ranges.map(|range| (range.start, range.end - 1)).collect(),
            delay_ms: delay.min(Duration::from_secs(3600)).as_millis().try_into().unwrap_or(u32::MAX),
            window,
        })
    }

    /// It was said.
    pub(crate) fn said(&mut self) {
        self.wanting = 0;
        self.due = None;
        self.news = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_bare_acknowledgement_waits_for_four_messages_or_a_second() {
        let mut arrivals = Arrivals::default();
        arrivals.arrived(at(0), 0, true);
        arrivals.arrived(at(100), 1, true);
        assert_eq!(arrivals.due(), Some(at(1000)));
        arrivals.arrived(at(200), 2, true);
        arrivals.arrived(at(300), 3, true);
        assert_eq!(arrivals.due(), Some(at(300)));
        arrivals.said();
        assert_eq!((arrivals.due(), arrivals.ack(at(400), 0)), (None, None));
    }

    #[test]
    fn what_wants_none_gets_none_of_its_own() {
        let mut arrivals = Arrivals::default();
        for index in 0..10 {
            arrivals.arrived(at(0), index, false);
        }
        assert_eq!(arrivals.due(), None);
        assert!(arrivals.ack(at(0), 0).is_some(), "but it is said along with something else");
    }

    #[test]
    fn tells_ranges_from_the_newest_down() {
        let mut arrivals = Arrivals::default();
        for index in [5, 0, 1, 9, 4] {
            arrivals.arrived(at(index * 10), index, true);
        }
        let ack = arrivals.ack(at(300), 7).unwrap();
        assert_eq!(ack.received, [(9, 9), (4, 5), (0, 1)]);
        assert_eq!((ack.largest, ack.delay_ms, ack.window), (9, 210, 7));
        for index in 0..1000 {
            arrivals.arrived(at(0), 2 * index, true);
        }
        assert_eq!(arrivals.ack(at(300), 7).unwrap().received.len(), MAX_RANGES);
    }

    #[test]
    fn repetitions_are_acknowledged_as_often_as_an_honest_sender_sends() {
        let mut arrivals = Arrivals::default();
        arrivals.arrived(at(0), 3, true);
        for repeat in 0..20_u32 {
            arrivals.said();
            arrivals.repeated(at(repeat.into()), 3);
            arrivals.repeated(at(repeat.into()), 99);
            assert_eq!(arrivals.due().is_some(), repeat < TRIES);
        }
    }
}
