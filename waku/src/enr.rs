//! 31/WAKU2-ENR: who a node is, where and what for, as an Ethereum node record (EIP-778) that it signed.
//!
//! # Differences from the specification
//! Where implementations differ it is as in nwaku: its order of addresses to dial, its order of bits for the shards of
//! long lists. An address that ends in another peer's id is taken for a relay's, as go-waku writes them.

mod announcement;

use std::fmt;
use std::net::{SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use ::enr::k256::ecdsa::SigningKey;
use ::enr::{Enr, EnrPublicKey};
use alloy_rlp::Decodable;
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use waku_proto::Bytes;
use waku_proto::enr::{self, Capabilities, RelayShards};

use crate::net::keypair;
use crate::{Multiaddr, PeerId};

pub use announcement::{AnnounceError, Announced, Announcement};

/// Bytes of the longest record (EIP-778).
pub const MAX_RECORD_LEN: usize = 300;

const PREFIX: &str = "enr:";
const MAX_TEXT_LEN: usize = PREFIX.len() + MAX_RECORD_LEN.div_ceil(3) * 4;

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
    enr: Enr<SigningKey>,
    peer_id: PeerId,
}

impl NodeRecord {
    fn new(enr: Enr<SigningKey>) -> Self {
        let peer_id = keypair::peer_id_of(enr.public_key().encode().as_ref());
        Self { peer_id: peer_id.expect("a public key has been read from the record"), enr }
    }

    /// Reads a record in RLP, as peer exchange sends it.
    ///
    /// # Errors
    /// When it is too long, no record of the identity scheme v4, or not signed by the key in it.
    pub fn decode(rlp: &[u8]) -> Result<Self, RecordError> {
        if rlp.len() > MAX_RECORD_LEN {
            return Err(RecordError::TooLong { len: rlp.len() });
        }
        let mut rest = rlp;
        let enr = Enr::decode(&mut rest).map_err(|error| RecordError::Invalid(error.to_string()))?;
        if !rest.is_empty() {
            return Err(RecordError::Invalid(format!("{} bytes follow the record", rest.len())));
        }
        Ok(Self::new(enr))
    }

    /// The record in RLP, at most [`MAX_RECORD_LEN`] bytes.
    pub fn encode(&self) -> Bytes {
        alloy_rlp::encode(&self.enr).into()
    }

    /// The peer id of the key that signed the record.
    pub fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Of two records of a node the one with the greater number is newer.
    pub fn seq(&self) -> u64 {
        self.enr.seq()
    }

    /// What the node does. Nothing, if it is not a Waku node.
    pub fn capabilities(&self) -> Capabilities {
        let field = self.field(enr::WAKU2).unwrap_or_default();
        field.first().copied().map(Capabilities).unwrap_or_default()
    }

    /// The shards the node is on, if the record has them in a form that can be read.
    pub fn shards(&self) -> Option<RelayShards> {
        let list = self.field(enr::RS).and_then(|field| RelayShards::decode_rs(&field).ok());
        list.or_else(|| RelayShards::decode_rsv(&self.field(enr::RSV)?).ok())
    }

    /// Where the node listens on TCP.
    pub fn tcp4(&self) -> Option<SocketAddrV4> {
        self.enr.tcp4_socket().filter(|socket| socket.port() != 0)
    }

    /// Where the node listens on TCP over IPv6: on the port of IPv4 if the record has no other.
    pub fn tcp6(&self) -> Option<SocketAddrV6> {
        let port = self.enr.tcp6().or_else(|| self.enr.tcp4()).filter(|port| *port != 0)?;
        Some(SocketAddrV6::new(self.enr.ip6()?, port, 0, 0))
    }

    /// Where the node listens on UDP, for discovery.
    pub fn udp4(&self) -> Option<SocketAddrV4> {
        self.enr.udp4_socket().filter(|socket| socket.port() != 0)
    }

    /// Where the node listens on UDP over IPv6, for discovery.
    pub fn udp6(&self) -> Option<SocketAddrV6> {
        self.enr.udp6_socket().filter(|socket| socket.port() != 0)
    }

    /// Every address to dial, each with `/p2p/…`: those that the record lists, then IPv4, then IPv6. What is not a
    /// multiaddr is left out.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        let listed = self.multiaddrs().into_iter();
        let sockets = [self.tcp4().map(Into::into), self.tcp6().map(Into::into)].into_iter().flatten();
        let mut addresses = Vec::new();
        for address in listed.chain(sockets.map(announcement::tcp_address)) {
            let address = self.with_peer_id(address);
            addresses.extend(address.filter(|address| !addresses.contains(address)));
        }
        addresses
    }

    fn multiaddrs(&self) -> Vec<Multiaddr> {
        let field = self.field(enr::MULTIADDRS).unwrap_or_default();
        let entries = enr::decode_multiaddrs(&field).unwrap_or_default();
        entries.into_iter().filter_map(|entry| Multiaddr::try_from(entry.to_vec()).ok()).collect()
    }

    fn with_peer_id(&self, address: Multiaddr) -> Option<Multiaddr> {
        let peer = self.peer_id;
        // Another peer's id is that of a relay.
        address.with_p2p(peer).or_else(|relay| format!("{relay}/p2p-circuit/p2p/{peer}").parse()).ok()
    }

    fn field(&self, key: &str) -> Option<Bytes> {
        self.enr.get_decodable(key)?.ok()
    }
}

impl FromStr for NodeRecord {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        if text.len() > MAX_TEXT_LEN {
            return Err(RecordError::TooLong { len: text.len() });
        }
        let base64 = text.strip_prefix(PREFIX).ok_or(RecordError::NotText)?;
        let rlp = BASE64URL_NOPAD.decode(base64.as_bytes()).map_err(|_| RecordError::NotText)?;
        Self::decode(&rlp)
    }
}

/// `enr:` and Base64.
impl fmt::Display for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&self.encode()))
    }
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

/// Why something is not a node record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Longer than a record can be: [`MAX_RECORD_LEN`] bytes, or as many in Base64.
    #[error("a node record cannot have a length of {len}")]
    TooLong {
        /// Length found, in bytes.
        len: usize,
    },
    /// The text is not `enr:` and unpadded Base64 for URLs.
    #[error("a node record is `enr:` and Base64")]
    NotText,
    /// Not RLP, not a record, or not signed by its key.
    #[error("not a node record: {0}")]
    Invalid(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use waku_proto::Shard;

    use super::*;
    use crate::Keypair;

    /// The peer ids are go-waku's (v0.10.1, with go-ethereum v1.16.3).
    #[derive(Deserialize)]
    struct Vector {
        name: String,
        enr: String,
        waku2: String,
        cluster: u16,
        shards: Vec<u16>,
        host: String,
        ip: String,
        tcp_port: u16,
        udp_port: u16,
        wss_port: u16,
        peer_id: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../proto/tests/vectors/enr.json")).unwrap()
    }

    fn keypair() -> Keypair {
        Keypair::from_secret([0x11; 32]).unwrap()
    }

    /// A record with any fields, signed.
    fn record(fields: &[(&str, &[u8])]) -> Option<NodeRecord> {
        let mut builder = Enr::builder();
        for (key, field) in fields {
            builder.add_value(key, field);
        }
        let enr = builder.build(&keypair().signing_key()).ok()?;
        Some(NodeRecord::decode(&alloy_rlp::encode(enr)).unwrap())
    }

    fn addresses(record: &NodeRecord) -> Vec<String> {
        let peer = format!("/p2p/{}", keypair().peer_id());
        let without_peer = |address: &Multiaddr| {
            let address = address.to_string();
            address.strip_suffix(&peer).unwrap().to_owned()
        };
        record.addresses().iter().map(without_peer).collect()
    }

    fn listed(addresses: &[&str]) -> Bytes {
        let addresses = addresses.iter().map(|address| address.parse::<Multiaddr>().unwrap());
        enr::encode_multiaddrs(addresses).unwrap()
    }

    #[test]
    fn reads_the_records_of_the_waku_network_as_go_waku_does() {
        assert_eq!(vectors().len(), 3);
        for vector in vectors() {
            let Vector { host, ip, tcp_port, wss_port, peer_id, .. } = &vector;
            let record: NodeRecord = vector.enr.parse().unwrap();
            assert_eq!(record.peer_id().to_string(), *peer_id, "{}", vector.name);
            assert_eq!(record.seq(), 1);
            assert_eq!(format!("{:02x}", record.capabilities().0), vector.waku2);
            let shards = RelayShards::new(vector.cluster, vector.shards.iter().copied()).unwrap();
            assert_eq!(record.shards(), Some(shards));
            assert_eq!(record.tcp4(), format!("{ip}:{tcp_port}").parse().ok());
            assert_eq!(record.udp4(), format!("{ip}:{}", vector.udp_port).parse().ok());
            assert_eq!((record.tcp6(), record.udp6()), (None, None));
            let addresses = [
                format!("/dns4/{host}/tcp/{tcp_port}/p2p/{peer_id}").parse().unwrap(),
                format!("/dns4/{host}/tcp/{wss_port}/wss/p2p/{peer_id}").parse().unwrap(),
                format!("/ip4/{ip}/tcp/{tcp_port}/p2p/{peer_id}").parse().unwrap(),
            ];
            assert_eq!(record.addresses(), addresses);
        }
    }

    #[test]
    fn a_record_that_was_read_is_written_to_the_same_bytes() {
        for vector in vectors() {
            let record: NodeRecord = vector.enr.parse().unwrap();
            assert_eq!(record.to_string(), vector.enr);
            assert_eq!(NodeRecord::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn a_record_that_is_not_wakus_has_no_capabilities_no_shards_and_its_socket() {
        let record = record(&[("ip", &[192, 0, 2, 1]), ("tcp", &[0xea, 0x60])]).unwrap();
        assert_eq!(record.capabilities(), Capabilities::default());
        assert_eq!(record.shards(), None);
        assert_eq!(addresses(&record), ["/ip4/192.0.2.1/tcp/60000"]);
    }

    #[test]
    fn ipv6_is_dialled_on_the_port_of_ipv4_when_it_has_none_of_its_own() {
        let ip6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let same = record(&[("ip6", &ip6), ("tcp", &[0xea, 0x60])]).unwrap();
        assert_eq!(addresses(&same), ["/ip6/2001:db8::1/tcp/60000"]);
        let own = record(&[("ip6", &ip6), ("tcp", &[0xea, 0x60]), ("tcp6", &[80])]).unwrap();
        assert_eq!(addresses(&own), ["/ip6/2001:db8::1/tcp/80"]);
    }

    #[test]
    fn port_0_is_not_dialled() {
        let record = record(&[("ip", &[192, 0, 2, 1]), ("tcp", &[]), ("udp", &[])]).unwrap();
        assert_eq!((record.tcp4(), record.udp4()), (None, None));
        assert_eq!(record.addresses(), []);
    }

    #[test]
    fn entries_that_are_no_multiaddr_are_skipped() {
        let good: Multiaddr = "/dns4/example.org/tcp/443/wss".parse().unwrap();
        let field = enr::encode_multiaddrs([&[0xff, 0xff, 0x7f][..], good.as_ref(), &[4, 1]]).unwrap();
        assert_eq!(addresses(&record(&[("multiaddrs", &field)]).unwrap()), ["/dns4/example.org/tcp/443/wss"]);
    }

    #[test]
    fn a_list_of_addresses_that_is_cut_off_leaves_the_socket() {
        let mut field = listed(&["/dns4/example.org/tcp/443/wss"]).to_vec();
        field.pop();
        for field in [&field[..], &[0, 0]] {
            let record =
                record(&[("ip", &[192, 0, 2, 1]), ("multiaddrs", field), ("tcp", &[0xea, 0x60])]).unwrap();
            assert_eq!(addresses(&record), ["/ip4/192.0.2.1/tcp/60000"]);
        }
    }

    #[test]
    fn an_address_with_another_peers_id_is_dialled_through_that_relay() {
        let relay = "/dns4/example.org/tcp/443/wss/p2p/16Uiu2HAmNaeL4p3WEYzC9mgXBmBWSgWjPHRvatZTXnp8Jgv3iKsb";
        let circuit = format!("{relay}/p2p-circuit");
        let own = format!("/dns4/example.net/tcp/1/p2p/{}", keypair().peer_id());
        let record = record(&[("multiaddrs", &listed(&[relay, &own]))]).unwrap();
        assert_eq!(addresses(&record), [circuit.as_str(), "/dns4/example.net/tcp/1"]);
    }

    #[test]
    fn the_list_of_shards_comes_before_the_bit_vector() {
        let list = RelayShards::new(1, [3]).unwrap();
        let mut bits = [0; 130];
        (bits[1], bits[2]) = (73, 0b10);
        let both = record(&[("rs", &list.encode().1), ("rsv", &bits)]).unwrap();
        assert_eq!(both.shards(), Some(list));
        for broken in [&[][..], &[0, 1, 2, 0, 1]] {
            let record = record(&[("rs", broken), ("rsv", &bits)]).unwrap();
            let shards = record.shards().unwrap();
            assert_eq!(shards.shards().collect::<Vec<_>>(), [Shard::new(73, 1).unwrap()]);
        }
    }

    #[test]
    fn a_record_with_a_bent_byte_is_refused() {
        let rlp = vectors()[0].enr.parse::<NodeRecord>().unwrap().encode();
        for at in 0..rlp.len() {
            let mut bent = rlp.to_vec();
            bent[at] ^= 1;
            assert!(matches!(NodeRecord::decode(&bent), Err(RecordError::Invalid(_))), "byte {at}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_or_goes_on_is_refused() {
        let rlp = vectors()[0].enr.parse::<NodeRecord>().unwrap().encode();
        for len in 0..rlp.len() {
            assert!(matches!(NodeRecord::decode(&rlp[..len]), Err(RecordError::Invalid(_))), "{len} bytes");
        }
        let longer = [&rlp[..], &[0]].concat();
        let error = "1 bytes follow the record".to_owned();
        assert_eq!(NodeRecord::decode(&longer), Err(RecordError::Invalid(error)));
    }

    #[test]
    fn refuses_what_is_longer_than_a_record_before_reading_it() {
        let error = |len| Err(RecordError::TooLong { len });
        assert_eq!(NodeRecord::decode(&[0xf9; MAX_RECORD_LEN + 1]), error(301));
        assert_eq!(format!("enr:{}", "A".repeat(401)).parse::<NodeRecord>(), error(405));
    }

    #[test]
    fn refuses_text_that_is_not_enr_and_base64() {
        let text = &vectors()[0].enr;
        let padded = format!("{text}==");
        for wrong in ["", "enr", &text[4..], "ENR:-QES", "enr:+/+/", &padded, "enr:é", "enrtree://A@b"] {
            assert_eq!(wrong.parse::<NodeRecord>(), Err(RecordError::NotText), "{wrong}");
        }
    }

    #[test]
    fn a_record_of_another_identity_scheme_is_refused() {
        // A list of a signature, a number, and `id` with `v5`.
        let rlp = [&[0xf8, 73, 0xb8, 64][..], &[1; 64], &[1, 0x82, b'i', b'd', 0x82]].concat();
        let decoded = NodeRecord::decode(&[&rlp[..], b"v5"].concat());
        assert_eq!(decoded, Err(RecordError::Invalid("Unsupported identity scheme".to_owned())));
    }

    proptest! {
        #[test]
        fn invented_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..310)) {
            prop_assert!(NodeRecord::decode(&bytes).is_err());
            let text = format!("enr:{}", BASE64URL_NOPAD.encode(&bytes));
            prop_assert!(text.parse::<NodeRecord>().is_err());
        }

        #[test]
        fn any_fields_that_a_stranger_signed_are_read_without_a_panic(
            waku2 in prop::collection::vec(any::<u8>(), 0..4),
            shards in prop::collection::vec(0u8..3, 0..12),
            multiaddrs in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let fields = [("multiaddrs", &multiaddrs[..]), ("rs", &shards), ("rsv", &shards), ("waku2", &waku2)];
            let record = record(&fields).unwrap();
            prop_assert_eq!(record.capabilities().0, waku2.first().copied().unwrap_or(0));
            let debug = format!("{record:?}");
            prop_assert!(debug.starts_with("NodeRecord"));
            prop_assert_eq!(record.to_string().parse(), Ok(record));
        }
    }
}
