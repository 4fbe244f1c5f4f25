//! A node record (EIP-778) with Waku's fields (31/WAKU2-ENR).

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

use ::enr::{Enr, EnrKey, EnrPublicKey as _};
use alloy_rlp::Decodable;
use data_encoding::BASE64URL_NOPAD;
use k256::ecdsa::SigningKey;
use thiserror::Error;
use waku_proto::Bytes;
use waku_proto::enr::{self, Capabilities, RelayShards};

/// Bytes of the longest record (EIP-778).
pub const MAX_RECORD_LEN: usize = 300;

const PREFIX: &str = "enr:";
const MAX_TEXT_LEN: usize = PREFIX.len() + MAX_RECORD_LEN.div_ceil(3) * 4;

/// A record whose signature was checked, of the identity scheme v4. As text it begins with `enr:`.
///
/// ```
/// use waku_discovery::{Capabilities, Record, RelayShards};
///
/// let text = "enr:-QESuED0qW1BCmF-oH_ARGPr97Nv767bl_43uoy70vrbah3EaCAdK3Q0iRQ6wkSTTpdrg_dU_NC2ydO8leSlRpBX4pxiAYJpZ\
///             IJ2NIJpcIRA4VDAim11bHRpYWRkcnO4XAArNiZub2RlLTAxLmRvLWFtczMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQZ2XwAtNiZub2\
///             RlLTAxLmRvLWFtczMud2FrdS5zYW5kYm94LnN0YXR1cy5pbQYfQN4DgnJzkwABCAAAAAEAAgADAAQABQAGAAeJc2VjcDI1NmsxoQO\
///             Td-h5owwj-cx7xrmbvQKU8CV3Fomfdvcv1MBc-67T5oN0Y3CCdl-DdWRwgiMohXdha3UyDw";
/// let record: Record = text.parse()?;
/// assert_eq!(record.udp(), "64.225.80.192:9000".parse().ok());
/// assert!(record.capabilities().contains(Capabilities::RELAY));
/// assert_eq!(record.shards(), RelayShards::new(1, 0..8).ok());
/// assert_eq!(Record::decode(&record.encode())?.to_string(), text);
/// # Ok::<(), waku_discovery::RecordError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Record(Enr<SigningKey>);

impl Record {
    /// Reads a record in RLP.
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
        Ok(Self(enr))
    }

    /// The record in RLP, at most [`MAX_RECORD_LEN`] bytes.
    pub fn encode(&self) -> Bytes {
        alloy_rlp::encode(&self.0).into()
    }

    /// Of two records of a node the one with the greater number is newer.
    pub fn seq(&self) -> u64 {
        self.0.seq()
    }

    /// Keccak-256 of the public key: the node's place in the discovery network.
    pub fn node_id(&self) -> [u8; 32] {
        self.0.node_id().raw()
    }

    /// What the node does. Nothing, if it is not a Waku node.
    pub fn capabilities(&self) -> Capabilities {
        capabilities_of(&self.0)
    }

    /// The shards the node is on, if the record has them in a form that can be read.
    pub fn shards(&self) -> Option<RelayShards> {
        shards_of(&self.0)
    }

    /// The compressed secp256k1 key that signed the record.
    pub fn public_key(&self) -> [u8; 33] {
        self.0.public_key().encode().into()
    }

    /// Where the node listens on TCP.
    pub fn tcp4(&self) -> Option<SocketAddrV4> {
        self.0.tcp4_socket().filter(|socket| socket.port() != 0)
    }

    /// Where the node listens on TCP over IPv6: on the port of IPv4 if the record has no other.
    pub fn tcp6(&self) -> Option<SocketAddrV6> {
        let port = self.0.tcp6().or_else(|| self.0.tcp4()).filter(|port| *port != 0)?;
        Some(SocketAddrV6::new(self.0.ip6()?, port, 0, 0))
    }

    /// Where the node listens on UDP, for Node Discovery.
    pub fn udp4(&self) -> Option<SocketAddrV4> {
        self.0.udp4_socket().filter(|socket| socket.port() != 0)
    }

    /// Where the node listens on UDP over IPv6, for Node Discovery.
    pub fn udp6(&self) -> Option<SocketAddrV6> {
        self.0.udp6_socket().filter(|socket| socket.port() != 0)
    }

    /// Where the node listens for Node Discovery, IPv4 if it has both.
    pub fn udp(&self) -> Option<SocketAddr> {
        self.udp4().map(SocketAddr::from).or_else(|| self.udp6().map(SocketAddr::from))
    }

    /// The addresses that the record lists, binary multiaddrs, whatever is in them. None if the list is damaged.
    pub fn multiaddrs(&self) -> Vec<Bytes> {
        let field = self.field(enr::MULTIADDRS).unwrap_or_default();
        enr::decode_multiaddrs(&field).unwrap_or_default()
    }

    /// The bytes under a key, whatever they mean.
    pub fn field(&self, key: &str) -> Option<Bytes> {
        field(&self.0, key)
    }
}

fn field<K: EnrKey>(enr: &Enr<K>, key: &str) -> Option<Bytes> {
    enr.get_decodable(key)?.ok()
}

pub(crate) fn capabilities_of<K: EnrKey>(enr: &Enr<K>) -> Capabilities {
    let field = field(enr, enr::WAKU2).unwrap_or_default();
    field.first().copied().map(Capabilities).unwrap_or_default()
}

pub(crate) fn shards_of<K: EnrKey>(enr: &Enr<K>) -> Option<RelayShards> {
    let list = field(enr, enr::RS).and_then(|field| RelayShards::decode_rs(&field).ok());
    list.or_else(|| RelayShards::decode_rsv(&field(enr, enr::RSV)?).ok())
}

impl From<Enr<SigningKey>> for Record {
    fn from(enr: Enr<SigningKey>) -> Self {
        Self(enr)
    }
}

impl FromStr for Record {
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
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&self.encode()))
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("node_id", &format_args!("{}", self.0.node_id()))
            .field("seq", &self.seq())
            .field("udp", &self.udp())
            .field("capabilities", &self.capabilities())
            .field("shards", &self.shards())
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
    use crate::Fields;

    #[derive(Deserialize)]
    struct Vector {
        enr: String,
        waku2: String,
        cluster: u16,
        shards: Vec<u16>,
        ip: String,
        tcp_port: u16,
        udp_port: u16,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../proto/tests/vectors/enr.json")).unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::from_slice(&[0x11; 32]).unwrap()
    }

    /// A record with any fields, signed.
    fn record(fields: &[(&str, &[u8])]) -> Record {
        let mut builder = Enr::builder();
        for (key, field) in fields {
            builder.add_value(key, field);
        }
        Record::decode(&alloy_rlp::encode(builder.build(&key()).unwrap())).unwrap()
    }

    #[test]
    fn reads_the_records_of_the_waku_network_and_writes_the_same_bytes() {
        assert_eq!(vectors().len(), 3);
        for vector in vectors() {
            let record: Record = vector.enr.parse().unwrap();
            assert_eq!(record.seq(), 1);
            assert_eq!(format!("{:02x}", record.capabilities().0), vector.waku2);
            assert_eq!(record.shards(), RelayShards::new(vector.cluster, vector.shards).ok());
            assert_eq!(record.tcp4(), format!("{}:{}", vector.ip, vector.tcp_port).parse().ok());
            assert_eq!(record.udp4(), format!("{}:{}", vector.ip, vector.udp_port).parse().ok());
            assert_eq!((record.tcp6(), record.udp6()), (None, None));
            assert_eq!(record.multiaddrs().len(), 2);
            assert_eq!(record.to_string(), vector.enr);
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    /// The first of EIP-1459's example.
    #[test]
    fn a_record_that_is_not_wakus_has_no_capabilities_and_no_shards() {
        let zone = include_str!("../tests/vectors/eip1459.txt");
        let records = zone.lines().filter_map(|line| line.split_once(' '));
        let (_, example) = records.clone().find(|(_, text)| text.starts_with(PREFIX)).unwrap();
        let record: Record = example.parse().unwrap();
        assert_eq!(record.capabilities(), Capabilities::default());
        assert_eq!((record.shards(), record.udp(), record.seq()), (None, None, 1));
        assert_eq!(record.to_string(), example);
    }

    #[test]
    fn the_key_is_the_one_that_signed() {
        let (record, _) = Fields::default().sign(1, &key()).unwrap();
        assert_eq!(record.public_key(), *key().verifying_key().to_sec1_point(true).as_bytes());
    }

    #[test]
    fn ipv6_has_the_tcp_port_of_ipv4_when_it_has_none_of_its_own() {
        let fields =
            Fields { ip6: Some("2001:db8::1".parse().unwrap()), tcp4: Some(60000), ..Fields::default() };
        let tcp6 = |fields: &Fields| fields.sign(1, &key()).unwrap().0.tcp6();
        assert_eq!(tcp6(&fields), "[2001:db8::1]:60000".parse().ok());
        assert_eq!(tcp6(&Fields { tcp6: Some(80), ..fields }), "[2001:db8::1]:80".parse().ok());
    }

    #[test]
    fn port_0_is_none() {
        let record = record(&[("ip", &[192, 0, 2, 1]), ("tcp", &[]), ("udp", &[])]);
        assert_eq!((record.tcp4(), record.udp4(), record.udp()), (None, None, None));
    }

    #[test]
    fn a_list_of_addresses_that_is_cut_off_is_none() {
        let mut field = enr::encode_multiaddrs([[1, 2, 3]]).unwrap().to_vec();
        assert_eq!(record(&[(enr::MULTIADDRS, &field)]).multiaddrs(), [&[1, 2, 3][..]]);
        field.pop();
        for field in [&field[..], &[0, 0]] {
            assert_eq!(record(&[(enr::MULTIADDRS, field)]).multiaddrs(), Vec::<Bytes>::new());
        }
    }

    #[test]
    fn the_list_of_shards_comes_before_the_bit_vector() {
        let list = RelayShards::new(1, [3]).unwrap();
        let mut bits = [0; 130];
        (bits[1], bits[2]) = (73, 0b10);
        let both = record(&[(enr::RS, &list.encode().1), (enr::RSV, &bits)]);
        assert_eq!(both.shards(), Some(list));
        for broken in [&[][..], &[0, 1, 2, 0, 1]] {
            let shards = record(&[(enr::RS, broken), (enr::RSV, &bits)]).shards().unwrap();
            assert_eq!(shards.shards().collect::<Vec<_>>(), [Shard::new(73, 1).unwrap()]);
        }
    }

    #[test]
    fn a_record_with_a_bent_byte_is_refused() {
        let rlp = vectors()[0].enr.parse::<Record>().unwrap().encode();
        for at in 0..rlp.len() {
            let mut bent = rlp.to_vec();
            bent[at] ^= 1;
            assert!(matches!(Record::decode(&bent), Err(RecordError::Invalid(_))), "byte {at}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_or_goes_on_is_refused() {
        let rlp = vectors()[0].enr.parse::<Record>().unwrap().encode();
        for len in 0..rlp.len() {
            assert!(matches!(Record::decode(&rlp[..len]), Err(RecordError::Invalid(_))), "{len} bytes");
        }
        let longer = [&rlp[..], &[0]].concat();
        let error = "1 bytes follow the record".to_owned();
        assert_eq!(Record::decode(&longer), Err(RecordError::Invalid(error)));
    }

    #[test]
    fn what_is_longer_than_a_record_can_be_is_refused_unread() {
        let error = |len| Err(RecordError::TooLong { len });
        assert_eq!(Record::decode(&[0xf9; MAX_RECORD_LEN + 1]), error(301));
        assert_eq!(format!("enr:{}", "A".repeat(401)).parse::<Record>(), error(405));
    }

    #[test]
    fn text_that_is_not_enr_and_base64_is_refused() {
        let text = &vectors()[0].enr;
        let padded = format!("{text}==");
        for wrong in ["", "enr", &text[4..], "ENR:-QES", "enr:+/+/", &padded, "enr:é", "enrtree://A@b"] {
            assert_eq!(wrong.parse::<Record>(), Err(RecordError::NotText), "{wrong}");
        }
    }

    #[test]
    fn a_record_of_another_identity_scheme_is_refused() {
        // A list of a signature, a number, and `id` with `v5`.
        let rlp = [&[0xf8, 73, 0xb8, 64][..], &[1; 64], &[1, 0x82, b'i', b'd', 0x82]].concat();
        let decoded = Record::decode(&[&rlp[..], b"v5"].concat());
        assert_eq!(decoded, Err(RecordError::Invalid("Unsupported identity scheme".to_owned())));
    }

    proptest! {
        #[test]
        fn invented_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..310)) {
            prop_assert!(Record::decode(&bytes).is_err());
            let text = format!("enr:{}", BASE64URL_NOPAD.encode(&bytes));
            prop_assert!(text.parse::<Record>().is_err());
        }

        #[test]
        fn any_fields_that_a_stranger_signed_are_read_without_a_panic(
            waku2 in prop::collection::vec(any::<u8>(), 0..4),
            shards in prop::collection::vec(0u8..3, 0..12),
            multiaddrs in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let record = record(&[
                (enr::MULTIADDRS, &multiaddrs),
                (enr::RS, &shards),
                (enr::RSV, &shards),
                (enr::WAKU2, &waku2),
            ]);
            prop_assert_eq!(record.capabilities().0, waku2.first().copied().unwrap_or(0));
            let listed: usize = record.multiaddrs().iter().map(|address| address.len() + 2).sum();
            prop_assert!([0, multiaddrs.len()].contains(&listed));
            let debug = format!("{record:?}");
            prop_assert!(debug.starts_with("Record"));
            prop_assert_eq!(record.to_string().parse(), Ok(record));
        }
    }
}
