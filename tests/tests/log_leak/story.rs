//! A pairing from its code to its end, whatever the two sides are made of, and what of it is secret.

use std::time::Duration;

use tokio::time::timeout;
use waku_noise_session::kdf::hkdf;
use waku_pairing::code::Code;
use waku_pairing::endpoint::Handle;
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Terms};
use waku_pairing::record::PairingId;
use waku_pairing::sas::Sas;

use crate::in_memory::wait_for;
use crate::secret::Secret;

/// A test that waits longer than this has failed.
const GUARD: Duration = Duration::from_secs(60);

/// Awaits something that must happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(GUARD, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Pairs the two, with the digits typed in, until they are in session and a ping was answered.
pub(crate) async fn pair(host: &Handle, app: &Handle, code: &Code) -> (PairingId, Sas) {
    let (mut at_host, mut at_app) = (host.events(), app.events());
    let keys = CodeKeys::derive(code);
    app.offer(keys.clone(), Terms::default()).await.unwrap();
    host.pair(keys, Terms::default()).await.unwrap();
    let shown = wait_for(&mut at_host, |event| match event {
        Event::ShowDigits { digits, .. } => Some(digits),
        _ => None,
    });
    let digits = within("the digits", shown).await.unwrap();
    let asked = wait_for(&mut at_app, |event| match event {
        Event::AskDigits(peer) => Some(peer.pairing),
        _ => None,
    });
    let pairing = within("the question for the digits", asked).await.unwrap();
    app.digits(pairing, digits).await.unwrap();
    let up = wait_for(&mut at_host, |event| matches!(event, Event::SessionUp { .. }).then_some(()));
    within("the session", up).await.unwrap();
    within("a pong", host.ping(pairing)).await.unwrap();
    (pairing, digits)
}

/// Ends the pairing on both sides.
pub(crate) async fn part(host: &Handle, app: &Handle, pairing: PairingId) {
    let mut at_app = app.events();
    host.unpair(pairing).await.unwrap();
    let unpaired = wait_for(&mut at_app, |event| matches!(event, Event::Unpaired { .. }).then_some(()));
    within("the pairing's end", unpaired).await.unwrap();
}

/// What a person reads and types.
pub(crate) fn spoken(code: &Code, number: u64, digits: Sas) -> [Secret; 5] {
    assert!(Code::from(number) == *code, "not the number of this code");
    let grouped = code.digits();
    let plain: String = grouped.chars().filter(char::is_ascii_digit).collect();
    [
        Secret::digits("the code", &grouped),
        Secret::digits("the code without its dashes", &plain),
        Secret::digits("the code as a number", &number.to_string()),
        Secret::bytes("the code as bytes", &number.to_be_bytes()),
        Secret::digits("the six digits", &digits.to_string()),
    ]
}

/// The secrets of one side's identity.
pub(crate) fn keys(seed: &Seed) -> [Secret; 4] {
    let signing = hkdf::<32>(b"status-node-manager/seed/1", seed.as_bytes(), b"identity\0");
    let noise = x25519(seed);
    let identity = Identity::from_secrets(&signing, &noise).unwrap();
    assert_eq!(identity.key(), Identity::from_seed(seed).key(), "not the secrets of this seed");
    [
        Secret::bytes("a seed", seed.as_bytes()),
        Secret::bytes("an identity's secret", signing.as_ref()),
        Secret::bytes("an X25519 secret", &noise),
        Secret::bytes("a libp2p secret", seed.libp2p_secret().as_ref()),
    ]
}

pub(crate) fn x25519(seed: &Seed) -> [u8; 32] {
    *hkdf(b"status-node-manager/seed/1", seed.as_bytes(), b"noise-static")
}
