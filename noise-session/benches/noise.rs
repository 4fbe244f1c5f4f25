//! Handshakes per pattern and transport messages, ours beside snow's, in one run.
//!
//! Ours does more per message than snow: padding to 248 bytes, nametags, framing and a window that accepts any order.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that panics has failed"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use waku_noise_session::handshake::Handshake;
use waku_noise_session::handshake_state::Setup;
use waku_noise_session::key::{KeyPair, Psk};
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::pattern::{Pattern, Role, Token};
use waku_noise_session::payload::PayloadV2;
use waku_noise_session::session::Session;
use waku_noise_session::time::Instant;

const SECRETS: [[u8; 32]; 2] = [[0x11; 32], [0x22; 32]];
const PSK: [u8; 32] = [0x55; 32];

fn ours(pattern: &'static Pattern, rng: &mut ChaCha20Rng) -> [Handshake; 2] {
    let keys = SECRETS.map(|secret| KeyPair::from_secret(&secret));
    let early = pattern.responder_pre_message.contains(&Token::E).then(|| KeyPair::generate(rng));
    let mut parties = [(Role::Initiator, 0), (Role::Responder, 1)].map(|(role, us)| {
        let mut setup = Setup::new(pattern, role, b"");
        setup.local_static = Some(keys[us].clone());
        setup.remote_static = Some(keys[1 - us].public());
        setup.psk = Some(Psk::from(PSK));
        setup.remote_ephemeral = early.as_ref().map(KeyPair::public);
        setup.local_ephemeral = early.clone().filter(|_| role == Role::Responder);
        Handshake::new(setup).unwrap()
    });
    for turn in 0..pattern.messages.len() {
        let wire = parties[turn % 2].write(rng, MessageNametag::default(), b"").unwrap();
        parties[1 - turn % 2].read(&PayloadV2::decode(&wire).unwrap()).unwrap();
    }
    parties
}

fn snow(pattern: &Pattern, publics: &[Vec<u8>; 2]) -> [snow::HandshakeState; 2] {
    let mut parties = [0, 1].map(|us| {
        let knows = if us == 0 { pattern.responder_pre_message } else { pattern.initiator_pre_message };
        let mut builder = snow::Builder::new(pattern.protocol_name().parse().unwrap());
        builder = builder.local_private_key(&SECRETS[us]).unwrap();
        if !knows.is_empty() {
            builder = builder.remote_public_key(&publics[1 - us]).unwrap();
        }
        if pattern.name.contains("psk") {
            builder = builder.psk(0, &PSK).unwrap();
        }
        if us == 0 { builder.build_initiator() } else { builder.build_responder() }.unwrap()
    });
    let (mut wire, mut payload) = ([0; 1024], [0; 1024]);
    for turn in 0..pattern.messages.len() {
        let len = parties[turn % 2].write_message(b"", &mut wire).unwrap();
        parties[1 - turn % 2].read_message(&wire[..len], &mut payload).unwrap();
    }
    parties
}

fn handshakes(c: &mut Criterion) {
    let publics = SECRETS.map(|secret| KeyPair::from_secret(&secret).public().as_bytes().to_vec());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut group = c.benchmark_group("handshake");
    for pattern in [&Pattern::K1K1, &Pattern::XK1, &Pattern::XX, &Pattern::XXPSK0, &Pattern::WAKU_PAIRING] {
        group.bench_function(BenchmarkId::new("ours", pattern.name), |b| b.iter(|| ours(pattern, &mut rng)));
        if pattern.name != "WakuPairing" {
            group.bench_function(BenchmarkId::new("snow", pattern.name), |b| {
                b.iter(|| snow(pattern, &publics))
            });
        }
    }
    group.finish();
}

fn transport(c: &mut Criterion) {
    let publics = SECRETS.map(|secret| KeyPair::from_secret(&secret).public().as_bytes().to_vec());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut group = c.benchmark_group("seal+open");
    for len in [64_usize, 1400, 100_000] {
        let plaintext = vec![7; len];
        group.throughput(Throughput::Bytes(u64::try_from(len).unwrap()));
        let [mut a, mut b] =
            ours(&Pattern::XX, &mut rng).map(|party| Session::new(party.finish().unwrap(), true));
        group.bench_function(BenchmarkId::new("ours", len), |bench| {
            bench.iter(|| {
                let sealed = a.seal(&plaintext).unwrap();
                black_box(b.open(Instant::default(), &PayloadV2::decode(&sealed.payload).unwrap()).unwrap());
            });
        });
        // A snow message holds at most 65,535 bytes.
        if len < 65_000 {
            let [a, b] = snow(&Pattern::XX, &publics);
            let (mut a, mut b) = (a.into_transport_mode().unwrap(), b.into_transport_mode().unwrap());
            let (mut wire, mut opened) = (vec![0; len + 16], vec![0; len + 16]);
            group.bench_function(BenchmarkId::new("snow", len), |bench| {
                bench.iter(|| {
                    a.write_message(&plaintext, &mut wire).unwrap();
                    black_box(b.read_message(&wire, &mut opened).unwrap());
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, handshakes, transport);
criterion_main!(benches);
