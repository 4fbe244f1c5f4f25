//! Which events wait, and when they may go.

use std::time::Duration;

/// How often a subscription hands something out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    interval: Duration,
}

impl Pace {
    /// At most `rate` a second, and never fewer than one in a thousand seconds.
    pub(crate) fn per_second(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate.clamp(0.001, 1000.0)) }
    }
}

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The newest event of its type.
    Event {
        /// Its type, such as `head`.
        kind: String,
        /// Its text, JSON with the Beacon API.
        data: String,
        /// How many of this type came before it and were left out since the last one was told.
        left_out: u64,
    },
    /// Some may have been missed: the stream was broken for a while, or an event was too long.
    Gap,
}

/// One place for each type that was asked for. Time is what passed since some fixed beginning.
#[derive(Debug)]
pub(crate) struct Coalescer {
    /// In the order in which they go.
    waiting: Vec<(String, String, u64)>,
    gap: bool,
    topics: Vec<String>,
    pace: Pace,
    free_at: Duration,
}

impl Coalescer {
    pub(crate) fn new(topics: Vec<String>, pace: Pace) -> Self {
        Self { waiting: Vec::new(), gap: false, topics, pace, free_at: Duration::ZERO }
    }

    /// Takes an event in; in the place of an older one of its type.
    pub(crate) fn put(&mut self, kind: &str, data: String) {
        match self.waiting.iter_mut().find(|(known, ..)| known == kind) {
            Some((_, known, left_out)) => {
                *known = data;
                *left_out += 1;
            }
            None if self.topics.iter().any(|topic| topic == kind) => {
                self.waiting.push((kind.to_owned(), data, 0));
            }
            // Never asked for.
            None => {}
        }
    }

    /// Notes that something may have been missed.
    pub(crate) fn gap(&mut self) {
        self.gap = true;
    }

    /// When the next can be taken, if anything waits.
    pub(crate) fn due(&self) -> Option<Duration> {
        (self.gap || !self.waiting.is_empty()).then_some(self.free_at)
    }

    /// The next to tell, if there is one and the pace allows it. Gaps go first, for they came first.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Notice> {
        if self.due()? > now {
            return None;
        }
        self.free_at = now + self.pace.interval;
        if std::mem::take(&mut self.gap) {
            return Some(Notice::Gap);
        }
        let (kind, data, left_out) = self.waiting.remove(0);
        Some(Notice::Event { kind, data, left_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn coalescer() -> Coalescer {
        Coalescer::new(vec!["head".to_owned(), "block".to_owned()], Pace::per_second(1.0))
    }

    fn event(kind: &str, data: &str, left_out: u64) -> Notice {
        Notice::Event { kind: kind.to_owned(), data: data.to_owned(), left_out }
    }

    #[test]
    fn of_each_type_the_newest_goes_and_says_how_many_were_left_out() {
        let mut events = coalescer();
        for slot in 0..100_000 {
            events.put("head", slot.to_string());
        }
        events.put("block", "b".to_owned());
        events.put("attestation", "not asked for".to_owned());
        assert_eq!(events.take(Duration::ZERO), Some(event("head", "99999", 99_999)));
        assert_eq!(events.take(SECOND), Some(event("block", "b", 0)));
        assert_eq!(events.take(9 * SECOND), None);
        assert_eq!(events.due(), None);
    }

    #[test]
    fn no_more_go_than_the_pace_allows() {
        let mut events = coalescer();
        events.put("head", "1".to_owned());
        assert!(events.take(5 * SECOND).is_some());
        events.put("head", "2".to_owned());
        assert_eq!(events.take(Duration::from_millis(5999)), None);
        assert_eq!(events.due(), Some(6 * SECOND));
        assert_eq!(events.take(6 * SECOND), Some(event("head", "2", 0)));
    }

    #[test]
    fn a_gap_is_told_once_and_before_what_came_after_it() {
        let mut events = coalescer();
        events.gap();
        events.gap();
        events.put("head", "1".to_owned());
        assert_eq!(events.take(SECOND), Some(Notice::Gap));
        assert_eq!(events.take(2 * SECOND), Some(event("head", "1", 0)));
    }
}
