//! Who the node is.

use std::fs;

use data_encoding::{BASE64, HEXLOWER};
use waku::Keypair;

use crate::network::{message, pair};
use crate::process::{FIXED, Ports, Process, command, run};

/// The secret key 1: its public key is the generator of secp256k1.
const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
/// A secret key that does not look like anything else in a log.
const KEY: [u8; 32] = *b"\x7e\x11 32 bytes, a key no one has \x91\xfe";

#[test]
fn a_key_gives_its_peer_id_wherever_it_is_given() {
    let expected = Keypair::from_secret(std::array::from_fn(|i| u8::from(i == 31))).unwrap().peer_id();
    let node = Process::start(&[&format!("--nodekey={ONE}")]);
    assert_eq!(node.peer_id(), expected.to_string());
    assert_eq!(node.peer_id(), "16Uiu2HAm3cuhhRL2msUuLF62KRSfneFDx94RsuouyW25Ho42cFMq");

    for variable in ["WAKUNODE2_NODEKEY", "WAKU_NODEKEY"] {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free();
        let words = ports.words();
        let words: Vec<&str> = FIXED.into_iter().chain(words.iter().map(String::as_str)).collect();
        let mut command = command(folder.path(), &words);
        command.env(variable, format!("0x{ONE}"));
        assert_eq!(Process::by(folder.path(), command, ports).peer_id(), expected.to_string(), "{variable}");
    }

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key.toml"), format!("nodekey = \"{ONE}\"")).unwrap();
    let node = Process::start_in(folder.path(), &["--config-file=key.toml"]);
    assert_eq!(node.peer_id(), expected.to_string());
}

#[test]
fn without_a_key_it_is_another_node_at_every_start() {
    let ids: Vec<String> = (0..2).map(|_| Process::start(&[]).peer_id()).collect();
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn the_key_is_in_nothing_that_is_said() {
    let hex = HEXLOWER.encode(&KEY);
    let flag = format!("--nodekey={hex}");
    let (mut a, b) = pair(&[&flag, "--log-level=TRACE", "--store", "--discv5-discovery"], &[]);
    b.publish(0, &message(b"hello", "/a/1/b/proto"));
    a.receives(0, b"hello");
    let mut said = vec![crate::http::raw(a.metrics, crate::network::METRICS).body];
    for path in ["/info", "/health", "/version", "/admin/v1/peers", "/admin/v1/peers/stats"] {
        said.push(a.get(path).body);
    }
    a.end("-TERM");
    said.push(a.log());
    let (base64, list) = (BASE64.encode(&KEY), format!("{KEY:?}"));
    for text in said {
        let lower = text.to_lowercase();
        assert!(
            !lower.contains(&hex) && !text.contains(&base64) && !text.contains(list.trim_matches(['[', ']']))
        );
        assert!(!text.contains("32 bytes, a key no one has"));
    }
    for entry in fs::read_dir(a.folder()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        assert!(!bytes.windows(32).any(|window| window == KEY), "{}", path.display());
    }
}

#[test]
fn a_wrong_key_is_told_without_repeating_it() {
    for key in ["53c4e7", &"0".repeat(64), &"f".repeat(64), &"g1".repeat(32)] {
        let said = run(&[&format!("--nodekey={key}"), "--listen-address=127.0.0.1"]);
        assert_eq!(said.status.code(), Some(1));
        assert!(said.stderr.contains("nodekey") && said.stderr.contains("Invalid private key"), "{said:?}");
        assert!(!said.stderr.contains(key) && !said.stdout.contains(key), "{said:?}");
    }
}

#[test]
fn peers_are_told_the_name_of_the_software() {
    let (a, b) = pair(&["--agent-string=a name of its own"], &[]);
    assert_eq!(b.meets(&a)["agent"], "a name of its own");
    assert!(a.meets(&b)["agent"].as_str().unwrap().starts_with("waku-rs/"));
}
