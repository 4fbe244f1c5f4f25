//! Codes, keys and payloads never reach a log, at any level, while parties pair and nodes relay.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[allow(dead_code, reason = "the example's own main is not run here")]
#[path = "../../../pairing/examples/in_memory.rs"]
mod in_memory;
mod log;
mod pairing;
mod relaying;
mod secret;
mod service;
mod story;

use log::Log;
use secret::Secret;

/// The test can fail: whichever way a secret is printed, it is found.
#[test]
fn a_secret_in_a_log_is_found_however_it_is_printed() {
    let log = Log::start();
    let bytes = [0xc0, 0xff, 0xee, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77];
    let base64 = data_encoding::BASE64.encode(&bytes);
    let secret = Secret::bytes("a canary's key", &bytes);
    let found = |printed: &dyn Fn()| {
        let before = log.lines_with(&secret).len();
        printed();
        log.lines_with(&secret).len() > before
    };
    assert!(found(&|| tracing::trace!(target: "waku_canary", key = ?bytes)));
    assert!(found(
        &|| tracing::trace!(target: "waku_canary", "the key is {}", data_encoding::HEXLOWER.encode(&bytes))
    ));
    assert!(found(
        &|| tracing::error!(target: "node_manager::canary", key = data_encoding::HEXUPPER.encode(&bytes))
    ));
    assert!(found(&|| drop(tracing::debug_span!(target: "waku_canary", "span", %base64))));
    let span = tracing::info_span!(target: "waku_canary", "span", later = tracing::field::Empty);
    assert!(found(&|| _ = span.record("later", format!("{bytes:02x?}").as_str())));
    assert!(!found(&|| tracing::error!(target: "somebody_else", key = ?bytes)));

    let text = Secret::bytes("a canary's payload", b"canary in a coal mine");
    tracing::trace!(target: "waku_canary", payload = ?waku::Bytes::from_static(b"canary in a coal mine"));
    assert_eq!(log.lines_with(&text).len(), 1);
    let digits = Secret::digits("a canary's digits", "104729");
    tracing::trace!(target: "waku_canary", "of 1047291 and 9104729 only 104729 counts");
    assert_eq!(log.lines_with(&digits).len(), 1);
}
