//! Where a Waku node learns of others: lists in DNS ([`dns`], EIP-1459) and Node Discovery v5 (`discv5`, 33/WAKU2-DISCV5).
//! What is found are node records ([`Record`], 31/WAKU2-ENR); whom to dial is not decided here.
//!
//! # Features
//! - `dns`: the client that asks name servers. Reading, checking and making lists is there without it.
//! - `discv5`: the node of the discovery network.

#[cfg(feature = "discv5")]
pub mod discv5;
pub mod dns;
mod fields;
mod record;

pub use k256;
pub use waku_proto::Bytes;
pub use waku_proto::enr::{Capabilities, RelayShards};

pub use self::fields::{Fields, FieldsError};
pub use self::record::{MAX_RECORD_LEN, Record, RecordError};
