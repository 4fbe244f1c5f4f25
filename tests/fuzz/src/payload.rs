//! The payload of messages of version 2, and the padding inside.

use waku_noise_session::padding::{pad, unpad};
use waku_noise_session::payload::PayloadV2;

/// A payload has one encoding, and so has a padded text.
pub fn run(data: &[u8]) {
    if let Ok(payload) = PayloadV2::decode(data) {
        assert_eq!(payload.encode().as_deref(), Ok(data));
        padding_holds(payload.transport_message);
    }
    padding_holds(data);
}

fn padding_holds(padded: &[u8]) {
    if let Ok(text) = unpad(padded) {
        assert_eq!(pad(text).as_slice(), padded);
    }
}
