//! A service node that is there and does not answer.

use serde_json::json;

use crate::http::Answer;
use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{message, now, shard};

/// What is asked, by method, path and body.
type Question = (&'static str, &'static str, String);

/// The answers to questions asked at the same time.
fn ask<const N: usize>(client: &Process, questions: [Question; N]) -> [Answer; N] {
    std::thread::scope(|scope| {
        let asking = questions.map(|(method, path, body)| {
            scope.spawn(move || match body.as_str() {
                "" => client.get(path),
                body => client.send(method, path, body),
            })
        });
        asking.map(|answer| answer.join().unwrap())
    })
}

#[test]
fn a_service_node_that_does_not_answer_is_given_up_with_words() {
    covers(&["filter.subscribe-timed-out", "filter.unsubscribe-timed-out", "filter.all-timed-out"]);
    covers(&[
        "filter.ping-timed-out",
        "lightpush1.timed-out",
        "lightpush3.timed-out",
        "store.remote-timed-out",
    ]);
    let service = Process::start(&["--shard=0", "--filter", "--lightpush", "--store"]);
    let address = service.address();
    let named = ["storenode", "filternode", "lightpushnode"].map(|flag| format!("--{flag}={address}"));
    let client = Process::start(&["--shard=0", "--relay=false", &named[0], &named[1], &named[2]]);
    until("the client knows its service node", || {
        (client.get("/health").json()["connectionStatus"] == "Connected").then_some(())
    });
    service.signal("-STOP");
    let one = |topics: &str| {
        json!({"requestId": "1", "contentFilters": [topics], "pubsubTopic": shard(0)}).to_string()
    };
    let push =
        json!({"pubsubTopic": shard(0), "message": message("YQ==", "/app/1/a/proto", now())}).to_string();
    let answers = ask(
        &client,
        [
            ("POST", "/filter/v2/subscriptions", one("a")),
            ("DELETE", "/filter/v2/subscriptions", one("b")),
            ("DELETE", "/filter/v2/subscriptions/all", r#"{"requestId":"1"}"#.to_owned()),
            ("GET", "/filter/v2/subscriptions/1", String::new()),
            ("POST", "/lightpush/v1/message", push.clone()),
            ("POST", "/lightpush/v3/message", push),
            ("GET", "/store/v3/messages", String::new()),
        ],
    );
    service.signal("-CONT");
    let filter = |reason: &str| {
        let description = format!("SERVICE_UNAVAILABLE: {reason}");
        (503, json!({"requestId": "1", "statusDesc": description}).to_string())
    };
    let wanted = [
        filter("Subscription request timed out"),
        filter("Failed to unsubscribe from contentFilters due to timeout!"),
        filter("Failed to unsubscribe from all contentFilters due to timeout!"),
        filter("Ping timed out"),
        (503, "Push request timed out".to_owned()),
        (503, json!({"statusDesc": "Push request timed out"}).to_string()),
        (500, "No history response received (timeout)".to_owned()),
    ];
    assert_eq!(answers.map(|answer| (answer.status, answer.body)), wanted);
}
