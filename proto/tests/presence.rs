//! What must be on the wire even when it holds a default, and what may be left out. The bytes are written
//! out by hand from the field numbers.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use data_encoding::HEXLOWER;
use waku_proto::filter::{self, SubscribeRequest, SubscribeResponse, SubscribeType};
use waku_proto::lightpush::{self, v2};
use waku_proto::metadata::Metadata;
use waku_proto::rendezvous::PeerRecord;
use waku_proto::store::{self, Direction, KeyValue, QueryRequest, QueryResponse};
use waku_proto::transfer::MessageAndTopic;
use waku_proto::{Bytes, EncodedMessage, MessageHash, WakuMessage, Wire, WireError, peer_exchange as px};

fn encoded(message: impl Wire) -> String {
    HEXLOWER.encode(&message.encode())
}

fn decoded<M: Wire>(hex: &str) -> Result<M, WireError> {
    M::decode(HEXLOWER.decode(hex.as_bytes()).unwrap().into())
}

fn empty_message() -> WakuMessage {
    WakuMessage {
        payload: Bytes::new(),
        content_topic: String::new(),
        version: None,
        timestamp: None,
        meta: None,
        rate_limit_proof: None,
        ephemeral: None,
    }
}

#[test]
fn message_writes_empty_payload_and_content_topic() {
    assert_eq!(encoded(empty_message()), "0a001200");
    assert_eq!(decoded("0a001200"), Ok(empty_message()));
}

#[test]
fn message_without_payload_or_content_topic_is_an_error() {
    assert_eq!(decoded::<WakuMessage>("1200"), Err(WireError::Missing { field: "payload" }));
    assert_eq!(decoded::<WakuMessage>("0a00"), Err(WireError::Missing { field: "content_topic" }));
    assert_eq!(decoded::<WakuMessage>(""), Err(WireError::Missing { field: "payload" }));
}

#[test]
fn message_keeps_presence_of_optional_defaults() {
    // version 0, timestamp 0, meta "", proof "", ephemeral false, all present.
    let hex = "0a001200180050005a00aa0100f80100";
    let message: WakuMessage = decoded(hex).unwrap();
    assert_eq!((message.version, message.timestamp, message.ephemeral), (Some(0), Some(0), Some(false)));
    assert_eq!((&message.meta, &message.rate_limit_proof), (&Some(Bytes::new()), &Some(Bytes::new())));
    assert_eq!(encoded(message), hex);
}

#[test]
fn message_timestamp_is_zigzag() {
    let message = WakuMessage { timestamp: Some(-1), ..empty_message() };
    assert_eq!(encoded(message), "0a0012005001");
}

#[test]
fn message_with_unknown_fields_decodes() {
    // Field 200, varint.
    assert_eq!(decoded("0a001200c00c07"), Ok(empty_message()));
}

#[test]
fn filter_request_writes_empty_id_and_type_zero() {
    let ping = SubscribeRequest {
        request_id: String::new(),
        kind: SubscribeType::Ping,
        pubsub_topic: None,
        content_topics: vec![],
    };
    assert_eq!(encoded(ping.clone()), "0a001000");
    assert_eq!(decoded(""), Ok(ping.clone()));
    // js-waku sends an empty pubsub topic with a ping.
    assert_eq!(decoded("0a0010005200"), Ok(ping));
}

#[test]
fn filter_request_of_unknown_type_is_an_error() {
    let error = WireError::OutOfRange { field: "filter_subscribe_type", value: 4 };
    assert_eq!(decoded::<SubscribeRequest>("0a001004"), Err(error));
}

#[test]
fn filter_response_writes_empty_id_and_status() {
    let response =
        SubscribeResponse { request_id: String::new(), status: filter::Status::Ok, status_desc: None };
    assert_eq!(encoded(response.clone()), "0a0050c801");
    assert_eq!(decoded("50c801"), Ok(response));
    assert_eq!(decoded::<SubscribeResponse>("0a00"), Err(WireError::Missing { field: "status_code" }));
}

#[test]
fn filter_push_writes_empty_message_fields_and_topic() {
    let push = filter::MessagePush { message: empty_message(), pubsub_topic: String::new() };
    assert_eq!(encoded(push.clone()), "0a040a0012001200");
    // go-waku leaves out what is empty.
    assert_eq!(decoded("0a00"), Ok(push));
    assert_eq!(decoded::<filter::MessagePush>("1200"), Err(WireError::Missing { field: "waku_message" }));
}

#[test]
fn filter_push_as_relayed_keeps_bytes_this_crate_does_not_know() {
    // Field 200, varint.
    let message = EncodedMessage::decode(HEXLOWER.decode(b"0a001200c00c07").unwrap().into()).unwrap();
    let bytes = filter::MessagePush::encode_as_relayed(&message, &"/waku/2/a".parse().unwrap());
    assert_eq!(HEXLOWER.encode(&bytes), "0a070a001200c00c0712092f77616b752f322f61");
    let push = filter::MessagePush { message: empty_message(), pubsub_topic: "/waku/2/a".to_owned() };
    assert_eq!(filter::MessagePush::decode(bytes), Ok(push));
}

#[test]
fn store_request_writes_id_data_flag_and_direction() {
    let request = QueryRequest {
        request_id: String::new(),
        include_data: false,
        pubsub_topic: None,
        content_topics: vec![],
        time_start: None,
        time_end: None,
        message_hashes: vec![],
        cursor: None,
        direction: Direction::Backward,
        limit: None,
    };
    assert_eq!(encoded(request.clone()), "0a001000a00300");
    assert_eq!(decoded(""), Ok(request));
}

#[test]
fn store_request_with_short_hash_is_an_error() {
    let error = WireError::WrongLength { field: "message_hashes", found: 1, expected: 32 };
    assert_eq!(decoded::<QueryRequest>("a2010100"), Err(error));
}

#[test]
fn store_response_writes_empty_id_status_and_description() {
    let response = QueryResponse {
        request_id: String::new(),
        status: store::Status::Ok,
        status_desc: String::new(),
        messages: vec![],
        cursor: None,
    };
    assert_eq!(encoded(response.clone()), "0a0050c8015a00");
    assert_eq!(decoded("50c801"), Ok(response.clone()));
    // An empty cursor ends the result.
    assert_eq!(decoded("50c8019a0300"), Ok(response));
}

#[test]
fn store_response_writes_message_hash() {
    let response = QueryResponse {
        request_id: String::new(),
        status: store::Status::Ok,
        status_desc: String::new(),
        messages: vec![KeyValue {
            message_hash: MessageHash::from([0; 32]),
            message: None,
            pubsub_topic: None,
        }],
        cursor: None,
    };
    let zeros = "00".repeat(32);
    assert_eq!(encoded(response), format!("0a0050c8015a00a201220a20{zeros}"));
    assert_eq!(decoded::<QueryResponse>("50c801a20100"), Err(WireError::Missing { field: "message_hash" }));
}

#[test]
fn lightpush_request_writes_empty_id_and_message() {
    let request =
        lightpush::Request { request_id: String::new(), pubsub_topic: None, message: empty_message() };
    assert_eq!(encoded(request.clone()), "0a00aa01040a001200");
    assert_eq!(decoded("aa0100"), Ok(request));
}

#[test]
fn lightpush_response_writes_empty_id_and_status() {
    let response = lightpush::Response {
        request_id: String::new(),
        status: lightpush::Status::NoPeersToRelay,
        status_desc: None,
        relay_peer_count: None,
    };
    assert_eq!(encoded(response.clone()), "0a0050f903");
    assert_eq!(decoded("50f903"), Ok(response));
}

#[test]
fn lightpush_v2_writes_failure_and_empty_request_fields() {
    let failure =
        v2::Rpc { request_id: String::new(), body: v2::Body::Response { is_success: false, info: None } };
    assert_eq!(encoded(failure.clone()), "0a001a020800");
    assert_eq!(decoded("1a00"), Ok(failure));

    let request = v2::Rpc {
        request_id: String::new(),
        body: v2::Body::Request { pubsub_topic: String::new(), message: empty_message() },
    };
    assert_eq!(encoded(request), "0a0012080a0012040a001200");
}

#[test]
fn metadata_writes_shards_into_both_fields() {
    let metadata = Metadata { cluster: Some(1), shards: vec![0, 1] };
    assert_eq!(encoded(metadata.clone()), "0801100010011a020001");
    for (who, hex) in [
        ("go-waku, field 3 packed", "08011a020001"),
        ("js-waku, field 2 packed", "080112020001"),
        ("field 2 unpacked", "080110001001"),
    ] {
        assert_eq!(decoded(hex), Ok(metadata.clone()), "{who}");
    }
}

#[test]
fn metadata_field_3_wins_over_field_2() {
    assert_eq!(decoded("08011201051a0107"), Ok(Metadata { cluster: Some(1), shards: vec![7] }));
}

#[test]
fn metadata_writes_cluster_zero() {
    assert_eq!(encoded(Metadata { cluster: Some(0), shards: vec![] }), "0800");
    assert_eq!(decoded(""), Ok(Metadata { cluster: None, shards: vec![] }));
}

#[test]
fn metadata_of_an_impossible_cluster_is_an_error() {
    let error = WireError::OutOfRange { field: "cluster_id", value: 65536 };
    assert_eq!(decoded::<Metadata>("08808004"), Err(error));
}

#[test]
fn peer_exchange_response_writes_query_too() {
    let none = px::Response { enrs: vec![], status: px::Status::Unavailable, status_desc: None };
    assert_eq!(encoded(px::Rpc::Response(none.clone())), "0a00120350f703");
    // go-waku's answers have neither query nor status.
    assert_eq!(decoded("1200"), Ok(px::Rpc::Response(none)));
    let one = px::Response {
        enrs: vec![Bytes::from_static(b"\xc0")],
        status: px::Status::Success,
        status_desc: None,
    };
    assert_eq!(decoded("12050a030a01c0"), Ok(px::Rpc::Response(one)));
}

#[test]
fn peer_exchange_query_is_written() {
    assert_eq!(encoded(px::Rpc::Query { num_peers: 60 }), "0a02083c");
    assert_eq!(decoded("0a00"), Ok(px::Rpc::Query { num_peers: 0 }));
    assert_eq!(decoded::<px::Rpc>(""), Err(WireError::Missing { field: "query" }));
}

#[test]
fn transfer_has_the_topic_first() {
    let transfer = MessageAndTopic { pubsub_topic: String::new(), message: empty_message() };
    assert_eq!(encoded(transfer), "0a0012040a001200");
}

#[test]
fn peer_record_writes_id_number_and_mix_key() {
    let record = PeerRecord {
        peer_id: Bytes::new(),
        seq_no: 0,
        addresses: vec![Bytes::from_static(b"\x04")],
        mix_key: String::new(),
    };
    assert_eq!(encoded(record), "0a0010001a01042200");
}
