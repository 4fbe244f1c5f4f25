//! 11/WAKU2-RELAY: how large a published message is on the wire.

use prost::encoding::{encoded_len_varint, key_len};

use crate::PubsubTopic;

/// Largest gossipsub RPC that nwaku reads, in bytes: 150 KiB. It counts the whole RPC, not the message.
pub const MAX_RPC_SIZE: usize = 150 * 1024;

/// Size in bytes of the gossipsub RPC that carries `data_len` bytes on `topic` and nothing else, without
/// its own length prefix.
pub fn rpc_size(topic: &PubsubTopic, data_len: usize) -> usize {
    // RPC { publish (2): Message { data (2), topic (4) } }; nothing else is set under StrictNoSign.
    let message = field_size(2, data_len) + field_size(4, topic.as_str().len());
    field_size(2, message)
}

fn field_size(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}
