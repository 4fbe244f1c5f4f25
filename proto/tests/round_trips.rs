//! What is encoded decodes to the same, for any values.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use proptest::option;
use proptest::prelude::*;
use waku_proto::enr::RelayShards;
use waku_proto::framing::{self, Decoder, FrameError};
use waku_proto::{
    Bytes, ContentTopic, EncodedMessage, MessageHash, PubsubTopic, Shard, WakuMessage, Wire, enr,
};

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn message() -> impl Strategy<Value = WakuMessage> {
    (
        bytes(300),
        ".{0,40}",
        any::<Option<u32>>(),
        any::<Option<i64>>(),
        option::of(bytes(80)),
        option::of(bytes(80)),
        any::<Option<bool>>(),
    )
        .prop_map(|(payload, content_topic, version, timestamp, meta, rate_limit_proof, ephemeral)| {
            WakuMessage { payload, content_topic, version, timestamp, meta, rate_limit_proof, ephemeral }
        })
}

proptest! {
    #[test]
    fn message_survives(message in message()) {
        let encoded = EncodedMessage::encode(message.clone());
        let decoded = EncodedMessage::decode(encoded.bytes().clone()).unwrap();
        prop_assert_eq!(decoded.message(), &message);
        prop_assert_eq!(&decoded, &encoded);
        prop_assert_eq!(message.encode(), encoded.bytes());
    }

    #[test]
    fn frames_survive_any_cutting(
        messages in prop::collection::vec(bytes(300), 0..8),
        pieces in prop::collection::vec(1usize..50, 1..20),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|message| framing::encode(message)).collect();
        let mut decoder = Decoder::new(300);
        let mut decoded = Vec::new();
        let mut rest = stream.as_slice();
        let mut sizes = pieces.iter().cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            decoder.feed(piece);
            rest = later;
            while let Some(message) = decoder.next_message().unwrap() {
                decoded.push(message);
            }
        }
        prop_assert_eq!(decoded, messages);
        prop_assert!(decoder.is_empty());
    }

    #[test]
    fn frames_over_the_limit_are_refused_by_their_length_alone(len in 301usize..1_000_000) {
        let frame = framing::encode(&vec![0; len]);
        let mut decoder = Decoder::new(300);
        decoder.feed(&frame[..4]);
        prop_assert_eq!(decoder.next_message(), Err(FrameError::TooLarge { len: len as u64, limit: 300 }));
    }

    #[test]
    fn content_topics_survive(
        generation in option::of(0u32..3),
        parts in prop::collection::vec("[^/]{1,12}", 4),
    ) {
        let prefix = generation.map_or(String::new(), |generation| format!("/{generation}"));
        let text = format!("{prefix}/{}", parts.join("/"));
        let topic: ContentTopic = text.parse().unwrap();
        prop_assert_eq!(topic.as_str(), text.as_str());
        prop_assert_eq!([topic.application(), topic.version(), topic.name(), topic.encoding()].to_vec(), parts);
        prop_assert_eq!(topic.generation(), generation.unwrap_or(0));
    }

    #[test]
    fn shards_survive(cluster: u16, index in 0u16..1024) {
        let topic = PubsubTopic::from(Shard::new(cluster, index).unwrap());
        let parsed: PubsubTopic = topic.as_str().parse().unwrap();
        prop_assert_eq!(parsed.shard(), Shard::new(cluster, index).ok());
    }

    #[test]
    fn hashes_survive(bytes: [u8; 32]) {
        let hash = MessageHash::from(bytes);
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn enr_shards_survive(cluster: u16, indices in prop::collection::btree_set(0u16..1024, 0..120)) {
        let shards = RelayShards::new(cluster, indices.iter().copied()).unwrap();
        let decoded = match shards.encode() {
            (enr::RS, field) => {
                prop_assert!(indices.len() < 64);
                RelayShards::decode_rs(&field)
            }
            (_, field) => {
                prop_assert!(indices.len() >= 64);
                RelayShards::decode_rsv(&field)
            }
        };
        prop_assert_eq!(decoded, Ok(shards));
    }

    #[test]
    fn enr_multiaddrs_survive(addresses in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..6)) {
        let field = enr::encode_multiaddrs(&addresses).unwrap();
        prop_assert_eq!(enr::decode_multiaddrs(&field).unwrap(), addresses);
    }
}
