//! The words of those who run nwaku today start a node that is ready. Addresses of containers are loopback here.

use crate::process::{Ports, Process, free_ports};

const KEY: &str = "--nodekey=1122112211221122112211221122112211221122112211221122112211221122";

/// Starts a node with these words, in which the places of ports are named, and looks whether it is ready.
fn is_ready(words: &str) -> Process {
    let ports = Ports::free();
    let [websocket] = free_ports();
    let words = words
        .replace("{rest}", &ports.rest.to_string())
        .replace("{tcp}", &ports.tcp.to_string())
        .replace("{metrics}", &ports.metrics.to_string())
        .replace("{udp}", &ports.discovery.to_string())
        .replace("{ws}", &websocket.to_string());
    let words: Vec<&str> = words.split_whitespace().collect();
    let node = Process::exactly(ports, &words);
    assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
    node
}

#[test]
fn of_the_interoperability_suite() {
    let words = format!(
        "--listen-address=127.0.0.1 --rest=true --rest-admin=true --websocket-support=true --log-level=TRACE \
         --rest-relay-cache-capacity=100 --websocket-port={{ws}} --rest-port={{rest}} --tcp-port={{tcp}} \
         --rest-address=127.0.0.1 --nat=extip:127.0.0.1 --peer-exchange=true --discv5-discovery=true \
         --discv5-udp-port={{udp}} --cluster-id=3 {KEY} --shard=0 --metrics-server=true \
         --metrics-server-address=127.0.0.1 --metrics-server-port={{metrics}} --metrics-logging=true \
         --relay=true --store=true --lightpush=true --filter=true --num-shards-in-network=8 \
         --content-topic=/test/1/waku/proto --dns-discovery=false --storenode= --store-sync=false \
         --relay-peer-exchange=false"
    );
    let node = is_ready(&words);
    let info = node.get("/debug/v1/info").json();
    let first = info["listenAddresses"][0].as_str().unwrap();
    assert!(first.starts_with(&format!("/ip4/127.0.0.1/tcp/{}/p2p/16Uiu2", node.tcp)), "{info}");
    assert!(info["listenAddresses"][1].as_str().unwrap().contains("/ws/p2p/"), "{info}");
    node.counts("waku_version{version=\"v0.38.1\"}", 1.0);
}

#[test]
fn of_js_waku_s_tests() {
    is_ready(
        "--listen-address=127.0.0.1 --relay=true --rest=true --rest-admin=true --websocket-support=true \
         --log-level=TRACE --tcp-port={tcp} --rest-port={rest} --websocket-port={ws} --discv5-udp-port={udp} \
         --rest-address=127.0.0.1 --nat=extip:127.0.0.1 --lightpush=true --filter=true --store=true \
         --peer-exchange=true --discv5-discovery=true --cluster-id=2 --shard=0 --shard=1 \
         --num-shards-in-network=8 --content-topic=/a/1/b/proto",
    );
}

#[test]
fn of_js_waku_s_compose_file_but_for_its_database() {
    let words = format!(
        "--listen-address=127.0.0.1 {KEY} --relay=true --filter=true --lightpush=true --store=true \
         --peer-exchange=true --discv5-discovery=true --discv5-udp-port={{udp}} --cluster-id=0 --shard=0 --shard=1 \
         --shard=2 --shard=3 --shard=4 --shard=5 --shard=6 --shard=7 \
         --staticnode=/ip4/127.0.0.1/tcp/1/ws/p2p/16Uiu2HAm3Nsao9FmXrEJ9A6vGVcDfmz2cXnp69HLUQMnjBwAf4qX \
         --ext-multiaddr=/ip4/127.0.0.1/tcp/60001 --ext-multiaddr=/ip4/127.0.0.1/tcp/60002/ws \
         --max-connections=150 --log-level=INFO --tcp-port={{tcp}} --websocket-support=true --websocket-port={{ws}} \
         --rest=true --rest-address=127.0.0.1 --rest-port={{rest}} --rest-admin=true"
    );
    let node = is_ready(&words);
    let addresses = node.get("/info").json()["listenAddresses"].to_string();
    assert!(addresses.contains("/ip4/127.0.0.1/tcp/60001/p2p/") && addresses.contains("/60002/ws/p2p/"));
}

#[test]
fn of_nwaku_compose_but_for_its_database_its_network_and_its_certificate() {
    let node = is_ready(
        "--relay=true --filter=true --peer-exchange=true --lightpush=true --keep-alive=true --max-connections=150 \
         --cluster-id=99 --num-shards-in-network=8 --discv5-discovery=true --discv5-udp-port={udp} \
         --discv5-enr-auto-update=True --log-level=DEBUG --tcp-port={tcp} --metrics-server=True \
         --metrics-server-port={metrics} --metrics-server-address=127.0.0.1 --rest=true --rest-admin=true \
         --rest-address=127.0.0.1 --rest-port={rest} --rest-allow-origin=waku-org.github.io \
         --rest-allow-origin=localhost:* --nat=extip:127.0.0.1 --store=true \
         --rln-relay-eth-client-address=https://rpc.example --rln-relay-cred-path=/keystore/keystore.json \
         --rln-relay-cred-password=word --websocket-support=true --websocket-port={ws} \
         --dns4-domain-name=node.example --store-message-retention-policy=size:1GB --listen-address=127.0.0.1",
    );
    assert!(node.folder().join("store.redb").exists());
    assert!(!node.log().contains("password=word"));
}

#[test]
fn of_go_waku_s_ci() {
    let words = format!("--relay --store {KEY} --cluster-id=99 --shard=1");
    // Where the suite has a container of its own.
    is_ready(&format!(
        "{words} --listen-address=127.0.0.1 --tcp-port={{tcp}} --discv5-udp-port={{udp}} --rest --rest-port={{rest}}"
    ));
}
