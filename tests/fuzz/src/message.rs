//! Messages, as gossipsub hands them over.

use waku_proto::message::DEFAULT_MAX_MESSAGE_SIZE;
use waku_proto::{Bytes, EncodedMessage, PubsubTopic, Shard};

/// A message keeps the bytes it came in, loses nothing when it is encoded anew, and is never longer then.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let Ok(message) = EncodedMessage::decode(bytes.clone()) else { return };
    assert_eq!(message.bytes(), &bytes);
    let anew = EncodedMessage::encode(message.message().clone());
    assert!(anew.bytes().len() <= data.len(), "{} bytes became {}", data.len(), anew.bytes().len());
    assert_eq!(EncodedMessage::decode(anew.bytes().clone()).as_ref(), Ok(&anew));
    assert_eq!(anew.message(), message.message());
    let topic = PubsubTopic::from(Shard::new(1, 0).expect("every cluster has a shard 0"));
    assert_eq!(anew.hash(&topic), message.hash(&topic));
    assert_eq!(message.check_size(DEFAULT_MAX_MESSAGE_SIZE).is_ok(), data.len() <= DEFAULT_MAX_MESSAGE_SIZE);
}
