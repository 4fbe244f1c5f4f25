//! Every libp2p protocol id of Waku.

/// 11/WAKU2-RELAY.
pub const RELAY: &str = "/vac/waku/relay/2.0.0";
/// 12/WAKU2-FILTER, client to service node.
pub const FILTER_SUBSCRIBE: &str = "/vac/waku/filter-subscribe/2.0.0-beta1";
/// 12/WAKU2-FILTER, service node to client.
pub const FILTER_PUSH: &str = "/vac/waku/filter-push/2.0.0-beta1";
/// 13/WAKU2-STORE, version 3.
pub const STORE_QUERY: &str = "/vac/waku/store-query/3.0.0";
/// 19/WAKU2-LIGHTPUSH, version 2.
pub const LIGHTPUSH_V2: &str = "/vac/waku/lightpush/2.0.0-beta1";
/// LIGHTPUSH, version 3.
pub const LIGHTPUSH: &str = "/vac/waku/lightpush/3.0.0";
/// 66/WAKU2-METADATA.
pub const METADATA: &str = "/vac/waku/metadata/1.0.0";
/// 34/WAKU2-PEER-EXCHANGE.
pub const PEER_EXCHANGE: &str = "/vac/waku/peer-exchange/2.0.0-alpha1";
/// WAKU-SYNC, range-based reconciliation.
pub const RECONCILIATION: &str = "/vac/waku/reconciliation/1.0.0";
/// WAKU-SYNC, transfer of the messages found missing.
pub const TRANSFER: &str = "/vac/waku/transfer/1.0.0";
/// WAKU-RENDEZVOUS.
pub const RENDEZVOUS: &str = "/vac/waku/rendezvous/1.0.0";
/// 33/WAKU2-DISCV5: the protocol id inside discovery packets.
pub const DISCV5: &[u8; 6] = b"d5waku";
