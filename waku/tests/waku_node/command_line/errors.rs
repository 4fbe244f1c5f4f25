//! What is said when the command line is wrong, or cannot be followed.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::process::Command;

use waku_operator::command_line::table::{Status, flags};

use crate::process::{Process, command, ends, run, run_in};

/// Also read by the tests of the parser.
const ERRORS: &str = include_str!("../../../../operator/tests/contract/errors.tsv");
const REMOVED: &str = include_str!("../../../../operator/tests/contract/removed.tsv");

#[test]
fn every_error_is_told_on_standard_error_and_ends_with_1() {
    for line in ERRORS.lines().skip(1) {
        let [case, words, environment, file, expected, exit] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("six columns: {line}")
        };
        if exit == "0" && case != "help" && case != "version" && case != "help before an error" {
            // It would run.
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        if !file.is_empty() {
            fs::write(folder.path().join("b.toml"), file.replace("\\n", "\n")).unwrap();
        }
        let mut command = command(folder.path(), &words.split_whitespace().collect::<Vec<_>>());
        command.envs(environment.split_whitespace().filter_map(|pair| pair.split_once('=')));
        let said = ends(command);
        assert_eq!(said.status.code().unwrap().to_string(), exit, "{case}: {said:?}");
        if exit == "0" {
            assert!(!said.stdout.is_empty() && said.stderr.is_empty(), "{case}: {said:?}");
            continue;
        }
        let expected = expected.replace("wakunode2", "waku-node");
        assert!(said.stderr.lines().next().unwrap().contains(&expected), "{case}: {said:?}");
        assert_eq!(
            said.stderr.lines().last(),
            Some("Try waku-node --help for more information."),
            "{case}: {said:?}"
        );
    }
}

#[test]
fn it_calls_itself_by_the_name_it_is_called_by() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("wakunode2");
    symlink(env!("CARGO_BIN_EXE_waku-node"), &link).unwrap();
    let mut command = Command::new(link);
    command.arg("generate").env_clear();
    let said = ends(command);
    let expected = ["wakunode2 does not accept arguments", "Try wakunode2 --help for more information."];
    let lines: Vec<_> = said.stderr.lines().collect();
    assert_eq!([lines[0], lines[lines.len() - 1]], expected);
}

#[test]
fn options_that_do_not_go_together_are_logged_too() {
    let said = run(&["--num-shards-in-network=8", "--shard=9"]);
    assert_eq!(said.status.code(), Some(1));
    let line = said.stdout.lines().last().unwrap();
    assert!(line.starts_with("ERR ") && line.contains("Waku configuration failed"), "{said:?}");
    assert!(
        line.contains("error=\"validateShards invalid shard: 9 when numShardsInCluster: 8\""),
        "{said:?}"
    );
}

#[test]
fn help_names_every_flag_and_shows_examples() {
    let said = run(&["--help"]);
    assert_eq!(said.status.code(), Some(0));
    let shown = flags().filter(|flag| !flag.hidden && !matches!(flag.status, Status::Removed(_)));
    for flag in shown {
        assert!(said.stdout.contains(&format!("--{}", flag.name)), "{} is missing", flag.name);
    }
    assert!(said.stdout.contains("Examples:") && said.stdout.contains("Exit status:"), "{}", said.stdout);
}

#[test]
fn what_is_not_built_may_be_switched_off_and_what_was_removed_is_warned_of() {
    let off = flags().filter(|flag| matches!(flag.status, Status::NotBuilt(_)));
    let off: Vec<String> = off.map(|flag| format!("--{}=false", flag.name)).collect();
    assert!(off.len() > 5, "{off:?}");
    let removed: Vec<&str> = REMOVED.lines().skip(1).collect();
    let words: Vec<String> =
        off.into_iter().chain(removed.iter().map(|name| format!("--{name}=1"))).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let node = Process::start(&words);
    assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
    for name in removed {
        node.logs(&["WRN", &format!("--{name} ")]);
    }
}

/// Ends with 1 and says so in the log and on standard error.
fn fails(args: &[&str], expected: &str) {
    let loopback = ["--listen-address=127.0.0.1", "--shard=0", "--cluster-id=99"];
    let said = run(&[&loopback[..], args].concat());
    assert_eq!(said.status.code(), Some(1), "{args:?}: {said:?}");
    assert!(said.stderr.contains(expected), "{args:?}: {said:?}");
    let line = said.stdout.lines().find(|line| line.contains("Waku initialization failed"));
    assert!(line.is_some_and(|line| line.starts_with("ERR ")), "{args:?}: {said:?}");
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken_udp = udp.local_addr().unwrap().port();
    let [free] = crate::process::free_ports();
    let free = &format!("--tcp-port={free}");
    let words = "Failed to start essential REST server in Waku.new: (98) Address already in use";
    fails(&[free, "--rest", &format!("--rest-port={taken}")], words);
    let words = "Failed to start essential metrics server in Waku.new: (98) Address already in use";
    fails(&[free, "--metrics-server", &format!("--metrics-server-port={taken}")], words);
    fails(&[&format!("--tcp-port={taken}")], "the port is in use");
    fails(&[free, "--websocket-support", &format!("--websocket-port={taken}")], "the port is in use");
    fails(&[free, "--quic-support", &format!("--quic-port={taken_udp}")], "in use");
    fails(&[free, "--discv5-discovery", &format!("--discv5-udp-port={taken_udp}")], "in use");
}

#[test]
fn what_cannot_be_followed_ends_the_start() {
    for (args, expected) in [
        (&["--ext-multiaddr=nowhere"][..], "Invalid multiaddress provided: nowhere"),
        (&["--dns4-domain-name=no/name"], "--dns4-domain-name=no/name"),
        (&["--storenode=nowhere"], "--storenode=nowhere"),
        (&["--filternode=/ip4/127.0.0.1/tcp/1"], "--filternode=/ip4/127.0.0.1/tcp/1"),
        (&["--lightpushnode=nowhere"], "--lightpushnode=nowhere"),
        (&["--peer-exchange-node=nowhere"], "--peer-exchange-node=nowhere"),
        (&["--num-shards-in-network=8", "--content-topic=nothing"], "--content-topic=nothing"),
        (&["--num-shards-in-network=2000"], "1024"),
        (&["--shard=1024"], "1024 is not a shard"),
        (&["--store", "--store-message-retention-policy=days:2"], "days:2"),
        (
            &[
                "--websocket-secure-support",
                "--websocket-secure-key-path=no",
                "--websocket-secure-cert-path=no",
            ],
            "cannot read no",
        ),
    ] {
        fails(args, expected);
    }
}

#[test]
fn what_is_no_node_is_left_out_with_a_warning() {
    let node = Process::start(&[
        "--staticnode=nowhere",
        "--staticnode=/ip4/127.0.0.1/udp/1",
        "--discv5-discovery",
        "--discv5-bootstrap-node=enr:-nothing",
        "--dns-discovery-url=enrtree://nobody",
    ]);
    assert_eq!(node.get("/health").json()["nodeHealth"], "READY");
    node.logs(&["WRN", "nowhere"]);
    node.logs(&["WRN", "/ip4/127.0.0.1/udp/1"]);
    node.logs(&["WRN", "enr:-nothing"]);
    node.logs(&["WRN", "enrtree://nobody"]);
}

#[test]
fn without_a_shard_it_says_what_to_do() {
    let node = Process::start(&[]);
    node.logs(&["WRN", "--shard", "--num-shards-in-network"]);
}

#[test]
fn nothing_is_left_in_the_folder_of_a_start_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_in(folder.path(), &["--foo"]);
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
