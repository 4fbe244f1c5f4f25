//! How long the relay waits for peers that are slow to take its messages. No clock: time is an argument.
//!
//! While a peer of the mesh is slow, what is forwarded piles up in its queue, and what does not fit is lost to
//! it. So the node stops taking in more, which slows its own senders down, up to the publisher. A peer
//! that never takes anything must not stop the relay: waiting for one peer may take half of the time at most.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::PeerId;

/// Waiting for one peer may take so much at a time; it comes back at half the speed of time.
const LONGEST: Duration = Duration::from_secs(1);

/// What is left of the patience with each peer.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    spent: HashMap<PeerId, Spent>,
}

#[derive(Debug)]
struct Spent {
    time: Duration,
    at: Instant,
}

impl Spent {
    fn at(&self, now: Instant) -> Duration {
        self.time.saturating_sub(now.saturating_duration_since(self.at) / 2)
    }
}

impl Patience {
    /// True when the node may wait for the peer now.
    pub(crate) fn is_left(&self, peer: &PeerId, now: Instant) -> bool {
        self.spent.get(peer).is_none_or(|spent| spent.at(now) < LONGEST)
    }

    /// The node has waited for the peer, up to `now`.
    pub(crate) fn spend(&mut self, peer: PeerId, waited: Duration, now: Instant) {
        // What has come back is as good as never spent.
        self.spent.retain(|_, spent| spent.at(now) > Duration::ZERO);
        let spent = self.spent.entry(peer).or_insert(Spent { time: Duration::ZERO, at: now });
        // Half of the time waited comes back while it passes.
        *spent = Spent { time: spent.at(now) + waited, at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(5);

    #[test]
    fn half_of_the_time_is_waited_for_a_peer_that_takes_nothing() {
        let (mut patience, peer, start) = (Patience::default(), PeerId::random(), Instant::now());
        let (mut now, mut waited) = (start, Duration::ZERO);
        while now < start + Duration::from_secs(100) {
            now += STEP;
            if patience.is_left(&peer, now) {
                patience.spend(peer, STEP, now);
                waited += STEP;
            }
        }
        let share = waited.as_secs_f64() / 100.0;
        assert!((0.5..0.53).contains(&share), "{share}");
    }

    #[test]
    fn patience_with_one_peer_is_not_spent_by_another() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        let (slow, other) = (PeerId::random(), PeerId::random());
        patience.spend(slow, LONGEST, now);
        assert!(!patience.is_left(&slow, now) && patience.is_left(&other, now));
        assert!(patience.is_left(&slow, now + STEP));
    }

    #[test]
    fn forgets_peers_whose_patience_is_whole_again() {
        let (mut patience, now) = (Patience::default(), Instant::now());
        for _ in 0..100 {
            patience.spend(PeerId::random(), STEP, now);
        }
        patience.spend(PeerId::random(), STEP, now + 2 * STEP);
        assert_eq!(patience.spent.len(), 1);
    }
}
