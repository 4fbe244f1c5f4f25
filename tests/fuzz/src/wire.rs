//! The messages of the request and response protocols.

use std::fmt::Debug;

use waku_proto::{
    Bytes, Wire, filter, lightpush, message, metadata, peer_exchange, rate_limit_proof, rendezvous, store,
    transfer,
};

use super::script::Script;

/// Every type, by the first byte of the input.
const TYPES: [fn(&[u8]); 14] = [
    holds::<message::WakuMessage>,
    holds::<filter::SubscribeRequest>,
    holds::<filter::SubscribeResponse>,
    holds::<filter::MessagePush>,
    holds::<store::QueryRequest>,
    holds::<store::QueryResponse>,
    holds::<lightpush::Request>,
    holds::<lightpush::Response>,
    holds::<lightpush::v2::Rpc>,
    holds::<metadata::Metadata>,
    holds::<peer_exchange::Rpc>,
    holds::<transfer::MessageAndTopic>,
    holds::<rendezvous::PeerRecord>,
    holds::<rate_limit_proof::RateLimitProof>,
];

/// What was understood is understood again as it is written, and is not much longer then.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    if let Some(of_type) = script.pick(&TYPES) {
        of_type(script.rest());
    }
}

fn holds<M: Wire + Clone + PartialEq + Debug>(data: &[u8]) {
    let Ok(message) = M::decode(Bytes::copy_from_slice(data)) else { return };
    let encoded = message.clone().encode();
    // Shards are written into two fields, unpacked in either, and a few fields that deployed decoders need are added.
    assert!(encoded.len() <= 4 * data.len() + 64, "{} bytes became {}", data.len(), encoded.len());
    assert_eq!(M::decode(encoded), Ok(message));
}
