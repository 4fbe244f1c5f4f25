//! Starting and stopping.

use crate::process::{Ports, Process, until};

#[test]
fn starts_answers_and_stops_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut node = Process::start(&["--shard=0"]);
        assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
        assert_eq!(node.end(signal).code(), Some(0), "{signal}");
        assert!(node.log().contains(&format!("Shutting down after receiving SIG{}", &signal[1..])));
    }
}

#[test]
fn a_node_without_rest_relays_all_the_same() {
    let node = Process::start(&["--shard=0"]);
    let (ports, peer) = (Ports::free(), node.address());
    let _silent = Process::exactly(
        ports,
        &[
            "--listen-address=127.0.0.1",
            "--cluster-id=99",
            "--shard=0",
            &format!("--tcp-port={}", ports.tcp),
            &format!("--staticnode={peer}"),
        ],
    );
    // The mesh forms at a heartbeat, long after the start is over.
    until("the node is in the mesh", || {
        let mesh = node.get("/admin/v1/peers/mesh/on/0").json();
        (mesh["peers"].as_array().unwrap().len() == 1).then_some(())
    });
}
