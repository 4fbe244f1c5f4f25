//! How long messages are kept.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use super::{Archive, ArchiveError, Stats};

/// Messages deleted at a time: writers and readers go on in between.
pub const PRUNE_LEN: usize = 1_000;

const MIB: f64 = 1024.0 * 1024.0;

/// What is deleted: messages that are too old, and the oldest ones while there are too many. A message goes as
/// soon as one limit says so. The default deletes nothing.
///
/// As text it is what nwaku's `--store-message-retention-policy` takes: `time:<seconds>`, `capacity:<messages>`,
/// `size:<number>MB` or `GB` (1024 based), each at most once, joined by `;`. `none` is no limit.
///
/// ```
/// use waku_archive::RetentionPolicy;
///
/// let policy: RetentionPolicy = "time:172800;size:30GB".parse()?;
/// assert_eq!(policy.max_age, Some(std::time::Duration::from_secs(2 * 24 * 3600)));
/// assert_eq!(policy.max_messages, None);
/// assert_eq!(policy.max_bytes, Some(30 << 30));
/// # Ok::<(), waku_archive::ParseRetentionError>(())
/// ```
///
/// # Differences from nwaku
/// `none` is accepted. `capacity` holds as it stands, without a third on top. `size` limits what the messages take
/// ([`Stats::bytes`]), for a file keeps its size when messages are deleted and fills the room again; nwaku looks
/// at the file and deletes a fifth of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionPolicy {
    /// The oldest that a message may be.
    pub max_age: Option<Duration>,
    /// Most messages.
    pub max_messages: Option<u64>,
    /// Most bytes, counted as in [`Stats::bytes`].
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// What the policy keeps at a moment, `now` being in Unix nanoseconds.
    pub fn at(&self, now: i64) -> Keep {
        let since = |age: Duration| now.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX));
        Keep { since: self.max_age.map(since), messages: self.max_messages, bytes: self.max_bytes }
    }

    /// Deletes what the policy does not keep at a moment, bit by bit, and returns how many messages that were.
    /// `now` is in Unix nanoseconds. Blocks.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn apply(&self, archive: &dyn Archive, now: i64) -> Result<u64, ArchiveError> {
        let (keep, mut deleted) = (self.at(now), 0);
        loop {
            let count = archive.prune(&keep, PRUNE_LEN)?;
            deleted += count as u64;
            if count < PRUNE_LEN {
                return Ok(deleted);
            }
        }
    }
}

/// What is to be kept, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Messages with this timestamp or a newer one, in Unix nanoseconds.
    pub since: Option<i64>,
    /// The newest messages, so many.
    pub messages: Option<u64>,
    /// The newest messages, as many as take so many bytes.
    pub bytes: Option<u64>,
}

impl Keep {
    /// Whether an archive's oldest message is beyond what is to be kept.
    pub fn is_exceeded(&self, stats: &Stats) -> bool {
        let is_old = self.since.zip(stats.oldest).is_some_and(|(since, oldest)| oldest < since);
        let are_many = self.messages.is_some_and(|most| stats.messages > most);
        let are_large = self.bytes.is_some_and(|most| stats.bytes > most);
        is_old || are_many || are_large
    }
}

impl FromStr for RetentionPolicy {
    type Err = ParseRetentionError;

    fn from_str(text: &str) -> Result<Self, ParseRetentionError> {
        let mut policy = Self::default();
        if text == "none" {
            return Ok(policy);
        }
        for part in text.split(';') {
            let error = |reason| ParseRetentionError { part: part.to_owned(), reason };
            let (kind, value) = part.split_once(':').ok_or(error(FORMS))?;
            let is_new = match kind.to_ascii_lowercase().as_str() {
                "time" => policy.max_age.replace(Duration::from_secs(whole(value).map_err(error)?)).is_none(),
                "capacity" => policy.max_messages.replace(whole(value).map_err(error)?).is_none(),
                "size" => policy.max_bytes.replace(size(value).map_err(error)?).is_none(),
                _ => return Err(error(FORMS)),
            };
            if !is_new {
                return Err(error("there is one of this kind already"));
            }
        }
        Ok(policy)
    }
}

const FORMS: &str =
    "the forms are `time:<seconds>`, `capacity:<messages>`, `size:<number>MB` or `GB`, and `none` alone";

fn whole(text: &str) -> Result<u64, &'static str> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or("a whole number is expected after the colon")
}

fn size(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(2)).ok_or(FORMS)?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "mb" => MIB,
        "gb" => MIB * 1024.0,
        _ => return Err("the unit is MB or GB"),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 =
        Some(number).filter(|_| is_plain).and_then(|number| number.parse().ok()).ok_or(FORMS)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it saturates, and is not negative"
    )]
    match (number * unit) as u64 {
        0 => Err("the size must not be zero"),
        bytes => Ok(bytes),
    }
}

/// nwaku's form, which [`FromStr`] reads. A size that is no whole number of MB is written as a fraction.
impl fmt::Display for RetentionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "sizes of disks have less than 52 bits")]
        let megabytes = |bytes: u64| bytes as f64 / MIB;
        let parts = [
            self.max_age.map(|age| format!("time:{}", age.as_secs())),
            self.max_messages.map(|messages| format!("capacity:{messages}")),
            self.max_bytes.map(|bytes| format!("size:{}MB", megabytes(bytes))),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(";"))
    }
}

/// Text that is no retention policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{part}` is no retention policy: {reason}")]
pub struct ParseRetentionError {
    /// The part that cannot be read.
    pub part: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RetentionPolicy {
        text.parse().unwrap()
    }

    #[test]
    fn reads_what_nwaku_reads() {
        let none = RetentionPolicy::default();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, expected) in [
            ("none", none),
            ("time:172800", RetentionPolicy { max_age: seconds(172_800), ..none }),
            ("TIME:60", RetentionPolicy { max_age: seconds(60), ..none }),
            ("capacity:25000", RetentionPolicy { max_messages: Some(25_000), ..none }),
            ("size:30GB", RetentionPolicy { max_bytes: Some(30 << 30), ..none }),
            ("size:500MB", RetentionPolicy { max_bytes: Some(500 << 20), ..none }),
            ("size:1.5gb", RetentionPolicy { max_bytes: Some(3 << 29), ..none }),
            ("size:.5Mb", RetentionPolicy { max_bytes: Some(1 << 19), ..none }),
            (
                "time:1;size:1MB;capacity:2",
                RetentionPolicy { max_age: seconds(1), max_messages: Some(2), max_bytes: Some(1 << 20) },
            ),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_policy_and_says_why() {
        for (text, part, reason) in [
            ("", "", "forms"),
            ("forever", "forever", "forms"),
            ("age:3", "age:3", "forms"),
            ("none;time:3", "none", "forms"),
            ("time:3;", "", "forms"),
            ("time:", "time:", "whole number"),
            ("time:-1", "time:-1", "whole number"),
            ("time:+1", "time:+1", "whole number"),
            ("time:1.5", "time:1.5", "whole number"),
            ("time:1;capacity:many", "capacity:many", "whole number"),
            ("capacity:99999999999999999999", "capacity:99999999999999999999", "whole number"),
            ("size:30", "size:30", "MB or GB"),
            ("size:3TB", "size:3TB", "MB or GB"),
            ("size:GB", "size:GB", "forms"),
            ("size:-1GB", "size:-1GB", "forms"),
            ("size:1e9GB", "size:1e9GB", "forms"),
            ("size:infGB", "size:infGB", "forms"),
            ("size:1.2.3GB", "size:1.2.3GB", "forms"),
            ("size:1€", "size:1€", "forms"),
            ("size:0GB", "size:0GB", "zero"),
            ("time:1;time:2", "time:2", "already"),
        ] {
            let error = RetentionPolicy::from_str(text).unwrap_err();
            assert_eq!(error.part, part, "{text}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_size_beyond_all_bounds_is_the_largest_there_is() {
        assert_eq!(parse("size:99999999999999999999999GB").max_bytes, Some(u64::MAX));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["none", "time:172800", "capacity:1;size:1.5MB", "time:1;capacity:2;size:30720MB"] {
            assert_eq!(parse(text).to_string(), text);
        }
        for bytes in [1, 1_000_001, (30 << 30) + 1] {
            let policy = RetentionPolicy { max_bytes: Some(bytes), ..RetentionPolicy::default() };
            assert_eq!(parse(&policy.to_string()), policy, "{bytes}");
        }
    }

    #[test]
    fn an_age_beyond_all_time_keeps_everything() {
        let policy = RetentionPolicy { max_age: Some(Duration::MAX), ..RetentionPolicy::default() };
        assert_eq!(policy.at(0).since, Some(-i64::MAX));
        assert_eq!(policy.at(-5).since, Some(i64::MIN));
        assert_eq!(parse("time:10").at(30_000_000_000).since, Some(20_000_000_000));
    }
}
