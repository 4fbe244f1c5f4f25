//! Whom the node knows, dials and keeps.

use std::fs;

use serde_json::json;

use crate::process::{FIXED, Ports, Process, command, until};

#[test]
fn it_stays_connected_to_its_static_nodes() {
    let a = Process::start(&["--shard=5"]);
    let b = Process::start(&["--shard=5", &format!("--staticnode={}", a.address())]);
    b.meets(&a);
    b.meshes(5, 1);
}

#[test]
fn a_static_node_that_comes_back_is_dialled_again() {
    let folder = tempfile::tempdir().unwrap();
    let ports = Ports::free();
    let words = ports.words();
    let key = format!("--nodekey={:064x}", 7);
    let words: Vec<&str> =
        FIXED.into_iter().chain(words.iter().map(String::as_str)).chain(["--shard=5", &key]).collect();
    let mut a = Process::by(folder.path(), command(folder.path(), &words), ports);
    let b = Process::start(&["--shard=5", &format!("--staticnode={}", a.address())]);
    b.meets(&a);
    let id = a.peer_id();
    a.end("-KILL");
    until("it is gone", || b.neighbour(&id).is_none().then_some(()));
    let a = Process::by(folder.path(), command(folder.path(), &words), ports);
    b.meets(&a);
}

#[test]
fn an_entry_node_is_dialled_by_address_or_by_record() {
    let a = Process::start(&["--shard=0"]);
    let b = Process::start(&["--shard=0", &format!("--entry-node={}", a.address())]);
    b.meets(&a);
    let record = a.get("/info").json()["enrUri"].as_str().unwrap().to_owned();
    let c = Process::start(&["--shard=0", &format!("--entry-node={record}")]);
    c.meets(&a);
}

#[test]
fn nodes_of_another_cluster_do_not_stay() {
    let a = Process::start(&["--shard=0"]);
    let b = Process::start(&["--shard=0", "--cluster-id=98", &format!("--staticnode={}", a.address())]);
    b.logs(&["peer disconnected", "cluster"]);
    a.logs(&["peer disconnected", "cluster"]);
}

#[test]
fn no_more_connections_are_taken_than_there_may_be() {
    let a = Process::start(&["--shard=0", "--max-connections=1"]);
    let b = Process::start(&["--shard=0"]);
    let c = Process::start(&["--shard=0"]);
    b.dial(&a);
    a.meets(&b);
    let answer = c.post("/admin/v1/peers", &json!([a.address()]).to_string());
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(a.connected().len(), 1);
}

#[test]
fn known_peers_are_kept_from_run_to_run() {
    for (flags, file) in [(&["--peer-persistence"][..], "peers.waku"), (&["--peer-store=known"], "known")] {
        let folder = tempfile::tempdir().unwrap();
        let a = Process::start(&["--shard=0"]);
        let id = a.peer_id();
        let words = [&["--shard=0"][..], flags].concat();
        let mut b = Process::start_in(folder.path(), &words);
        b.dial(&a);
        b.meets(&a);
        b.end("-TERM");
        assert!(fs::metadata(folder.path().join(file)).unwrap().len() > 0);
        let b = Process::start_in(folder.path(), &words);
        assert!(b.get("/admin/v1/peers").body.contains(&id), "{file}");
    }
}

#[test]
fn without_a_file_peers_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let a = Process::start(&["--shard=0"]);
    let mut b = Process::start_in(folder.path(), &["--shard=0"]);
    b.dial(&a);
    b.meets(&a);
    b.end("-TERM");
    let b = Process::start_in(folder.path(), &["--shard=0"]);
    assert_eq!(b.get("/admin/v1/peers").json(), json!([]));
}

#[test]
fn no_more_peers_are_known_than_there_may_be() {
    let a = Process::start(&["--shard=0", "--peer-store-capacity=1"]);
    let others = [(); 3].map(|()| Process::start(&["--shard=0"]));
    for other in &others {
        a.dial(other);
        // What is connected is known in any case: one leaves before the next comes.
        a.meets(other);
        let id = other.peer_id();
        other.signal("-KILL");
        until("it is gone", || a.neighbour(&id).is_none().then_some(()));
    }
    let known = a.get("/admin/v1/peers").json();
    assert_eq!(known.as_array().unwrap().len(), 1, "{known}");
}

#[test]
fn peers_are_told_about_other_peers_unless_that_is_switched_off() {
    // What is told comes with a record, and that from discovery.
    let a = Process::start(&["--shard=0", "--discv5-discovery"]);
    let record = a.get("/info").json()["enrUri"].as_str().unwrap().to_owned();
    let bootstrap = format!("--discv5-bootstrap-node={record}");
    let b = Process::start(&["--shard=0", "--discv5-discovery", &bootstrap]);
    a.meets(&b);
    a.counts("waku_discv5_discovered_per_shard{shard=\"0\"}", 1.0);
    let c = Process::start(&["--shard=0", &format!("--peer-exchange-node={}", a.address())]);
    c.meets(&b);

    let silent = Process::start(&["--shard=0", "--peer-exchange=false"]);
    silent.dial(&a);
    assert!(!a.meets(&silent)["protocols"].to_string().contains("/vac/waku/peer-exchange/"));
    assert!(silent.meets(&a)["protocols"].to_string().contains("/vac/waku/peer-exchange/"));
}

#[test]
fn a_node_without_relay_speaks_no_relay() {
    let a = Process::start(&["--shard=0"]);
    let b = Process::start(&["--shard=0", "--relay=false"]);
    b.dial(&a);
    assert!(!a.meets(&b)["protocols"].to_string().contains("/vac/waku/relay/"));
    let c = Process::start(&["--shard=0"]);
    c.dial(&a);
    assert!(a.meets(&c)["protocols"].to_string().contains("/vac/waku/relay/2.0.0"));
    assert_eq!(b.get("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F99%2F0").status, 404);
}
