//! Every published vector, by name. The expected values come from the specifications and from the test
//! suites of nwaku, go-waku and js-waku.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use waku_proto::enr::{self, Capabilities, RelayShards};
use waku_proto::{Autosharding, Bytes, ContentTopic, GossipId, MessageHash, PubsubTopic, Shard, WakuMessage};

fn hex(text: &str) -> Bytes {
    HEXLOWER.decode(text.as_bytes()).unwrap().into()
}

#[derive(Deserialize)]
struct HashVector {
    name: String,
    pubsub_topic: String,
    payload: String,
    meta: Option<String>,
    timestamp: Option<i64>,
    hash: String,
}

impl HashVector {
    fn message(&self) -> WakuMessage {
        WakuMessage {
            payload: hex(&self.payload),
            content_topic: "/waku/2/default-content/proto".to_owned(),
            version: None,
            timestamp: self.timestamp,
            meta: self.meta.as_deref().map(hex),
            rate_limit_proof: None,
            ephemeral: None,
        }
    }
}

#[test]
fn message_hash_matches_nwaku_and_go_waku() {
    let vectors: Vec<HashVector> = serde_json::from_str(include_str!("vectors/message_hash.json")).unwrap();
    assert_eq!(vectors.len(), 13);
    for vector in vectors {
        let topic: PubsubTopic = vector.pubsub_topic.parse().unwrap();
        let hash = MessageHash::of(&topic, &vector.message());
        assert_eq!(hash.to_string(), vector.hash, "{}", vector.name);
        assert_eq!(vector.hash.parse(), Ok(hash), "{}", vector.name);
    }
}

#[test]
fn message_hash_without_timestamp_is_not_js_wakus() {
    let topic: PubsubTopic = "/waku/2/default-waku/proto".parse().unwrap();
    let message = WakuMessage {
        payload: Bytes::new(),
        content_topic: "/waku/2/default-content/proto".to_owned(),
        version: None,
        timestamp: None,
        meta: Some(hex("73757065722d736563726574")),
        rate_limit_proof: None,
        ephemeral: None,
    };
    let js_waku = "e1a9596237dbe2cc8aaf4b838c46a7052df6bc0d42ba214b998a8bfdbe8487d6";
    assert_ne!(MessageHash::of(&topic, &message).to_string(), js_waku);
}

#[test]
fn message_hash_covers_neither_version_nor_ephemeral_nor_proof() {
    let topic: PubsubTopic = "/waku/2/default-waku/proto".parse().unwrap();
    let content_topic: ContentTopic = "/waku/2/default-content/proto".parse().unwrap();
    let message =
        WakuMessage::new(&content_topic, hex("010203045445535405060708"), 1_681_964_442_000_000_000)
            .with_version(1)
            .with_ephemeral()
            .with_rate_limit_proof(hex("00"));
    let expected = "a2554498b31f5bcdfcbf7fa58ad1c2d45f0254f3f8110a85588ec3cf10720fd8";
    assert_eq!(MessageHash::of(&topic, &message).to_string(), expected);
}

#[test]
fn gossip_id_matches_nwaku() {
    let id = |data: &[u8]| HEXLOWER.encode(GossipId::of(data).as_bytes());
    assert_eq!(id(b"Hello, world!"), "315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3");
    assert_eq!(id(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[derive(Deserialize)]
struct AutoshardVector {
    content_topic: String,
    shards: u16,
    shard: u16,
}

#[test]
fn autosharding_matches_nwaku() {
    let vectors: Vec<AutoshardVector> =
        serde_json::from_str(include_str!("vectors/autosharding.json")).unwrap();
    assert_eq!(vectors.len(), 11);
    for vector in vectors {
        let topic: ContentTopic = vector.content_topic.parse().unwrap();
        let shard = Autosharding::new(1, vector.shards).unwrap().shard(&topic).unwrap();
        assert_eq!(shard, Shard::new(1, vector.shard).unwrap(), "{topic} of {}", vector.shards);
    }
}

#[test]
fn autosharding_takes_the_last_64_bits_for_any_number_of_shards() {
    // nwaku's vector for ("myapp", "1") ends in d64837221893a8e4e53139fb802d4928; its last 64 bits are the
    // number 0xe53139fb802d4928, whose remainders were computed apart.
    let hash = HEXLOWER.encode(&Sha256::digest("myapp1"));
    assert_eq!(hash, "8e541178adbd8126068c47be6a221d77d64837221893a8e4e53139fb802d4928");
    let topic: ContentTopic = "/myapp/1/latest/proto".parse().unwrap();
    for (shards, expected) in [(1000, 512), (7, 1), (1023, 767)] {
        let shard = Autosharding::new(1, shards).unwrap().shard(&topic).unwrap();
        assert_eq!(shard.index(), expected, "of {shards}");
    }
}

#[test]
fn autosharding_joins_application_and_version_without_separator() {
    let rule = Autosharding::new(1, 1024).unwrap();
    let shard = |topic: &str| rule.shard(&topic.parse().unwrap()).unwrap();
    assert_eq!(shard("/app/20/name/proto"), shard("/app2/0/other/cbor"));
}

#[derive(Deserialize)]
struct EnrVector {
    name: String,
    enr: String,
    waku2: String,
    rs: String,
    cluster: u16,
    shards: Vec<u16>,
    host: String,
    tcp_port: u16,
    wss_port: u16,
}

/// The items of an RLP list of byte strings.
fn rlp_items(mut list: &[u8]) -> Vec<&[u8]> {
    let header = |bytes: &[u8], short: u8, long: u8| match bytes[0] {
        first if first < short => (0, 1),
        first if first <= long => (1, usize::from(first - short)),
        first => {
            let size = usize::from(first - long);
            let len = bytes[1..=size].iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
            (1 + size, len)
        }
    };
    let (start, len) = header(list, 0xc0, 0xf7);
    list = &list[start..start + len];
    let mut items = Vec::new();
    while !list.is_empty() {
        let (start, len) = header(list, 0x80, 0xb7);
        items.push(&list[start..start + len]);
        list = &list[start + len..];
    }
    items
}

#[test]
fn enr_fields_of_the_sandbox_fleet_are_read() {
    let vectors: Vec<EnrVector> = serde_json::from_str(include_str!("vectors/enr.json")).unwrap();
    for vector in vectors {
        let record = BASE64URL_NOPAD.decode(vector.enr.trim_start_matches("enr:").as_bytes()).unwrap();
        let items = rlp_items(&record);
        let field = |key: &str| {
            let position = items.iter().position(|item| *item == key.as_bytes()).unwrap();
            items[position + 1]
        };

        assert_eq!(field(enr::WAKU2), &hex(&vector.waku2)[..], "{}", vector.name);
        let capabilities = Capabilities(field(enr::WAKU2)[0]);
        let all = Capabilities::RELAY
            .with(Capabilities::STORE)
            .with(Capabilities::FILTER)
            .with(Capabilities::LIGHTPUSH);
        assert_eq!(capabilities, all);

        assert_eq!(field(enr::RS), &hex(&vector.rs)[..]);
        let shards = RelayShards::decode_rs(field(enr::RS)).unwrap();
        assert_eq!(shards, RelayShards::new(vector.cluster, vector.shards).unwrap());
        assert_eq!(shards.encode(), (enr::RS, hex(&vector.rs)));

        let addresses = enr::decode_multiaddrs(field(enr::MULTIADDRS)).unwrap();
        let expected = [
            dns4_tcp(&vector.host, vector.tcp_port, &[]),
            // 0x01de, wss, as a varint.
            dns4_tcp(&vector.host, vector.wss_port, &[0xde, 0x03]),
        ];
        assert_eq!(addresses, expected);
        assert_eq!(enr::encode_multiaddrs(expected).unwrap(), field(enr::MULTIADDRS));
    }
}

/// Binary `/dns4/{host}/tcp/{port}` and what follows.
fn dns4_tcp(host: &str, port: u16, rest: &[u8]) -> Bytes {
    let host_len = u8::try_from(host.len()).unwrap();
    [&[0x36, host_len], host.as_bytes(), &[0x06], &port.to_be_bytes(), rest].concat().into()
}

#[test]
fn enr_shards_of_the_status_fleet_are_read() {
    let field = hex("00100500010020004000800100");
    let shards = RelayShards::decode_rs(&field).unwrap();
    assert_eq!(shards.cluster(), 16);
    assert_eq!(shards.shards().map(Shard::index).collect::<Vec<_>>(), [1, 32, 64, 128, 256]);
    assert_eq!(shards.encode(), (enr::RS, field));
}

#[test]
fn enr_capabilities_of_the_status_fleet_are_read() {
    let boot = Capabilities(0x0d);
    assert_eq!(boot, Capabilities::RELAY.with(Capabilities::FILTER).with(Capabilities::LIGHTPUSH));
    assert!(!boot.contains(Capabilities::STORE));
    assert_eq!(Capabilities(0x03), Capabilities::RELAY.with(Capabilities::STORE));
}

#[test]
fn enr_bit_vector_has_nwakus_order() {
    let mut field = hex("00490204").to_vec();
    field.resize(2 + 128, 0);
    let shards = RelayShards::decode_rsv(&field).unwrap();
    assert_eq!(shards, RelayShards::new(73, [1, 10]).unwrap());
}
