//! What is sealed is opened to the same, for any payload; what is sealed is padded.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waku_payload::layout::{self, BLOCK_LEN, MAX_PAYLOAD_LEN};
use waku_payload::{PayloadTooLong, SecretKey, SymmetricKey};

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..1500)
}

proptest! {
    #[test]
    fn symmetric_payloads_survive(payload in payload(), signed: bool, seed: [u8; 32]) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let key = SymmetricKey::generate(&mut rng);
        let signer = signed.then(|| SecretKey::generate(&mut rng));
        let sealed = key.seal(&payload, signer.as_ref(), &mut rng).unwrap();
        prop_assert_eq!(sealed.len() % BLOCK_LEN, 16 + 12);
        let opened = key.open(&sealed).unwrap();
        prop_assert_eq!(opened.payload.as_slice(), payload);
        prop_assert_eq!(opened.signer, signer.map(|signer| signer.public()));
    }

    #[test]
    fn asymmetric_payloads_survive(payload in payload(), signed: bool, seed: [u8; 32]) {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let key = SecretKey::generate(&mut rng);
        let signer = signed.then(|| SecretKey::generate(&mut rng));
        let sealed = key.public().seal(&payload, signer.as_ref(), &mut rng).unwrap();
        prop_assert_eq!(sealed.len() % BLOCK_LEN, 65 + 16 + 32);
        let opened = key.open(&sealed).unwrap();
        prop_assert_eq!(opened.payload.as_slice(), payload);
        prop_assert_eq!(opened.signer, signer.map(|signer| signer.public()));
    }
}

#[test]
fn padding_is_1_to_256_bytes_up_to_a_whole_block_with_the_signature() {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let signer = SecretKey::generate(&mut rng);
    for len in 0..=2 * BLOCK_LEN + 3 {
        for signer in [None, Some(&signer)] {
            let data = layout::encode(&vec![1; len], signer, &mut rng).unwrap();
            let opened = layout::decode(&data).unwrap();
            assert!(data.len().is_multiple_of(BLOCK_LEN), "{len}");
            assert!((1..=BLOCK_LEN).contains(&opened.padding.len()), "{len}");
            assert_eq!(opened.payload.len(), len);
        }
    }
}

#[test]
fn padding_is_never_the_same_twice() {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let mut padding = || layout::decode(&layout::encode(b"hi", None, &mut rng).unwrap()).unwrap().padding;
    assert_ne!(padding(), padding());
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let key = SymmetricKey::generate(&mut rng);
    let mut nonce = || key.seal(b"hi", None, &mut rng).unwrap().last_chunk::<12>().copied();
    assert_ne!(nonce(), nonce());
    let key = SecretKey::generate(&mut rng).public();
    let mut one_time = || key.seal(b"hi", None, &mut rng).unwrap().first_chunk::<65>().copied();
    assert_ne!(one_time(), one_time());
}

#[test]
fn the_longest_payload_is_sealed_and_a_longer_one_refused() {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let payload = vec![0; MAX_PAYLOAD_LEN + 1];
    let (longest, _) = payload.split_at(MAX_PAYLOAD_LEN);
    let key = SecretKey::generate(&mut rng);
    let sealed = key.public().seal(longest, None, &mut rng).unwrap();
    assert!(key.open(&sealed).unwrap().payload.as_slice() == longest);

    let too_long = Err(PayloadTooLong { len: MAX_PAYLOAD_LEN + 1 });
    assert_eq!(key.public().seal(&payload, None, &mut rng), too_long);
    assert_eq!(SymmetricKey::from([1; 32]).seal(&payload, None, &mut rng), too_long);
}
