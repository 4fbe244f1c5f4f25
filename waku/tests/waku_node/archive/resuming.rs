//! Fetching what was missed (`--store-resume`).

use super::{envelopes, has, hashes, left};
use crate::process::Process;

#[test]
fn what_was_missed_is_fetched_from_the_store_that_is_named() {
    let missed = envelopes(250, 600);
    let a = tempfile::tempdir().unwrap();
    left(&a.path().join("store.redb"), &missed);
    let a = Process::start_in(a.path(), &["--shard=0", "--store"]);
    let named = format!("--storenode={}", a.address());

    // One that knows nothing yet, and one that was there for a while.
    let all = hashes(&missed);
    has(&Process::start(&["--shard=0", "--store", "--store-resume", &named]), &all);
    let folder = tempfile::tempdir().unwrap();
    left(&folder.path().join("store.redb"), &missed[..100]);
    let b = Process::start_in(folder.path(), &["--shard=0", "--store", "--store-resume", &named]);
    has(&b, &all);
    b.logs(&["messages that were missed were fetched", "count=150"]);
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
