//! When a manager calls, and how many calls it answers.

use std::time::Duration;

use rand_core::CryptoRng;

use crate::time::Instant;

/// The wait after the first call; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// An answer costs a write and a publish: in the long run one is given in this time, in a burst so many.
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);
const ANSWER_BURST: u32 = 4;

/// When the next call is due.
pub(super) struct Calls {
    at: Option<Instant>,
    wait: Duration,
    longest_wait: Duration,
}

impl Calls {
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { at: None, wait: FIRST_WAIT, longest_wait }
    }

    pub(super) fn set_longest_wait(&mut self, longest_wait: Duration) {
        self.longest_wait = longest_wait;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn are_due(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    /// The next call comes then, and the waits begin anew.
    pub(super) fn begin(&mut self, at: Instant) {
        self.at = Some(at);
        self.wait = FIRST_WAIT;
    }

    /// No call is due any more, and the waits begin anew.
    pub(super) fn end(&mut self) {
        self.at = None;
        self.wait = FIRST_WAIT;
    }

    /// No call is due until the next time is set.
    pub(super) fn pause(&mut self) {
        self.at = None;
    }

    /// Calls that are due at all are due then.
    pub(super) fn postpone(&mut self, at: Instant) {
        self.at = self.at.map(|_| at);
    }

    /// Calls that are due at all are due by then.
    pub(super) fn hasten(&mut self, at: Instant) {
        self.at = self.at.map(|due| due.min(at));
    }

    /// One was made: the next comes after a wait twice as long, give or take a fifth.
    pub(super) fn made(&mut self, now: Instant, rng: &mut dyn CryptoRng) {
        let wait = self.wait.min(self.longest_wait);
        let share = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        self.at = Some(now + wait.mul_f64(0.8 + 0.4 * share));
        self.wait = wait * 2;
    }
}

/// How many answers may be given.
#[derive(Default)]
pub(super) struct Answers {
    /// When the answers given so far would have been given, had each waited its turn.
    until: Instant,
}

impl Answers {
    pub(super) fn are_too_many(&self, now: Instant) -> bool {
        self.until > now + ANSWER_INTERVAL * (ANSWER_BURST - 1)
    }

    pub(super) fn given(&mut self, now: Instant) {
        self.until = self.until.max(now) + ANSWER_INTERVAL;
    }
}
