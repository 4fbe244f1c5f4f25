//! 31/WAKU2-ENR: Waku's keys in Ethereum node records, as bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use thiserror::Error;

use crate::Shard;
use crate::shard::SHARDS_PER_CLUSTER;

/// Key of the [`Capabilities`].
pub const WAKU2: &str = "waku2";
/// Key of the [`encode_multiaddrs`] field.
pub const MULTIADDRS: &str = "multiaddrs";
/// Key of the shards as a list.
pub const RS: &str = "rs";
/// Key of the shards as a bit vector.
pub const RSV: &str = "rsv";

/// Most shards nwaku lists under [`RS`]; more go under [`RSV`].
pub const MAX_LISTED_SHARDS: usize = 63;

const BIT_VECTOR_LEN: usize = SHARDS_PER_CLUSTER as usize / 8;

/// What a node does: the byte under [`WAKU2`]. Bits without a name are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(pub u8);

impl Capabilities {
    /// 11/WAKU2-RELAY.
    pub const RELAY: Self = Self(1);
    /// 13/WAKU2-STORE, serving.
    pub const STORE: Self = Self(1 << 1);
    /// 12/WAKU2-FILTER, serving.
    pub const FILTER: Self = Self(1 << 2);
    /// 19/WAKU2-LIGHTPUSH, serving.
    pub const LIGHTPUSH: Self = Self(1 << 3);
    /// WAKU-SYNC.
    pub const SYNC: Self = Self(1 << 4);
    /// WAKU-MIX.
    pub const MIX: Self = Self(1 << 5);

    /// These and those.
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True when all of `other` is among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The field under [`MULTIADDRS`]: binary multiaddrs, each after its length as a 16-bit big-endian integer.
///
/// Leave `/p2p/…` off, and publish no protocols go-multiaddr does not know: go-waku hangs on them.
///
/// # Errors
/// When an address is longer than 65535 bytes.
pub fn encode_multiaddrs<A: AsRef<[u8]>>(addresses: impl IntoIterator<Item = A>) -> Result<Bytes, EnrError> {
    let mut field = Vec::new();
    for address in addresses {
        let address = address.as_ref();
        let len =
            u16::try_from(address.len()).map_err(|_| EnrError::AddressTooLong { len: address.len() })?;
        field.extend_from_slice(&len.to_be_bytes());
        field.extend_from_slice(address);
    }
    Ok(field.into())
}

/// Reads the field under [`MULTIADDRS`]. Whether an entry is a multiaddr is for the caller to see; one that
/// is not should be skipped.
///
/// # Errors
/// When an entry is empty or cut off.
pub fn decode_multiaddrs(mut field: &[u8]) -> Result<Vec<Bytes>, EnrError> {
    let mut addresses = Vec::new();
    while !field.is_empty() {
        let (len, rest) = field.split_first_chunk().ok_or(EnrError::Truncated { key: MULTIADDRS })?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len == 0 {
            return Err(EnrError::EmptyAddress);
        }
        let (address, rest) = rest.split_at_checked(len).ok_or(EnrError::Truncated { key: MULTIADDRS })?;
        addresses.push(Bytes::copy_from_slice(address));
        field = rest;
    }
    Ok(addresses)
}

/// The shards a record names. A record speaks of one cluster only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayShards {
    cluster: u16,
    indices: BTreeSet<u16>,
}

impl RelayShards {
    /// Shards `indices` of `cluster`.
    ///
    /// # Errors
    /// When an index is above 1023.
    pub fn new(cluster: u16, indices: impl IntoIterator<Item = u16>) -> Result<Self, EnrError> {
        let indices: BTreeSet<u16> = indices.into_iter().collect();
        match indices.last() {
            Some(&index) if index >= SHARDS_PER_CLUSTER => Err(EnrError::Shard { index }),
            _ => Ok(Self { cluster, indices }),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> u16 {
        self.cluster
    }

    /// Every shard, in order.
    pub fn shards(&self) -> impl Iterator<Item = Shard> {
        self.indices.iter().filter_map(|index| Shard::new(self.cluster, *index).ok())
    }

    /// Key and field for a record: [`RS`] for up to [`MAX_LISTED_SHARDS`] shards, [`RSV`] for more.
    pub fn encode(&self) -> (&'static str, Bytes) {
        let mut field = self.cluster.to_be_bytes().to_vec();
        match u8::try_from(self.indices.len()) {
            Ok(count) if usize::from(count) <= MAX_LISTED_SHARDS => {
                field.push(count);
                field.extend(self.indices.iter().flat_map(|index| index.to_be_bytes()));
                (RS, field.into())
            }
            _ => {
                field.extend(self.bit_vector());
                (RSV, field.into())
            }
        }
    }

    /// Shard `s` is bit `s % 8`, counted from the least significant, of byte `s / 8`.
    ///
    /// # Differences from the specification
    /// The order of bits is nwaku's and go-waku's; the specification's and js-waku's are two others.
    fn bit_vector(&self) -> [u8; BIT_VECTOR_LEN] {
        let mut bits = [0; BIT_VECTOR_LEN];
        for index in &self.indices {
            if let Some(byte) = bits.get_mut(usize::from(index / 8)) {
                *byte |= 1 << (index % 8);
            }
        }
        bits
    }

    /// Reads the field under [`RS`]: cluster, count, indices.
    ///
    /// # Errors
    /// When the field has another length than its count says or names a shard above 1023.
    pub fn decode_rs(field: &[u8]) -> Result<Self, EnrError> {
        let truncated = EnrError::Truncated { key: RS };
        let (cluster, rest) = field.split_first_chunk().ok_or(truncated.clone())?;
        let (count, indices) = rest.split_first().ok_or(truncated.clone())?;
        if indices.len() != 2 * usize::from(*count) {
            return Err(truncated);
        }
        let (indices, _) = indices.as_chunks();
        Self::new(u16::from_be_bytes(*cluster), indices.iter().map(|index| u16::from_be_bytes(*index)))
    }

    /// Reads the field under [`RSV`]: cluster and bit vector.
    ///
    /// # Errors
    /// When the field has not 130 bytes.
    pub fn decode_rsv(field: &[u8]) -> Result<Self, EnrError> {
        let truncated = EnrError::Truncated { key: RSV };
        let (cluster, bits) = field.split_first_chunk().ok_or(truncated.clone())?;
        let bits: &[u8; BIT_VECTOR_LEN] = bits.try_into().map_err(|_| truncated)?;
        let is_set =
            |index: &u16| bits.get(usize::from(index / 8)).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
        Self::new(u16::from_be_bytes(*cluster), (0..SHARDS_PER_CLUSTER).filter(is_set))
    }
}

/// A field of a record that cannot be written or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnrError {
    /// The field does not have the length it should.
    #[error("field `{key}` has the wrong length")]
    Truncated {
        /// Key of the field.
        key: &'static str,
    },
    /// An address of no bytes.
    #[error("field `multiaddrs` has an empty address")]
    EmptyAddress,
    /// An address whose length does not fit 16 bits.
    #[error("an address of {len} bytes does not fit a record")]
    AddressTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A shard above 1023.
    #[error("{index} is not a shard: the last one of a cluster is 1023")]
    Shard {
        /// The number found.
        index: u16,
    },
}
