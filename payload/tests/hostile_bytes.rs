//! Sealed bytes that are bent, cut off, invented or for somebody else; and what a key holder may put inside.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waku_payload::layout::{self, LayoutError, SIGNATURE_LEN};
use waku_payload::{MAX_SEALED_LEN, OpenError, SecretKey, SymmetricKey};

struct World {
    rng: ChaCha20Rng,
    shared: SymmetricKey,
    recipient: SecretKey,
    signer: SecretKey,
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let shared = SymmetricKey::generate(&mut rng);
        let (recipient, signer) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        Self { rng, shared, recipient, signer }
    }

    fn symmetric(&mut self) -> Vec<u8> {
        self.shared.seal(b"to all", Some(&self.signer), &mut self.rng).unwrap()
    }

    fn asymmetric(&mut self) -> Vec<u8> {
        self.recipient.public().seal(b"to one", Some(&self.signer), &mut self.rng).unwrap()
    }

    /// Data that its signer signed.
    fn signed(&mut self) -> Vec<u8> {
        layout::encode(b"signed", Some(&self.signer), &mut self.rng).unwrap().to_vec()
    }
}

#[test]
fn every_bent_byte_of_a_symmetric_payload_is_refused() {
    let mut world = World::new();
    let sealed = world.symmetric();
    for at in 0..sealed.len() {
        for bit in [0x01, 0x80] {
            let mut bent = sealed.clone();
            bent[at] ^= bit;
            assert_eq!(world.shared.open(&bent), Err(OpenError::NotAuthentic), "byte {at}");
        }
    }
}

#[test]
fn every_bent_byte_of_an_asymmetric_payload_is_refused() {
    let mut world = World::new();
    let sealed = world.asymmetric();
    for at in 0..sealed.len() {
        let mut bent = sealed.clone();
        bent[at] ^= 0x01;
        let expected = if at < 65 {
            [OpenError::OneTimeKey, OpenError::NotAuthentic]
        } else {
            [OpenError::NotAuthentic; 2]
        };
        assert!(expected.contains(&world.recipient.open(&bent).unwrap_err()), "byte {at}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let mut world = World::new();
    let (symmetric, asymmetric) = (world.symmetric(), world.asymmetric());
    for len in 0..symmetric.len() {
        let error = world.shared.open(&symmetric[..len]).unwrap_err();
        // A tag, a nonce, and a byte at least.
        let expected = if len < 29 { OpenError::Length { len } } else { OpenError::NotAuthentic };
        assert_eq!(error, expected);
    }
    for len in 0..asymmetric.len() {
        let error = world.recipient.open(&asymmetric[..len]).unwrap_err();
        // A point, an iv, a MAC, and a byte at least.
        let expected = if len < 114 { OpenError::Length { len } } else { OpenError::NotAuthentic };
        assert_eq!(error, expected);
    }
}

#[test]
fn other_keys_do_not_open_it() {
    let mut world = World::new();
    let (symmetric, asymmetric) = (world.symmetric(), world.asymmetric());
    let other = SymmetricKey::generate(&mut world.rng);
    assert_eq!(other.open(&symmetric), Err(OpenError::NotAuthentic));
    assert_eq!(world.signer.open(&asymmetric), Err(OpenError::NotAuthentic));
}

#[test]
fn refuses_what_is_too_long_to_be_a_payload_before_it_looks_inside() {
    let world = World::new();
    let long = vec![4; MAX_SEALED_LEN + 1];
    let error = Err(OpenError::Length { len: MAX_SEALED_LEN + 1 });
    assert_eq!(world.shared.open(&long), error);
    assert_eq!(world.recipient.open(&long), error);
}

#[test]
fn refuses_a_one_time_key_that_is_not_an_uncompressed_point() {
    let mut world = World::new();
    let mut sealed = world.asymmetric();
    for form in [0, 2, 3, 5, 6, 7] {
        sealed[0] = form;
        assert_eq!(world.recipient.open(&sealed), Err(OpenError::OneTimeKey), "form {form}");
    }
    sealed[..65].fill(0);
    assert_eq!(world.recipient.open(&sealed), Err(OpenError::OneTimeKey));
}

#[test]
fn a_changed_signed_payload_has_another_signer_or_none() {
    let mut world = World::new();
    let data = world.signed();
    assert_eq!(layout::decode(&data).unwrap().signer, Some(world.signer.public()));
    for at in 0..data.len() {
        let mut bent = data.clone();
        bent[at] ^= 0x40;
        let signer = layout::decode(&bent).map(|opened| opened.signer);
        assert_ne!(signer, Ok(Some(world.signer.public())), "byte {at}");
    }
}

#[test]
fn a_recovery_id_counts_from_0_or_from_27() {
    let mut world = World::new();
    let mut data = world.signed();
    let v = data.len() - 1;
    assert!(data[v] < 2);
    data[v] += 27;
    assert_eq!(layout::decode(&data).unwrap().signer, Some(world.signer.public()));
    for invalid in [4, 26, 31, 255] {
        data[v] = invalid;
        assert_eq!(layout::decode(&data), Err(LayoutError::Signature), "{invalid}");
    }
}

#[test]
fn a_signature_of_nobody_is_refused() {
    let mut world = World::new();
    let mut data = world.signed();
    let signature = data.len() - SIGNATURE_LEN;
    for r_and_s in [0, 0xff] {
        data[signature..].fill(r_and_s);
        *data.last_mut().unwrap() = 0;
        assert_eq!(layout::decode(&data), Err(LayoutError::Signature));
    }
}

#[test]
fn data_shorter_than_it_says_is_refused() {
    let signature_alone = [[0b101].as_slice(), &[0; SIGNATURE_LEN - 1]].concat();
    let nothing_signed = [[0b100].as_slice(), &[0; SIGNATURE_LEN - 1]].concat();
    let signature_in_payload = [[0b101, 4].as_slice(), &[0; SIGNATURE_LEN + 3]].concat();
    for data in [
        &[][..],
        &[1],
        &[2, 0],
        &[3, 0, 0],
        &[1, 1],
        &[2, 0, 1],
        &[3, 0xff, 0xff, 0xff, 1],
        &[0b100],
        &signature_alone,
        &nothing_signed,
        &signature_in_payload,
    ] {
        assert_eq!(layout::decode(data), Err(LayoutError::Truncated), "{data:?}");
    }
}

#[test]
fn data_without_a_length_has_no_payload_and_data_without_padding_is_read() {
    let opened = layout::decode(&[0, 1, 2]).unwrap();
    assert_eq!((opened.payload.as_slice(), opened.padding.as_slice()), (&[][..], &[1, 2][..]));
    let opened = layout::decode(&[0b1111_1001, 2, 8, 9]).unwrap();
    assert_eq!((opened.payload.as_slice(), opened.padding.as_slice()), (&[8, 9][..], &[][..]));
    let opened = layout::decode(&[3, 1, 0, 0, 8]).unwrap();
    assert_eq!(opened.payload.as_slice(), [8]);
}

#[test]
fn debug_output_never_holds_the_payload() {
    let opened = layout::decode(&[1, 3, 0xab, 0xab, 0xab, 0xcd]).unwrap();
    let text = format!("{opened:?}");
    assert_eq!(text, "Opened { payload_len: 3, padding_len: 1, signer: None }");
}

proptest! {
    #[test]
    fn invented_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let world = World::new();
        prop_assert!(world.shared.open(&bytes).is_err());
        prop_assert!(world.recipient.open(&bytes).is_err());
        let _ = layout::decode(&bytes);
    }
}
