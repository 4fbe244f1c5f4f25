//! Who stays connected with whom, and who learns of whom.

use serde_json::json;

use crate::http::raw;
use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{relaying, shard};

const CONNECTED: &str = "/admin/v1/peers/connected";

fn are_connected(one: &Process, other: &Process) -> bool {
    let id = other.peer_id();
    let list = one.get(CONNECTED).json();
    list.as_array().unwrap().iter().any(|peer| peer["multiaddr"].as_str().unwrap().ends_with(&id))
}

#[test]
fn nodes_of_two_clusters_do_not_stay_connected() {
    covers(&["network.clusters-part"]);
    let one = Process::start(&["--shard=0"]);
    let other = Process::start(&["--shard=0", "--cluster-id=98"]);
    let same = Process::start(&["--shard=0"]);
    // Whether the dial is told to have succeeded is a matter of who is faster.
    one.post("/admin/v1/peers", &json!([other.address()]).to_string());
    one.connect(&same);
    relaying(&one, &same, 0);
    until("they part", || {
        let have_met = one.log().contains(&other.peer_id());
        (have_met && !are_connected(&one, &other) && !are_connected(&other, &one)).then_some(())
    });
    assert!(are_connected(&one, &same));
}

#[test]
fn shards_of_peers_are_told_and_split_the_lists() {
    covers(&["network.shards-in-lists"]);
    let one = Process::start(&["--shard=0", "--shard=1"]);
    let other = Process::start(&["--shard=1", "--shard=2"]);
    one.connect(&other);
    relaying(&one, &other, 1);
    until("its shards are known", || {
        let list = one.get(CONNECTED).json();
        (list[0]["shards"] == json!([1, 2])).then_some(())
    });
    for (shard, count) in [(0, 0), (1, 1), (2, 1), (3, 0)] {
        let list = one.get(&format!("{CONNECTED}/on/{shard}")).json();
        assert_eq!(list.as_array().unwrap().len(), count, "{shard}");
    }
    let relay = one.get("/admin/v1/peers/relay").json();
    let counts =
        relay.as_array().unwrap().iter().map(|on| (&on["shard"], on["peers"].as_array().unwrap().len()));
    assert_eq!(counts.collect::<Vec<_>>(), [(&json!(0), 0), (&json!(1), 1)]);
}

#[test]
fn a_node_learns_of_others_through_peer_exchange_and_connects() {
    covers(&["network.peer-exchange"]);
    let hub = Process::start(&["--shard=0", "--peer-exchange", "--discv5-discovery=true"]);
    let record = hub.get("/info").json()["enrUri"].as_str().unwrap().to_owned();
    let entry = format!("--discv5-bootstrap-node={record}");
    let known = Process::start(&["--shard=0", "--filter", "--discv5-discovery=true", &entry]);
    relaying(&known, &hub, 0);
    // Only peers whose records the hub has are given.
    until("the hub has found the other's record", || {
        let metrics = raw(hub.metrics, b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").body;
        let found =
            metrics.lines().find(|line| line.starts_with("waku_discv5_discovered_per_shard{shard=\"0\"}"));
        found.is_some_and(|line| !line.ends_with(" 0.0")).then_some(())
    });
    let address = format!("--peer-exchange-node={}", hub.address());
    let newcomer = Process::start(&["--shard=0", "--relay=false", &address]);
    until("the newcomer knows the other", || {
        let peer = newcomer.get(&format!("/admin/v1/peer/{}", known.peer_id()));
        (peer.status == 200 && peer.json()["origin"] == "PeerExchange").then_some(())
    });
    // It connects when it needs what the other serves.
    let topics = json!({"requestId": "1", "contentFilters": ["/app/1/a/proto"], "pubsubTopic": shard(0)});
    let answer = newcomer.post("/filter/v2/subscriptions", &topics.to_string());
    assert_eq!((answer.status, &answer.json()["statusDesc"]), (200, &json!("OK")));
    assert!(are_connected(&newcomer, &known) && are_connected(&newcomer, &hub));
}
