//! Whether the host's clock is right, without asking a time server.
//!
//! A block is made at the start of its slot and reaches a node within a third of it. So of the newest blocks, the one
//! that arrived earliest tells: before its slot began, then the clock is behind by at least as much; after a third of its
//! slot, then the clock is ahead, or every block was late. Less than that cannot be seen.

use std::collections::VecDeque;

/// Blocks that are looked at.
const BLOCKS: usize = 16;
/// Blocks before anything is said.
const LEAST: usize = 4;

/// An estimate from the arrival of blocks.
#[derive(Debug, Clone)]
pub struct ClockEstimate {
    genesis_ms: i64,
    slot_ms: i64,
    /// How long after the start of their slots blocks arrived, by the host's clock, in milliseconds.
    delays: VecDeque<i64>,
    newest: Option<u64>,
}

impl ClockEstimate {
    /// Of a network that began at `genesis_ms` since 1970 and has slots of `slot_ms`.
    pub fn new(genesis_ms: i64, slot_ms: i64) -> Self {
        Self { genesis_ms, slot_ms, delays: VecDeque::with_capacity(BLOCKS), newest: None }
    }

    /// Notes that the block of a slot arrived, at `now_ms` by the host's clock. Only blocks of a node that is in sync
    /// tell anything.
    pub fn block(&mut self, slot: u64, now_ms: i64) {
        if self.newest.is_some_and(|newest| slot <= newest) {
            return;
        }
        self.newest = Some(slot);
        let Some(start) = i64::try_from(slot).ok().and_then(|slot| slot.checked_mul(self.slot_ms)) else {
            return;
        };
        if self.delays.len() == BLOCKS {
            self.delays.pop_front();
        }
        self.delays.push_back(now_ms.saturating_sub(self.genesis_ms).saturating_sub(start));
    }

    /// How far the host's clock is ahead, in milliseconds, negative when it is behind; 0 when nothing is seen, and
    /// nothing before a few blocks have come.
    pub fn offset_ms(&self) -> Option<i64> {
        let earliest = *self.delays.iter().min().filter(|_| self.delays.len() >= LEAST)?;
        let usual = self.slot_ms / 3;
        Some(if earliest < 0 { earliest } else { (earliest - usual).max(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(delays: &[i64]) -> Option<i64> {
        let mut clock = ClockEstimate::new(1_000_000, 12_000);
        for (slot, delay) in (100..).zip(delays) {
            clock.block(slot, 1_000_000 + slot.cast_signed() * 12_000 + delay);
        }
        clock.offset_ms()
    }

    #[test]
    fn a_clock_that_is_off_by_seconds_is_found() {
        assert_eq!(estimate(&[1500, 2000, 3900, 800]), Some(0));
        assert_eq!(estimate(&[-3500, -3000, -1100, -4200]), Some(-4200));
        assert_eq!(estimate(&[7500, 8000, 9900, 6800]), Some(2800));
    }

    #[test]
    fn one_late_block_and_too_few_blocks_say_nothing() {
        assert_eq!(estimate(&[1500, 11_000, 1900, 1800]), Some(0));
        assert_eq!(estimate(&[-9000, -9000, -9000]), None);
    }

    #[test]
    fn old_blocks_and_impossible_slots_are_left_out() {
        let mut clock = ClockEstimate::new(0, 12_000);
        for _ in 0..10 {
            clock.block(5, 61_000);
        }
        clock.block(u64::MAX, 0);
        clock.block(4, -1_000_000);
        assert_eq!(clock.delays.len(), 1);
    }
}
