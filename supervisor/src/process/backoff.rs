//! How long to wait before a restart.

use std::time::Duration;

/// The longest wait, unless the first is longer.
const MOST: Duration = Duration::from_secs(60);
/// Who ran that long has not crashed at its start: the waits begin anew.
const LONG: Duration = Duration::from_secs(60);

/// Waits that double.
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The wait after a run of that length.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= LONG {
            self.reset();
        }
        let wait = self.next;
        self.next = self.next.saturating_mul(2).min(MOST.max(self.first));
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(waits: [u64; 3]) -> [Duration; 3] {
        waits.map(Duration::from_secs)
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let mut backoff = Backoff::new(Duration::from_secs(25));
        assert_eq!([(); 3].map(|()| backoff.after(Duration::ZERO)), secs([25, 50, 60]));
        assert_eq!([59, 60, 0].map(|ran| backoff.after(Duration::from_secs(ran))), secs([60, 25, 50]));
        backoff.reset();
        assert_eq!(backoff.after(Duration::ZERO), Duration::from_secs(25));
    }
}
