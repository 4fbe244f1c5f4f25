//! Which service node to take next.

use std::net::IpAddr;
use std::time::SystemTime;

use rand_core::Rng;
use waku_proto::PubsubTopic;

use crate::PeerId;

/// A connected peer that serves filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) peer: PeerId,
    pub(crate) connected_since: SystemTime,
    /// Where it is; `None` for a name.
    pub(crate) ip: Option<IpAddr>,
    /// Its cluster and shards, as far as it has told them.
    pub(crate) cluster: Option<u16>,
    pub(crate) shards: Vec<u16>,
}

impl Candidate {
    /// False for a peer that has told its shards, and not this one.
    fn may_serve(&self, pubsub_topic: &PubsubTopic) -> bool {
        let Some(shard) = pubsub_topic.shard() else {
            return true;
        };
        self.shards.is_empty()
            || (self.cluster.is_none_or(|cluster| cluster == shard.cluster())
                && self.shards.contains(&shard.index()))
    }
}

/// One of the `free` service nodes for a pubsub topic: on its shard, and if possible elsewhere than those
/// `taken` already.
pub(super) fn choose<'a>(
    free: &[&'a Candidate],
    taken: &[&Candidate],
    pubsub_topic: &PubsubTopic,
    rng: &mut impl Rng,
) -> Option<&'a Candidate> {
    let able = free.iter().copied().filter(|candidate| candidate.may_serve(pubsub_topic));
    let is_elsewhere =
        |candidate: &&Candidate| candidate.ip.is_none() || taken.iter().all(|other| other.ip != candidate.ip);
    let (elsewhere, near): (Vec<_>, Vec<_>) = able.partition(is_elsewhere);
    let choice = if elsewhere.is_empty() { near } else { elsewhere };
    let index = usize::try_from(rng.next_u32()).unwrap_or_default().checked_rem(choice.len())?;
    choice.get(index).copied()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    fn candidate(ip: &str, shards: &[u16]) -> Candidate {
        Candidate {
            peer: PeerId::random(),
            connected_since: SystemTime::UNIX_EPOCH,
            ip: ip.parse().ok(),
            cluster: Some(0),
            shards: shards.to_vec(),
        }
    }

    fn chosen(free: &[&Candidate], taken: &[&Candidate]) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let topic = "/waku/2/rs/0/3".parse().unwrap();
        let picks = (0..50).filter_map(|_| choose(free, taken, &topic, &mut rng));
        let mut picks: Vec<usize> =
            picks.map(|pick| free.iter().position(|other| *other == pick).unwrap()).collect();
        picks.sort_unstable();
        picks.dedup();
        picks
    }

    #[test]
    fn takes_any_of_those_that_are_elsewhere() {
        let (taken, near) = (candidate("192.0.2.1", &[3]), candidate("192.0.2.1", &[3]));
        let (far, named) = (candidate("192.0.2.2", &[3]), candidate("a name", &[3]));
        assert_eq!(chosen(&[&near, &far, &named], &[&taken]), [1, 2]);
        assert_eq!(chosen(&[&near], &[&taken]), [0]);
        assert!(chosen(&[], &[&taken]).is_empty());
    }

    #[test]
    fn leaves_out_those_that_are_known_to_be_on_other_shards() {
        let (other, right, silent) =
            (candidate("192.0.2.1", &[4]), candidate("192.0.2.2", &[3, 4]), candidate("192.0.2.3", &[]));
        assert_eq!(chosen(&[&other, &right, &silent], &[]), [1, 2]);
    }
}
