//! Which messages went to whom lately, so that none goes there twice.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use waku_proto::GossipId;

use super::criteria::ClientId;

/// How long a message is remembered, as in nwaku.
const REMEMBERED_FOR: Duration = Duration::from_secs(2 * 60);
/// Pairs of message and subscriber remembered, at 8 bytes each. The oldest messages are forgotten first.
const MAX_PAIRS: usize = 1024 * 1024;

/// What was pushed to whom.
#[derive(Debug, Default)]
pub(super) struct PushedBefore {
    /// The receivers of each message, sorted.
    messages: HashMap<GossipId, Vec<ClientId>>,
    /// Oldest first.
    order: VecDeque<(Instant, GossipId)>,
    pairs: usize,
}

impl PushedBefore {
    /// Those of `clients` to whom the message did not go yet. From now on it did.
    pub(super) fn fresh(
        &mut self,
        id: GossipId,
        clients: &BTreeSet<ClientId>,
        now: Instant,
    ) -> Vec<ClientId> {
        self.forget(now);
        let fresh: Vec<_> = match self.messages.get_mut(&id) {
            None => {
                let fresh: Vec<_> = clients.iter().copied().collect();
                self.messages.insert(id, fresh.clone());
                self.order.push_back((now, id));
                fresh
            }
            // Rare: gossipsub passes on nothing twice within two minutes.
            Some(known) => {
                let is_fresh = |client: &&ClientId| known.binary_search(client).is_err();
                let fresh: Vec<_> = clients.iter().filter(is_fresh).copied().collect();
                known.extend(&fresh);
                known.sort_unstable();
                fresh
            }
        };
        self.pairs += fresh.len();
        while self.pairs > MAX_PAIRS && self.forget_oldest() {}
        fresh
    }

    fn forget(&mut self, now: Instant) {
        while let Some((since, _)) = self.order.front()
            && now.saturating_duration_since(*since) >= REMEMBERED_FOR
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, id)) = self.order.pop_front() else {
            return false;
        };
        self.pairs -= self.messages.remove(&id).map_or(0, |clients| clients.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(count: usize) -> BTreeSet<ClientId> {
        std::iter::successors(Some(ClientId::default()), |id| Some(id.next())).take(count).collect()
    }

    fn message(number: usize) -> GossipId {
        GossipId::of(&number.to_be_bytes())
    }

    #[test]
    fn a_message_goes_to_each_once_in_two_minutes() {
        let (mut pushed, now) = (PushedBefore::default(), Instant::now());
        assert_eq!(pushed.fresh(message(1), &clients(2), now).len(), 2);
        let later = now + Duration::from_secs(119);
        assert_eq!(pushed.fresh(message(1), &clients(3), later), [*clients(3).last().unwrap()]);
        assert_eq!(pushed.fresh(message(1), &clients(3), later), []);
        assert_eq!(pushed.fresh(message(2), &clients(3), later).len(), 3);
        assert_eq!(pushed.fresh(message(1), &clients(3), now + REMEMBERED_FOR).len(), 3);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut pushed, now) = (PushedBefore::default(), Instant::now());
        let everyone = clients(MAX_PAIRS / 4);
        for number in 0..8 {
            assert_eq!(pushed.fresh(message(number), &everyone, now).len(), everyone.len());
        }
        assert_eq!((pushed.pairs, pushed.messages.len(), pushed.order.len()), (MAX_PAIRS, 4, 4));
        assert_eq!(pushed.fresh(message(7), &everyone, now), []);
        assert_eq!(pushed.fresh(message(0), &everyone, now).len(), everyone.len());
    }
}
