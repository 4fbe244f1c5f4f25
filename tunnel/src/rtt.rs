//! How long an acknowledgement takes, and how long it is waited for (RFC 6298, with RFC 9002's way with delays).

use std::time::Duration;

/// The first wait. On Waku a message takes 0.3 to 2 seconds.
const INITIAL: Duration = Duration::from_secs(3);
/// The shortest wait.
const SHORTEST: Duration = Duration::from_secs(2);
/// The longest wait, however often it was doubled.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the other side may keep an acknowledgement back on purpose.
pub(crate) const MAX_ACK_DELAY: Duration = Duration::from_secs(1);

/// The measured round trip.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl Rtt {
    /// A message was acknowledged `took` after it was sent; the other side says it kept the acknowledgement for `delay`.
    pub(crate) fn measure(&mut self, took: Duration, delay: Duration) {
        let sample = took.saturating_sub(delay.min(MAX_ACK_DELAY));
        if let Some(smoothed) = &mut self.smoothed {
            self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
            *smoothed = (*smoothed * 7 + sample) / 8;
        } else {
            self.smoothed = Some(sample);
            self.variation = sample / 2;
        }
    }

    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long an acknowledgement takes as a rule, at most, where it is not kept back.
    pub(crate) fn usual(&self) -> Option<Duration> {
        self.smoothed.map(|smoothed| smoothed + self.variation * 4)
    }

    /// How long the nth try, from one, is waited for: the first two as long as an acknowledgement takes, and each further
    /// twice as long as the one before. One message in five may be lost here, and that says nothing of how busy the network
    /// is.
    pub(crate) fn wait(&self, tries: u32) -> Duration {
        let once = self.usual().map_or(INITIAL, |usual| (usual + MAX_ACK_DELAY).max(SHORTEST));
        let factor = 1 << tries.saturating_sub(2).min(10);
        once.saturating_mul(factor).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn waits_three_seconds_twice_and_twice_as_long_after_each_further_try() {
        let rtt = Rtt::default();
        assert_eq!([1, 2, 3, 4, 5, 6].map(|tries| rtt.wait(tries).as_secs()), [3, 3, 6, 12, 24, 48]);
        assert_eq!(rtt.wait(1000), LONGEST);
    }

    #[test]
    fn learns_from_what_it_measures() {
        let mut rtt = Rtt::default();
        rtt.measure(ms(4000), ms(0));
        assert_eq!(rtt.wait(1), ms(4000 + 4 * 2000 + 1000));
        for _ in 0..100 {
            rtt.measure(ms(1000), ms(0));
        }
        assert!(rtt.wait(1) < ms(2100) && rtt.wait(1) >= SHORTEST);
    }

    #[test]
    fn an_acknowledgement_kept_back_does_not_count() {
        let mut rtt = Rtt::default();
        rtt.measure(ms(1900), ms(900));
        assert_eq!(rtt.smoothed(), Some(ms(1000)));
        let mut late = Rtt::default();
        late.measure(ms(9000), ms(8000));
        assert_eq!(late.smoothed(), Some(ms(8000)), "but no more of it than is allowed");
    }
}
