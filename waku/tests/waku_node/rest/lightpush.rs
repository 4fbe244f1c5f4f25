//! Messages published by a light client.

use serde_json::json;

use crate::process::Process;

use super::coverage::covers;
use super::network::{arrived, message, now, relaying, shard};

/// A service node with a relay beside it, and its client.
fn served(args: &[&str]) -> (Process, Process, Process) {
    let service = Process::start(&[&["--lightpush"][..], args].concat());
    let relay = Process::start(args);
    relay.connect(&service);
    relaying(&relay, &service, 0);
    let node = format!("--lightpushnode={}", service.address());
    let client = Process::start(&[&["--relay=false", &node][..], args].concat());
    (service, relay, client)
}

#[test]
fn a_pushed_message_reaches_the_relays_by_either_version() {
    covers(&["lightpush.arrives"]);
    let (service, relay, client) = served(&["--shard=0"]);
    for (path, payload) in [("/lightpush/v1/message", "djE="), ("/lightpush/v3/message", "djM=")] {
        let sent = message(payload, "/app/1/a/proto", now());
        let answer = client.post(path, &json!({"pubsubTopic": shard(0), "message": sent}).to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        if path.contains("v3") {
            assert_eq!(answer.json(), json!({"relayPeerCount": 1}));
        } else {
            assert_eq!(answer.body, "OK");
        }
        assert_eq!(arrived(|| relay.relayed(&shard(0))), [payload]);
        assert_eq!(arrived(|| service.relayed(&shard(0))), [payload]);
    }
}

#[test]
fn with_autosharding_the_content_topic_says_where_a_message_goes() {
    covers(&["lightpush.auto"]);
    let (service, relay, client) = served(&["--num-shards-in-network=8"]);
    let topic = "/app/1/a/proto";
    let list = json!([topic]).to_string();
    assert_eq!(relay.post("/relay/v1/auto/subscriptions", &list).status, 200);
    for index in 0..8 {
        relaying(&relay, &service, index);
    }
    for (path, payload) in [("/lightpush/v1/message", "djE="), ("/lightpush/v3/message", "djM=")] {
        let answer = client.post(path, &json!({"message": message(payload, topic, now())}).to_string());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(arrived(|| relay.relayed_auto(topic)), [payload]);
    }
}
