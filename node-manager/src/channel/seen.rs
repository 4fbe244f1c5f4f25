//! What was seen lately: hashes of messages that came or went, and what was published for stores to keep.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest, Sha256};
use waku::MessageHash;

/// Hashes remembered; the oldest are forgotten first.
const SEEN: usize = 8192;
/// Published messages remembered by their payload.
const PUBLISHED: usize = 4096;

/// A bounded memory.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: HashSet<MessageHash>,
    order: VecDeque<MessageHash>,
    published: VecDeque<([u8; 32], MessageHash)>,
}

impl Seen {
    /// Remembers a message; false when it is known already.
    pub(super) fn insert(&mut self, hash: MessageHash) -> bool {
        let is_new = self.hashes.insert(hash);
        if is_new {
            self.order.push_back(hash);
            if self.order.len() > SEEN
                && let Some(oldest) = self.order.pop_front()
            {
                self.hashes.remove(&oldest);
            }
        }
        is_new
    }

    pub(super) fn contains(&self, hash: &MessageHash) -> bool {
        self.hashes.contains(hash)
    }

    /// Remembers under which hash a payload was published.
    pub(super) fn published(&mut self, payload: &[u8], hash: MessageHash) {
        self.published.push_back((digest(payload), hash));
        if self.published.len() > PUBLISHED {
            self.published.pop_front();
        }
    }

    /// The hashes under which a payload was published, oldest first: each repetition has one of its own.
    pub(super) fn hashes_of(&self, payload: &[u8]) -> Vec<MessageHash> {
        let wanted = digest(payload);
        self.published.iter().filter(|(digest, _)| *digest == wanted).map(|(_, hash)| *hash).collect()
    }
}

fn digest(payload: &[u8]) -> [u8; 32] {
    Sha256::digest(payload).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> MessageHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes.into()
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut seen = Seen::default();
        for number in 0..=SEEN {
            assert!(seen.insert(hash(number)));
        }
        assert!(!seen.insert(hash(1)) && !seen.contains(&hash(0)));
        assert!(seen.insert(hash(0)) && !seen.contains(&hash(1)), "one in, one out");
        assert_eq!((seen.hashes.len(), seen.order.len()), (SEEN, SEEN));
    }

    #[test]
    fn a_payload_is_known_by_every_hash_it_went_out_under() {
        let mut seen = Seen::default();
        seen.published(b"said twice", hash(1));
        seen.published(b"something else", hash(2));
        seen.published(b"said twice", hash(3));
        assert_eq!(seen.hashes_of(b"said twice"), [hash(1), hash(3)]);
        assert!(seen.hashes_of(b"never said").is_empty());
        for number in 0..PUBLISHED {
            seen.published(b"more", hash(number));
        }
        assert!(seen.hashes_of(b"said twice").is_empty());
    }
}
