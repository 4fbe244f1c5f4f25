//! Topics and shards: what is accepted, what is refused, and what the refusal says.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use waku_proto::shard::{ShardError, UnknownGeneration};
use waku_proto::{Autosharding, ContentTopic, MessageHash, PubsubTopic, Shard, relay};

#[test]
fn content_topic_has_four_parts() {
    let topic: ContentTopic = "/toychat/2/huilong/proto".parse().unwrap();
    let parts = (topic.application(), topic.version(), topic.name(), topic.encoding());
    assert_eq!(parts, ("toychat", "2", "huilong", "proto"));
    assert_eq!(topic.generation(), 0);
    assert_eq!(topic.to_string(), "/toychat/2/huilong/proto");
}

#[test]
fn content_topic_may_name_its_generation() {
    let topic: ContentTopic = "/0/toychat/2/huilong/proto".parse().unwrap();
    let parts = (topic.application(), topic.version(), topic.name(), topic.encoding());
    assert_eq!(parts, ("toychat", "2", "huilong", "proto"));
    assert_eq!(topic.to_string(), "/0/toychat/2/huilong/proto");
    assert_ne!(topic, "/toychat/2/huilong/proto".parse().unwrap());
}

#[test]
fn content_topic_refuses_other_shapes() {
    for text in [
        "",
        "/",
        "a/b/c/d",
        "/a/b/c",
        "/a/b/c/",
        "//b/c/d",
        "/a//c/d",
        "/a/b/c/d/e/f",
        "/x/a/b/c/d",
        "/-1/a/b/c/d",
    ] {
        let error = text.parse::<ContentTopic>().unwrap_err();
        assert_eq!(error.text, text);
    }
}

#[test]
fn autosharding_refuses_generations_it_does_not_know() {
    let topic: ContentTopic = "/1/toychat/2/huilong/proto".parse().unwrap();
    let rule = Autosharding::new(1, 8).unwrap();
    assert_eq!(rule.shard(&topic), Err(UnknownGeneration { topic }));
}

#[test]
fn autosharding_needs_1_to_1024_shards() {
    assert_eq!(Autosharding::new(1, 0), Err(ShardError::Count(0)));
    assert_eq!(Autosharding::new(1, 1025), Err(ShardError::Count(1025)));
    assert_eq!(Autosharding::new(1, 1024).unwrap().shards().count(), 1024);
}

#[test]
fn shards_end_at_1023() {
    assert_eq!(Shard::new(0, 1023).unwrap().to_string(), "0/1023");
    assert_eq!(Shard::new(0, 1024), Err(ShardError::Index(1024)));
}

#[test]
fn pubsub_topic_of_a_shard_and_back() {
    let shard = Shard::new(16, 32).unwrap();
    let topic = PubsubTopic::from(shard);
    assert_eq!(topic.as_str(), "/waku/2/rs/16/32");
    assert_eq!(topic.shard(), Some(shard));
    assert_eq!("/waku/2/rs/16/32".parse(), Ok(topic));
}

#[test]
fn pubsub_topic_may_be_a_name() {
    let topic: PubsubTopic = "/waku/2/default-waku/proto".parse().unwrap();
    assert_eq!(topic.shard(), None);
}

#[test]
fn pubsub_topic_has_at_most_256_bytes() {
    let of_len = |len: usize| format!("/waku/2/{}", "n".repeat(len - 8));
    assert!(of_len(256).parse::<PubsubTopic>().is_ok());
    assert_eq!(of_len(257).parse::<PubsubTopic>().unwrap_err().reason, "it is longer than 256 bytes");
}

#[test]
fn pubsub_topic_refuses_other_shapes() {
    for text in [
        "",
        "/waku/2/",
        "/waku/1/name",
        "waku/2/name",
        "/waku/2/rs/1",
        "/waku/2/rs/1/",
        "/waku/2/rs/1/1024",
        "/waku/2/rs/65536/0",
        "/waku/2/rs/01/1",
        "/waku/2/rs/+1/1",
        "/waku/2/rs/1/1/1",
    ] {
        let error = text.parse::<PubsubTopic>().unwrap_err();
        assert_eq!(error.text, text);
    }
}

#[test]
fn message_hash_refuses_what_is_no_hash() {
    let hash = "64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05";
    let parsed: MessageHash = hash.parse().unwrap();
    assert_eq!(format!("0x{}", hash.to_uppercase()).parse(), Ok(parsed));
    for text in ["", "64cc", &hash[1..], &format!("{hash}0"), &hash.replace('6', "g"), &"é".repeat(32)] {
        assert_eq!(text.parse::<MessageHash>().unwrap_err().text, text);
    }
}

#[test]
fn relay_rpc_size_counts_keys_and_lengths() {
    // publish key and length 1+1, data key, length and bytes 1+1+3, topic key, length and bytes 1+1+14.
    assert_eq!(relay::rpc_size(&"/waku/2/rs/0/0".parse().unwrap(), 3), 2 + 5 + 16);
    // Lengths of 128 and more take another byte.
    assert_eq!(relay::rpc_size(&"/waku/2/rs/0/0".parse().unwrap(), 200), 3 + 203 + 16);
}
