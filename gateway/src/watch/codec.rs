//! A day in a few kilobytes.
//!
//! `version 1 (1) || number of samples || minutes || column || column …`, every number an unsigned LEB128 varint. A column
//! is tokens, one for each sample or run of samples: `0, n` are n samples like the one before, `1` goes over from a
//! missing value to a present one or back and takes no sample, and `t > 1` is a difference d with zigzag(d) + 1 = t.
//! Minutes and slots advance evenly, so that theirs are differences of differences.

use thiserror::Error;

use super::history::{DAY, History};
use super::sample::{Column, MAX_VALUE, Sample};

const VERSION: u8 = 1;

/// Bytes that are no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Of a version that is not known.
    #[error("the history is of another version")]
    Version,
    /// They end too early, or too late, or say something impossible.
    #[error("the history is damaged")]
    Damaged,
}

impl History {
    /// The samples as bytes: a day of an ordinary host is some 10 kB.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put(&mut bytes, self.samples().len() as u64);
        let minute = |sample: &Sample| Some(sample.minute.cast_signed().clamp(0, MAX_VALUE));
        put_column(&mut bytes, true, self.samples().iter().map(minute));
        for column in Column::ALL {
            put_column(&mut bytes, is_even(column), self.samples().iter().map(|sample| sample.get(column)));
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When it is not what was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(DecodeError::Version) };
        read(&mut rest).filter(|_| rest.is_empty()).ok_or(DecodeError::Damaged)
    }
}

fn read(bytes: &mut &[u8]) -> Option<History> {
    let count = usize::try_from(take(bytes)?).ok().filter(|count| *count <= DAY)?;
    let minutes = take_column(bytes, true, count)?;
    let mut samples = minutes
        .into_iter()
        .map(|minute| Some(Sample::new(u64::try_from(minute?).ok()?)))
        .collect::<Option<Vec<_>>>()?;
    for column in Column::ALL {
        let values = take_column(bytes, is_even(column), count)?;
        samples.iter_mut().zip(values).for_each(|(sample, value)| sample.set(column, value));
    }
    let mut history = History::default();
    for sample in samples {
        history.push(sample);
    }
    // Minutes that do not grow were never written.
    (history.samples().len() == count).then_some(history)
}

/// Whether the differences are the same, more often than not.
fn is_even(column: Column) -> bool {
    column == Column::HeadSlot
}

/// What the next value is compared with.
#[derive(Default)]
struct Before {
    value: i64,
    step: i64,
    even: bool,
}

impl Before {
    fn expected(&self) -> i64 {
        self.value + if self.even { self.step } else { 0 }
    }

    fn now(&mut self, value: i64) {
        (self.step, self.value) = (value - self.value, value);
    }
}

fn put_column(bytes: &mut Vec<u8>, even: bool, values: impl Iterator<Item = Option<i64>>) {
    let mut before = Before { even, ..Before::default() };
    let (mut present, mut run) = (true, 0);
    for value in values {
        let same = match value {
            Some(value) => present && value == before.expected(),
            None => !present,
        };
        if same {
            run += 1;
        } else {
            put_run(bytes, &mut run);
            if value.is_some() != present {
                put(bytes, 1);
                present = !present;
            }
            match value {
                Some(value) if value != before.expected() => {
                    put(bytes, zigzag(value - before.expected()) + 1)
                }
                _ => run = 1,
            }
        }
        if let Some(value) = value {
            before.now(value);
        }
    }
    put_run(bytes, &mut run);
}

fn put_run(bytes: &mut Vec<u8>, run: &mut u64) {
    if *run > 0 {
        put(bytes, 0);
        put(bytes, std::mem::take(run));
    }
}

fn take_column(bytes: &mut &[u8], even: bool, count: usize) -> Option<Vec<Option<i64>>> {
    let mut before = Before { even, ..Before::default() };
    let mut present = true;
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let (difference, run) = match take(bytes)? {
            0 => (0, usize::try_from(take(bytes)?).ok()?),
            1 => {
                present = !present;
                continue;
            }
            token => (unzigzag(token - 1), 1),
        };
        if run == 0 || run > count - values.len() || !present && difference != 0 {
            return None;
        }
        for _ in 0..run {
            if present {
                let value = before.expected().checked_add(difference)?;
                if !(-MAX_VALUE..=MAX_VALUE).contains(&value) {
                    return None;
                }
                before.now(value);
                values.push(Some(value));
            } else {
                values.push(None);
            }
        }
    }
    Some(values)
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A day as a busy host has it, with noise from a fixed seed.
    fn day() -> History {
        let mut state = 1_u64;
        let mut noise = |most: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).cast_signed() % most
        };
        let mut history = History::default();
        for minute in 0..DAY as u64 {
            let at = minute.cast_signed();
            let mut sample = Sample::new(29_000_000 + minute);
            sample.set(Column::Cpu, Some(20 + noise(60)));
            sample.set(Column::Memory, Some(55 + noise(4)));
            sample.set(Column::Load, Some(10 + noise(40)));
            sample.set(Column::DiskFree, Some(900_000 - at * 20 + noise(400)));
            sample.set(Column::ClockOffset, Some(noise(300) - 150));
            sample.set(Column::SyncDistance, Some(noise(2)));
            sample.set(Column::Peers, (minute % 100 != 0).then_some(150 + noise(20)));
            sample.set(Column::HeadSlot, Some(9_000_000 + at * 5 - noise(2)));
            sample.set(Column::FinalizedEpoch, Some(280_000 + at * 5 / 32));
            sample.set(Column::Missed, Some(at / 300));
            sample.set(Column::Down, Some(i64::from(minute % 500 == 0)));
            history.push(sample);
        }
        history
    }

    #[test]
    fn a_noisy_day_takes_at_most_20_kilobytes_and_comes_back() {
        let day = day();
        let bytes = day.encode();
        assert!(bytes.len() <= 20_000, "{} bytes", bytes.len());
        assert_eq!(History::decode(&bytes), Ok(day));
    }

    #[test]
    fn a_day_without_news_takes_next_to_nothing() {
        let mut history = History::default();
        for minute in 0..DAY as u64 {
            history.push(Sample::new(29_000_000 + minute));
        }
        assert!(history.encode().len() < 64);
        assert_eq!(History::decode(&history.encode()), Ok(history));
        assert_eq!(History::decode(&History::default().encode()), Ok(History::default()));
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let bytes = day().encode();
        assert_eq!(History::decode(&[]), Err(DecodeError::Version));
        assert_eq!(History::decode(&[2]), Err(DecodeError::Version));
        for len in 1..200 {
            assert_eq!(History::decode(&bytes[..len]), Err(DecodeError::Damaged));
        }
        assert_eq!(History::decode(&[bytes.as_slice(), &[0]].concat()), Err(DecodeError::Damaged));
        // More samples than a day, and a run that is longer than the rest.
        assert_eq!(History::decode(&[1, 0xff, 0xff, 0xff, 0x7f]), Err(DecodeError::Damaged));
        assert_eq!(History::decode(&[1, 1, 0, 0xff, 0x7f]), Err(DecodeError::Damaged));
    }

    proptest! {
        #[test]
        fn any_samples_come_back(rows in prop::collection::vec(
            (1_u64..100, prop::collection::vec(prop::option::of(any::<i64>()), 11)), 0..40,
        )) {
            let mut history = History::default();
            let mut minute = 0;
            for (step, values) in rows {
                minute += step;
                let mut sample = Sample::new(minute);
                Column::ALL.into_iter().zip(values).for_each(|(column, value)| sample.set(column, value));
                history.push(sample);
            }
            prop_assert_eq!(History::decode(&history.encode()), Ok(history));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = vec![1, 3];
            versioned.extend(bytes);
            if let Ok(history) = History::decode(&versioned) {
                prop_assert!(history.samples().len() == 3);
            }
        }
    }
}
