//! Messages pushed to a light client.

use serde_json::json;

use crate::http::Answer;
use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{arrived, message, now, payloads, shard};

const TOPIC: &str = "/app/1/a/proto";
const OTHER: &str = "/app/1/b/proto";

/// A service node and its client, both on shard 0.
fn served() -> (Process, Process) {
    let service = Process::start(&["--shard=0", "--filter"]);
    let node = format!("--filternode={}", service.address());
    let client = Process::start(&["--shard=0", "--relay=false", &node]);
    (service, client)
}

fn send(client: &Process, method: &str, topics: &[&str]) -> Answer {
    let body = json!({"requestId": "1", "contentFilters": topics, "pubsubTopic": shard(0)});
    client.send(method, "/filter/v2/subscriptions", &body.to_string())
}

fn done(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), json!({"requestId": "1", "statusDesc": "OK"}));
}

#[test]
fn a_message_is_pushed_once_as_long_as_its_topic_is_subscribed_to() {
    covers(&["filter.pushed-once", "filter.others-stay-pushed", "message.filter-output"]);
    covers(&["filter.nothing-after-unsubscribe", "admin.filter"]);
    let (service, client) = served();
    done(&send(&client, "POST", &[TOPIC]));
    done(&send(&client, "PUT", &[TOPIC, OTHER]));
    let subscribers = service.get("/admin/v1/filter/subscriptions").json();
    let criterion = |topic: &str| json!({"pubsubTopic": shard(0), "contentTopic": topic});
    assert_eq!(subscribers.as_array().unwrap().len(), 1);
    assert_eq!(subscribers[0]["peerId"], client.peer_id());
    let mut criteria = subscribers[0]["filterCriteria"].as_array().unwrap().clone();
    criteria.sort_by_key(ToString::to_string);
    assert_eq!(criteria, [criterion(TOPIC), criterion(OTHER)]);

    let mut sent = message("aGVsbG8=", TOPIC, now());
    service.post_message(&shard(0), &sent);
    let seen = until("it is pushed", || Some(client.pushed(TOPIC).json()).filter(|list| *list != json!([])));
    sent["version"] = json!(0);
    sent["ephemeral"] = json!(false);
    assert_eq!(seen, json!([sent]));
    service.post_message(&shard(0), &message("YQ==", "/app/1/c/proto", now()));
    sent["timestamp"] = json!(now());
    service.post_message(&shard(0), &message("Yg==", TOPIC, now()));
    assert_eq!(arrived(|| client.pushed(TOPIC)), ["Yg=="]);

    done(&send(&client, "DELETE", &[TOPIC]));
    assert_eq!(client.pushed(TOPIC).status, 400);
    service.post_message(&shard(0), &message("Yw==", TOPIC, now()));
    service.post_message(&shard(0), &message("ZA==", OTHER, now()));
    assert_eq!(arrived(|| client.pushed(OTHER)), ["ZA=="]);
    assert_eq!(client.pushed(TOPIC).status, 400);
    assert_eq!(
        service.get("/admin/v1/filter/subscriptions").json()[0]["filterCriteria"],
        json!([criterion(OTHER)])
    );
    done(&client.send("DELETE", "/filter/v2/subscriptions/all", r#"{"requestId":"1"}"#));
    assert_eq!(service.get("/admin/v1/filter/subscriptions").json(), json!([]));
}

#[test]
fn the_31st_request_in_a_minute_is_refused() {
    covers(&["filter.31st-request"]);
    let (service, client) = served();
    done(&send(&client, "POST", &[TOPIC]));
    for _ in 1..30 {
        done(&client.get("/filter/v2/subscriptions/1"));
    }
    let refused = client.get("/filter/v2/subscriptions/1");
    assert_eq!((refused.status, refused.phrase.as_str()), (429, "Too Many Requests"));
    let reason = "filter request rejected due rate limit exceeded";
    assert_eq!(refused.json(), json!({"requestId": "1", "statusDesc": reason}));
    // Who asks too often is served all the same with what he has.
    service.post_message(&shard(0), &message("YQ==", TOPIC, now()));
    assert_eq!(arrived(|| client.pushed(TOPIC)), ["YQ=="]);
}

#[test]
fn fifty_pushed_messages_are_kept_for_a_topic() {
    covers(&["cache.filter-capacity"]);
    let (service, client) = served();
    done(&send(&client, "POST", &[TOPIC, OTHER]));
    let start = now();
    for index in 0..53 {
        service.post_message(&shard(0), &message(&format!("{index:04}"), TOPIC, start + index));
    }
    service.post_message(&shard(0), &message("bGFzdA==", OTHER, start + 100));
    // Pushes come in their order, so that the last has all others before it.
    assert_eq!(arrived(|| client.pushed(OTHER)), ["bGFzdA=="]);
    let kept: Vec<_> = (3..53).map(|index| format!("{index:04}")).collect();
    assert_eq!(payloads(&client.pushed(TOPIC)), kept);
}
