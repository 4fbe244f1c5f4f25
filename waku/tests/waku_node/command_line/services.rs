//! What the node does for others, and whom it asks.

use serde_json::{Value, json};

use crate::http::{Answer, encoded};
use crate::network::{message, pair, topic};
use crate::process::{Process, until};

/// A light client of `service`, which is named to it by this flag.
fn client_of(service: &Process, flag: &str) -> Process {
    Process::start(&["--relay=false", &format!("{flag}={}", service.address())])
}

fn subscribe(client: &Process, topics: &[&str]) -> Answer {
    let body = json!({ "requestId": "1", "contentFilters": topics, "pubsubTopic": topic(0) });
    client.post("/filter/v2/subscriptions", &body.to_string())
}

fn subscriptions(service: &Process) -> Vec<Value> {
    service.get("/admin/v1/filter/subscriptions").json().as_array().unwrap().clone()
}

#[test]
fn filter_pushes_to_those_who_have_named_the_node() {
    let (a, b) = pair(&["--filter"], &[]);
    let client = client_of(&a, "--filternode");
    assert_eq!(subscribe(&client, &["/a/1/b/proto"]).json()["statusDesc"], "OK");
    b.publish(0, &message(b"pushed", "/a/1/b/proto"));
    until("it is pushed", || {
        let messages = client.get(&format!("/filter/v2/messages/{}", encoded("/a/1/b/proto"))).json();
        (!messages.as_array().unwrap().is_empty()).then_some(())
    });
}

#[test]
fn a_filter_client_has_no_more_criteria_than_it_may() {
    let a = Process::start(&["--shard=0", "--filter", "--filter-max-criteria=2"]);
    let client = client_of(&a, "--filternode");
    assert_eq!(subscribe(&client, &["/a/1/b/proto", "/a/1/c/proto"]).status, 200);
    assert_ne!(subscribe(&client, &["/a/1/d/proto"]).status, 200);
    assert_eq!(subscriptions(&a)[0]["filterCriteria"].as_array().unwrap().len(), 2);
}

#[test]
fn filter_serves_no_more_clients_than_it_may() {
    let a = Process::start(&["--shard=0", "--filter", "--filter-max-peers-to-serve=1"]);
    let [first, second] = [(); 2].map(|()| client_of(&a, "--filternode"));
    assert_eq!(subscribe(&first, &["/a/1/b/proto"]).status, 200);
    assert_ne!(subscribe(&second, &["/a/1/b/proto"]).status, 200);
    assert_eq!(subscriptions(&a).len(), 1);
}

#[test]
fn a_filter_subscription_ends_without_a_sign_of_life() {
    let a = Process::start(&["--shard=0", "--filter", "--filter-subscription-timeout=1"]);
    let client = client_of(&a, "--filternode");
    assert_eq!(subscribe(&client, &["/a/1/b/proto"]).status, 200);
    until("the subscription is over", || subscriptions(&a).is_empty().then_some(()));
    assert_eq!(client.get("/filter/v2/subscriptions/1").status, 404);
}

fn push(client: &Process, payload: &[u8]) -> Answer {
    let message = message(payload, "/a/1/b/proto");
    client.post("/lightpush/v1/message", &json!({ "pubsubTopic": topic(0), "message": message }).to_string())
}

#[test]
fn lightpush_publishes_for_those_who_have_named_the_node() {
    let (a, b) = pair(&["--lightpush"], &[]);
    let client = client_of(&a, "--lightpushnode");
    let answer = push(&client, b"pushed by light");
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    b.receives(0, b"pushed by light");
}

#[test]
fn no_more_requests_are_served_than_the_limits_say() {
    let (a, _b) = pair(
        &[
            "--filter",
            "--lightpush",
            "--store",
            "--store-message-db-url=memory://",
            "--rate-limit=filter:2/1h",
            "--rate-limit=lightpush:1/1h",
            "--rate-limit=store:1/1h",
        ],
        &[],
    );
    let address = a.address();
    let flags = ["filternode", "lightpushnode", "storenode"].map(|flag| format!("--{flag}={address}"));
    let client = Process::start(&[&["--relay=false"][..], &flags.each_ref().map(String::as_str)].concat());
    // One more than is served, of each.
    let first_refused = |ask: &dyn Fn() -> Answer| (0..8).position(|_| ask().status == 429);
    assert_eq!(first_refused(&|| subscribe(&client, &["/a/1/b/proto"])), Some(2));
    assert_eq!(first_refused(&|| push(&client, b"again and again")), Some(1));
    assert_eq!(first_refused(&|| client.get("/store/v3/messages?pageSize=1")), Some(1));
    a.counts("waku_service_requests_limit{service=\"/vac/waku/store-query/3.0.0\"}", 1.0 / 3600.0);
}

#[test]
fn a_store_is_asked_by_those_who_have_named_it() {
    let (a, b) = pair(&["--store", "--store-message-db-url=memory://"], &[]);
    b.publish(0, &message(b"kept", "/a/1/b/proto"));
    until("it is kept", || (a.stored().len() == 1).then_some(()));
    let client = client_of(&a, "--storenode");
    assert_eq!(client.stored(), a.stored());
    // And by nobody else.
    let alone = Process::start(&["--relay=false"]);
    assert_eq!(alone.get("/store/v3/messages").status, 412);
}

#[test]
fn what_is_not_served_is_not_spoken() {
    let a = Process::start(&["--shard=0"]);
    let b = Process::start(&[
        "--shard=0",
        "--filter",
        "--lightpush",
        "--store",
        "--store-message-db-url=memory://",
    ]);
    a.dial(&b);
    let (none, all) = (b.meets(&a)["protocols"].to_string(), a.meets(&b)["protocols"].to_string());
    for protocol in
        ["filter-subscribe/2.0.0-beta1", "lightpush/3.0.0", "lightpush/2.0.0-beta1", "store-query/3.0.0"]
    {
        let id = format!("/vac/waku/{protocol}");
        assert!(all.contains(&id) && !none.contains(&id), "{id} in {all} and not in {none}");
    }
}

#[test]
fn so_many_messages_are_kept_for_readers_of_the_relay() {
    let (a, b) = pair(&["--rest-relay-cache-capacity=2"], &[]);
    for payload in [b"one", b"two", b"333"] {
        b.publish(0, &message(payload, "/a/1/b/proto"));
        // One after the other, so that the last is known to be there.
        a.counts("waku_node_messages_total{type=\"relay\"}", f64::from(payload[0] == b'o'));
    }
    a.counts("waku_node_messages_total{type=\"relay\"}", 3.0);
    let messages = a.get(&format!("/relay/v1/messages/{}", encoded(&topic(0)))).json();
    assert_eq!(messages.as_array().unwrap().len(), 2, "{messages}");
}

#[test]
fn pages_of_the_origins_that_are_named_may_call() {
    let node = Process::start(&["--rest-allow-origin=waku-org.github.io", "--rest-allow-origin=localhost:*"]);
    let from = |origin: &str| node.request("GET", "/health", &format!("Origin: {origin}\r\n"), "");
    for origin in ["https://waku-org.github.io", "http://localhost:3000"] {
        let answer = from(origin);
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin)));
    }
    assert_eq!(from("https://example.org").status, 403);
}
