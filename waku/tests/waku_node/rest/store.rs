//! Past messages, of a store node and after a restart.

use serde_json::{Value, json};

use crate::process::{Process, until};

use super::coverage::covers;
use super::network::{message, now, shard};

const COUNT: usize = 130;
const PATH: &str = "/store/v3/messages";

/// Publishes so many messages, a microsecond apart, and waits until the archive has them; returns their hashes.
fn filled(store: &Process, count: usize) -> Vec<String> {
    let start = now() - 1_000_000_000;
    for index in 0..count {
        let at = start + i64::try_from(index).unwrap() * 1000;
        store.post_message(&shard(0), &message(&format!("{index:04}"), "/app/1/a/proto", at));
    }
    until("all is kept", || Some(pages(store, "pageSize=100", true)).filter(|hashes| hashes.len() == count))
}

fn hashes(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().unwrap();
    messages.iter().map(|message| message["messageHash"].as_str().unwrap().to_owned()).collect()
}

/// All pages to the last, in the order of the messages.
fn pages(node: &Process, query: &str, is_forward: bool) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = node.get(&format!("{PATH}?{query}&ascending={is_forward}&cursor={cursor}")).json();
        assert_eq!((&page["statusCode"], &page["statusDesc"]), (&json!(200), &json!("OK")), "{page}");
        let part = hashes(&page);
        all = if is_forward { [all, part].concat() } else { [part, all].concat() };
        match page.get("paginationCursor") {
            Some(next) => next.as_str().unwrap().clone_into(&mut cursor),
            None => return all,
        }
    }
}

#[test]
fn a_store_node_is_asked_page_by_page_in_both_directions() {
    covers(&["store.remote-pages-forward", "store.remote-pages-backward", "store.remote-request-id"]);
    covers(&["store.page-of-20-by-default", "store.page-of-100-at-most", "store.remote-data"]);
    covers(&["store.remote-hashes", "store.local-is-not-limited"]);
    covers(&["store.page-size-0-is-20", "store.page-size-negative-is-100"]);
    let store = Process::start(&["--shard=0", "--store", "--rate-limit=storev3:100/1h"]);
    let kept = filled(&store, COUNT);
    let node = format!("--storenode={}", store.address());
    let client = Process::start(&["--shard=0", "--relay=false", &node]);
    until("the client knows its store", || (client.get(PATH).status == 200).then_some(()));

    for (size, is_forward) in [(7, true), (7, false), (100, true), (65, false)] {
        assert_eq!(pages(&client, &format!("pageSize={size}"), is_forward), kept, "{size} {is_forward}");
    }
    let first = client.get(PATH).json();
    assert_eq!(hashes(&first), kept[..20]);
    let id = first["requestId"].as_str().unwrap();
    assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_ne!(client.get(PATH).json()["requestId"], first["requestId"]);
    for (size, count) in [("0", 20), ("-1", 100), ("101", 100), ("1000", 100), ("99", 99)] {
        for node in [&client, &store] {
            assert_eq!(hashes(&node.get(&format!("{PATH}?pageSize={size}")).json()), kept[..count], "{size}");
        }
    }
    assert_eq!(hashes(&client.get(&format!("{PATH}?ascending=false")).json()), kept[COUNT - 20..]);

    let wanted = [&kept[5], &kept[99], &kept[5]].map(String::as_str).join(",");
    let found = client.get(&format!("{PATH}?includeData=true&hashes={wanted}")).json();
    assert_eq!(hashes(&found), [kept[5].clone(), kept[99].clone()]);
    let data = &found["messages"][0];
    assert_eq!(data["pubsubTopic"], shard(0));
    assert_eq!(data["message"]["payload"], "0005");
    let fields = data["message"].as_object().unwrap().keys().map(String::as_str);
    assert_eq!(fields.collect::<Vec<_>>(), ["contentTopic", "ephemeral", "payload", "timestamp", "version"]);
    // What other nodes may ask is limited, what the operator may is not.
    for _ in 0..200 {
        assert_eq!(store.get(&format!("{PATH}?pageSize=1")).status, 200);
    }
}

#[test]
fn hashes_are_those_of_the_specification() {
    covers(&["message.hash"]);
    let store = Process::start(&["--shard=0", "--store"]);
    let at = now();
    let mut sent = message("aGVsbG8=", "/app/1/a/proto", at);
    sent["meta"] = json!("bWV0YQ==");
    store.post_message(&shard(0), &sent);
    let found =
        until("it is kept", || Some(hashes(&store.get(PATH).json())).filter(|found| !found.is_empty()));
    let text = [shard(0).as_bytes(), b"hello", b"/app/1/a/proto", b"meta", &at.to_be_bytes()].concat();
    let digest = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(&text));
    assert_eq!(found, [format!("0x{digest}")]);
}

#[test]
fn what_is_kept_survives_a_restart() {
    covers(&["store.survives-restart"]);
    let folder = tempfile::tempdir().unwrap();
    let mut before = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    let kept = filled(&before, 25);
    assert_eq!(before.end("-TERM").code(), Some(0));
    // So that the second is waited for by its own log.
    std::fs::remove_file(folder.path().join("log")).unwrap();
    let after = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    assert_eq!(pages(&after, "pageSize=10", true), kept);
    let page = after.get(&format!("{PATH}?includeData=true&pageSize=1")).json();
    assert_eq!(page["messages"][0]["message"]["payload"], "0000");
}
