//! Known peers as text: one a line, with a checksum at the end.
//!
//! ```text
//! waku-peers 1
//! <peer id> origin=<name> learned=<time> [seen=<time>] [reached=<time>] [failed=<times>@<time>] [cluster=<number>]
//!     [shard=<number>]… [record=<enr:…>] [speaks=<protocol id>]… [at=<address>]…
//! sha256 <of all lines before this one, in hexadecimal>
//! ```
//!
//! Times are seconds since 1970. What a peer says its software is is not kept.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::Multiaddr;
use crate::peers::{KnownPeer, NewPeer, PeerOrigin, PeerState};

const HEADER: &str = "waku-peers 1";
const CHECKSUM: &str = "sha256 ";

const ORIGINS: [(PeerOrigin, &str); 5] = [
    (PeerOrigin::Application, "application"),
    (PeerOrigin::Connection, "connection"),
    (PeerOrigin::PeerExchange, "peer-exchange"),
    (PeerOrigin::Discv5, "discv5"),
    (PeerOrigin::Dns, "dns"),
];

/// A text that is not as [`write`] made it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Damage {
    #[error("it does not begin with `{HEADER}`")]
    Header,
    #[error("its checksum is missing or wrong")]
    Checksum,
    #[error("line {line} makes no sense: {word}")]
    Line { line: usize, word: String },
}

/// All peers that have an address. Those that are connected are seen `now`.
pub(super) fn write(peers: &[Arc<KnownPeer>], now: SystemTime) -> String {
    let mut text = format!("{HEADER}\n");
    for peer in peers.iter().filter(|peer| !peer.addresses.is_empty()) {
        text += &write_peer(peer, now);
        text.push('\n');
    }
    let checksum = HEXLOWER.encode(&Sha256::digest(&text));
    text + CHECKSUM + &checksum + "\n"
}

fn write_peer(peer: &KnownPeer, now: SystemTime) -> String {
    let origin = ORIGINS.iter().find(|(origin, _)| *origin == peer.origin);
    let last_seen = if peer.state == PeerState::Connected { Some(now) } else { peer.last_seen };
    let mut words = vec![peer.peer_id.to_string()];
    let mut field = |key: &str, value: String| words.push(format!("{key}={value}"));
    field("origin", origin.map_or("application", |(_, name)| name).to_owned());
    field("learned", seconds(peer.learned));
    if let Some(seen) = last_seen {
        field("seen", seconds(seen));
    }
    if let Some(reached) = peer.reached {
        field("reached", seconds(reached));
    }
    if let Some(at) = peer.last_failure {
        field("failed", format!("{}@{}", peer.failures, seconds(at)));
    }
    if let Some(cluster) = peer.cluster {
        field("cluster", cluster.to_string());
    }
    for shard in &peer.shards {
        field("shard", shard.to_string());
    }
    if let Some(record) = &peer.record {
        field("record", record.to_string());
    }
    for protocol in peer.protocols.iter().filter(|protocol| is_word(protocol)) {
        field("speaks", protocol.clone());
    }
    for address in &peer.addresses {
        let text = address.to_string();
        // A name in an address may have any characters, and then does not come back from text.
        if is_word(&text) && text.parse().is_ok_and(|parsed: Multiaddr| parsed == *address) {
            field("at", text);
        }
    }
    words.join(" ")
}

fn is_word(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn seconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string()
}

/// Reads what [`write`] made. Nobody is connected.
pub(super) fn read(text: &str) -> Result<Vec<KnownPeer>, Damage> {
    let body = text.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('\n')).ok_or(Damage::Header)?;
    let (before, checksum) = text.rsplit_once(CHECKSUM).ok_or(Damage::Checksum)?;
    let digest = HEXLOWER.decode(checksum.trim_end().as_bytes()).map_err(|_| Damage::Checksum)?;
    if digest != Sha256::digest(before).as_slice() {
        return Err(Damage::Checksum);
    }
    let lines = body.lines().take_while(|line| !line.starts_with(CHECKSUM));
    let numbered = lines.zip(2..);
    numbered
        .map(|(line, number)| read_peer(line).map_err(|word| Damage::Line { line: number, word }))
        .collect()
}

/// A peer, or the word that makes no sense.
fn read_peer(line: &str) -> Result<KnownPeer, String> {
    let mut words = line.split(' ');
    let first = words.next().unwrap_or_default();
    let peer_id = first.parse().map_err(|_| first.to_owned())?;
    let mut peer = KnownPeer::new(peer_id, PeerOrigin::Application, UNIX_EPOCH);
    let mut new = NewPeer::new(peer_id, []);
    for word in words {
        read_field(word, &mut peer, &mut new).ok_or_else(|| word.to_owned())?;
    }
    peer.add(new);
    Ok(peer)
}

fn read_field(word: &str, peer: &mut KnownPeer, new: &mut NewPeer) -> Option<()> {
    let (key, value) = word.split_once('=')?;
    match key {
        "origin" => peer.origin = ORIGINS.iter().find(|(_, name)| *name == value)?.0,
        "learned" => peer.learned = time(value)?,
        "seen" => peer.last_seen = Some(time(value)?),
        "reached" => peer.reached = Some(time(value)?),
        "failed" => {
            let (failures, at) = value.split_once('@')?;
            (peer.failures, peer.last_failure) = (failures.parse().ok()?, Some(time(at)?));
        }
        "cluster" => new.cluster = Some(value.parse().ok()?),
        "shard" => new.shards.push(value.parse().ok()?),
        "record" => new.record = Some(value.parse().ok()?),
        "speaks" => new.protocols.push(value.to_owned()),
        "at" => new.addresses.push(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}

fn time(text: &str) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;
    use libp2p::multiaddr::Protocol;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::{Announcement, Keypair};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn peer() -> KnownPeer {
        let keypair = Keypair::generate();
        let mut peer = KnownPeer::new(keypair.peer_id(), PeerOrigin::PeerExchange, at(1));
        let mut new = NewPeer::new(peer.peer_id, []);
        new.addresses = vec![
            "/dns4/node.example/tcp/443/wss".parse().unwrap(),
            "/ip6/2001:db9::1/tcp/1".parse().unwrap(),
        ];
        new.protocols = vec!["/vac/waku/relay/2.0.0".to_owned(), "/ipfs/ping/1.0.0".to_owned()];
        (new.cluster, new.shards) = (Some(16), vec![32, 64]);
        new.record = Some(Announcement::default().sign(&keypair).unwrap().record);
        peer.add(new);
        (peer.last_seen, peer.reached) = (Some(at(5)), Some(at(3)));
        (peer.failures, peer.last_failure) = (2, Some(at(9)));
        peer
    }

    fn written(peer: KnownPeer) -> String {
        write(&[Arc::new(peer)], at(100))
    }

    #[test]
    fn everything_about_a_peer_comes_back() {
        let peer = peer();
        assert_eq!(read(&written(peer.clone())), Ok(vec![peer]));
        assert_eq!(read(&write(&[], at(1))), Ok(vec![]));
    }

    #[test]
    fn a_connected_peer_is_seen_at_the_time_of_writing() {
        let mut peer = peer();
        peer.state = PeerState::Connected;
        let read = read(&written(peer)).unwrap();
        assert_eq!((read[0].last_seen, read[0].state), (Some(at(100)), PeerState::NotConnected));
    }

    #[test]
    fn a_peer_without_an_address_is_not_written() {
        let mut peer = peer();
        peer.addresses.clear();
        assert_eq!(read(&written(peer)), Ok(vec![]));
    }

    #[test]
    fn names_with_spaces_do_not_break_a_line() {
        let mut odd = peer();
        odd.addresses
            .push(Multiaddr::empty().with(Protocol::Dns4("a b\nsha256 c".into())).with(Protocol::Tcp(1)));
        odd.protocols.push("/odd one\n".to_owned());
        let read = read(&written(odd.clone())).unwrap();
        assert_eq!((read[0].addresses.len(), read[0].protocols.len()), (2, 2));
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_seen() {
        let text = written(peer());
        for end in 0..text.len() - 1 {
            assert!(read(&text[..end]).is_err(), "cut at {end}");
        }
        for at in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(read(&changed).is_err(), "flipped at {at}");
            }
        }
    }

    #[test]
    fn a_line_with_a_good_checksum_that_makes_no_sense_is_named() {
        let body = format!("{HEADER}\n{} origin=moon\n", PeerId::random());
        let text = format!("{body}{CHECKSUM}{}\n", HEXLOWER.encode(&Sha256::digest(&body)));
        assert_eq!(read(&text), Err(Damage::Line { line: 2, word: "origin=moon".to_owned() }));
    }

    proptest! {
        /// The checksum says that a file is whole, not who wrote it.
        #[test]
        fn any_text_with_a_good_checksum_is_read_or_refused(
            lines in vec(
                prop_oneof![
                    any::<String>(),
                    "(origin|learned|seen|failed|cluster|shard|record|speaks|at)=[0-9a-z/@:.-]{0,20}",
                ],
                0..8,
            ),
        ) {
            let peer = PeerId::random();
            let body = format!("{HEADER}\n{peer} {}\n", lines.join(" "));
            let text = format!("{body}{CHECKSUM}{}\n", HEXLOWER.encode(&Sha256::digest(&body)));
            for peer in read(&text).unwrap_or_default() {
                let again = write(&[Arc::new(peer.clone())], at(1));
                prop_assert!(read(&again).is_ok());
            }
        }
    }
}
