//! Messages between nodes, by pubsub topic and by content topic.

use serde_json::json;

use crate::http::encoded;
use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{arrived, message, now, payloads, relaying, shard};

/// Nodes on shard 0, each connected to all before it.
fn connected<const N: usize>(args: &[&str]) -> [Process; N] {
    let nodes = [(); N].map(|()| Process::start(args));
    for (index, one) in nodes.iter().enumerate() {
        for other in &nodes[..index] {
            one.connect(other);
            relaying(one, other, 0);
        }
    }
    nodes
}

#[test]
fn a_message_is_on_all_peers_as_soon_as_it_is_published() {
    covers(&["relay.at-once-on-all-peers", "relay.both-ways"]);
    let nodes = connected::<3>(&["--shard=0"]);
    for (index, publisher) in nodes.iter().enumerate() {
        let sent = message("aGVsbG8=", &format!("/app/1/{index}/proto"), now());
        publisher.post_message(&shard(0), &sent);
        for node in &nodes {
            let looks = std::cell::Cell::new(0);
            let got = arrived(|| {
                looks.set(looks.get() + 1);
                node.relayed(&shard(0))
            });
            assert_eq!(got, ["aGVsbG8="]);
            // A look takes 20 ms, and nwaku's clients wait for 100 ms; a machine with much else to do gets five times that.
            assert!(looks.get() <= 25, "{} looks", looks.get());
        }
    }
}

#[test]
fn what_arrives_is_what_was_sent_and_once() {
    covers(&["relay.received-once"]);
    let [one, other] = connected(&["--shard=0"]);
    let mut sent = message("aGVsbG8=", "/app/1/a/proto", now());
    sent["meta"] = json!("bWV0YQ==");
    sent["version"] = json!(2);
    sent["ephemeral"] = json!(true);
    one.post_message(&shard(0), &sent);
    let seen =
        until("it arrives", || Some(other.relayed(&shard(0)).json()).filter(|list| *list != json!([])));
    sent["proof"] = json!("");
    assert_eq!(seen, json!([sent]));
    sent.as_object_mut().unwrap().remove("proof");
    one.post_message(&shard(0), &sent);
    other.post_message(&shard(0), &sent);
    let last = message("bGFzdA==", "/app/1/a/proto", now());
    one.post_message(&shard(0), &last);
    // What is dropped would have come before it.
    assert_eq!(arrived(|| payloads_but_own(&other)), ["bGFzdA=="]);
}

/// What a node has on shard 0, without the message that it published itself once more.
fn payloads_but_own(node: &Process) -> crate::http::Answer {
    let mut answer = node.relayed(&shard(0));
    let mut list = answer.json();
    list.as_array_mut().unwrap().retain(|message| message["payload"] != "aGVsbG8=");
    answer.body = list.to_string();
    answer
}

#[test]
fn content_topics_find_their_shards() {
    covers(&["auto.publish", "auto.publish-unsubscribed-topic"]);
    let [one, other] = connected(&["--num-shards-in-network=8"]);
    let (wanted, unwanted) = ("/app/1/wanted/proto", "/app/1/unwanted/proto");
    let subscribed = other.post("/relay/v1/auto/subscriptions", &json!([wanted]).to_string());
    assert_eq!((subscribed.status, subscribed.body.as_str()), (200, "OK"));
    for index in 0..8 {
        relaying(&one, &other, index);
    }
    for topic in [wanted, unwanted] {
        let sent = message("aGVsbG8=", topic, now());
        let answer = one.post("/relay/v1/auto/messages", &sent.to_string());
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{topic}");
        assert_eq!(arrived(|| other_or_nothing(&other, topic)), ["aGVsbG8="], "{topic}");
        assert_eq!(payloads(&one.relayed_auto(topic)), ["aGVsbG8="], "{topic}");
    }
    let path = format!("/relay/v1/auto/messages/{}", encoded("/app/1/never/proto"));
    assert_eq!(other.get(&path).status, 404);
}

/// What came on a content topic, and nothing while it is not known.
fn other_or_nothing(node: &Process, topic: &str) -> crate::http::Answer {
    let mut answer = node.relayed_auto(topic);
    if answer.status == 404 {
        (answer.status, answer.body) = (200, "[]".to_owned());
    }
    answer
}

#[test]
fn a_subscription_made_while_running_gets_messages_and_one_ended_gets_none() {
    let [one, other] = connected(&["--shard=0"]);
    let list = json!([shard(5)]).to_string();
    for node in [&one, &other] {
        assert_eq!(node.post("/relay/v1/subscriptions", &list).status, 200);
    }
    relaying(&one, &other, 5);
    one.post_message(&shard(5), &message("YQ==", "/app/1/a/proto", now()));
    assert_eq!(arrived(|| other.relayed(&shard(5))), ["YQ=="]);
    assert_eq!(other.send("DELETE", "/relay/v1/subscriptions", &list).status, 200);
    until("the others know that it is gone", || (!one.relays_to(&other, 5)).then_some(()));
    one.post_message(&shard(5), &message("Yg==", "/app/1/a/proto", now()));
    one.post_message(&shard(0), &message("Yw==", "/app/1/b/proto", now()));
    assert_eq!(arrived(|| other.relayed(&shard(0))), ["Yw=="]);
    assert_eq!(other.relayed(&shard(5)).status, 404);
}
