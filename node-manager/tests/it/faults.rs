//! What goes wrong is said clearly, with an exit status of its own, and loses nothing.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Ended, Process, node_manager};
use crate::stage::{Stage, relay};

fn run(arguments: &[&str]) -> Ended {
    let directory = TempDir::new().unwrap();
    Process::start(&directory.path().join("data"), arguments).wait()
}

fn assert_fails(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{}", ended.output);
    assert!(ended.output.contains(says), "{says:?} is not in:\n{}", ended.output);
}

#[test]
fn help_teaches() {
    let help = run(&["--help"]).output;
    for taught in ["node-manager demo", "app pair", "Exit status", "NODE_MANAGER_DATA_DIR"] {
        assert!(help.contains(taught), "{taught:?} is not in:\n{help}");
    }
    assert!(run(&["pair", "--help"]).output.contains("--no-confirm"));
}

#[test]
fn wrong_codes_are_refused_before_anything_is_done() {
    let network = "--staticnode=/ip4/127.0.0.1/tcp/1";
    for (code, says) in [
        ("0008-1985-5292-1648-6895-82", "check digits do not match"),
        ("12345678901234567890123", "a code has 22 digits"),
        ("99999999999999999999", "too large"),
        ("0008_1985", "cannot be part of a code"),
    ] {
        assert_fails(&run(&["pair", code, network]), 2, says);
    }
}

#[test]
fn without_a_way_into_the_network_it_says_how_to_give_one() {
    assert_fails(&run(&["pair", "0"]), 2, "--staticnode");
    assert_fails(&run(&["run"]), 2, "--staticnode");
    assert_fails(&run(&["app", "pair"]), 2, "--staticnode");
    assert_fails(&run(&["app", "ping"]), 2, "app run");
    assert_fails(&run(&["run", "--staticnode=example.org"]), 2, "--staticnode");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    assert_fails(&run(&["run", "--tcp-port=0", "--shard=1024"]), 2, "1024");
    assert_fails(&run(&["run", "--tcp-port=0", "--nodekey=12"]), 2, "64 hexadecimal digits");
    assert_fails(
        &run(&["run", "--tcp-port=0", "--shard=1", "--num-shards-in-network=8"]),
        2,
        "cannot be used with",
    );
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--tcp-port={}", taken.local_addr().unwrap().port());
    let arguments = ["run", "--listen-address=127.0.0.1", &port];
    assert_fails(&run(&arguments), 6, "port is in use");
    // Whoever collects the log as JSON gets nothing else.
    let logged = run(&[&arguments[..], &["--log-format=json"]].concat());
    assert_fails(&logged, 6, "port is in use");
    for line in logged.output.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
}

#[test]
fn an_unreachable_node_is_tried_again_and_named() {
    // Nobody listens on a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let network = format!("--staticnode=/ip4/127.0.0.1/tcp/{}", free.port());
    let ended = run(&["pair", "81985529216486895", &network, "--timeout=3"]);
    assert_fails(&ended, 4, "nobody answered in time");
    assert!(ended.output.contains("refused"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_named() {
    let other = relay(7, "/ip4/127.0.0.1/tcp/0").await;
    let network = format!("--staticnode={}", other.listen_addresses()[0]);
    let directory = TempDir::new().unwrap();
    let mut host = Process::start(&directory.path().join("data"), &["run", &network]);
    host.find("the problem", |line| (line.contains("problems") && line.contains("cluster 7")).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_shows_times_out() {
    let stage = Stage::new().await;
    let ended = stage.pair("81985529216486895", &["--timeout=2"]).wait();
    assert_fails(&ended, 4, "nobody answered in time");
    assert_eq!(stage.on_host(&["peers", "--json"]).output, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_vault_is_named_and_left_alone() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let vault = stage.host().join("vault.redb");
    let whole = fs::read(&vault).unwrap();
    let mut damaged = whole.clone();
    damaged[..4096].fill(0x5a);
    fs::write(&vault, &damaged).unwrap();
    for command in [&["peers"][..], &["status"], &["run", &stage.network()]] {
        assert_fails(&stage.on_host(command), 5, "damaged");
    }
    assert_eq!(fs::read(&vault).unwrap(), damaged, "nothing was written over it");
    // Put back, everything is there again.
    fs::write(&vault, &whole).unwrap();
    assert_eq!(stage.peer_of_host()["name"], "laptop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_used_by_one_process_and_by_one_side() {
    let stage = Stage::new().await;
    let _host = stage.run_host();
    assert_fails(&stage.on_host(&["run", &stage.network()]), 5, "another node-manager");
    let as_app = Process::start(&stage.host(), &["app", "run", &stage.network()]).wait();
    assert_eq!(as_app.code, Some(5), "{}", as_app.output);
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let run = &["run", "--tcp-port=0", "--listen-address=127.0.0.1"][..];
    // To those who only look it is no empty vault either.
    for command in [run, &["status"], &["peers", "--json"], &["app", "peers"]] {
        assert_fails(&Process::start(&file.join("data"), command).wait(), 5, "data directory");
    }
}

/// A limit on the size of files is as good as a full disk.
#[test]
fn a_full_disk_is_named_and_leaves_no_half_made_vault() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let command = node_manager(&data, &["run", "--tcp-port=0", "--listen-address=127.0.0.1"]);
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""]).arg(command.get_program());
    limited.args(command.get_args());
    let ended = Process::spawn(limited, "with a full disk").wait();
    assert_fails(&ended, 5, "vault");
    assert!(!data.join("vault.redb").exists());
    // With room again it starts.
    let mut process = Process::start(&data, &["run", "--tcp-port=0", "--listen-address=127.0.0.1"]);
    process.expect("running");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();
    let mut command = node_manager(directory.path(), &["demo", "--json"]);
    command.env("TMPDIR", directory.path());
    let mut demo = Process::spawn(command, "demo");
    demo.expect("relay_up");
    demo.signal("INT");
    let ended = demo.wait();
    assert_fails(&ended, 130, "interrupted");
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none(), "a vault was left behind");
}

#[test]
fn the_demo_holds_in_every_step() {
    let directory = TempDir::new().unwrap();
    let ended = Process::start(directory.path(), &["demo", "--json"]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let steps: Vec<Value> = ended.output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(steps.len() > 25 && steps.iter().all(|step| step["ok"] == true), "{}", ended.output);
    assert_eq!(steps.last().unwrap()["step"], "end");
}

/// `node-manager pair 2>&1 | head -1`, or a terminal that was closed.
#[test]
fn whoever_stops_reading_stops_nothing() {
    let directory = TempDir::new().unwrap();
    for arguments in [
        &["pair", "81985529216486895", "--staticnode=/ip4/127.0.0.1/tcp/1", "--timeout=1"][..],
        &["peers", "show", "x"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = node_manager(&directory.path().join("data"), arguments);
        command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
        let expected = if arguments[0] == "pair" { 4 } else { 2 };
        assert_eq!(command.status().unwrap().code(), Some(expected), "{arguments:?}");
    }
}
