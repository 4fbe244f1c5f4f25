//! What is kept until it is asked for.

use serde_json::json;

use crate::process::Process;

use super::coverage::covers;
use super::network::{message, payloads, shard};

/// Publishes messages with these timestamps, each as its own payload in two letters of base64 and two `A`.
fn publish(node: &Process, content_topic: &str, timestamps: &[i64]) {
    for timestamp in timestamps {
        node.post_message(&shard(0), &message(&payload(*timestamp), content_topic, *timestamp));
    }
}

fn payload(number: i64) -> String {
    format!("{number:04}")
}

fn listed(timestamps: impl IntoIterator<Item = i64>) -> Vec<String> {
    timestamps.into_iter().map(payload).collect()
}

const TOPIC: &str = "/app/1/a/proto";

#[test]
fn the_oldest_by_timestamp_leaves_and_the_rest_keeps_its_order() {
    covers(&["cache.capacity", "cache.oldest-leaves", "cache.insertion-order", "cache.get-clears"]);
    let node = Process::start(&["--shard=0", "--rest-relay-cache-capacity=3"]);
    publish(&node, TOPIC, &[20, 10, 30]);
    assert_eq!(payloads(&node.relayed(&shard(0))), listed([20, 10, 30]));
    assert_eq!(payloads(&node.relayed(&shard(0))), listed([]));
    publish(&node, TOPIC, &[21, 11, 31, 5, 4]);
    // 11 made room for 5, and 5 for 4, although that is older still.
    assert_eq!(payloads(&node.relayed(&shard(0))), listed([21, 31, 4]));
}

#[test]
fn fifty_messages_are_kept_for_a_topic_unless_the_flag_says_otherwise() {
    covers(&["cache.capacity-default"]);
    let node = Process::start(&["--shard=0"]);
    let all: Vec<_> = (1..=53).collect();
    publish(&node, TOPIC, &all);
    assert_eq!(payloads(&node.relayed(&shard(0))), listed(4..=53));
}

#[test]
fn a_message_makes_its_other_topic_known() {
    covers(&[
        "cache.other-topic-becomes-known",
        "cache.topics-of-flags",
        "cache.unknown-topics-are-not-kept",
    ]);
    let node = Process::start(&["--shard=0"]);
    assert_eq!(node.relayed_auto(TOPIC).status, 404);
    publish(&node, TOPIC, &[1, 2]);
    assert_eq!(payloads(&node.relayed_auto(TOPIC)), listed([1, 2]));
    assert_eq!(payloads(&node.relayed_auto(TOPIC)), listed([]));
    assert_eq!(payloads(&node.relayed(&shard(0))), listed([]));
    let other = node.relayed_auto("/app/1/b/proto");
    assert_eq!((other.status, other.body.as_str()), (404, "/app/1/b/proto"));
    assert_eq!(node.relayed(&shard(1)).status, 404);
}

#[test]
fn a_topic_unsubscribed_from_keeps_nothing() {
    covers(&["cache.unsubscribe-drops"]);
    let node = Process::start(&["--shard=0"]);
    publish(&node, TOPIC, &[1]);
    let list = json!([shard(0)]).to_string();
    assert_eq!(node.send("DELETE", "/relay/v1/subscriptions", &list).status, 200);
    assert_eq!(node.relayed(&shard(0)).status, 404);
    assert_eq!(node.post("/relay/v1/subscriptions", &list).status, 200);
    assert_eq!(payloads(&node.relayed(&shard(0))), listed([]));
}

#[test]
fn with_autosharding_every_shard_and_the_content_topics_of_flags_are_kept_from_the_start() {
    covers(&["cache.all-shards-of-autosharding", "cache.content-topics-of-flags"]);
    let topic = format!("--content-topic={TOPIC}");
    let node = Process::start(&["--num-shards-in-network=8", &topic]);
    for index in 0..8 {
        assert_eq!(payloads(&node.relayed(&shard(index))), listed([]), "{index}");
    }
    assert_eq!(payloads(&node.relayed_auto(TOPIC)), listed([]));
    assert_eq!(node.relayed(&shard(8)).status, 404);
}
