//! A busy run logs no word that means that a process died.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};

use serde_json::json;

use super::is_calm;
use crate::http::raw;
use crate::network::{message, topic};
use crate::process::{Process, until};

const SERVICES: [&str; 7] = [
    "--log-level=TRACE",
    "--shard=0",
    "--filter",
    "--lightpush",
    "--store",
    "--store-message-db-url=memory://",
    "--discv5-discovery",
];

/// A node that is not there.
const STRANGER: &str = "16Uiu2HAm3cuhhRL2msUuLF62KRSfneFDx94RsuouyW25Ho42cFMq";

#[test]
fn a_busy_run_has_no_alarming_word_in_any_log() {
    let mut a = Process::start(&SERVICES);
    let bootstrap = format!("--discv5-bootstrap-node={}", a.get("/info").json()["enrUri"].as_str().unwrap());
    let known = [&SERVICES[..], &[&bootstrap]].concat();
    let mut b = Process::start(&known);
    let c = Process::start(&known);
    let static_nodes = format!("--staticnode={}", b.address());
    let light = Process::start(&["--log-level=TRACE", "--relay=false", &static_nodes]);
    b.dial(&a);
    c.dial(&a);
    c.dial(&b);
    a.meshes(0, 2);
    let subscription =
        json!({ "requestId": "1", "contentFilters": ["/a/1/b/proto"], "pubsubTopic": topic(0) });
    assert_eq!(light.post("/filter/v2/subscriptions", &subscription.to_string()).status, 200);
    for number in 0..20_u8 {
        a.publish(0, &message(&[number; 1000], "/a/1/b/proto"));
    }
    b.receives(0, &[19; 1000]);
    let pushed = json!({ "pubsubTopic": topic(0), "message": message(b"light", "/a/1/b/proto") });
    assert_eq!(light.post("/lightpush/v3/message", &pushed.to_string()).status, 200);
    assert_eq!(light.get("/store/v3/messages?includeData=true").status, 200);

    // Dials that fail in different ways, strangers that speak something else or nothing.
    let id = c.peer_id();
    for address in [
        format!("/ip4/127.0.0.1/tcp/1/p2p/{STRANGER}"),
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{STRANGER}", a.tcp),
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{STRANGER}", a.rest),
        format!("/dns4/nowhere.invalid/tcp/1/p2p/{id}x"),
    ] {
        assert_eq!(b.post("/admin/v1/peers", &json!([address]).to_string()).status, 400, "{address}");
    }
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"\x13/multistream/1.0.0\n", &[0xff; 300]] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, a.tcp)).unwrap();
        stream.write_all(bytes).unwrap();
    }
    raw(a.rest, b"no request at all, but a crash and a panic\r\n\r\n");
    assert_eq!(a.get("/fatal/abort").status, 404);
    assert_eq!(a.post("/relay/v1/subscriptions", "[\"a segfault\"]").status, 400);

    // Peers that are killed, and one that is stopped.
    c.signal("-KILL");
    until("it is gone", || a.neighbour(&id).is_none().then_some(()));
    let id = light.peer_id();
    light.signal("-KILL");
    until("it is gone", || b.neighbour(&id).is_none().then_some(()));
    a.publish(0, &message(b"to those that are left", "/a/1/b/proto"));
    b.receives(0, b"to those that are left");
    assert_eq!(b.end("-TERM").code(), Some(0));
    assert_eq!(a.end("-INT").code(), Some(0));
    for node in [&a, &b, &c, &light] {
        is_calm(&node.log());
    }
}
