//! What happened, in numbers.

use std::collections::BTreeMap;

use super::search::Sighting;

/// A snapshot. What is counted since the start is a `u64`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Nodes in the routing table now.
    pub table: usize,
    /// Those of them that answered lately.
    pub connected: usize,
    /// Sessions that are established now. The library counts them for the whole process.
    pub sessions: usize,
    /// Bytes sent over UDP, for the whole process.
    pub bytes_sent: usize,
    /// Bytes received over UDP, for the whole process.
    pub bytes_received: usize,
    /// Lookups that ended.
    pub lookups: u64,
    /// Lookups that could not be made.
    pub lookups_failed: u64,
    /// Records told of.
    pub found: u64,
    /// The same by shard of their cluster, at most 1024 of them.
    pub found_per_shard: BTreeMap<u16, u64>,
    /// Records told of that name no shards.
    pub found_without_shards: u64,
    /// Records seen again that were told of already.
    pub repeated: u64,
    /// Records seen that are of no use: not Waku's, of another cluster, without a shard of ours.
    pub unwanted: u64,
    /// Records that could not be read.
    pub unreadable: u64,
    /// Records lost because the reader of [`Found`](super::Found) was behind.
    pub dropped: u64,
    /// Nodes whose record names another address than they have.
    pub unverifiable: u64,
    /// Sessions established.
    pub sessions_established: u64,
    /// Times others saw the node at a new address and its record was changed.
    pub address_updates: u64,
    /// Bootstrap records that could not be used.
    pub bootstrap_invalid: u64,
}

impl Counters {
    pub(super) fn count_found(&mut self, seen: &Sighting) {
        self.found += 1;
        let Some(shards) = &seen.shards else {
            self.found_without_shards += 1;
            return;
        };
        for shard in shards.shards() {
            *self.found_per_shard.entry(shard.index()).or_default() += 1;
        }
    }
}
