//! Kills and signals.

use std::collections::BTreeSet;

use data_encoding::BASE64;

use super::{flood, payloads};
use crate::process::{Process, until};

const FLAGS: [(&str, &str); 2] =
    [("redb", "--store-message-db-url=redb://file"), ("sqlite", "--store-message-db-url=sqlite://file")];

#[test]
fn what_a_query_has_shown_is_there_after_a_kill() {
    for (scheme, url) in FLAGS {
        let folder = tempfile::tempdir().unwrap();
        let words = ["--shard=0", "--store", url];
        let mut node = Process::start_in(folder.path(), &words);
        let floods = [flood(node.rest, 1), flood(node.rest, 2)];
        let shown = until("a lot is kept", || Some(payloads(&node)).filter(|shown| shown.len() > 300));
        node.end("-KILL");
        let taken: Vec<_> = floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect();
        assert!(taken.len() >= 300, "{scheme}: {}", taken.len());

        let node = Process::start_in(folder.path(), &words);
        let there: BTreeSet<_> = payloads(&node).into_iter().collect();
        let lost: Vec<_> = shown.iter().filter(|payload| !there.contains(*payload)).collect();
        assert!(lost.is_empty(), "{scheme}: {} of {}", lost.len(), shown.len());
    }
}

#[test]
fn nothing_that_was_taken_is_lost_when_it_is_stopped_in_a_flood() {
    for (scheme, url) in FLAGS {
        let folder = tempfile::tempdir().unwrap();
        let words = ["--shard=0", "--store", url];
        let mut node = Process::start_in(folder.path(), &words);
        let floods = [flood(node.rest, 1), flood(node.rest, 2)];
        until("a lot is kept", || (payloads(&node).len() > 200).then_some(()));
        assert_eq!(node.end("-TERM").code(), Some(0), "{scheme}");
        let taken: Vec<_> = floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect();

        let node = Process::start_in(folder.path(), &words);
        let there: BTreeSet<_> = payloads(&node).into_iter().collect();
        let lost: Vec<_> = taken.iter().filter(|payload| !there.contains(&BASE64.encode(payload))).collect();
        assert!(lost.is_empty(), "{scheme}: {} of {}", lost.len(), taken.len());
    }
}
