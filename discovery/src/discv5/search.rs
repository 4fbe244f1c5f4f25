//! Whom to look for, how often, and whom to tell of.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use ::enr::{Enr, EnrKey};
use waku_proto::enr::{Capabilities, RelayShards};

use crate::record::{capabilities_of, shards_of};

/// Fewer nodes than this in the routing table are few: one more lookup may find more (a bucket's size).
const FEW: usize = 16;

/// A record, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub(super) node_id: [u8; 32],
    pub(super) seq: u64,
    pub(super) capabilities: Capabilities,
    pub(super) shards: Option<RelayShards>,
}

impl Sighting {
    pub(super) fn of<K: EnrKey>(enr: &Enr<K>) -> Self {
        Self {
            node_id: enr.node_id().raw(),
            seq: enr.seq(),
            capabilities: capabilities_of(enr),
            shards: shards_of(enr),
        }
    }
}

/// Which nodes are of use: Waku nodes with a shard of ours. A node without shards of its own takes every Waku node of
/// its cluster, and one without a cluster every Waku node. Bootstrap nodes are of use in any case, as in nwaku.
#[derive(Debug, Clone, Default)]
pub(super) struct Interest {
    pub(super) shards: Option<RelayShards>,
    pub(super) bootstrap: BTreeSet<[u8; 32]>,
}

impl Interest {
    pub(super) fn is_in(&self, seen: &Sighting) -> bool {
        if self.bootstrap.contains(&seen.node_id) {
            return true;
        }
        let shares = match (&self.shards, &seen.shards) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) if ours.shards().next().is_none() => {
                ours.cluster() == theirs.cluster()
            }
            (Some(ours), Some(theirs)) => {
                let theirs: BTreeSet<_> = theirs.shards().collect();
                ours.shards().any(|shard| theirs.contains(&shard))
            }
        };
        shares && seen.capabilities != Capabilities::default()
    }
}

/// The nodes that were told of lately. A node is told of again when its record is newer, or after some time.
#[derive(Debug)]
pub(super) struct Told {
    again_after: Duration,
    max: usize,
    /// The record's sequence number, and which telling it was.
    nodes: HashMap<[u8; 32], (u64, u64)>,
    /// Tellings in their order: number, node, time. A node told of twice is in it twice.
    order: VecDeque<(u64, [u8; 32], Instant)>,
    tellings: u64,
}

impl Told {
    /// Nodes are told of again `again_after` that long; `max` of them are remembered.
    pub(super) fn new(again_after: Duration, max: usize) -> Self {
        Self { again_after, max, nodes: HashMap::new(), order: VecDeque::new(), tellings: 0 }
    }

    /// Whether to tell of a node now. If so, it is remembered as told of.
    pub(super) fn is_news(&mut self, seen: &Sighting, now: Instant) -> bool {
        self.forget(now);
        if self.nodes.get(&seen.node_id).is_some_and(|(seq, _)| *seq >= seen.seq) {
            return false;
        }
        self.tellings += 1;
        self.nodes.insert(seen.node_id, (seen.seq, self.tellings));
        self.order.push_back((self.tellings, seen.node_id, now));
        true
    }

    fn forget(&mut self, now: Instant) {
        while let Some((telling, node_id, at)) = self.order.front().copied() {
            if self.order.len() < self.max && now.duration_since(at) < self.again_after {
                return;
            }
            self.order.pop_front();
            if self.nodes.get(&node_id).is_some_and(|(_, last)| *last == telling) {
                self.nodes.remove(&node_id);
            }
        }
    }
}

/// How long to wait from one lookup to the next.
#[derive(Debug)]
pub(super) struct Pace {
    least: Duration,
    most: Duration,
    pause: Duration,
}

impl Pace {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most: most.max(least), pause: least }
    }

    /// The pause after a lookup that found `news`, with so many nodes in the routing table. It is the least while few
    /// nodes are known or new ones are found, and else twice the one before.
    pub(super) fn after(&mut self, news: usize, table: usize) -> Duration {
        self.pause =
            if news > 0 || table < FEW { self.least } else { self.pause.saturating_mul(2).min(self.most) };
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(cluster: u16, indices: impl IntoIterator<Item = u16>) -> Option<RelayShards> {
        RelayShards::new(cluster, indices).ok()
    }

    fn seen(node: u8, seq: u64) -> Sighting {
        Sighting { node_id: [node; 32], seq, capabilities: Capabilities::RELAY, shards: shards(1, [0, 3]) }
    }

    #[test]
    fn a_node_is_of_use_when_it_shares_a_shard_of_the_same_cluster() {
        let interest = |shards| Interest { shards, ..Interest::default() };
        for (ours, is_of_use) in [
            (shards(1, [3]), true),
            (shards(1, [1, 2]), false),
            (shards(2, [3]), false),
            (shards(1, []), true),
            (shards(2, []), false),
            (None, true),
        ] {
            assert_eq!(interest(ours.clone()).is_in(&seen(1, 1)), is_of_use, "{ours:?}");
        }
        let without = Sighting { shards: None, ..seen(1, 1) };
        assert!(!interest(shards(1, [3])).is_in(&without));
        assert!(!interest(shards(1, [])).is_in(&without));
    }

    #[test]
    fn a_node_that_does_nothing_for_waku_is_of_no_use() {
        let idle = Sighting { capabilities: Capabilities(0), ..seen(1, 1) };
        assert!(!Interest::default().is_in(&idle));
        assert!(!Interest { shards: shards(1, [3]), ..Interest::default() }.is_in(&idle));
    }

    #[test]
    fn a_bootstrap_node_is_of_use_in_any_case() {
        let interest = Interest { shards: shards(2, [3]), bootstrap: [[1; 32]].into() };
        let idle = Sighting { capabilities: Capabilities(0), shards: None, ..seen(1, 1) };
        assert!(interest.is_in(&idle));
        assert!(!interest.is_in(&Sighting { node_id: [2; 32], ..idle }));
    }

    #[test]
    fn a_node_is_told_of_once_and_again_with_a_newer_record_or_after_some_time() {
        let (mut told, start) = (Told::new(Duration::from_secs(60), 100), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(told.is_news(&seen(1, 5), at(0)));
        assert!(!told.is_news(&seen(1, 5), at(30)));
        assert!(!told.is_news(&seen(1, 4), at(30)));
        assert!(told.is_news(&seen(2, 5), at(30)));
        assert!(told.is_news(&seen(1, 6), at(40)));
        // Forty seconds after the newer record was told of, not a hundred after the first.
        assert!(!told.is_news(&seen(1, 6), at(80)));
        assert!(told.is_news(&seen(1, 6), at(100)));
    }

    #[test]
    fn the_nodes_that_are_remembered_are_bounded_and_the_oldest_go_first() {
        let (mut told, now) = (Told::new(Duration::from_secs(60), 10), Instant::now());
        for node in 0..50 {
            assert!(told.is_news(&seen(node, 1), now));
        }
        // A stranger that renews its record all the time takes no more room than many strangers.
        (0..50).for_each(|seq| assert!(told.is_news(&seen(100, seq), now)));
        assert!(told.order.len() <= 10 && told.nodes.len() <= 10);
        assert!(!told.is_news(&seen(100, 49), now));
        assert!(told.is_news(&seen(0, 1), now));
    }

    #[test]
    fn lookups_become_rare_when_nothing_new_is_found_and_many_are_known() {
        let seconds = Duration::from_secs;
        let mut pace = Pace::new(seconds(5), seconds(30));
        assert_eq!([0, 0, 0, 0].map(|news| pace.after(news, 16)), [10, 20, 30, 30].map(seconds));
        assert_eq!(pace.after(1, 16), seconds(5));
        assert_eq!(pace.after(0, 16), seconds(10));
        assert_eq!([pace.after(0, 15), pace.after(0, 0)], [5, 5].map(seconds));
    }
}
