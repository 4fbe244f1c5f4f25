//! What is kept. Old messages are deleted at the start, and then every half hour.

use std::fs;

use waku::store::archive::{Archive as _, SqliteArchive, SqliteOptions};

use super::{envelope, envelopes, has, hashes, left};
use crate::process::{Process, until};

/// What of these messages is kept under a policy.
fn kept(policy: &str, all: &[waku::Envelope], expected: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    left(&folder.path().join("store.redb"), all);
    let flag = format!("--store-message-retention-policy={policy}");
    has(&Process::start_in(folder.path(), &["--shard=0", "--store", &flag]), expected);
}

#[test]
fn what_a_policy_says_is_kept() {
    let three_days = 3 * 24 * 60 * 60;
    let mut all = envelopes(20, three_days);
    all.extend(envelopes(30, 60));
    let hashes = hashes(&all);
    kept("capacity:10", &all, &hashes[40..]);
    kept("time:3600", &all, &hashes[20..]);
    kept("none", &all, &hashes);
    kept("time:3600;capacity:5", &all, &hashes[45..]);
    kept("size:1GB", &all, &hashes);
}

#[test]
fn two_days_are_kept_when_nothing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let day = 24 * 60 * 60;
    let all = [envelope(3 * day, vec![3]), envelope(day, vec![1])];
    left(&folder.path().join("store.redb"), &all);
    has(&Process::start_in(folder.path(), &["--shard=0", "--store"]), &hashes(&all)[1..]);
}

#[test]
fn no_more_bytes_are_kept_than_there_may_be() {
    let folder = tempfile::tempdir().unwrap();
    // 3 MB of messages.
    let all: Vec<_> = (0..30_u8).map(|i| envelope(i64::from(100 - i), vec![i; 100_000])).collect();
    left(&folder.path().join("store.redb"), &all);
    let flags = ["--shard=0", "--store", "--store-message-retention-policy=size:1MB"];
    let node = Process::start_in(folder.path(), &flags);
    let kept = until("messages are deleted", || Some(node.stored()).filter(|kept| kept.len() <= 10));
    assert!(kept.len() >= 8 && kept == hashes(&all)[30 - kept.len()..], "{}", kept.len());
}

#[test]
fn an_sqlite_file_gives_its_free_room_back_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite3");
    let all: Vec<_> = (0..40_u8).map(|i| envelope(i64::from(100 - i), vec![i; 100_000])).collect();
    let archive = SqliteArchive::open(&path, SqliteOptions::default()).unwrap();
    archive.insert(&all).unwrap();
    drop(archive);
    let flags = ["--shard=0", "--store", "--store-message-retention-policy=capacity:1"];
    let len = || fs::metadata(&path).unwrap().len();
    let run = |vacuum: &str| {
        let mut node = Process::start_in(folder.path(), &[&flags[..], &[vacuum]].concat());
        has(&node, &hashes(&all)[39..]);
        assert_eq!(node.end("-TERM").code(), Some(0));
        len()
    };
    assert!(run("--store-message-db-vacuum=false") > 3_000_000);
    assert!(run("--store-message-db-vacuum") < 1_000_000);
}
