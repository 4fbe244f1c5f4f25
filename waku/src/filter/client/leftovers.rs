//! What service nodes that are not in use may still push: they keep a subscription for some minutes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::link::Topics;
use crate::PeerId;

/// How long it is remembered: service nodes forget silent clients after five minutes.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);
/// Service nodes remembered. The one that is lost longest is forgotten first.
const MAX_PEERS: usize = 64;

/// What lost service nodes may know.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    peers: HashMap<PeerId, (Instant, Topics)>,
}

impl Leftovers {
    /// A service node is lost that may know these topics. That it has confirmed them is of no worth any more.
    pub(super) fn add(&mut self, peer: PeerId, mut topics: Topics, now: Instant) {
        if topics.is_empty() {
            return;
        }
        for since in topics.values_mut().flat_map(HashMap::values_mut) {
            *since = None;
        }
        self.peers.insert(peer, (now, topics));
        let is_fresh = |since: Instant| now.saturating_duration_since(since) < REMEMBERED_FOR;
        self.peers.retain(|_, (since, _)| is_fresh(*since));
        if self.peers.len() > MAX_PEERS
            && let Some(oldest) =
                self.peers.iter().min_by_key(|(_, (since, _))| *since).map(|(peer, _)| *peer)
        {
            self.peers.remove(&oldest);
        }
    }

    /// What a service node that is used again may know.
    pub(super) fn take(&mut self, peer: PeerId) -> Topics {
        self.peers.remove(&peer).map(|(_, topics)| topics).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn topics_since(since: Option<SystemTime>) -> Topics {
        Topics::from([("/waku/2/rs/0/0".parse().unwrap(), HashMap::from([(Box::from("/a"), since)]))])
    }

    fn topics() -> Topics {
        topics_since(None)
    }

    #[test]
    fn a_service_node_is_remembered_until_it_is_used_again_or_has_forgotten() {
        let (mut leftovers, peer, now) = (Leftovers::default(), PeerId::random(), Instant::now());
        leftovers.add(peer, topics_since(Some(SystemTime::UNIX_EPOCH)), now);
        leftovers.add(PeerId::random(), topics(), now + Duration::from_secs(599));
        assert_eq!(leftovers.take(peer), topics());
        assert_eq!(leftovers.take(peer), Topics::new());
        leftovers.add(peer, topics(), now);
        leftovers.add(PeerId::random(), topics(), now + REMEMBERED_FOR);
        assert_eq!(leftovers.take(peer), Topics::new());
    }

    #[test]
    fn a_bounded_number_is_remembered() {
        let (mut leftovers, first, now) = (Leftovers::default(), PeerId::random(), Instant::now());
        leftovers.add(first, topics(), now);
        for second in 1..=MAX_PEERS as u64 {
            leftovers.add(PeerId::random(), topics(), now + Duration::from_secs(second));
        }
        assert_eq!(leftovers.peers.len(), MAX_PEERS);
        assert_eq!(leftovers.take(first), Topics::new());
    }
}
