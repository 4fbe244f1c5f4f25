//! How many messages may be sent: a token bucket, with something left for what is more urgent.
//!
//! A network with rate limit proofs counts messages of a membership, whoever they are for. So one budget is shared by all
//! tunnels of a node, and what others send on the same membership is told to it.

use std::time::Duration;

use waku_noise_session::time::Instant;

use crate::request::Priority;

/// A bucket of messages.
#[derive(Debug, Clone)]
pub struct Budget {
    /// The time that one message costs.
    each: Duration,
    burst: u32,
    /// When the bucket is full again.
    full_at: Instant,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Handshakes and acknowledgements: they may take the last one.
    Ack,
    /// Everything else.
    Of(Priority),
}

impl Class {
    /// Sixteenths of the bucket that are left for more urgent classes.
    fn reserve(self) -> u32 {
        match self {
            Self::Ack => 0,
            Self::Of(Priority::Command) => 1,
            Self::Of(Priority::Alert) => 2,
            Self::Of(Priority::Telemetry) => 3,
            Self::Of(Priority::Bulk) => 4,
        }
    }
}

impl Budget {
    /// `messages` in each `window`, and as many at once. Full at first.
    pub fn new(messages: u32, window: Duration) -> Self {
        Self::with_burst(messages, window, messages)
    }

    /// The same, with at most `burst` at once; at least two, or what is not urgent could never go.
    pub fn with_burst(messages: u32, window: Duration, burst: u32) -> Self {
        let each = window / messages.max(1);
        Self { each, burst: burst.max(2), full_at: Instant::default() }
    }

    /// For networks that count nothing: ten messages a second, to be polite.
    pub fn polite() -> Self {
        Self::with_burst(10, Duration::from_secs(1), 50)
    }

    /// When a message of this class may go.
    pub fn ready_at(&self, class: Class) -> Instant {
        // Integers: 16 + reserve sixteenths of a message have to be there.
        let needed = self.each * (16 + class.reserve() * self.burst / 4) / 16;
        let missing = (self.each * self.burst).saturating_sub(needed);
        Instant::from_origin(self.full_at.since_origin().saturating_sub(missing))
    }

    /// Takes a message's worth, if it is there for this class.
    pub fn take(&mut self, now: Instant, class: Class) -> bool {
        let ready = self.ready_at(class) <= now;
        if ready {
            self.spend(now, 1);
        }
        ready
    }

    /// Somebody else sent messages on the same membership, such as a handshake's. The bucket may owe some then, at most
    /// as many as it holds.
    pub fn spend(&mut self, now: Instant, messages: u32) {
        let full_at = self.full_at.max(now) + self.each * messages;
        self.full_at = full_at.min(now + self.each * self.burst * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACK: Class = Class::Ack;
    const BULK: Class = Class::Of(Priority::Bulk);
    const COMMAND: Class = Class::Of(Priority::Command);

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn take_all(budget: &mut Budget, now: Instant, class: Class) -> u32 {
        let mut taken = 0;
        while budget.take(now, class) {
            taken += 1;
        }
        taken
    }

    #[test]
    fn never_gives_more_than_the_rate_and_the_burst() {
        let mut budget = Budget::new(100, Duration::from_secs(600));
        let mut taken = take_all(&mut budget, at(1000), ACK);
        assert_eq!(taken, 100);
        for second in 1001..=1600 {
            taken += take_all(&mut budget, at(second), ACK);
        }
        assert_eq!(taken, 200, "100 at once and 100 in the 600 seconds after");
    }

    #[test]
    fn what_is_less_urgent_leaves_some_for_what_is_more() {
        let mut budget = Budget::new(160, Duration::from_secs(160));
        let classes = [Class::Of(Priority::Bulk), Class::Of(Priority::Telemetry), Class::Of(Priority::Alert)];
        let taken = classes.map(|class| take_all(&mut budget, at(1000), class));
        assert_eq!(taken, [150, 2, 3]);
        assert_eq!([COMMAND, ACK].map(|class| take_all(&mut budget, at(1000), class)), [2, 3]);
    }

    #[test]
    fn a_small_bucket_starves_nobody() {
        for burst in 1..20 {
            let mut budget = Budget::with_burst(1, Duration::from_secs(6), burst);
            take_all(&mut budget, at(1000), ACK);
            let ready = budget.ready_at(BULK);
            assert!(ready <= at(1000) + Duration::from_secs(6 * u64::from(burst.max(2))), "burst {burst}");
            assert!(budget.take(ready, BULK));
        }
    }

    #[test]
    fn what_others_sent_counts() {
        let mut budget = Budget::new(10, Duration::from_secs(10));
        budget.spend(at(100), 9);
        assert_eq!(take_all(&mut budget, at(100), ACK), 1);
        budget.spend(at(100), 1000);
        assert_eq!(budget.ready_at(ACK), at(111), "it owes no more than it holds");
    }
}
