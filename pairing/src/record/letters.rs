//! The letters of a peer that need not be handed on any more.

use std::collections::BTreeSet;

use waku_noise_session::time::UnixTime;

use crate::letter::{LIFETIME, LetterId};

/// Ids kept of one peer. With more in a week the oldest are forgotten, and whatever is as old as those is refused.
const MAX_TAKEN: usize = 256;

/// Which letters of a peer the application acknowledged. What is forgotten is refused by its age, so that no letter is
/// handed on after it was acknowledged, whatever the clock does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenLetters {
    /// Nanoseconds since the Unix epoch: what was written then or earlier is refused.
    pub(crate) floor: u64,
    pub(crate) ids: BTreeSet<LetterId>,
}

impl TakenLetters {
    /// Whether a letter need not be handed on.
    pub fn holds(&self, id: &LetterId) -> bool {
        id.nanos <= self.floor || self.ids.contains(id)
    }

    pub(crate) fn take(&mut self, now: UnixTime, id: LetterId) {
        self.ids.insert(id);
        while let Some(oldest) = self.ids.first().copied()
            && (self.ids.len() > MAX_TAKEN || oldest.sent_at() + LIFETIME < now)
        {
            self.ids.pop_first();
            self.floor = self.floor.max(oldest.nanos);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;

    const START: u64 = 1_760_000_000;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(START + secs)
    }

    fn ids(count: u64) -> Vec<LetterId> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..count).map(|secs| LetterId::new(at(secs), &mut rng)).collect()
    }

    #[test]
    fn holds_what_was_taken_and_nothing_younger() {
        let ids = ids(3);
        let mut taken = TakenLetters::default();
        taken.take(at(5), ids[1]);
        assert_eq!(ids.iter().map(|id| taken.holds(id)).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn what_is_forgotten_is_refused_by_its_age() {
        let ids = ids(1000);
        let mut taken = TakenLetters::default();
        for id in ids.iter().skip(1).step_by(2) {
            taken.take(at(1000), *id);
            assert!(taken.ids.len() <= MAX_TAKEN);
        }
        assert!(ids.iter().skip(1).step_by(2).all(|id| taken.holds(id)));
        let open: Vec<_> = ids.iter().filter(|id| !taken.holds(id)).collect();
        assert_eq!(open.len(), MAX_TAKEN, "those between the ones that are remembered");
    }

    #[test]
    fn ids_are_kept_for_a_week_and_a_clock_that_jumps_brings_none_back() {
        let ids = ids(3);
        let mut taken = TakenLetters::default();
        taken.take(at(1), ids[0]);
        taken.take(at(1) + LIFETIME, ids[2]);
        assert_eq!(taken.ids.len(), 1);
        taken.take(at(1) + Duration::from_secs(1 << 30), ids[1]);
        assert!(taken.ids.is_empty());
        assert!(ids.iter().all(|id| taken.holds(id)), "by a clock that is right again");
    }
}
