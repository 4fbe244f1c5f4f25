//! Time as an argument: cores never read a clock.

use std::ops::Add;
use std::time::Duration;

/// A point of monotonic time: how long after an origin of the caller's choosing. Timers count in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The instant `since_origin` after the origin.
    pub fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after the origin.
    pub fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier`; zero when it is not after it.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// A point of wall-clock time: how long after 1970-01-01T00:00:00Z. It may jump; only what both parties must agree on
/// or what outlives the process is told in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// The time `since_epoch` after the epoch.
    pub fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// The time `secs` seconds after the epoch.
    pub fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Whole seconds since the epoch.
    pub fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// Nanoseconds since the epoch, as WakuMessage timestamps count; the largest value from the year 2554 on.
    pub fn as_nanos(self) -> u64 {
        self.0.as_nanos().try_into().unwrap_or(u64::MAX)
    }

    /// Days since the epoch.
    pub fn day(self) -> u64 {
        self.0.as_secs() / (24 * 60 * 60)
    }

    /// How far apart two times are.
    pub fn abs_diff(self, other: Self) -> Duration {
        self.0.abs_diff(other.0)
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// What time it is, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For timers.
    pub instant: Instant,
    /// For what others can see.
    pub unix: UnixTime,
}
