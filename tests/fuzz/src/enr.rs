//! Waku's fields in node records.

use waku_proto::enr::{RS, RelayShards, decode_multiaddrs, encode_multiaddrs};

/// What was read is written so that it is read again; addresses byte for byte.
pub fn run(data: &[u8]) {
    if let Ok(addresses) = decode_multiaddrs(data) {
        assert_eq!(encode_multiaddrs(addresses).as_deref(), Ok(data));
    }
    for shards in [RelayShards::decode_rs(data), RelayShards::decode_rsv(data)].into_iter().flatten() {
        assert!(shards.shards().all(|shard| shard.cluster() == shards.cluster()));
        let (key, field) = shards.encode();
        let decode = if key == RS { RelayShards::decode_rs } else { RelayShards::decode_rsv };
        assert_eq!(decode(&field), Ok(shards));
    }
}
