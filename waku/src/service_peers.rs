//! Which peers to ask for a service.

use waku_proto::Shard;

use crate::{PeerId, PeerInfo, PeerList};

/// The connected peers that say they speak a protocol, best first: those that are surely on the shard, then
/// those that answer pings soonest.
pub(crate) fn service_peers(peers: &PeerList, protocol: &str, shard: Option<Shard>) -> Vec<PeerId> {
    let speaks = |peer: &&PeerInfo| peer.protocols.iter().any(|known| known == protocol);
    let mut servers: Vec<&PeerInfo> = peers.connected.iter().filter(speaks).collect();
    servers.sort_by_key(|peer| {
        (shard.is_some_and(|shard| !is_on(peer, shard)), peer.round_trip.is_none(), peer.round_trip)
    });
    servers.into_iter().map(|peer| peer.peer_id).collect()
}

fn is_on(peer: &PeerInfo, shard: Shard) -> bool {
    let by_metadata = peer.cluster == Some(shard.cluster()) && peer.shards.contains(&shard.index());
    by_metadata || peer.topics.contains(&shard.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::peers::Direction;

    fn peer(protocols: &[&str], shards: &[u16], round_trip: Option<u64>) -> PeerInfo {
        PeerInfo {
            peer_id: PeerId::random(),
            addresses: Vec::new(),
            direction: Direction::Outbound,
            connected_since: SystemTime::UNIX_EPOCH,
            agent: None,
            protocols: protocols.iter().map(ToString::to_string).collect(),
            cluster: Some(1),
            shards: shards.to_vec(),
            topics: BTreeSet::new(),
            round_trip: round_trip.map(Duration::from_millis),
        }
    }

    #[test]
    fn peers_on_the_shard_come_first_then_the_nearest() {
        let connected = vec![
            peer(&["/a"], &[], Some(1)),
            peer(&["/a", "/b"], &[3], None),
            peer(&["/b"], &[3], Some(1)),
            peer(&["/a"], &[3], Some(9)),
        ];
        let ids: Vec<_> = connected.iter().map(|peer| peer.peer_id).collect();
        let peers = PeerList { connected, ..PeerList::default() };
        let on_shard = service_peers(&peers, "/a", Some(Shard::new(1, 3).unwrap()));
        assert_eq!(on_shard, [ids[3], ids[1], ids[0]]);
        assert_eq!(service_peers(&peers, "/a", None), [ids[0], ids[3], ids[1]]);
    }
}
