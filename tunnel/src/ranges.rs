//! Sets of numbers that lie close together: indices received, bytes to be sent.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers, kept as ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        while let Some((&known, &known_end)) = self.0.range(..=end).next_back()
            && known_end >= start
        {
            self.0.remove(&known);
            (start, end) = (start.min(known), end.max(known_end));
        }
        self.0.insert(start, end);
    }

    pub(crate) fn remove(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        while let Some((&known, &known_end)) = self.0.range(..range.end).next_back()
            && known_end > range.start
        {
            self.0.remove(&known);
            if known < range.start {
                self.0.insert(known, range.start);
            }
            if known_end > range.end {
                self.0.insert(range.end, known_end);
            }
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, end)| number < *end)
    }

    /// The lowest range.
    pub(crate) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(&start, &end)| start..end)
    }

    /// Forgets the lowest range.
    pub(crate) fn pop_first(&mut self) {
        self.0.pop_first();
    }

    /// From the highest down.
    pub(crate) fn descending(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().rev().map(|(&start, &end)| start..end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    #[test]
    fn holds_what_a_plain_set_holds() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let (mut ranges, mut plain) = (Ranges::default(), BTreeSet::new());
            for _ in 0..40 {
                let start = u64::from(rng.next_u32() % 60);
                let range = start..start + u64::from(rng.next_u32() % 12);
                if rng.next_u32().is_multiple_of(3) {
                    ranges.remove(&range);
                    plain.retain(|number| !range.contains(number));
                } else {
                    plain.extend(range.clone());
                    ranges.insert(range);
                }
                let held: BTreeSet<_> = ranges.descending().flatten().collect();
                assert_eq!(held, plain);
                assert!((0..80).all(|number| ranges.contains(number) == plain.contains(&number)));
                let all: Vec<_> = ranges.descending().collect();
                assert!(
                    all.windows(2).all(|two| two[1].end < two[0].start),
                    "they neither touch nor overlap"
                );
                assert_eq!((all.len(), all.last().cloned()), (ranges.count(), ranges.first()));
            }
        }
    }
}
