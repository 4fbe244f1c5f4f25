//! What Prometheus and the tools around nwaku find.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use waku_operator::metrics::Registry;

use crate::http::{Answer, raw};
use crate::network::{METRICS, message, pair, topic};
use crate::process::{Process, until};

fn get(node: &Process, path: &str) -> Answer {
    raw(
        node.metrics,
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

/// Every sample with its labels, as they stand in the text.
fn samples(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn metrics_health_and_nothing_else_are_served() {
    let node = Process::start(&["--shard=0"]);
    let answer = raw(node.metrics, METRICS);
    let kind = answer.header("content-type").unwrap();
    assert_eq!((answer.status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"));
    let answer = get(&node, "/health");
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    let answer = get(&node, "/");
    assert_eq!((answer.status, answer.phrase.as_str()), (404, "Not Found"));
    assert_eq!(answer.body, "Try /metrics");
}

/// The samples of a registry of nwaku's families in which nothing was counted: what is 0 there is nwaku's list of what is 0 on
/// an idle node (`zero_list` in the crate of the registry).
fn zero_list() -> Vec<String> {
    let idle = samples(&Registry::new(std::time::SystemTime::now()).render());
    let zero: Vec<String> =
        idle.into_iter().filter(|(_, value)| value == "0.0").map(|(name, _)| name).collect();
    assert!(zero.len() >= 192, "{}", zero.len());
    zero
}

#[test]
fn an_idle_node_shows_the_zero_list_at_zero_and_all_else_above() {
    let node = Process::start(&[
        "--shard=0",
        "--filter",
        "--lightpush",
        "--store",
        "--store-message-db-url=memory://",
        "--discv5-discovery",
    ]);
    // Who waits for a node asks this.
    assert_eq!(node.get("/health").status, 200);
    // It has looked at everything once.
    node.counts("libp2p_pubsub_topics", 1.0);
    let samples = samples(&raw(node.metrics, METRICS).body);
    let zero = zero_list();
    let wrong: Vec<_> = zero
        .iter()
        .map(|name| (name, samples.get(name)))
        .filter(|(_, value)| value.is_none_or(|value| value != "0.0"))
        .collect();
    assert!(wrong.is_empty(), "not 0: {wrong:?}");
    let wrong: Vec<_> = samples
        .iter()
        .filter(|(name, _)| !zero.contains(name))
        .filter(|(_, value)| value.parse::<f64>().unwrap() <= 0.0)
        .collect();
    assert!(wrong.is_empty(), "not above 0: {wrong:?}");
    for (name, value) in [
        ("libp2p_pubsub_topics", "1.0"),
        ("libp2p_pubsub_subscriptions_total", "1.0"),
        ("waku_service_requests_limit{service=\"/vac/waku/filter-subscribe/2.0.0-beta1\"}", "0.5"),
        ("waku_version{version=\"v0.38.1\"}", "1.0"),
    ] {
        assert_eq!(samples.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn a_relayed_message_shows_on_both_nodes() {
    let (a, b) = pair(&[], &[]);
    b.publish(0, &message(&[1; 2000], "/a/1/b/proto"));
    a.receives(0, &[1; 2000]);
    for node in [&a, &b] {
        for name in [
            "libp2p_peers",
            "libp2p_pubsub_peers",
            "libp2p_pubsub_topics",
            "libp2p_pubsub_subscriptions_total",
            "libp2p_gossipsub_peers_per_topic_mesh{topic=\"other\"}",
            "waku_peer_store_size",
            "waku_histogram_message_size_count",
            "waku_node_messages_total{type=\"relay\"}",
        ] {
            node.counts(name, 1.0);
        }
        // In kB.
        assert_eq!(node.figure("waku_histogram_message_size_bucket{le=\"1.0\"}"), Some(0.0));
        assert_eq!(node.figure("waku_histogram_message_size_bucket{le=\"3.0\"}"), Some(1.0));
    }
    b.counts("libp2p_total_dial_attempts_total", 1.0);
    b.counts("libp2p_successful_dials_total", 1.0);
}

#[test]
fn the_services_that_are_named_have_their_places() {
    let service = Process::start(&[
        "--shard=0",
        "--filter",
        "--lightpush",
        "--store",
        "--store-message-db-url=memory://",
    ]);
    let address = service.address();
    let flags = ["filternode", "lightpushnode", "storenode"].map(|flag| format!("--{flag}={address}"));
    let client = Process::start(&[&["--relay=false"][..], &flags.each_ref().map(String::as_str)].concat());
    for protocol in [
        "/vac/waku/filter-subscribe/2.0.0-beta1",
        "/vac/waku/lightpush/2.0.0-beta1",
        "/vac/waku/store/2.0.0-beta4",
        "/vac/waku/store-query/3.0.0",
    ] {
        let labels = format!("protocol=\"{protocol}\",peerId=\"/ip4/127.0.0.1/tcp/{}\"", service.tcp);
        client.counts(&format!("waku_service_peers{{{labels}}}"), 1.0);
    }
    for name in ["libp2p_peers", "libp2p_total_dial_attempts_total", "waku_peer_store_size"] {
        client.counts(name, 1.0);
    }
}

const DASHBOARD: &str = include_str!("../../../operator/dashboard/waku-node.json");

/// Every query of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_str() {
                    Some(query) if key == "expr" => found.push(query.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// What a selector stands behind: `name{job="$job",…}`.
fn names(query: &str) -> Vec<String> {
    let pieces: Vec<&str> = query.split("{job=").collect();
    let name = |piece: &&str| {
        let start = piece.rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        piece[start..].to_owned()
    };
    pieces[..pieces.len() - 1].iter().map(name).collect()
}

#[test]
fn a_busy_pair_has_what_the_dashboard_asks_for() {
    let services =
        ["--filter", "--lightpush", "--store", "--store-message-db-url=memory://", "--discv5-discovery"];
    let a = Process::start(&[&["--shard=0"][..], &services].concat());
    let bootstrap = format!("--discv5-bootstrap-node={}", a.get("/info").json()["enrUri"].as_str().unwrap());
    let b = Process::start(&[&["--shard=0", &bootstrap][..], &services].concat());
    a.meshes(0, 1);
    a.counts("routing_table_nodes{state=\"\"}", 1.0);
    a.counts("waku_discv5_discovered_per_shard{shard=\"0\"}", 1.0);
    let address = a.address();
    let flags = ["filternode", "lightpushnode", "storenode"].map(|flag| format!("--{flag}={address}"));
    let light = Process::start(&[&["--relay=false"][..], &flags.each_ref().map(String::as_str)].concat());
    let body = json!({ "requestId": "1", "contentFilters": ["/a/1/b/proto"], "pubsubTopic": topic(0) });
    assert_eq!(light.post("/filter/v2/subscriptions", &body.to_string()).status, 200);
    let body = json!({ "pubsubTopic": topic(0), "message": message(b"light", "/a/1/b/proto") });
    assert_eq!(light.post("/lightpush/v3/message", &body.to_string()).status, 200);
    until("it is kept", || (light.stored().len() == 1).then_some(()));
    b.receives(0, b"light");
    a.counts("waku_archive_messages{type=\"stored\"}", 1.0);

    let mut found = Vec::new();
    queries(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    let asked: Vec<String> = found.iter().flat_map(|query| names(query)).collect();
    assert!(asked.len() > 40, "{}", asked.len());
    let shown: Vec<String> = samples(&raw(a.metrics, METRICS).body)
        .into_keys()
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect();
    // Errors have no values as long as there are none.
    let is_due = |name: &&String| !name.ends_with("_errors_total");
    let missing: Vec<_> = asked.iter().filter(is_due).filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
