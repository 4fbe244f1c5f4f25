//! Which messages of theirs are still expected: nametag to index.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::message_nametag::{MessageNametag, NametagSecret};
use crate::time::Instant;

/// How far beyond the newest message received one may be and still be known.
pub const WINDOW: u64 = 256;

/// How many messages that were overtaken stay expected.
pub const MAX_SKIPPED: usize = 1024;

/// How long a message that was overtaken stays expected.
pub const SKIPPED_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct ReceiveWindow {
    secret: NametagSecret,
    expected: HashMap<MessageNametag, u64>,
    /// Overtaken messages, by index, with their nametag and when they were overtaken.
    skipped: BTreeMap<u64, (MessageNametag, Instant)>,
    /// One more than the highest index received.
    next: u64,
}

impl ReceiveWindow {
    pub(super) fn new(secret: NametagSecret) -> Self {
        let expected = (0..WINDOW).map(|index| (secret.nametag(index), index)).collect();
        Self { secret, expected, skipped: BTreeMap::new(), next: 0 }
    }

    pub(super) fn index_of(&self, nametag: MessageNametag) -> Option<u64> {
        self.expected.get(&nametag).copied()
    }

    /// The lowest index that may still come.
    pub(super) fn lowest_expected(&self) -> u64 {
        self.skipped.keys().next().copied().unwrap_or(self.next)
    }

    /// Takes an expected index off the window and slides it.
    pub(super) fn mark_received(&mut self, now: Instant, index: u64) {
        self.expected.remove(&self.secret.nametag(index));
        self.skipped.remove(&index);
        for overtaken in self.next..index {
            self.skipped.insert(overtaken, (self.secret.nametag(overtaken), now));
        }
        if index >= self.next {
            for coming in self.next + WINDOW..=index + WINDOW {
                self.expected.insert(self.secret.nametag(coming), coming);
            }
            self.next = index + 1;
        }
        self.forget_skipped(now);
    }

    fn forget_skipped(&mut self, now: Instant) {
        while let Some((_, (nametag, since))) = self.skipped.first_key_value() {
            if self.skipped.len() <= MAX_SKIPPED && now.saturating_since(*since) <= SKIPPED_LIFETIME {
                break;
            }
            self.expected.remove(nametag);
            self.skipped.pop_first();
        }
    }
}
