//! 26/WAKU2-PAYLOAD version 1: what is sealed, and what a key holder may have put inside.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waku_payload::layout::{SIGNATURE_LEN, decode};
use waku_payload::{SecretKey, SymmetricKey};

/// What is read accounts for every byte. What is opened, or sealed here, opens to the same payload.
pub fn run(data: &[u8]) {
    if let Ok(opened) = decode(data) {
        let length_len = usize::from(data[0] & 3);
        let signature_len = if data[0] & 4 == 0 { 0 } else { SIGNATURE_LEN };
        assert_eq!(opened.signer.is_some(), signature_len != 0);
        let content_len = opened.payload.len() + opened.padding.len();
        assert_eq!(1 + length_len + content_len + signature_len, data.len());
    }

    let shared = SymmetricKey::from([0x11; 32]);
    let recipient = SecretKey::from_bytes(&[0x11; 32]).expect("eleven thirty-two times is a secret key");
    for opened in [shared.open(data), recipient.open(data)].into_iter().flatten() {
        survives(&opened.payload, &shared, &recipient);
    }
    survives(data, &shared, &recipient);
}

fn survives(payload: &[u8], shared: &SymmetricKey, recipient: &SecretKey) {
    let mut rng = ChaCha20Rng::from_seed([0; 32]);
    let sealed = shared.seal(payload, None, &mut rng).expect("the payload is short enough");
    assert_eq!(shared.open(&sealed).expect("what was sealed is opened").payload.as_slice(), payload);
    let sealed =
        recipient.public().seal(payload, Some(recipient), &mut rng).expect("the payload is short enough");
    let opened = recipient.open(&sealed).expect("what was sealed is opened");
    assert_eq!(opened.payload.as_slice(), payload);
    assert_eq!(opened.signer, Some(recipient.public()));
}
