//! 31/WAKU2-ENR: who a node is, where and what for, as an Ethereum node record (EIP-778) that it signed.
//!
//! # Differences from the specification
//! Where implementations differ it is as in nwaku: its order of addresses to dial, its order of bits for the shards of
//! long lists. An address that ends in another peer's id is taken for a relay's, as go-waku writes them.

mod announcement;

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use waku_discovery::Record;
use waku_proto::Bytes;
use waku_proto::enr::{Capabilities, RelayShards};

use crate::net::keypair;
use crate::{Multiaddr, PeerId};

pub use waku_discovery::{Fields, FieldsError, MAX_RECORD_LEN, RecordError};

pub use announcement::{Announced, Announcement};

/// A node record whose signature was checked. [`Announcement::sign`] makes one; as text it begins with `enr:`.
///
/// ```
/// # use waku::{Announcement, Capabilities, Keypair, NodeRecord, RelayShards};
/// let keypair = Keypair::generate();
/// let announcement = Announcement {
///     seq: 1,
///     ip4: Some([192, 0, 2, 1].into()),
///     tcp4: Some(60000),
///     multiaddrs: vec!["/dns4/example.org/tcp/443/wss".parse()?],
///     shards: Some(RelayShards::new(1, 0..8)?),
///     capabilities: Capabilities::RELAY,
///     ..Announcement::default()
/// };
/// let text = announcement.sign(&keypair)?.record.to_string();
///
/// let record: NodeRecord = text.parse()?;
/// assert_eq!(record.peer_id(), keypair.peer_id());
/// assert!(record.capabilities().contains(Capabilities::RELAY));
/// let peer = keypair.peer_id();
/// assert_eq!(record.addresses(), [
///     format!("/dns4/example.org/tcp/443/wss/p2p/{peer}").parse()?,
///     format!("/ip4/192.0.2.1/tcp/60000/p2p/{peer}").parse()?,
/// ]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NodeRecord {
    record: Record,
    peer_id: PeerId,
}

impl NodeRecord {
    /// Reads a record in RLP, as peer exchange sends it.
    ///
    /// # Errors
    /// When it is too long, no record of the identity scheme v4, or not signed by the key in it.
    pub fn decode(rlp: &[u8]) -> Result<Self, RecordError> {
        Record::decode(rlp).map(Self::from)
    }

    /// The record in RLP, at most [`MAX_RECORD_LEN`] bytes.
    pub fn encode(&self) -> Bytes {
        self.record.encode()
    }

    /// The peer id of the key that signed the record.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Of two records of a node the one with the greater number is newer.
    pub fn seq(&self) -> u64 {
        self.record.seq()
    }

    /// What the node does. Nothing, if it is not a Waku node.
    pub fn capabilities(&self) -> Capabilities {
        self.record.capabilities()
    }

    /// The shards the node is on, if the record has them in a form that can be read.
    pub fn shards(&self) -> Option<RelayShards> {
        self.record.shards()
    }

    /// Where the node listens on TCP.
    pub fn tcp4(&self) -> Option<SocketAddrV4> {
        self.record.tcp4()
    }

    /// Where the node listens on TCP over IPv6: on the port of IPv4 if the record has no other.
    pub fn tcp6(&self) -> Option<SocketAddrV6> {
        self.record.tcp6()
    }

    /// Where the node listens on UDP, for discovery.
    pub fn udp4(&self) -> Option<SocketAddrV4> {
        self.record.udp4()
    }

    /// Where the node listens on UDP over IPv6, for discovery.
    pub fn udp6(&self) -> Option<SocketAddrV6> {
        self.record.udp6()
    }

    /// Every address to dial, each with `/p2p/…`: those that the record lists, then IPv4, then IPv6. What is not a
    /// multiaddr is left out.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let listed = self.record.multiaddrs().into_iter();
        let listed = listed.filter_map(|entry| Multiaddr::try_from(entry.to_vec()).ok());
        let sockets = [self.tcp4().map(Into::into), self.tcp6().map(Into::into)].into_iter().flatten();
        let mut addresses = Vec::new();
        for address in listed.chain(sockets.map(tcp_address)) {
            let address = self.with_peer_id(address);
            addresses.extend(address.filter(|address| !addresses.contains(address)));
        }
        addresses
    }

    fn with_peer_id(&self, address: Multiaddr) -> Option<Multiaddr> {
        let peer = self.peer_id;
        // Another peer's id is that of a relay.
        address.with_p2p(peer).or_else(|relay| format!("{relay}/p2p-circuit/p2p/{peer}").parse()).ok()
    }
}

/// As discovery finds it.
impl From<Record> for NodeRecord {
    fn from(record: Record) -> Self {
        let peer_id = keypair::peer_id_of(&record.public_key());
        Self { peer_id: peer_id.expect("a public key has been read from the record"), record }
    }
}

impl FromStr for NodeRecord {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        text.parse().map(|record: Record| record.into())
    }
}

/// `enr:` and Base64.
impl fmt::Display for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record.fmt(f)
    }
}

/// `/ip4|ip6/…/tcp/…`.
fn tcp_address(socket: SocketAddr) -> Multiaddr {
    let version = if socket.is_ipv4() { "ip4" } else { "ip6" };
    let address = format!("/{version}/{}/tcp/{}", socket.ip(), socket.port());
    address.parse().expect("an IP address and a port make a multiaddr")
}

impl fmt::Debug for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRecord")
            .field("peer_id", &self.peer_id)
            .field("seq", &self.seq())
            .field("capabilities", &self.capabilities())
            .field("shards", &self.shards())
            .field("addresses", &self.addresses())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Keypair;

    /// The peer ids are go-waku's (v0.10.1, with go-ethereum v1.16.3).
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        enr: String,
        host: String,
        ip: String,
        tcp_port: u16,
        wss_port: u16,
        peer_id: String,
    }

    fn keypair() -> Keypair {
        Keypair::from_secret([0x11; 32]).unwrap()
    }

    /// The addresses to dial of a record of these fields, without `/p2p/…`.
    fn addresses(fields: &Fields) -> Vec<String> {
        let (record, left_out) = fields.sign(1, &keypair().signing_key()).unwrap();
        assert_eq!(left_out, Vec::<Bytes>::new());
        let peer = format!("/p2p/{}", keypair().peer_id());
        let without_peer = |address: &Multiaddr| {
            let address = address.to_string();
            address.strip_suffix(&peer).unwrap().to_owned()
        };
        NodeRecord::from(record).addresses().iter().map(without_peer).collect()
    }

    fn listed(addresses: &[&str]) -> Fields {
        let binary = |address: &&str| address.parse::<Multiaddr>().unwrap().to_vec().into();
        Fields { multiaddrs: addresses.iter().map(binary).collect(), ..Fields::default() }
    }

    #[test]
    fn reads_the_records_of_the_waku_network_as_go_waku_does() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../proto/tests/vectors/enr.json")).unwrap();
        assert_eq!(vectors.len(), 3);
        for Vector { name, enr, host, ip, tcp_port, wss_port, peer_id } in vectors {
            let record: NodeRecord = enr.parse().unwrap();
            assert_eq!(record.peer_id().to_string(), peer_id, "{name}");
            let addresses = [
                format!("/dns4/{host}/tcp/{tcp_port}/p2p/{peer_id}").parse().unwrap(),
                format!("/dns4/{host}/tcp/{wss_port}/wss/p2p/{peer_id}").parse().unwrap(),
                format!("/ip4/{ip}/tcp/{tcp_port}/p2p/{peer_id}").parse().unwrap(),
            ];
            assert_eq!(record.addresses(), addresses);
            assert_eq!(record.to_string(), enr);
            assert_eq!(NodeRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn a_record_that_lists_nothing_has_its_sockets() {
        let v4 = Fields { ip4: Some([192, 0, 2, 1].into()), tcp4: Some(60000), ..Fields::default() };
        assert_eq!(addresses(&v4), ["/ip4/192.0.2.1/tcp/60000"]);
        let both = Fields { ip6: Some("2001:db8::1".parse().unwrap()), ..v4 };
        assert_eq!(addresses(&both), ["/ip4/192.0.2.1/tcp/60000", "/ip6/2001:db8::1/tcp/60000"]);
        assert_eq!(addresses(&Fields { tcp4: Some(0), ..both }), Vec::<String>::new());
    }

    #[test]
    fn entries_that_are_no_multiaddr_are_skipped() {
        let mut fields = listed(&["/dns4/example.org/tcp/443/wss"]);
        fields.multiaddrs.insert(0, Bytes::from_static(&[0xff, 0xff, 0x7f]));
        fields.multiaddrs.push(Bytes::from_static(&[4, 1]));
        assert_eq!(addresses(&fields), ["/dns4/example.org/tcp/443/wss"]);
    }

    #[test]
    fn an_address_with_another_peers_id_is_dialled_through_that_relay() {
        let relay = "/dns4/example.org/tcp/443/wss/p2p/16Uiu2HAmNaeL4p3WEYzC9mgXBmBWSgWjPHRvatZTXnp8Jgv3iKsb";
        let circuit = format!("{relay}/p2p-circuit");
        let own = format!("/dns4/example.net/tcp/1/p2p/{}", keypair().peer_id());
        assert_eq!(addresses(&listed(&[relay, &own])), [circuit.as_str(), "/dns4/example.net/tcp/1"]);
    }
}
