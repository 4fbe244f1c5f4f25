//! A node record (EIP-778) with Waku's fields (31/WAKU2-ENR).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ::enr::{Enr, EnrKey};
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

    /// Where the node listens for Node Discovery, IPv4 if it has both.
    pub fn udp(&self) -> Option<SocketAddr> {
        let ip4 = self.0.udp4_socket().map(SocketAddr::from);
        ip4.or_else(|| self.0.udp6_socket().map(SocketAddr::from)).filter(|socket| socket.port() != 0)
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

#[cfg(feature = "discv5")]
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
    use super::*;

    /// The first of EIP-1459's example.
    fn example() -> &'static str {
        let zone = include_str!("../tests/vectors/eip1459.txt");
        zone.lines()
            .find_map(|line| line.split_once(' ').filter(|(_, text)| text.starts_with("enr:")))
            .unwrap()
            .1
    }

    #[test]
    fn a_record_that_is_not_wakus_has_no_capabilities_and_no_shards() {
        let record: Record = example().parse().unwrap();
        assert_eq!(record.capabilities(), Capabilities::default());
        assert_eq!((record.shards(), record.udp(), record.seq()), (None, None, 1));
        assert_eq!(record.to_string(), example());
    }

    #[test]
    fn a_record_with_another_content_than_was_signed_is_refused() {
        let mut rlp = example().parse::<Record>().unwrap().encode().to_vec();
        *rlp.last_mut().unwrap() ^= 1;
        assert!(matches!(Record::decode(&rlp), Err(RecordError::Invalid(_))));
    }

    #[test]
    fn a_record_with_more_behind_it_is_refused() {
        let mut rlp = example().parse::<Record>().unwrap().encode().to_vec();
        rlp.push(0);
        assert!(matches!(Record::decode(&rlp), Err(RecordError::Invalid(_))));
    }

    #[test]
    fn what_is_longer_than_a_record_can_be_is_refused_unread() {
        assert_eq!(Record::decode(&[0; 301]), Err(RecordError::TooLong { len: 301 }));
        let text = format!("enr:{}", "A".repeat(401));
        assert_eq!(text.parse::<Record>(), Err(RecordError::TooLong { len: 405 }));
    }
}
