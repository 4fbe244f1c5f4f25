//! The messages that came lately, so that none is delivered twice.

use std::collections::{HashSet, VecDeque};

use waku_proto::MessageHash;

/// Messages remembered: over two minutes at a hundred a second. The oldest are forgotten first.
const MAX: usize = 16 * 1024;

/// The hashes of what came lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    known: HashSet<MessageHash>,
    order: VecDeque<MessageHash>,
}

impl Recent {
    /// Remembers a message; false when it is known already.
    pub(super) fn insert(&mut self, hash: MessageHash) -> bool {
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
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
    fn remembers_a_bounded_number_of_messages() {
        let mut recent = Recent::default();
        for number in 0..MAX {
            assert!(recent.insert(hash(number)));
            assert!(!recent.insert(hash(number)));
        }
        assert!(!recent.insert(hash(0)));
        assert!(recent.insert(hash(MAX)));
        assert!(recent.insert(hash(0)));
        assert_eq!((recent.known.len(), recent.order.len()), (MAX, MAX));
    }
}
