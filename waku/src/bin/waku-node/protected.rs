//! Shards on which only messages signed by one key are relayed (`--protected-shard`). No specification has them; nwaku and
//! go-waku do.

use std::collections::HashMap;
use std::sync::Arc;

use k256::ecdsa::signature::hazmat::PrehashVerifier as _;
use k256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};
use waku::{Envelope, Shard, Validator, Verdict, unix_nanos};
use waku_operator::command_line::Options;

/// How far a signed message's timestamp may be from the clock, in nanoseconds: five minutes.
const MAX_DISTANCE: u64 = 300_000_000_000;

/// The keys of protected shards.
#[derive(Debug)]
pub(crate) struct ProtectedShards {
    keys: HashMap<Shard, VerifyingKey>,
}

impl ProtectedShards {
    pub(crate) fn new(options: &Options) -> Self {
        let keys = options.sharding.protected_shards.iter().filter_map(|protected| {
            let shard = Shard::new(options.sharding.cluster_id, protected.shard).ok()?;
            // The command line has checked it.
            Some((shard, VerifyingKey::from_sec1_bytes(&protected.public_key).ok()?))
        });
        Self { keys: keys.collect() }
    }

    pub(crate) fn shared(self) -> Arc<dyn Validator> {
        Arc::new(self)
    }

    fn judge(&self, envelope: &Envelope, now: i64) -> Verdict {
        let shard = envelope.pubsub_topic().shard();
        let Some(key) = shard.and_then(|shard| self.keys.get(&shard)) else {
            return Verdict::Accept;
        };
        let message = envelope.message();
        let timestamp = message.timestamp.unwrap_or_default();
        let signature = message.meta.as_deref().and_then(|meta| Signature::from_slice(meta).ok());
        let is_signed = signature.is_some_and(|signature| {
            // High-S signatures are as good to nwaku.
            let signature = signature.normalize_s();
            key.verify_prehash(&signed_digest(envelope), &signature).is_ok()
        });
        if is_signed && timestamp.abs_diff(now) < MAX_DISTANCE { Verdict::Accept } else { Verdict::Reject }
    }
}

impl Validator for ProtectedShards {
    fn validate(&self, envelope: &Envelope) -> Verdict {
        self.judge(envelope, unix_nanos())
    }
}

/// What is signed.
fn signed_digest(envelope: &Envelope) -> [u8; 32] {
    let message = envelope.message();
    Sha256::new()
        .chain_update(envelope.pubsub_topic().as_str())
        .chain_update(&message.payload)
        .chain_update(&message.content_topic)
        .chain_update(message.timestamp.unwrap_or_default().to_le_bytes())
        .chain_update([u8::from(message.ephemeral.unwrap_or_default())])
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;
    use k256::ecdsa::signature::hazmat::PrehashSigner as _;
    use waku::WakuMessage;
    use waku::proto::EncodedMessage;

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn envelope(shard: u16, at: i64, meta: Option<Vec<u8>>) -> Envelope {
        let mut message = WakuMessage::new(&"/app/1/x/proto".parse().unwrap(), "hello", at);
        message.meta = meta.map(Into::into);
        Envelope::new(Shard::new(1, shard).unwrap().into(), EncodedMessage::encode(message))
    }

    fn signed(shard: u16, at: i64, key: &SigningKey) -> Envelope {
        let signature: Signature = key.sign_prehash(&signed_digest(&envelope(shard, at, None))).unwrap();
        envelope(shard, at, Some(signature.to_bytes().to_vec()))
    }

    #[test]
    fn only_signed_messages_of_now_pass_on_a_protected_shard() {
        let [key, other] = [[1; 32], [2; 32]].map(|secret| SigningKey::from_slice(&secret).unwrap());
        let protected = ProtectedShards { keys: [(Shard::new(1, 7).unwrap(), *key.verifying_key())].into() };
        let minutes = |minutes: i64| NOW + minutes * 60_000_000_000;
        for (what, envelope, verdict) in [
            ("signed", signed(7, NOW, &key), Verdict::Accept),
            ("signed by another key", signed(7, NOW, &other), Verdict::Reject),
            ("not signed", envelope(7, NOW, None), Verdict::Reject),
            ("signed with few bytes", envelope(7, NOW, Some(vec![1; 63])), Verdict::Reject),
            ("early", signed(7, minutes(-6), &key), Verdict::Reject),
            ("late", signed(7, minutes(6), &key), Verdict::Reject),
            ("in time", signed(7, minutes(-4), &key), Verdict::Accept),
            ("on another shard", envelope(6, NOW, None), Verdict::Accept),
        ] {
            assert_eq!(protected.judge(&envelope, NOW), verdict, "{what}");
        }
    }

    #[test]
    fn a_signature_of_another_message_does_not_pass() {
        let key = SigningKey::from_slice(&[1; 32]).unwrap();
        let protected = ProtectedShards { keys: [(Shard::new(1, 7).unwrap(), *key.verifying_key())].into() };
        let meta = signed(7, NOW, &key).message().meta.clone().map(|meta| meta.to_vec());
        assert_eq!(protected.judge(&envelope(7, NOW + 1, meta), NOW), Verdict::Reject);
    }
}
