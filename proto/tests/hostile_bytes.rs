//! Bytes from strangers: cut off, bent and invented. Decoders answer, they never panic.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use waku_proto::enr::{self, EnrError, RelayShards};
use waku_proto::filter::{MessagePush, SubscribeRequest, SubscribeResponse, SubscribeType};
use waku_proto::framing::{Decoder, FrameError};
use waku_proto::lightpush::{self, v2};
use waku_proto::message::{MAX_META_LEN, MessageError};
use waku_proto::metadata::Metadata;
use waku_proto::rate_limit_proof::RateLimitProof;
use waku_proto::rendezvous::PeerRecord;
use waku_proto::store::{Direction, KeyValue, QueryRequest, QueryResponse, Status};
use waku_proto::transfer::MessageAndTopic;
use waku_proto::{
    Bytes, ContentTopic, EncodedMessage, MessageHash, PubsubTopic, WakuMessage, Wire, WireError,
    peer_exchange as px,
};

/// Feeds bytes to every decoder there is.
fn decode_everything(bytes: &Bytes) {
    let _ = EncodedMessage::decode(bytes.clone());
    let _ = SubscribeRequest::decode(bytes.clone());
    let _ = SubscribeResponse::decode(bytes.clone());
    let _ = MessagePush::decode(bytes.clone());
    let _ = QueryRequest::decode(bytes.clone());
    let _ = QueryResponse::decode(bytes.clone());
    let _ = lightpush::Request::decode(bytes.clone());
    let _ = lightpush::Response::decode(bytes.clone());
    let _ = v2::Rpc::decode(bytes.clone());
    let _ = Metadata::decode(bytes.clone());
    let _ = px::Rpc::decode(bytes.clone());
    let _ = MessageAndTopic::decode(bytes.clone());
    let _ = PeerRecord::decode(bytes.clone());
    let _ = RateLimitProof::decode(bytes.clone());
    let _ = enr::decode_multiaddrs(bytes);
    let _ = RelayShards::decode_rs(bytes);
    let _ = RelayShards::decode_rsv(bytes);
    let mut decoder = Decoder::new(100);
    decoder.feed(bytes);
    while let Ok(Some(_)) = decoder.next_message() {}
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = text.parse::<ContentTopic>();
        let _ = text.parse::<PubsubTopic>();
        let _ = text.parse::<MessageHash>();
    }
}

fn message() -> WakuMessage {
    WakuMessage::new(&"/toychat/2/huilong/proto".parse().unwrap(), "hello", 1_681_964_442_000_000_000)
        .with_version(1)
        .with_meta("meta")
        .with_rate_limit_proof("proof")
        .with_ephemeral()
}

/// One valid encoding of every message.
fn samples() -> Vec<Bytes> {
    let hash = MessageHash::from([7; 32]);
    let topic = "/waku/2/rs/1/0".to_owned();
    vec![
        message().encode(),
        MessagePush { message: message(), pubsub_topic: topic.clone() }.encode(),
        SubscribeRequest {
            request_id: "1".into(),
            kind: SubscribeType::Subscribe,
            pubsub_topic: Some(topic.clone()),
            content_topics: vec!["/a/1/b/c".into()],
        }
        .encode(),
        QueryRequest {
            request_id: "1".into(),
            include_data: true,
            pubsub_topic: Some(topic.clone()),
            content_topics: vec!["/a/1/b/c".into()],
            time_start: Some(1),
            time_end: Some(i64::MAX),
            message_hashes: vec![hash],
            cursor: Some(hash),
            direction: Direction::Forward,
            limit: Some(100),
        }
        .encode(),
        QueryResponse {
            request_id: "1".into(),
            status: Status::Ok,
            status_desc: "OK".into(),
            messages: vec![KeyValue {
                message_hash: hash,
                message: Some(message()),
                pubsub_topic: Some(topic.clone()),
            }],
            cursor: Some(hash),
        }
        .encode(),
        lightpush::Request { request_id: "1".into(), pubsub_topic: None, message: message() }.encode(),
        Metadata { cluster: Some(1), shards: (0..8).collect() }.encode(),
        px::Rpc::Response(px::Response {
            enrs: vec![Bytes::from_static(&[0xc0; 40])],
            status: px::Status::Success,
            status_desc: None,
        })
        .encode(),
        MessageAndTopic { pubsub_topic: topic, message: message() }.encode(),
    ]
}

#[test]
fn cut_off_messages_never_panic() {
    for sample in samples() {
        for end in 0..sample.len() {
            decode_everything(&sample.slice(..end));
        }
    }
}

#[test]
fn bent_messages_never_panic() {
    for sample in samples() {
        for position in 0..sample.len() {
            for flip in [0x01, 0x08, 0x80, 0xff] {
                let mut bent = sample.to_vec();
                bent[position] ^= flip;
                decode_everything(&bent.into());
            }
        }
    }
}

proptest! {
    #[test]
    fn invented_bytes_never_panic(bytes: Vec<u8>) {
        decode_everything(&bytes.into());
    }

    #[test]
    fn invented_text_never_panics(text in "[/a-z0-9é]{0,30}") {
        decode_everything(&text.into_bytes().into());
    }
}

#[test]
fn message_announcing_more_than_it_has_is_malformed() {
    // A payload of 2^62 bytes.
    let bytes = Bytes::from_static(&[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 0x00]);
    assert!(matches!(WakuMessage::decode(bytes), Err(WireError::Malformed(_))));
}

#[test]
fn message_with_broken_text_is_malformed() {
    let bytes = Bytes::from_static(&[0x0a, 0x00, 0x12, 0x01, 0xff]);
    assert!(matches!(WakuMessage::decode(bytes), Err(WireError::Malformed(_))));
}

#[test]
fn frame_length_of_ten_bytes_is_refused() {
    let mut decoder = Decoder::new(usize::MAX);
    decoder.feed(&[0xff; 9]);
    assert_eq!(decoder.next_message(), Err(FrameError::BadLength));
}

#[test]
fn frame_length_spelled_too_long_is_refused() {
    let mut decoder = Decoder::new(100);
    decoder.feed(&[0x81, 0x00, 0x01]);
    assert_eq!(decoder.next_message(), Err(FrameError::BadLength));
}

#[test]
fn enr_addresses_of_no_bytes_or_cut_off_are_refused() {
    let truncated = EnrError::Truncated { key: "multiaddrs" };
    assert_eq!(enr::decode_multiaddrs(&[0, 0]), Err(EnrError::EmptyAddress));
    assert_eq!(enr::decode_multiaddrs(&[0]), Err(truncated.clone()));
    assert_eq!(enr::decode_multiaddrs(&[0, 2, 4]), Err(truncated));
}

#[test]
fn enr_shards_of_the_wrong_length_or_number_are_refused() {
    assert_eq!(RelayShards::decode_rs(&[0, 1, 2, 0, 1]), Err(EnrError::Truncated { key: "rs" }));
    assert_eq!(RelayShards::decode_rs(&[0, 1, 1, 4, 0]), Err(EnrError::Shard { index: 1024 }));
    assert_eq!(RelayShards::decode_rsv(&[0; 129]), Err(EnrError::Truncated { key: "rsv" }));
}

#[test]
fn check_refuses_what_go_waku_refuses() {
    let good = message();
    assert_eq!(good.check(), Ok(()));
    let empty_payload = WakuMessage { payload: Bytes::new(), ..good.clone() };
    assert_eq!(empty_payload.check(), Err(MessageError::EmptyPayload));
    let empty_topic = WakuMessage { content_topic: String::new(), ..good.clone() };
    assert_eq!(empty_topic.check(), Err(MessageError::EmptyContentTopic));
    let longest = good.clone().with_meta(vec![0; MAX_META_LEN]);
    assert_eq!(longest.check(), Ok(()));
    let too_long = good.with_meta(vec![0; MAX_META_LEN + 1]);
    assert_eq!(too_long.check(), Err(MessageError::MetaTooLong { len: 65 }));
}

#[test]
fn check_size_refuses_more_than_the_limit() {
    let encoded = EncodedMessage::encode(message());
    let size = encoded.bytes().len();
    assert_eq!(encoded.check_size(size), Ok(()));
    assert_eq!(encoded.check_size(size - 1), Err(MessageError::TooLarge { size, limit: size - 1 }));
}

#[test]
fn debug_output_shows_no_contents() {
    let text = format!("{:?}", EncodedMessage::encode(message().with_meta("secret meta")).message());
    assert!(!text.contains("hello") && !text.contains("secret"), "{text}");
}
