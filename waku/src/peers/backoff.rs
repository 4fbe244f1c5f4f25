//! How long to wait before a peer is tried again.

use std::time::Duration;

use rand_core::Rng;

/// No wait is longer, so that a moment can be given for its end.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Exponential waiting times with jitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// Longest wait after the first failure. Default 1 s.
    pub first: Duration,
    /// Longest wait at all, a year at most. Default 60 s: a peer somebody configured is worth a try a minute.
    pub max: Duration,
    /// A connection that lived so long was good: the next failure counts as the first. Default 60 s.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            max: Duration::from_secs(60),
            stable_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    /// The wait after so many failures in a row: between half of and all of `first`, doubled each time, so
    /// that nodes that lost the same peer do not come back at the same moment.
    pub(crate) fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.first.saturating_mul(1 << doublings).min(self.max).min(LONGEST);
        let half = longest / 2;
        half + half.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_within_their_jitter() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let backoff = Backoff::default();
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let longest = Duration::from_secs(longest);
            for _ in 0..100 {
                let delay = backoff.delay(failures, &mut rng);
                assert!(delay >= longest / 2 && delay <= longest, "{delay:?} after {failures} failures");
            }
        }
    }

    #[test]
    fn waits_differ() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let backoff = Backoff::default();
        assert_ne!(backoff.delay(1, &mut rng), backoff.delay(1, &mut rng));
    }
}
