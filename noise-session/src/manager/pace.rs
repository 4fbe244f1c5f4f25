//! When a manager calls, and how often it does what others bring about.

use std::time::Duration;

use rand_core::CryptoRng;

use crate::time::Instant;

/// The wait after the first call; it doubles after each.
const FIRST_WAIT: Duration = Duration::from_secs(2);

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

/// How often something may be done that others can bring about.
pub(super) struct Allowance {
    interval: Duration,
    burst: u32,
    /// When what was done so far would have been done, had each waited its turn.
    until: Instant,
}

impl Allowance {
    /// In the long run once in `interval`, in a burst so many.
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst, until: Instant::default() }
    }

    /// Answers to calls: each costs a write and a publish.
    pub(super) fn of_answers() -> Self {
        Self::new(Duration::from_millis(500), 4)
    }

    /// Repetitions that are told. An acknowledgement says all that came, so one told is nearly as good as a hundred.
    pub(super) fn of_repetitions() -> Self {
        Self::new(Duration::from_millis(100), 16)
    }

    pub(super) fn is_used_up(&self, now: Instant) -> bool {
        self.until > now + self.interval * (self.burst - 1)
    }

    pub(super) fn used(&mut self, now: Instant) {
        self.until = self.until.max(now) + self.interval;
    }
}
