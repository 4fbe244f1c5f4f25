//! WAKU-RENDEZVOUS: what a node registers about itself.

use bytes::Bytes;

use crate::wire::required;
use crate::{Wire, WireError, generated};

/// A peer's record, the payload of a signed libp2p envelope.
///
/// # Differences from the specification
/// As deployed: peer id and addresses are binary, and the mix key is hexadecimal text and required.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// libp2p peer id, binary.
    pub peer_id: Bytes,
    /// Grows with every record of the peer.
    pub seq_no: u64,
    /// Binary multiaddrs; nwaku drops a record without any.
    pub addresses: Vec<Bytes>,
    /// Mix public key in hexadecimal; empty without mix.
    pub mix_key: String,
}

impl Wire for PeerRecord {
    type Generated = generated::WakuPeerRecord;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        Ok(Self {
            peer_id: required(generated.peer_id, "peer_id")?,
            seq_no: generated.seq_no.unwrap_or_default(),
            addresses: generated.addresses,
            mix_key: generated.mix_key.unwrap_or_default(),
        })
    }
}

impl From<PeerRecord> for generated::WakuPeerRecord {
    fn from(record: PeerRecord) -> Self {
        Self {
            peer_id: Some(record.peer_id),
            seq_no: Some(record.seq_no),
            addresses: record.addresses,
            mix_key: Some(record.mix_key),
        }
    }
}
