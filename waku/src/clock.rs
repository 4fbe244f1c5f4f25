//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in nanoseconds, as messages have it. A clock set before 1970 is at 0, and one after 2262 stands.
pub fn unix_nanos() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX)
}
