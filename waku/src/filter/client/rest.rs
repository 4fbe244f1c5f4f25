//! Service nodes that failed, and are left alone for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::PeerId;

/// The first rest. Every further one is twice as long.
const FIRST: Duration = Duration::from_secs(10);
const MAX: Duration = Duration::from_secs(5 * 60);

/// Who rests, and how often they failed.
#[derive(Debug, Default)]
pub(super) struct Resting {
    peers: HashMap<PeerId, Rest>,
}

#[derive(Debug)]
struct Rest {
    /// `None` when it is over.
    until: Option<Instant>,
    last: Duration,
}

impl Resting {
    /// A peer has failed.
    pub(super) fn add(&mut self, peer: PeerId, now: Instant) {
        let rest = self.peers.entry(peer).or_insert(Rest { until: None, last: FIRST / 2 });
        rest.last = (2 * rest.last).min(MAX);
        rest.until = Some(now + rest.last);
    }

    /// A peer serves well: its failures are forgotten.
    pub(super) fn forgive(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// Forgets peers unless they rest or are `known`.
    pub(super) fn retain(&mut self, known: impl Fn(&PeerId) -> bool, now: Instant) {
        self.peers.retain(|peer, rest| rest.until.is_some_and(|until| until > now) || known(peer));
    }

    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|rest| rest.until.is_some())
    }

    /// True when some rest is over that [`Resting::wake`] has not ended yet.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        self.next_end().is_some_and(|end| end <= now)
    }

    /// Ends the rests that are over.
    pub(super) fn wake(&mut self, now: Instant) {
        for rest in self.peers.values_mut() {
            rest.until = rest.until.filter(|until| *until > now);
        }
    }

    /// When the next rest is over.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.peers.values().filter_map(|rest| rest.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rest_is_twice_as_long_as_the_last_up_to_a_limit() {
        let (mut resting, peer, mut now) = (Resting::default(), PeerId::random(), Instant::now());
        let mut rests = Vec::new();
        for _ in 0..7 {
            resting.add(peer, now);
            let end = resting.next_end().unwrap();
            rests.push((end - now).as_secs());
            let before = now + (end - now).mul_f64(0.9);
            resting.wake(before);
            assert!(resting.contains(&peer) && !resting.has_ended(before));
            assert!(resting.has_ended(end));
            resting.wake(end);
            assert!(!resting.contains(&peer));
            now = end;
        }
        assert_eq!(rests, [10, 20, 40, 80, 160, 300, 300]);
        resting.forgive(&peer);
        resting.add(peer, now);
        assert_eq!(resting.next_end(), Some(now + FIRST));
    }

    #[test]
    fn forgets_strangers_that_do_not_rest() {
        let (mut resting, peer, now) = (Resting::default(), PeerId::random(), Instant::now());
        resting.add(peer, now);
        resting.retain(|_| false, now);
        assert_eq!(resting.peers.len(), 1);
        resting.retain(|_| true, now + FIRST);
        assert_eq!(resting.peers.len(), 1);
        resting.retain(|_| false, now + FIRST);
        assert_eq!(resting.peers.len(), 0);
    }
}
