//! What a series of samples says, for each kind of alert.

use super::alert::{Kind, Thresholds};
use super::sample::{Column, Sample};

/// What the newest sample says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Wrong, and how.
    Bad(String),
    Good,
    /// Not known, or between good and bad.
    Open,
}

/// Minutes over which missed attestations are counted: three epochs.
const MISSED_WITHIN: u64 = 20;
/// Missed attestations within that time that are too many. One is the ordinary loss of a block.
const MISSED_MANY: i64 = 2;
/// Minutes over which the disk's trend is measured, and the least of them.
const TREND: (u64, u64) = (6 * 60, 60);
/// Free MiB that are too few, whatever the trend.
const DISK_LEAST: i64 = 1024;

/// Looks at samples, newest last.
pub(super) fn verdict(kind: &Kind, thresholds: &Thresholds, samples: &[Sample]) -> Verdict {
    let Some(newest) = samples.last() else { return Verdict::Open };
    match kind {
        Kind::OutOfSync => {
            let most = thresholds.max_sync_distance.cast_signed();
            above(newest.get(Column::SyncDistance), most, |distance| {
                format!("the node is {distance} slots behind")
            })
        }
        Kind::PeersLow => peers(newest, thresholds.min_peers.cast_signed()),
        Kind::MissedAttestations => missed(samples),
        Kind::DiskFilling => disk(samples, thresholds.disk_days),
        Kind::ClockDrift => {
            let most = thresholds.max_clock_offset_ms.cast_signed();
            let offset = newest.get(Column::ClockOffset);
            above(offset.map(i64::abs), most, |by| {
                let way = if offset.is_some_and(i64::is_negative) { "behind" } else { "ahead" };
                format!("the host's clock is at least {by} ms {way}")
            })
        }
        Kind::ServiceDown { index, name } => match newest.get(Column::Down) {
            Some(down) if down >> index & 1 == 1 => {
                Verdict::Bad(format!("the service `{name}` does not answer"))
            }
            Some(_) => Verdict::Good,
            None => Verdict::Open,
        },
    }
}

/// Bad above a limit, and good again at half of it.
fn above(value: Option<i64>, limit: i64, text: impl Fn(i64) -> String) -> Verdict {
    match value {
        Some(value) if value > limit => Verdict::Bad(text(value)),
        Some(value) if value <= limit / 2 => Verdict::Good,
        _ => Verdict::Open,
    }
}

fn peers(newest: &Sample, least: i64) -> Verdict {
    match newest.get(Column::Peers) {
        Some(peers) if peers < least => Verdict::Bad(format!("the node has {peers} peers")),
        Some(peers) if peers >= least + least / 4 => Verdict::Good,
        _ => Verdict::Open,
    }
}

fn missed(samples: &[Sample]) -> Verdict {
    let counted = within(samples, MISSED_WITHIN).filter_map(|sample| sample.get(Column::Missed));
    let (mut before, mut missed, mut count) = (None, 0, 0);
    for now in counted {
        // A counter that is smaller than before began anew with the node.
        missed += before.map_or(0, |before| if now >= before { now - before } else { now });
        before = Some(now);
        count += 1;
    }
    match missed {
        _ if count < 2 => Verdict::Open,
        0 => Verdict::Good,
        missed if missed >= MISSED_MANY => {
            Verdict::Bad(format!("{missed} attestations were missed within {MISSED_WITHIN} minutes"))
        }
        _ => Verdict::Open,
    }
}

fn disk(samples: &[Sample], days: u64) -> Verdict {
    let (over, at_least) = TREND;
    let newest = samples.last().and_then(|sample| sample.get(Column::DiskFree));
    if let Some(free) = newest.filter(|free| *free < DISK_LEAST) {
        return Verdict::Bad(format!("the disk has {free} MiB left"));
    }
    let points =
        within(samples, over).filter_map(|sample| Some((sample.minute, sample.get(Column::DiskFree)?)));
    let points: Vec<_> = points.collect();
    let (Some(first), Some(last), Some(free)) = (points.first(), points.last(), newest) else {
        return Verdict::Open;
    };
    if last.0 - first.0 < at_least {
        return Verdict::Open;
    }
    let slope = slope(&points);
    if slope >= 0.0 {
        return Verdict::Good;
    }
    #[expect(clippy::cast_precision_loss, reason = "a disk has far fewer than 2^52 MiB")]
    let left = free as f64 / -slope / (24.0 * 60.0);
    #[expect(clippy::cast_precision_loss, reason = "a configuration has at most 365 days")]
    let days = days as f64;
    if left < days {
        Verdict::Bad(format!("the disk will be full in {left:.1} days"))
    } else if left > days * 1.25 {
        Verdict::Good
    } else {
        Verdict::Open
    }
}

/// How much is added in a minute, by least squares.
#[expect(clippy::cast_precision_loss, reason = "minutes of a day and MiB of a disk are small numbers")]
fn slope(points: &[(u64, i64)]) -> f64 {
    let count = points.len() as f64;
    let first = points.first().map_or(0, |(minute, _)| *minute);
    let at = |minute: u64| (minute - first) as f64;
    let mean_minute = points.iter().map(|(minute, _)| at(*minute)).sum::<f64>() / count;
    let mean_value = points.iter().map(|(_, value)| *value as f64).sum::<f64>() / count;
    let (mut top, mut bottom) = (0.0, 0.0);
    for (minute, value) in points {
        let away = at(*minute) - mean_minute;
        top += away * (*value as f64 - mean_value);
        bottom += away * away;
    }
    if bottom == 0.0 { 0.0 } else { top / bottom }
}

/// The samples of the last minutes, oldest first.
fn within(samples: &[Sample], minutes: u64) -> impl Iterator<Item = &Sample> {
    let newest = samples.last().map_or(0, |sample| sample.minute);
    samples.iter().filter(move |sample| sample.minute + minutes >= newest)
}
