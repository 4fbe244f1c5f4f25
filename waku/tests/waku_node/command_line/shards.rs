//! What is relayed.

use data_encoding::{BASE64, HEXLOWER};
use k256::ecdsa::signature::hazmat::PrehashSigner as _;
use k256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::encoded;
use crate::network::{message, now, pair, topic};
use crate::process::Process;

/// The shards of cluster 99 that it is on.
fn shards(node: &Process) -> Vec<u64> {
    let on = node.get("/admin/v1/peers/relay").json();
    let mut shards: Vec<_> =
        on.as_array().unwrap().iter().map(|one| one["shard"].as_u64().unwrap()).collect();
    shards.sort_unstable();
    shards
}

#[test]
fn static_shards_are_those_that_are_named() {
    assert_eq!(shards(&Process::start(&["--shard=3", "--shard=1"])), [1, 3]);
    assert_eq!(shards(&Process::start(&[])), [0; 0]);
}

#[test]
fn autosharding_is_on_all_shards_or_those_that_are_named() {
    assert_eq!(shards(&Process::start(&["--num-shards-in-network=4"])), [0, 1, 2, 3]);
    assert_eq!(shards(&Process::start(&["--num-shards-in-network=4", "--shard=2"])), [2]);
}

#[test]
fn a_content_topic_is_relayed_and_kept_from_the_start() {
    let (content_topic, count) = ("/toychat/2/huilong/proto", 1024);
    let flags = [
        format!("--num-shards-in-network={count}"),
        "--shard=0".to_owned(),
        format!("--content-topic={content_topic}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let node = Process::start(&flags);
    let auto = |topic: &str| node.get(&format!("/relay/v1/auto/messages/{}", encoded(topic))).status;
    assert_eq!(auto(content_topic), 200);
    assert_eq!(auto("/another/1/topic/proto"), 404);
    let on = shards(&node);
    assert!(on.len() == 2 && on[0] == 0, "{on:?}");
}

#[test]
fn a_preset_says_cluster_and_shards() {
    // Of a network whose nodes are found in DNS alone; here a server is asked that is not there.
    let node =
        Process::start(&["--preset=status.staging", "--cluster-id=16", "--dns-addrs-name-server=127.0.0.9"]);
    assert_eq!(node.get("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F0").status, 200);
    node.logs(&["WRN", "boot.staging.status.nodes.status.im"]);
}

/// The answer to publishing `len` bytes.
fn publish(node: &Process, len: usize) -> crate::http::Answer {
    let body = message(&vec![7; len], "/a/1/b/proto").to_string();
    node.post(&format!("/relay/v1/messages/{}", encoded(&topic(0))), &body)
}

#[test]
fn a_message_may_be_as_long_as_it_is_said() {
    let (a, b) = pair(&["--max-msg-size=10KiB"], &["--max-msg-size=10KiB"]);
    let answer = publish(&a, 10 * 1024);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, "Failed to publish: Message size exceeded maximum of 10240 bytes");
    assert_eq!(publish(&a, 10 * 1024 - 64).status, 200);
    b.receives(0, &vec![7; 10 * 1024 - 64]);
}

/// A message that `key` has signed for shard 0 of cluster 99.
fn signed(key: &SigningKey, payload: &[u8]) -> Value {
    let (content_topic, at) = ("/a/1/b/proto", now());
    let digest = Sha256::new()
        .chain_update(topic(0))
        .chain_update(payload)
        .chain_update(content_topic)
        .chain_update(at.to_le_bytes())
        .chain_update([0])
        .finalize();
    let signature: Signature = key.sign_prehash(&digest).unwrap();
    let (payload, meta) = (BASE64.encode(payload), BASE64.encode(&signature.to_bytes()));
    json!({ "payload": payload, "contentTopic": content_topic, "timestamp": at, "meta": meta, "ephemeral": false })
}

#[test]
fn on_a_protected_shard_only_what_is_signed_is_relayed() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let public = HEXLOWER.encode(key.verifying_key().to_sec1_point(true).as_bytes());
    let flag = format!("--protected-shard=0:{public}");
    let (a, b) = pair(&[&flag], &[&flag]);
    let c = Process::start(&["--shard=0"]);
    c.dial(&b);
    c.meshes(0, 1);
    b.meshes(0, 2);
    // One that does not protect it sends what is not signed: it ends at the first that does.
    c.publish(0, &message(b"not signed", "/a/1/b/proto"));
    b.counts("libp2p_pubsub_validation_failure_total", 1.0);
    a.publish(0, &signed(&key, b"signed"));
    b.receives(0, b"signed");
    let path = format!("/relay/v1/messages/{}", encoded(&topic(0)));
    for node in [&a, &b] {
        assert!(!node.get(&path).body.contains(&BASE64.encode(b"not signed")));
    }
}
