//! Command line over environment over file.

use std::fs;
use std::path::Path;

use crate::process::{FIXED, Ports, Process, command};

/// A node on loopback with this file, these variables and these words.
fn start(folder: &Path, file: &str, variables: &[(&str, &str)], words: &[&str]) -> Process {
    fs::write(folder.join("node.toml"), file).unwrap();
    let ports = Ports::free();
    let port_words = ports.words();
    let mut all: Vec<&str> = FIXED.into_iter().filter(|word| !word.starts_with("--cluster-id")).collect();
    all.extend(port_words.iter().map(String::as_str));
    all.push("--config-file=node.toml");
    all.extend(words);
    let mut command = command(folder, &all);
    command.envs(variables.iter().copied());
    Process::by(folder, command, ports)
}

/// Whether the node is on a pubsub topic.
fn is_on(node: &Process, topic: &str) -> bool {
    node.get(&format!("/relay/v1/messages/{}", crate::http::encoded(topic))).status == 200
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = "cluster-id = 11\nshard = [1]\nstore = true\nstore-message-db-url = \"memory://\"\nrelay = true\n\
                rest-relay-cache-capacity = 7\n";
    let variables = [
        ("WAKUNODE2_CLUSTER_ID", "12"),
        ("WAKUNODE2_SHARD", "2,3"),
        ("WAKUNODE2_FILTER", "true"),
        ("WAKUNODE2_UNKNOWN", "x"),
    ];
    let node = start(folder.path(), file, &variables, &["--cluster-id=13"]);
    assert!(is_on(&node, "/waku/2/rs/13/2") && is_on(&node, "/waku/2/rs/13/3"));
    assert!(!is_on(&node, "/waku/2/rs/13/1") && !is_on(&node, "/waku/2/rs/12/2"));
    // Of the file and of the environment what nothing stands above.
    let health = node.get("/health").json();
    let state = |name: &str| {
        let all = health["protocolsHealth"].as_array().unwrap();
        all.iter().find_map(|one| one.get(name)).unwrap().as_str().unwrap().to_owned()
    };
    assert_eq!([state("Store"), state("Filter")].map(|state| state != "NOT_MOUNTED"), [true, true]);
    assert_eq!(state("Lightpush"), "NOT_MOUNTED");
    assert!(!folder.path().join("store.redb").exists());
}

#[test]
fn a_file_alone_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let Ports { rest, tcp, metrics, discovery } = Ports::free();
    let file = format!(
        "listen-address = \"127.0.0.1\"\ncluster-id = 98\nshard = [5]\nrest = true\nrest-port = {rest}\n\
         tcp-port = {tcp}\nlog-level = \"DEBUG\"\n"
    );
    fs::write(folder.path().join("node.toml"), file).unwrap();
    let mut command = command(folder.path(), &[]);
    command.env("WAKUNODE2_CONFIG_FILE", "node.toml");
    let node = Process::by(folder.path(), command, Ports { rest, tcp, metrics, discovery });
    assert!(is_on(&node, "/waku/2/rs/98/5"));
    assert!(node.address().starts_with(&format!("/ip4/127.0.0.1/tcp/{tcp}/p2p/")));
    assert_eq!(node.get("/admin/v1/peers").status, 404);
}
