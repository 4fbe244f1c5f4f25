//! Where the node listens, and where it says it is.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;
use waku::{Config, Keypair, Node, PeerList, Sharding, Tls};

use crate::http::raw;
use crate::network::METRICS;
use crate::process::{FIXED, Ports, Process, WITHIN, free_ports};

fn addresses(node: &Process) -> Vec<String> {
    let info = node.get("/info").json();
    let text = |address: &Value| address.as_str().unwrap().rsplit_once("/p2p/").unwrap().0.to_owned();
    info["listenAddresses"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn every_port_is_shifted() {
    let ports = Ports::free();
    let [websocket, quic] = free_ports();
    let shift = 2;
    let less = |port: u16| port - shift;
    let words = [
        format!("--rest-port={}", less(ports.rest)),
        format!("--tcp-port={}", less(ports.tcp)),
        format!("--metrics-server-port={}", less(ports.metrics)),
        format!("--discv5-udp-port={}", less(ports.discovery)),
        format!("--websocket-port={}", less(websocket)),
        format!("--quic-port={}", less(quic)),
        format!("--ports-shift={shift}"),
    ];
    let switches = ["--discv5-discovery", "--websocket-support", "--quic-support", "--shard=0"];
    let words: Vec<&str> =
        FIXED.into_iter().chain(words.iter().map(String::as_str)).chain(switches).collect();
    let node = Process::exactly(ports, &words);
    assert_eq!(
        addresses(&node),
        [
            format!("/ip4/127.0.0.1/tcp/{}", ports.tcp),
            format!("/ip4/127.0.0.1/tcp/{websocket}/ws"),
            format!("/ip4/127.0.0.1/udp/{quic}/quic-v1"),
        ]
    );
    assert_eq!(raw(ports.metrics, METRICS).status, 200);
    node.logs(&["discovery started", &format!("127.0.0.1:{}", ports.discovery)]);
}

#[test]
fn an_address_that_is_given_is_announced() {
    let node = Process::start(&["--nat=extip:203.0.113.7"]);
    assert_eq!(addresses(&node), [format!("/ip4/203.0.113.7/tcp/{}", node.tcp)]);
    let record: waku::NodeRecord = node.get("/info").json()["enrUri"].as_str().unwrap().parse().unwrap();
    assert!(format!("{:?}", record.addresses()).contains("203.0.113.7"));
}

#[test]
fn nothing_is_announced_for_any_and_none_but_where_it_listens() {
    for way in ["--nat=any", "--nat=none"] {
        let node = Process::start(&[way]);
        assert_eq!(addresses(&node), [format!("/ip4/127.0.0.1/tcp/{}", node.tcp)], "{way}");
    }
}

#[test]
fn further_addresses_are_announced_besides_or_alone() {
    let further = "--ext-multiaddr=/dns4/node.example/tcp/443/wss";
    let node = Process::start(&[further]);
    let own = format!("/ip4/127.0.0.1/tcp/{}", node.tcp);
    assert_eq!(addresses(&node), [own, "/dns4/node.example/tcp/443/wss".to_owned()]);
    let node = Process::start(&[further, "--ext-multiaddr-only"]);
    assert_eq!(addresses(&node), ["/dns4/node.example/tcp/443/wss"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_are_told_what_is_announced() {
    let node = Process::start(&["--ext-multiaddr=/dns4/node.example/tcp/443/wss", "--ext-multiaddr-only"]);
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(99, [0]).unwrap());
    config.relay = false;
    let client = Node::spawn(config).await.unwrap();
    let peers = client.peers();
    let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", node.tcp, node.peer_id());
    let peer = peers.connect(address.parse().unwrap()).await.unwrap();
    let mut view = peers.watch();
    let is_identified = |list: &PeerList| list.get(peer).is_some_and(|peer| peer.agent.is_some());
    drop(tokio::time::timeout(WITHIN, view.wait_for(is_identified)).await.unwrap().unwrap());
    let known = peers.known().await.unwrap();
    let told: Vec<String> = known[0].addresses.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|address| address.starts_with("/dns4/node.example/tcp/443/wss")), "{told:?}");
    client.shutdown().await;
}

#[test]
fn a_domain_name_stands_in_place_of_the_address() {
    let [websocket] = free_ports();
    let words = ["--dns4-domain-name=node.example", "--websocket-support"];
    let node = Process::start(&[&words[..], &[&format!("--websocket-port={websocket}")]].concat());
    assert_eq!(
        addresses(&node),
        [format!("/dns4/node.example/tcp/{}", node.tcp), format!("/dns4/node.example/tcp/{websocket}/ws"),]
    );
}

/// Waits until a light client reaches the node there.
async fn is_reached(address: &str, tls: Tls) {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(99, [0]).unwrap());
    config.relay = false;
    config.tls = tls;
    let client = Node::spawn(config).await.unwrap();
    let peers = client.peers();
    let reached = peers.connect(address.parse().unwrap());
    tokio::time::timeout(WITHIN, reached).await.unwrap().unwrap();
    client.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_reached_at_each_of_its_transports() {
    let [websocket, quic] = free_ports();
    let [websocket_flag, quic_flag] =
        [format!("--websocket-port={websocket}"), format!("--quic-port={quic}")];
    let node = Process::start(&["--websocket-support", &websocket_flag, "--quic-support", &quic_flag]);
    let announced = addresses(&node);
    assert_eq!(announced.len(), 3, "{announced:?}");
    for address in announced {
        is_reached(&format!("{address}/p2p/{}", node.peer_id()), Tls::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_websocket_has_the_certificate_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("chain.pem"), certified.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    let [port] = free_ports();
    let node = Process::start_in(
        folder.path(),
        &[
            "--websocket-secure-support",
            "--websocket-secure-key-path=key.pem",
            "--websocket-secure-cert-path=chain.pem",
            &format!("--websocket-port={port}"),
        ],
    );
    let secure = format!("/ip4/127.0.0.1/tcp/{port}/wss");
    assert!(addresses(&node).contains(&secure), "{:?}", addresses(&node));
    let trusting = Tls::default().with_trusted(certified.cert.pem().as_bytes()).unwrap();
    is_reached(&format!("{secure}/p2p/{}", node.peer_id()), trusting).await;
}

#[test]
fn everything_listens_where_it_is_put_and_nowhere_else() {
    // All of 127.0.0.0/8 is loopback.
    let node = Process::start(&[
        "--rest-address=127.0.0.3",
        "--metrics-server-address=127.0.0.4",
        "--listen-address=127.0.0.5",
    ]);
    for (port, at) in [(node.rest, 3), (node.metrics, 4), (node.tcp, 5)] {
        let is_open = |last| TcpStream::connect((Ipv4Addr::new(127, 0, 0, last), port)).is_ok();
        assert!(is_open(at), "{port} at 127.0.0.{at}");
        assert!(!is_open(1), "{port} at 127.0.0.1");
    }
}

#[test]
fn without_their_flags_rest_metrics_and_admin_are_not_there() {
    let ports = Ports::free();
    let words = ports.words();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.push("--listen-address=127.0.0.1");
    let node = Process::exactly(ports, &words);
    for port in [node.rest, node.metrics] {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err(), "{port}");
    }
    // Neither without `--metrics-server`, `--rest`, nor `--rest-admin`.
    words.push("--rest");
    drop(node);
    let node = Process::exactly(ports, &words);
    assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
    assert_eq!(node.get("/admin/v1/peers").status, 404);
}
