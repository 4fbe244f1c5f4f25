//! What an operator sees of peers, and does to them.

use serde_json::{Value, json};

use crate::http::encoded;
use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{NOBODY, NOBODY_ID, relaying};

const PEERS: &str = "/admin/v1/peers";

/// Two nodes on shard 0, the first connected to the second, and in each other's mesh.
fn pair(services: &[&str]) -> (Process, Process) {
    let one = Process::start(&["--shard=0"]);
    let other = Process::start(&[&["--shard=0"][..], services].concat());
    one.connect(&other);
    relaying(&one, &other, 0);
    for (node, peer) in [(&one, &other), (&other, &one)] {
        until("they are in each other's mesh and identified", || {
            let mesh = node.get(&format!("{PEERS}/mesh/on/0")).json();
            let peer = node.get(&format!("/admin/v1/peer/{}", peer.peer_id())).json();
            let is_known = peer["agent"] != "" && peer["shards"] == json!([0]);
            (mesh["peers"].as_array()?.len() == 1 && is_known).then_some(())
        });
    }
    (one, other)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|peer| peer["multiaddr"].as_str().unwrap()).collect()
}

#[test]
fn connected_peers_are_on_every_list_of_either_side() {
    covers(&["admin.connect", "admin.peers", "admin.connected", "admin.connected-on", "admin.relay"]);
    covers(&[
        "admin.relay-on",
        "admin.mesh",
        "admin.mesh-on",
        "admin.peer",
        "admin.both-ways",
        "health.partly",
    ]);
    let (one, other) = pair(&[]);
    for (node, peer) in [(&one, &other), (&other, &one)] {
        let shown = node.get(PEERS).json();
        assert_eq!(names(&shown), [peer.address()]);
        let mut known = shown[0].clone();
        assert_eq!(known["connected"], "Connected");
        assert_eq!(known["shards"], json!([0]));
        assert_eq!(known["origin"], "UnknownOrigin");
        assert!(!known["agent"].as_str().unwrap().is_empty());
        assert!(known["protocols"].as_array().unwrap().contains(&json!("/vac/waku/relay/2.0.0")));
        let fields: Vec<_> = known.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["agent", "connected", "multiaddr", "origin", "protocols", "shards"]);
        for path in ["/connected", "/connected/on/0"] {
            assert_eq!(node.get(&format!("{PEERS}{path}")).json(), shown, "{path}");
        }
        assert_eq!(node.get(&format!("/admin/v1/peer/{}", peer.peer_id())).json(), known);
        assert_eq!(node.get(&format!("{PEERS}/connected/on/1")).json(), json!([]));
        for kind in ["relay", "mesh"] {
            let mut list = node.get(&format!("{PEERS}/{kind}/on/0")).json();
            assert_eq!(node.get(&format!("{PEERS}/{kind}")).json(), json!([list]), "{kind}");
            assert!(list["peers"][0].as_object_mut().unwrap().remove("score").unwrap().is_f64());
            assert_eq!(list, json!({"shard": 0, "peers": [known]}), "{kind}");
            let nobody = json!({"shard": 1, "peers": []});
            assert_eq!(node.get(&format!("{PEERS}/{kind}/on/1")).json(), nobody, "{kind}");
        }
        let health = node.get("/health").json();
        assert_eq!(health["connectionStatus"], "PartiallyConnected");
        assert_eq!(health["protocolsHealth"][0], json!({"Relay": "READY"}));
        known.take();
    }
    // The other way round, and once more: it is connected already.
    other.connect(&one);
    one.connect(&other);
    assert_eq!(one.get(PEERS).json().as_array().unwrap().len(), 1);
}

#[test]
fn services_and_numbers_of_peers_are_told() {
    covers(&["admin.service", "admin.stats"]);
    let (one, _other) = pair(&["--filter", "--lightpush", "--store", "--peer-exchange"]);
    let services = one.get(&format!("{PEERS}/service")).json();
    let mut protocols: Vec<_> =
        services[0]["protocols"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    protocols.sort_unstable();
    let wanted = [
        "/vac/waku/filter-subscribe/2.0.0-beta1",
        "/vac/waku/lightpush/2.0.0-beta1",
        "/vac/waku/lightpush/3.0.0",
        "/vac/waku/peer-exchange/2.0.0-alpha1",
        "/vac/waku/relay/2.0.0",
        "/vac/waku/store-query/3.0.0",
    ];
    assert_eq!(protocols, wanted);
    let refused = one.post(PEERS, &json!([NOBODY]).to_string());
    assert_eq!(refused.status, 400);
    let stats = json!({
        "Sum": {"Total peers": 2},
        "By Connectedness": {"Connected": 1, "NotConnected": 0, "CannotConnect": 1, "CanConnect": 0},
        "Relay peers": {"0": 1, "Total relay peers": 1},
        "Mesh peers": {"0": 1, "Total mesh peers": 1},
        "By Protocols": {
            "/vac/waku/relay/2.0.0": 1,
            "/vac/waku/filter-subscribe/2.0.0-beta1": 1,
            "/vac/waku/filter-push/2.0.0-beta1": 1,
            "/vac/waku/store-query/3.0.0": 1,
            "/vac/waku/lightpush/3.0.0": 1,
            "/vac/waku/lightpush/2.0.0-beta1": 1,
            "/vac/waku/peer-exchange/2.0.0-alpha1": 1,
            "/vac/waku/reconciliation/1.0.0": 0
        }
    });
    until("everybody is counted", || (one.get(&format!("{PEERS}/stats")).json() == stats).then_some(()));
}

#[test]
fn a_peer_that_was_not_reached_stays_on_the_list() {
    covers(&["admin.peer-not-reached", "admin.peer-not-reached-by-id", "admin.stats-of-peer-not-reached"]);
    covers(&["admin.connect-stops-at-first-failure"]);
    let node = Process::start(&["--shard=0"]);
    let other = Process::start(&["--shard=0"]);
    let answer = node.post(PEERS, &json!([NOBODY, other.address()]).to_string());
    let refusal = format!("Failed to connect to peer at index: 0 - {NOBODY}");
    assert_eq!((answer.status, answer.body.as_str()), (400, refusal.as_str()));
    let wanted = json!({
        "multiaddr": NOBODY, "protocols": [], "shards": [], "connected": "CannotConnect", "agent": "",
        "origin": "Static"
    });
    // The second address was not tried.
    until("it is listed as not reached", || (node.get(PEERS).json() == json!([wanted])).then_some(()));
    assert_eq!(node.get(&format!("/admin/v1/peer/{NOBODY_ID}")).json(), wanted);
    let stats = node.get(&format!("{PEERS}/stats")).json();
    assert_eq!(stats["By Connectedness"]["CannotConnect"], 1);
    let answer = node.post(PEERS, &json!([other.address(), NOBODY]).to_string());
    let refusal = format!("Failed to connect to peer at index: 1 - {NOBODY}");
    assert_eq!((answer.status, answer.body.as_str()), (400, refusal.as_str()));
    until("the first is connected", || {
        (names(&node.get(&format!("{PEERS}/connected")).json()) == [other.address()]).then_some(())
    });
}

#[test]
fn a_log_level_holds_from_then_on() {
    covers(&["admin.log-level-holds"]);
    let node = Process::start(&["--shard=0"]);
    let seen = |topic: &str| node.log().contains(topic);
    node.get(&format!("/relay/v1/messages/{}", encoded("/waku/2/rs/99/31")));
    until("requests are logged", || seen("rs%2F99%2F31").then_some(()));
    assert_eq!(node.post("/admin/v1/log-level/error", "").body, "OK");
    node.get(&format!("/relay/v1/messages/{}", encoded("/waku/2/rs/99/32")));
    assert_eq!(node.post("/admin/v1/log-level/DEBUG", "").body, "OK");
    node.get(&format!("/relay/v1/messages/{}", encoded("/waku/2/rs/99/33")));
    until("requests are logged again", || seen("rs%2F99%2F33").then_some(()));
    assert!(!seen("rs%2F99%2F32"));
}
