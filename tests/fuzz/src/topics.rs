//! Names as text: topics and hashes.

use waku_proto::{Autosharding, ContentTopic, MessageHash, PubsubTopic};

/// A topic is shown as it was written, and its parts are what was written.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(topic) = text.parse::<ContentTopic>() {
        assert_eq!(topic.to_string(), text);
        let parts = [topic.application(), topic.version(), topic.name(), topic.encoding()];
        assert!(parts.iter().all(|part| !part.is_empty() && !part.contains('/')));
        assert!(text.ends_with(&format!("/{}", parts.join("/"))));
        let rule = Autosharding::new(1, 8).expect("a network may have 8 shards");
        assert_eq!(rule.shard(&topic).is_ok_and(|shard| shard.index() < 8), topic.generation() == 0);
    }
    if let Ok(topic) = text.parse::<PubsubTopic>() {
        assert_eq!(topic.to_string(), text);
        assert!(topic.shard().is_none_or(|shard| PubsubTopic::from(shard) == topic));
    }
    if let Ok(hash) = text.parse::<MessageHash>() {
        assert_eq!(hash.to_string(), text.trim_start_matches("0x").to_ascii_lowercase());
    }
}
