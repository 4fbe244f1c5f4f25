//! A disk without room.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::try_publish;
use crate::network::message;
use crate::process::{FIXED, Ports, Process, ends};

/// Shells that become the node, without room for much: in one no file may be larger than 2 MiB, in the other there is a disk
/// of 1 MiB.
const FILE: &[&str] = &["sh", "-c", r#"trap "" XFSZ && ulimit -f 4096 && exec "$@""#, "sh"];
const DISK: &[&str] =
    &["unshare", "-rm", "sh", "-c", r#"mount -t tmpfs -o size=1m none disk && exec "$@""#, "sh"];

/// What these words become in such a shell.
fn within(shell: &[&str], folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(words).current_dir(folder);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command
}

/// The node stays, says what is wrong, and does everything else.
fn stays(shell: &[&str], url: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    let ports = Ports::free();
    let port_words = ports.words();
    let url = format!("--store-message-db-url={url}");
    let mut words = vec![env!("CARGO_BIN_EXE_waku-node")];
    words.extend(FIXED);
    words.extend(port_words.iter().map(String::as_str));
    words.extend(["--shard=0", "--store", &url]);
    let mut a = Process::by(folder.path(), within(shell, folder.path(), &words), ports);
    let b = Process::start(&["--shard=0"]);
    b.dial(&a);
    a.meshes(0, 1);
    b.meshes(0, 1);
    for number in 0..80_u8 {
        assert_eq!(try_publish(a.rest, &vec![number; 50_000]), Some(()), "{url}");
    }
    a.logs(&["ERR", "the archive fails"]);
    a.counts("waku_archive_insert_errors_total", 1.0);
    b.publish(0, &message(b"still there", "/a/1/b/proto"));
    a.receives(0, b"still there");
    b.receives(0, &vec![79; 50_000]);
    assert_eq!(a.get("/health").json()["nodeHealth"], "READY");
    assert_eq!(a.get("/store/v3/messages?pageSize=1").status, 200);
    assert_eq!(a.end("-TERM").code(), Some(0), "{url}");
}

#[test]
fn a_node_whose_file_cannot_grow_stays_and_says_so() {
    for url in ["redb://disk/file", "sqlite://disk/file"] {
        stays(FILE, url);
    }
}

#[test]
fn a_node_whose_disk_is_full_stays_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    if !ends(within(DISK, folder.path(), &["true"])).status.success() {
        // The other test has the same file without a disk.
        eprintln!("not run: this machine lets nobody have a file system of their own");
        return;
    }
    for url in ["redb://disk/file", "sqlite://disk/file"] {
        stays(DISK, url);
    }
}
