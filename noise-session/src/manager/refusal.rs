//! Refusing a party that was unpaired: it is told at its next handshake, under the pairing's own secret, so that
//! nobody else can tell it so.
//!
//! ```text
//! PayloadV2 of protocol id 30, nametag = refusal tag, transport message =
//!     nonce(12) || ChaChaPoly(refusal key, nonce, AD = nametag, pkcs7_248(reason(1) || ephemeral of the initiation(32)))
//! ```

use rand_core::CryptoRng;

use super::exchange::open_initiation;
use super::initiation::Stamp;
use super::link::{Link, live_days};
use crate::cipher_state::{chachapoly_open, chachapoly_seal};
use crate::key::{KEY_LEN, PublicKey};
use crate::padding::{pad, unpad};
use crate::payload::{PayloadV2, ProtocolId};
use crate::time::Now;

const NONCE_LEN: usize = 12;

/// The answer to an initiation on a pairing that no longer stands: the payload to publish at the rendezvous, with the
/// initiation's stamp, so that a caller can refuse each but once. `None` when `payload` is no authentic initiation.
pub fn refuse(
    link: &Link,
    now: Now,
    rng: &mut dyn CryptoRng,
    payload: &PayloadV2<'_>,
    reason: u8,
) -> Option<(Vec<u8>, Stamp)> {
    let (initiation, ephemeral) = open_initiation(link, now, payload)?;
    let nametag = link.refusal_tag(link.local_part, now.unix.day());
    let mut nonce = [0; NONCE_LEN];
    rng.fill_bytes(&mut nonce);
    let plaintext = pad(&[&[reason][..], ephemeral.as_bytes()].concat());
    let sealed = chachapoly_seal(&link.refusal_key(), &nonce, nametag.as_bytes(), &plaintext);
    let transport_message = [&nonce[..], &sealed].concat();
    let payload = PayloadV2 {
        nametag,
        protocol_id: ProtocolId::ChaChaPoly,
        handshake_keys: Vec::new(),
        transport_message: &transport_message,
    };
    Some((payload.encode().expect("there are no keys to be too many"), initiation.stamp))
}

/// The reason and the refused initiation's ephemeral, when `payload` is an authentic refusal by the other party.
pub(super) fn open_refusal(link: &Link, now: Now, payload: &PayloadV2<'_>) -> Option<(u8, PublicKey)> {
    if payload.protocol_id != ProtocolId::ChaChaPoly {
        return None;
    }
    let is_tag = |day| link.refusal_tag(link.remote_part, day) == payload.nametag;
    live_days(now.unix.day()).into_iter().find(|day| is_tag(*day))?;
    let (nonce, sealed) = payload.transport_message.split_first_chunk::<NONCE_LEN>()?;
    let padded = chachapoly_open(&link.refusal_key(), nonce, payload.nametag.as_bytes(), sealed).ok()?;
    let (reason, ephemeral) = unpad(&padded).ok()?.split_first()?;
    let ephemeral: [u8; KEY_LEN] = ephemeral.try_into().ok()?;
    Some((*reason, ephemeral.into()))
}
