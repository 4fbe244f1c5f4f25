//! Moments in UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// Days of 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: u64 = 146_097;

/// Days from the first of March of the year 0 to 1970.
const DAYS_TO_1970: u64 = 719_468;

/// `yyyy-mm-dd hh:mm:ss.mmm+00:00`. Before 1970 there is only its first moment.
pub(super) struct Timestamp(pub(super) SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_1970 = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since_1970.as_secs() / DAY, since_1970.as_secs() % DAY);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let milli = since_1970.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}+00:00")
    }
}

/// Year, month and day, of a day counted from 1970. Years begin in March here, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    // A leap day every 4 years (1,461 days), none every 100 (36,524), one every 400 (its last day).
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> String {
        Timestamp(UNIX_EPOCH + Duration::from_millis(millis)).to_string()
    }

    #[test]
    fn moments_are_written_as_nwaku_does() {
        assert_eq!(at(0), "1970-01-01 00:00:00.000+00:00");
        assert_eq!(at(951_782_399_999), "2000-02-28 23:59:59.999+00:00");
        assert_eq!(at(951_782_400_000), "2000-02-29 00:00:00.000+00:00");
        assert_eq!(at(1_795_233_799_587), "2026-11-21 04:03:19.587+00:00");
        assert_eq!(at(4_107_542_400_000), "2100-03-01 00:00:00.000+00:00");
        assert_eq!(Timestamp(UNIX_EPOCH - Duration::from_secs(9)).to_string(), at(0));
    }

    #[test]
    fn each_day_of_eight_hundred_years_follows_the_day_before() {
        let leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..2 * DAYS_OF_ERA {
            assert_eq!(date(days), (year, month, day));
            let last = match month {
                2 if leap(year) => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                _ if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
