//! Strange requests, many requests, and requests at a bad time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::http::encoded;
use crate::process::Process;

use super::connection::Connection;
use super::network::{message, now, relaying, shard};
use super::table;

/// Any JSON at all, often with the names that the API knows.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("payload".to_owned()),
        Just("contentTopic".to_owned()),
        Just("timestamp".to_owned()),
        Just("version".to_owned()),
        Just("meta".to_owned()),
        Just("message".to_owned()),
        Just("pubsubTopic".to_owned()),
        Just("requestId".to_owned()),
        Just("contentFilters".to_owned()),
        ".{0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(Value::from("YWE=")),
        Just(Value::from("/waku/2/rs/99/0")),
        Just(Value::from("/app/1/a/proto")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// JSON, JSON with a part missing or wrong, or no JSON at all.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let cut = (any_json(), any::<prop::sample::Index>()).prop_map(|(json, at)| {
        let mut bytes = json.to_string().into_bytes();
        bytes.truncate(at.index(bytes.len()));
        bytes
    });
    let bent = (any_json(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(json, at, byte)| {
        let mut bytes = json.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    prop_oneof![
        any_json().prop_map(|json| json.to_string().into_bytes()),
        cut,
        bent,
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// Statuses that the contract knows for requests that nobody could serve: no service node is there.
fn is_no_fault_of_ours(path: &str, status: u16, body: &str) -> bool {
    match status {
        500 => {
            body.contains("Autosharding error")
                || body.contains("can't get shard")
                || body.contains("statusDesc")
        }
        503 => path.starts_with("/lightpush") || path.starts_with("/filter"),
        status => status < 500,
    }
}

#[test]
fn no_body_is_an_error_of_the_server_or_its_end() {
    let node = Process::start(&["--num-shards-in-network=8"]);
    let pubsub_topic = encoded(&shard(0));
    let posts: Vec<_> = table::endpoints()
        .into_iter()
        .filter(|endpoint| !["GET", "OPTIONS"].contains(&endpoint.method))
        // They have no body.
        .filter(|endpoint| !endpoint.path.contains("log-level"))
        .map(|endpoint| (endpoint.method, endpoint.path.replace("{pubsubTopic}", &pubsub_topic)))
        .collect();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&any_body(), |body| {
        let mut connection = Connection::open(&node);
        let mut asked = Vec::new();
        for (method, path) in &posts {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            connection.write(&[head.as_bytes(), &body].concat());
            let (status, _, text) = connection.answer();
            asked.push((path, status, text));
        }
        for (path, status, text) in asked {
            let code = status.split(' ').nth(1).unwrap().parse().unwrap();
            prop_assert!(is_no_fault_of_ours(path, code, &text), "{path}: {status} {text}");
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn no_path_or_query_is_an_error_of_the_server_or_its_end() {
    let node = Process::start(&["--shard=0", "--store"]);
    let names =
        "(peerAddr|includeData|pubsubTopic|contentTopics|startTime|endTime|hashes|cursor|pageSize|ascending)";
    let query = format!("({names}=[!-~]{{0,30}}&){{0,5}}");
    let path = [
        format!("/store/v3/messages[?]{query}"),
        "/relay/v1/messages/[!-~]{0,40}".to_owned(),
        "/relay/v1/auto/messages/[!-~]{0,40}".to_owned(),
        "/filter/v2/(messages|subscriptions)/[!-~]{0,40}".to_owned(),
        "/admin/v1/peer/[!-~]{0,40}".to_owned(),
        "/admin/v1/peers/(relay|mesh|connected)/on/[!-~]{0,40}".to_owned(),
        "/[!-~]{0,60}".to_owned(),
    ];
    let path = prop::strategy::Union::new(path.map(|path| prop::string::string_regex(&path).unwrap()));

    let mut runner =
        TestRunner::new(ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() });
    let outcome = runner.run(&path, |path| {
        let answer = node.get(&path);
        let is_contracted = is_no_fault_of_ours(&path, answer.status, &answer.body)
            || answer.body.contains("cursor not found");
        prop_assert!(is_contracted, "{path}: {answer:?}");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn deeply_nested_json_is_refused() {
    let node = Process::start(&["--shard=0"]);
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{}{}", open.repeat(200_000), close.repeat(200_000));
        let answer = node.post("/relay/v1/subscriptions", &body);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(node.get("/health").status, 200);
}

/// Lets this process, and those that it starts, have so many files and sockets open.
fn allow_files(count: u64) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < count) {
            limit.current = Some(limit.maximum.map_or(count, |maximum| maximum.min(count)));
            setrlimit(Resource::Nofile, limit).unwrap();
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = count;
}

#[test]
fn a_thousand_requests_at_once_are_all_answered() {
    allow_files(4096);
    let node = Process::start(&["--shard=0"]);
    let mut connections: Vec<_> = (0..1000).map(|_| Connection::open(&node)).collect();
    let path = encoded(&shard(0));
    for (index, connection) in connections.iter_mut().enumerate() {
        let body = message("YQ==", "/app/1/a/proto", i64::try_from(index).unwrap() + 1).to_string();
        let request = format!(
            "POST /relay/v1/messages/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        connection.write(request.as_bytes());
    }
    for connection in &mut connections {
        let (status, _, body) = connection.answer();
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "OK"));
    }
}

#[test]
fn health_is_told_within_a_second_while_the_relay_is_flooded() {
    let [one, other] = [(); 2].map(|()| Process::start(&["--shard=0", "--store"]));
    one.connect(&other);
    relaying(&one, &other, 0);
    let path = encoded(&shard(0));
    let payload = "A".repeat(100_000);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let (slowest, sent) = std::thread::scope(|scope| {
        let flooding = [0, 1].map(|thread| {
            let (one, path, payload, is_over) = (&one, &path, &payload, &is_over);
            scope.spawn(move || {
                let mut sent = 0;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    let body = message(payload, &format!("/app/1/{thread}-{sent}/proto"), now());
                    let answer = one.post(&format!("/relay/v1/messages/{path}"), &body.to_string());
                    // Too busy is an answer too.
                    assert!([200, 503].contains(&answer.status), "{answer:?}");
                    sent += i32::from(answer.status == 200);
                }
                sent
            })
        });
        let mut slowest = Duration::ZERO;
        for _ in 0..200 {
            for node in [&one, &other] {
                let start = Instant::now();
                let health = node.get("/health");
                slowest = slowest.max(start.elapsed());
                assert_eq!(health.json()["nodeHealth"], "READY");
            }
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        (slowest, flooding.map(|thread| thread.join().unwrap()))
    });
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(sent.iter().all(|count| *count > 0), "{sent:?}");
    assert_eq!(other.get("/version").status, 200);
    assert_ne!(other.relayed(&shard(0)).json(), json!([]));
}
