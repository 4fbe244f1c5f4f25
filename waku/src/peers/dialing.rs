//! How a node finds relay peers among those it knows.

use std::time::Duration;

/// When known peers are dialled, and how many. The defaults are nwaku's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialing {
    /// Relay peers to be connected to by dialling, over all shards. Default `None`: a third of the slots for
    /// relay peers. With 0 no known peer is dialled for relay.
    pub relay_peers: Option<u32>,
    /// Time between two looks at whether somebody is to be dialled. When a connection ends or a peer becomes
    /// known, the node looks at once. Default 30 s.
    pub interval: Duration,
    /// Dials at the same time. Default 10.
    pub parallel: usize,
    /// Wait after a failed dial; four times as long after each further one. Default 120 s.
    pub backoff: Duration,
    /// The wait grows up to so many failures in a row. After them a peer that was never seen, or not for a
    /// week, is forgotten. Default 5.
    pub max_failures: u32,
    /// Least time between the end of a connection and a dial: for so long gossipsub lets nobody back into
    /// its mesh. Default 60 s, gossipsub's prune backoff.
    pub redial_after: Duration,
}

impl Default for Dialing {
    fn default() -> Self {
        Self {
            relay_peers: None,
            interval: Duration::from_secs(30),
            parallel: 10,
            backoff: Duration::from_secs(120),
            max_failures: 5,
            redial_after: Duration::from_secs(60),
        }
    }
}

impl Dialing {
    /// The wait after so many failures in a row.
    pub(crate) fn wait_after(&self, failures: u32) -> Duration {
        match failures.min(self.max_failures) {
            0 => Duration::ZERO,
            failures => self.backoff.saturating_mul(4u32.saturating_pow(failures - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_four_times_as_long_after_each_failure_up_to_the_fifth() {
        let dialing = Dialing::default();
        let waits = [0, 1, 2, 3, 4, 5, 6, u32::MAX].map(|failures| dialing.wait_after(failures).as_secs());
        assert_eq!(waits, [0, 120, 480, 1920, 7680, 30_720, 30_720, 30_720]);
    }
}
