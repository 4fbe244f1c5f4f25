//! Cost of naming and reading a message of 1.4 KB, a typical Waku message.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use waku_proto::{EncodedMessage, GossipId, MessageHash, PubsubTopic, WakuMessage};

const PAYLOAD_LEN: usize = 1400;

fn message(c: &mut Criterion) {
    let content_topic = "/toychat/2/huilong/proto".parse().expect("a valid content topic");
    let topic: PubsubTopic = "/waku/2/rs/1/3".parse().expect("a valid pubsub topic");
    let message = WakuMessage::new(&content_topic, vec![0x5a; PAYLOAD_LEN], 1_681_964_442_000_000_000);
    let encoded = EncodedMessage::encode(message);

    let mut group = c.benchmark_group("WakuMessage of 1400 B");
    group.throughput(Throughput::Bytes(encoded.bytes().len() as u64));
    group.bench_function("deterministic hash", |b| {
        b.iter(|| MessageHash::of(black_box(&topic), black_box(encoded.message())));
    });
    group.bench_function("gossip id", |b| b.iter(|| GossipId::of(black_box(encoded.bytes()))));
    group.bench_function("decode", |b| b.iter(|| EncodedMessage::decode(black_box(encoded.bytes().clone()))));
    group.bench_function("encode", |b| {
        b.iter(|| EncodedMessage::encode(black_box(encoded.message().clone())));
    });
    group.finish();
}

criterion_group!(benches, message);
criterion_main!(benches);
