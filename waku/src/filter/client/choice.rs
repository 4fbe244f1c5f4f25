//! Which service node to take next.

use std::net::IpAddr;

use rand_core::Rng;
use waku_proto::PubsubTopic;

use crate::PeerId;
use crate::peers::{PeerInfo, ip_of};

/// A connected peer that serves filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) info: PeerInfo,
    /// The application named it for services.
    pub(crate) is_named: bool,
}

impl Candidate {
    pub(super) fn peer(&self) -> PeerId {
        self.info.peer_id
    }

    /// False for a peer that is known to be on other shards.
    pub(super) fn may_serve(&self, pubsub_topic: &PubsubTopic) -> bool {
        self.is_on(pubsub_topic) != Some(false)
    }

    fn is_on(&self, pubsub_topic: &PubsubTopic) -> Option<bool> {
        pubsub_topic.shard().map_or(Some(true), |shard| self.info.is_on(shard))
    }

    /// Where it is; `None` for a name.
    fn ip(&self) -> Option<IpAddr> {
        self.info.addresses.first().and_then(ip_of)
    }
}

/// One of the `free` service nodes for a pubsub topic, at random among the best: those the application has
/// named, then those elsewhere than the `taken` ones, then those that are surely on the shard.
pub(super) fn choose<'a>(
    free: &[&'a Candidate],
    taken: &[&Candidate],
    pubsub_topic: &PubsubTopic,
    rng: &mut impl Rng,
) -> Option<&'a Candidate> {
    let is_near = |candidate: &Candidate| {
        taken.iter().any(|other| candidate.ip().is_some_and(|ip| other.ip() == Some(ip)))
    };
    let able = free.iter().copied().filter(|candidate| candidate.may_serve(pubsub_topic));
    able.min_by_key(|candidate| {
        let is_unsure = candidate.is_on(pubsub_topic).is_none();
        (!candidate.is_named, is_near(candidate), is_unsure, rng.next_u64())
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::time::SystemTime;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::peers::Direction;

    /// A candidate at an address.
    pub(in super::super) fn candidate(address: &str, shards: &[u16]) -> Candidate {
        let info = PeerInfo {
            peer_id: PeerId::random(),
            addresses: vec![address.parse().unwrap()],
            direction: Direction::Outbound,
            connected_since: SystemTime::UNIX_EPOCH,
            agent: None,
            protocols: Vec::new(),
            cluster: Some(0),
            shards: shards.to_vec(),
            topics: BTreeSet::new(),
            round_trip: None,
        };
        Candidate { info, is_named: false }
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
        let (taken, near) =
            (candidate("/ip4/192.0.2.1/tcp/1", &[3]), candidate("/ip4/192.0.2.1/tcp/2", &[3]));
        let (far, named) = (candidate("/ip4/192.0.2.2/tcp/1", &[3]), candidate("/dns4/node/tcp/1", &[3]));
        assert_eq!(chosen(&[&near, &far, &named], &[&taken]), [1, 2]);
        assert_eq!(chosen(&[&near], &[&taken]), [0]);
        assert!(chosen(&[], &[&taken]).is_empty());
    }

    #[test]
    fn prefers_what_the_application_has_named() {
        let (taken, far) = (candidate("/ip4/192.0.2.1/tcp/1", &[3]), candidate("/ip4/192.0.2.2/tcp/1", &[3]));
        let named = Candidate { is_named: true, ..candidate("/ip4/192.0.2.1/tcp/2", &[3]) };
        assert_eq!(chosen(&[&far, &named], &[&taken]), [1]);
    }

    #[test]
    fn leaves_out_those_on_other_shards_and_takes_those_that_do_not_tell_last() {
        let other = candidate("/ip4/192.0.2.1/tcp/1", &[4]);
        let right = candidate("/ip4/192.0.2.2/tcp/1", &[3, 4]);
        let silent = candidate("/ip4/192.0.2.3/tcp/1", &[]);
        assert_eq!(chosen(&[&other, &silent, &right], &[]), [2]);
        assert_eq!(chosen(&[&other, &silent], &[]), [1]);
        assert!(chosen(&[&other], &[]).is_empty());
    }
}
