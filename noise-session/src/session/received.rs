//! The messages of theirs that were opened last, so that their repetitions are known for what they are.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::message_nametag::MessageNametag;

/// How many of the messages opened last are known again. With a digest each takes some hundred bytes.
pub const MAX_REMEMBERED: usize = 1024;

#[derive(Default)]
pub(super) struct Received {
    messages: HashMap<MessageNametag, Message>,
    /// Their nametags, oldest first.
    order: VecDeque<MessageNametag>,
}

struct Message {
    index: u64,
    /// Of the ciphertext. Its key may have been erased since, and is not needed: what has the digest of an authentic
    /// message is that message.
    digest: [u8; 32],
}

impl Received {
    /// Notes a message that was opened, in the place of the oldest one if there are enough.
    pub(super) fn remember(&mut self, nametag: MessageNametag, index: u64, ciphertext: &[u8]) {
        if self.order.len() == MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
        self.messages.insert(nametag, Message { index, digest: Sha256::digest(ciphertext).into() });
        self.order.push_back(nametag);
    }

    /// The index of the message that this one is byte for byte.
    pub(super) fn index_of(&self, nametag: MessageNametag, ciphertext: &[u8]) -> Option<u64> {
        let known = self.messages.get(&nametag)?;
        let digest: [u8; 32] = Sha256::digest(ciphertext).into();
        (known.digest == digest).then_some(known.index)
    }
}
