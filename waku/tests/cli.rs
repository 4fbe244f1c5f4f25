//! The `waku-node` binary, run as a user runs it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use waku::proto::protocol_id::{FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, PEER_EXCHANGE, STORE_QUERY};
use waku::{Config, Keypair, Multiaddr, Node, Sharding};

fn waku_node(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-node"));
    command.args(args).env_remove("WAKU_NODEKEY");
    command
}

fn output(args: &[&str]) -> Output {
    waku_node(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A running node, stopped at the end of the test.
struct Running {
    child: Child,
    addresses: Vec<Multiaddr>,
}

impl Running {
    fn start(args: &[&str], addresses: usize) -> Self {
        let mut child = waku_node(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addresses = lines.take(addresses).map(|line| line.unwrap().parse().unwrap()).collect();
        Self { child, addresses }
    }

    fn signal(&mut self, signal: &str) -> Option<i32> {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already when the test has stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LOOPBACK: [&str; 3] = ["--listen-address=127.0.0.1", "--tcp-port=0", "--cluster-id=99"];

#[test]
fn prints_dialable_addresses_and_stops_cleanly_on_a_signal() {
    // The secret key 1: its public key is the generator of secp256k1.
    let key = format!("--nodekey={:064x}", 1);
    for signal in ["-TERM", "-INT"] {
        let args =
            [&LOOPBACK[..], &["--shard=0", "--websocket-support", "--websocket-port=0", &key]].concat();
        let mut node = Running::start(&args, 2);
        assert_eq!(node.addresses.len(), 2);
        let peer_id = Keypair::from_secret(std::array::from_fn(|i| u8::from(i == 31))).unwrap().peer_id();
        for (address, kind) in node.addresses.iter().zip(["", "/ws"]) {
            let text = address.to_string();
            assert!(text.starts_with("/ip4/127.0.0.1/tcp/"), "{text}");
            assert!(text.ends_with(&format!("{kind}/p2p/{peer_id}")), "{text}");
        }
        assert_eq!(node.signal(signal), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn stays_connected_to_its_static_nodes() {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(99, [5]).unwrap());
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
    let node = Node::spawn(config).await.unwrap();
    let peer = node.listen_addresses()[0].to_string();
    // Both ways to give a value.
    let args = [&LOOPBACK[..], &["--shard", "5", "--staticnode", &peer]].concat();
    let _running = Running::start(&args, 1);
    let topic = "/waku/2/rs/99/5".parse().unwrap();
    let mut peers = node.peers().watch();
    let relays = peers.wait_for(|peers| peers.connected.iter().any(|peer| peer.topics.contains(&topic)));
    tokio::time::timeout(std::time::Duration::from_secs(30), relays).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_service_node_serves_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("--store-message-db-url=redb://{}/store.redb", folder.path().display());
    let flags = ["--shard=0", "--filter", "--lightpush", "--store", "--peer-exchange", &url];
    let mut service =
        Running::start(&[&LOOPBACK[..], &flags, &["--quic-support", "--quic-port=0"]].concat(), 2);
    assert!(service.addresses[1].to_string().contains("/quic-v1/"), "{:?}", service.addresses);

    let mut config = Config::new(Keypair::generate(), Sharding::fixed(99, [0]).unwrap());
    config.relay = false;
    config.static_peers = service.addresses.clone();
    let client = Node::spawn(config).await.unwrap();
    let wanted = [FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, PEER_EXCHANGE, STORE_QUERY];
    let mut peers = client.peers().watch();
    let is_served = |protocols: &[String]| wanted.iter().all(|id| protocols.iter().any(|known| known == id));
    let served = peers.wait_for(|peers| peers.connected.iter().any(|peer| is_served(&peer.protocols)));
    drop(tokio::time::timeout(std::time::Duration::from_secs(30), served).await.unwrap().unwrap());
    assert_eq!(service.signal("-TERM"), Some(0));
}

#[test]
fn an_archive_that_cannot_be_opened_is_told_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    std::fs::write(&file, "no archive at all").unwrap();
    let url = format!("--store-message-db-url=redb://{}", file.display());
    let output = output(&[&LOOPBACK[..], &["--shard=0", "--store", &url]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot open the archive"), "{}", stderr(&output));
    assert_eq!(std::fs::read(&file).unwrap(), b"no archive at all");
}

#[test]
fn help_names_every_flag_and_shows_examples() {
    let output = output(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "--tcp-port",
        "--websocket-support",
        "--websocket-port",
        "--listen-address",
        "--nodekey",
        "--cluster-id",
        "--shard",
        "--num-shards-in-network",
        "--staticnode",
        "--max-connections",
        "--relay",
        "--websocket-secure-support",
        "--websocket-secure-key-path",
        "--websocket-secure-cert-path",
        "--quic-support",
        "--quic-port",
        "--filter",
        "--filter-subscription-timeout",
        "--filter-max-peers-to-serve",
        "--filter-max-criteria",
        "--lightpush",
        "--store",
        "--store-message-db-url",
        "--store-message-retention-policy",
        "--peer-exchange",
        "--peer-exchange-node",
        "--peer-store",
        "--log-level",
        "--log-format",
        "Examples:",
        "Exit status:",
    ] {
        assert!(help.contains(flag), "{flag} is missing:\n{help}");
    }
}

#[test]
fn a_port_in_use_is_told_and_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--tcp-port={}", taken.local_addr().unwrap().port());
    let output = output(&["--listen-address=127.0.0.1", &port, "--shard=0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the port is in use"), "{}", stderr(&output));
}

#[test]
fn a_wrong_command_line_is_told_and_exits_with_2() {
    for (args, reason) in [
        (&["--shard=1024"][..], "1024 is not a shard"),
        (&["--num-shards-in-network=2000"], "1 to 1024"),
        (&["--staticnode=nowhere"], "--staticnode"),
        (&["--cluster-id=65536"], "--cluster-id"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--store-message-db-url=sqlite://a"], "redb://FILE or memory://"),
        (&["--store-message-retention-policy=days:2"], "--store-message-retention-policy"),
        (&["--lightpush", "--relay=false"], "--relay=true"),
        (&["--websocket-secure-support"], "--websocket-secure-key-path"),
        (&["--peer-exchange-node=nowhere"], "--peer-exchange-node"),
    ] {
        let output = output(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
}

#[test]
fn a_wrong_key_is_told_without_repeating_it() {
    for key in ["53c4e7", &"0".repeat(64), &"g1".repeat(32)] {
        let output = output(&[&format!("--nodekey={key}")]);
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(told.contains("--nodekey") && !told.contains(key), "{told}");
    }
}

#[test]
fn without_a_shard_it_says_what_to_do() {
    let mut child = waku_node(&LOOPBACK).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let warning = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(warning.contains("--shard") && warning.contains("--num-shards-in-network"), "{warning}");
}
