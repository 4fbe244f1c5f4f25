//! Whether the two sides' clocks agree well enough for stores, which keep a message only when its timestamp is within
//! 20 seconds of their own clock. A core: time is an argument.

use std::time::Duration;

use waku_noise_session::time::UnixTime;

/// How far a timestamp may be from the clock (13/WAKU2-STORE).
const ALLOWED: Duration = Duration::from_secs(20);
/// Messages in a row that have to be off: one alone may have been long on its way.
const ENOUGH: u32 = 3;

/// What live messages of others say about the clocks.
#[derive(Debug, Default)]
pub(super) struct Skew {
    off_in_a_row: u32,
}

/// Two clocks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Differ {
    pub(super) by: Duration,
    /// Whether the other side's clock is ahead of ours.
    pub(super) is_ahead: bool,
}

impl Skew {
    /// A message of somebody else has just come. Says that the clocks differ once, until they agree again.
    pub(super) fn note(&mut self, timestamp: Option<i64>, now: UnixTime) -> Option<Differ> {
        let stamped = UnixTime::from_epoch(Duration::from_nanos(u64::try_from(timestamp?).ok()?));
        let by = stamped.abs_diff(now);
        if by <= ALLOWED {
            self.off_in_a_row = 0;
            return None;
        }
        self.off_in_a_row = self.off_in_a_row.saturating_add(1);
        (self.off_in_a_row == ENOUGH).then_some(Differ { by, is_ahead: stamped > now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn note(skew: &mut Skew, secs: u64) -> Option<Differ> {
        let timestamp = i64::try_from(secs * 1_000_000_000).unwrap();
        skew.note(Some(timestamp), UnixTime::from_secs(NOW))
    }

    #[test]
    fn clocks_that_differ_are_told_once_until_they_agree_again() {
        let mut skew = Skew::default();
        for (stamped, is_ahead) in [(NOW + 30, true), (NOW - 30, false)] {
            assert_eq!((note(&mut skew, stamped), note(&mut skew, stamped)), (None, None));
            assert_eq!(note(&mut skew, stamped), Some(Differ { by: Duration::from_secs(30), is_ahead }));
            assert_eq!(note(&mut skew, stamped), None);
            assert_eq!(note(&mut skew, NOW + 20), None);
        }
    }

    #[test]
    fn messages_without_a_sensible_timestamp_say_nothing() {
        let mut skew = Skew::default();
        for timestamp in [None, Some(-1), Some(i64::MIN)] {
            assert_eq!(skew.note(timestamp, UnixTime::from_secs(NOW)), None);
        }
        assert_eq!(skew.off_in_a_row, 0);
    }
}
