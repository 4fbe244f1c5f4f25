//! What to do when gossipsub's send queues are full.
//!
//! Gossipsub then reports an error, but remembers the message as published and refuses it as a duplicate
//! when it is tried again. So such messages are remembered here, and their second try goes to the mesh as
//! a forwarded message would. Between the two the queues get a moment to drain.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use waku_proto::GossipId;

/// How long publishing rests after the queues were full.
const REST: Duration = Duration::from_millis(50);
/// Gossipsub's message cache forgets an unsent message after six heartbeats of a second.
const REMEMBERED: Duration = Duration::from_secs(5);
/// Unsent messages remembered.
const CAPACITY: usize = 256;

/// Messages gossipsub took but could not send.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    rest_until: Option<Instant>,
    unsent: VecDeque<(Instant, GossipId)>,
    /// Places in queues that unsent messages did not get.
    unqueued: usize,
}

impl Outbox {
    /// True while publishing rests.
    pub(crate) fn is_resting(&self, now: Instant) -> bool {
        self.rest_until.is_some_and(|until| now < until)
    }

    /// So many queues, all there are, were full for this message.
    pub(crate) fn overflowed(&mut self, id: GossipId, queues: usize, now: Instant) {
        self.unqueued = self.unqueued.saturating_add(queues);
        self.rest_until = Some(now + REST);
        self.unsent.push_back((now, id));
        if self.unsent.len() > CAPACITY {
            self.unsent.pop_front();
        }
    }

    /// How many messages are lost of so many that gossipsub had no place for: an unsent one is not, its
    /// publisher still has it.
    pub(crate) fn lost(&mut self, unqueued: usize) -> usize {
        let kept = unqueued.min(self.unqueued);
        self.unqueued -= kept;
        unqueued - kept
    }

    /// True once for a message that was not sent before and may now be.
    pub(crate) fn take_unsent(&mut self, id: GossipId, now: Instant) -> bool {
        self.unsent.retain(|(since, _)| now.duration_since(*since) < REMEMBERED);
        let position = self.unsent.iter().position(|(_, unsent)| *unsent == id);
        position.and_then(|position| self.unsent.remove(position)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_for_a_moment_after_an_overflow() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        assert!(!outbox.is_resting(now));
        outbox.overflowed(GossipId::of(b"a"), 1, now);
        assert!(outbox.is_resting(now));
        assert!(!outbox.is_resting(now + REST));
    }

    #[test]
    fn an_unsent_message_may_be_sent_once() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        outbox.overflowed(GossipId::of(b"a"), 1, now);
        assert!(!outbox.take_unsent(GossipId::of(b"b"), now));
        assert!(outbox.take_unsent(GossipId::of(b"a"), now));
        assert!(!outbox.take_unsent(GossipId::of(b"a"), now));
    }

    #[test]
    fn forgets_what_gossipsub_has_forgotten() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        outbox.overflowed(GossipId::of(b"a"), 1, now);
        assert!(!outbox.take_unsent(GossipId::of(b"a"), now + REMEMBERED));
    }

    #[test]
    fn what_a_publisher_still_has_is_not_lost() {
        let mut outbox = Outbox::default();
        outbox.overflowed(GossipId::of(b"a"), 3, Instant::now());
        assert_eq!((outbox.lost(2), outbox.lost(2), outbox.lost(2)), (0, 1, 2));
    }

    #[test]
    fn remembers_a_bounded_number() {
        let (now, mut outbox) = (Instant::now(), Outbox::default());
        for number in 0..=CAPACITY {
            outbox.overflowed(GossipId::of(&number.to_be_bytes()), 1, now);
        }
        assert!(!outbox.take_unsent(GossipId::of(&0usize.to_be_bytes()), now));
        assert!(outbox.take_unsent(GossipId::of(&CAPACITY.to_be_bytes()), now));
    }
}
