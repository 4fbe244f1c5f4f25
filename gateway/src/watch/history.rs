//! The samples of a day.

use super::sample::Sample;

/// Samples that are kept: one a minute for 24 hours.
pub const DAY: usize = 24 * 60;

/// Samples of the last day, oldest first, one for each minute at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<Sample>);

impl History {
    /// Takes a sample in. Those that are a day older go, and those that are not older: then the clock was put back.
    pub fn push(&mut self, sample: Sample) {
        let kept = self.0.iter().take_while(|known| known.minute < sample.minute).count();
        self.0.truncate(kept);
        let oldest = (sample.minute + 1).saturating_sub(DAY as u64);
        self.0.retain(|known| known.minute >= oldest);
        self.0.push(sample);
    }

    /// The samples, oldest first.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(history: &History) -> Vec<u64> {
        history.samples().iter().map(|sample| sample.minute).collect()
    }

    #[test]
    fn a_day_is_kept_and_no_more() {
        let mut history = History::default();
        for minute in 0..5000 {
            history.push(Sample::new(minute));
            assert!(history.samples().len() <= DAY);
        }
        assert_eq!(minutes(&history), (5000 - DAY as u64..5000).collect::<Vec<_>>());
        history.push(Sample::new(100_000));
        assert_eq!(minutes(&history), [100_000]);
    }

    #[test]
    fn when_the_clock_is_put_back_what_lies_ahead_goes() {
        let mut history = History::default();
        for minute in [10, 11, 12, 13, 11] {
            history.push(Sample::new(minute));
        }
        assert_eq!(minutes(&history), [10, 11]);
    }
}
