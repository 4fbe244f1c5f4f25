//! Fetching what was missed (`--store-resume`).

use super::{envelopes, has, hashes, left, try_publish};
use crate::process::{Process, until};

#[test]
fn what_was_missed_is_fetched_from_the_store_that_is_named() {
    let missed = envelopes(250, 600);
    let a = tempfile::tempdir().unwrap();
    left(&a.path().join("store.redb"), &missed);
    let a = Process::start_in(a.path(), &["--shard=0", "--store"]);
    let named = format!("--storenode={}", a.address());

    // One that knows nothing yet, and one that was there for a while, but did not get every message at its end: clocks
    // differ.
    let all = hashes(&missed);
    has(&Process::start(&["--shard=0", "--store", "--store-resume", &named]), &all);
    let folder = tempfile::tempdir().unwrap();
    left(&folder.path().join("store.redb"), &[&missed[..80], &missed[99..100]].concat());
    let b = Process::start_in(folder.path(), &["--shard=0", "--store", "--store-resume", &named]);
    has(&b, &all);
    b.logs(&["messages that were missed were fetched", "count=169"]);
}

#[test]
fn messages_that_come_first_do_not_hide_what_was_missed() {
    let missed = envelopes(250, 600);
    let a = tempfile::tempdir().unwrap();
    left(&a.path().join("store.redb"), &missed);
    let a = Process::start_in(a.path(), &["--shard=0", "--store"]);

    let folder = tempfile::tempdir().unwrap();
    left(&folder.path().join("store.redb"), &missed[..100]);
    let b = Process::start_in(folder.path(), &["--shard=0", "--store", "--store-resume"]);
    try_publish(b.rest, b"first").unwrap();
    until("the message is kept", || (b.stored().len() == 101).then_some(()));
    b.dial(&a);
    b.logs(&["messages that were missed were fetched", "count=150"]);
    assert_eq!(b.stored()[..250], hashes(&missed));
}

#[test]
fn without_the_flag_nothing_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    left(&folder.path().join("store.redb"), &envelopes(3, 600));
    let a = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    let b = Process::start(&["--shard=0", "--store", &format!("--storenode={}", a.address())]);
    b.meets(&a);
    assert_eq!(b.stored(), Vec::<String>::new());
}
