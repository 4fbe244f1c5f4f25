//! Nodes that know each other, and messages between them.

use serde_json::{Value, json};

use crate::http::{Answer, encoded};
use crate::process::{Process, until};

/// An address of loopback at which nobody listens, of a peer that is no node of these tests.
pub(super) const NOBODY: &str =
    "/ip4/127.0.0.1/tcp/9/p2p/16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ";
pub(super) const NOBODY_ID: &str = "16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ";

/// The pubsub topic of a shard of the tests' cluster.
pub(super) fn shard(index: u16) -> String {
    format!("/waku/2/rs/99/{index}")
}

/// Unix time in nanoseconds.
pub(super) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_nanos()).unwrap()
}

/// A message as JSON; `payload` is its text in base64.
pub(super) fn message(payload: &str, content_topic: &str, timestamp: i64) -> Value {
    json!({"payload": payload, "contentTopic": content_topic, "timestamp": timestamp})
}

/// The payloads of the messages an answer lists.
pub(super) fn payloads(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let messages = answer.json();
    let payload = |message: &Value| message["payload"].as_str().unwrap().to_owned();
    messages.as_array().unwrap().iter().map(payload).collect()
}

impl Process {
    pub(super) fn connect(&self, other: &Self) {
        let answer = self.post("/admin/v1/peers", &json!([other.address()]).to_string());
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    }

    /// Whether a peer is on a shard, as one to be relayed to.
    pub(super) fn relays_to(&self, other: &Self, shard: u16) -> bool {
        let on = self.get(&format!("/admin/v1/peers/relay/on/{shard}")).json();
        let id = other.peer_id();
        on["peers"].as_array().unwrap().iter().any(|peer| peer["multiaddr"].as_str().unwrap().ends_with(&id))
    }

    pub(super) fn post_message(&self, topic: &str, message: &Value) {
        let answer = self.post(&format!("/relay/v1/messages/{}", encoded(topic)), &message.to_string());
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{message}");
    }

    /// What came on a pubsub topic since the last call.
    pub(super) fn relayed(&self, topic: &str) -> Answer {
        self.get(&format!("/relay/v1/messages/{}", encoded(topic)))
    }

    /// What came on a content topic since the last call.
    pub(super) fn relayed_auto(&self, topic: &str) -> Answer {
        self.get(&format!("/relay/v1/auto/messages/{}", encoded(topic)))
    }

    /// What a service node pushed since the last call.
    pub(super) fn pushed(&self, topic: &str) -> Answer {
        self.get(&format!("/filter/v2/messages/{}", encoded(topic)))
    }
}

/// Waits until two nodes relay a shard to each other.
pub(super) fn relaying(one: &Process, other: &Process, shard: u16) {
    until("they relay to each other", || {
        (one.relays_to(other, shard) && other.relays_to(one, shard)).then_some(())
    });
}

/// Waits until a list of messages has something, and returns their payloads.
pub(super) fn arrived(look: impl Fn() -> Answer) -> Vec<String> {
    until("a message arrives", || Some(payloads(&look())).filter(|payloads| !payloads.is_empty()))
}
