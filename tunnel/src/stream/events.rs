//! The events of a subscription: paced and coalesced where they are told, put in order where they are heard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use waku_noise_session::time::Instant;

use super::{CREDIT_STEP, WINDOW};
use crate::request::Pace;

/// The most bytes of one event.
pub const MAX_EVENT: usize = 64 * 1024;
/// Events that wait to be told; of more the oldest is dropped, and the gap is told.
pub const MAX_WAITING: usize = 256;
/// What an event costs of a subscription's credit beside its bytes.
const OVERHEAD: u64 = 64;

fn cost(bytes: &Bytes) -> u64 {
    bytes.len() as u64 + OVERHEAD
}

/// What a subscriber is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The event.
    pub bytes: Bytes,
    /// How many before it were not told.
    pub missed: u64,
}

struct Waiting {
    topic: u64,
    notice: Notice,
}

/// On the server's side.
pub(crate) struct Outbox {
    pace: Pace,
    waiting: VecDeque<Waiting>,
    waiting_len: usize,
    /// Not told since the latest that waits.
    missed: u64,
    /// Sent and not acknowledged.
    sent: BTreeMap<u64, Notice>,
    resend: BTreeSet<u64>,
    next: u64,
    spent: u64,
    credit: u64,
    /// When the next batch may go.
    ready: Instant,
}

impl Outbox {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            waiting: VecDeque::new(),
            waiting_len: 0,
            missed: 0,
            sent: BTreeMap::new(),
            resend: BTreeSet::new(),
            next: 0,
            spent: 0,
            credit: WINDOW,
            ready: Instant::default(),
        }
    }

    /// Puts an event in line. Of those that wait one may be left out for it.
    pub(crate) fn push(&mut self, topic: u64, bytes: Bytes) {
        if self.pace.coalesce
            && let Some(at) = self.waiting.iter().position(|waiting| waiting.topic == topic)
        {
            self.leave_out(at);
        }
        while self.waiting.len() >= MAX_WAITING || self.waiting_len + bytes.len() > 4 * MAX_EVENT {
            self.leave_out(0);
        }
        self.waiting_len += bytes.len();
        let missed = std::mem::take(&mut self.missed);
        self.waiting.push_back(Waiting { topic, notice: Notice { bytes, missed } });
    }

    /// The next one after it tells of the gap.
    fn leave_out(&mut self, at: usize) {
        let Some(Waiting { notice, .. }) = self.waiting.remove(at) else { return };
        self.waiting_len -= notice.bytes.len();
        let missed = notice.missed + 1;
        match self.waiting.get_mut(at) {
            Some(next) => next.notice.missed += missed,
            None => self.missed += missed,
        }
    }

    pub(crate) fn ripe_at(&self) -> Option<Instant> {
        if !self.resend.is_empty() {
            return Some(Instant::default());
        }
        let first = self.waiting.front()?;
        self.has_credit(&first.notice.bytes).then_some(self.ready)
    }

    fn has_credit(&self, bytes: &Bytes) -> bool {
        self.spent + cost(bytes) <= self.credit
    }

    /// The next event to send, if it has at most `room` bytes; the whole batch goes with the first of it.
    pub(crate) fn take(&mut self, now: Instant, room: usize) -> Option<(u64, Notice)> {
        if let Some(&seq) = self.resend.first() {
            let notice = self.sent.get(&seq).filter(|notice| notice.bytes.len() <= room)?.clone();
            self.resend.remove(&seq);
            return Some((seq, notice));
        }
        let first = self.waiting.front()?;
        if self.ready > now || first.notice.bytes.len() > room || !self.has_credit(&first.notice.bytes) {
            return None;
        }
        let Waiting { notice, .. } = self.waiting.pop_front()?;
        self.waiting_len -= notice.bytes.len();
        self.spent += cost(&notice.bytes);
        let seq = self.next;
        self.next += 1;
        self.sent.insert(seq, notice.clone());
        Some((seq, notice))
    }

    /// A message with some of them is made: the next batch has to wait.
    pub(crate) fn batch_ends(&mut self, now: Instant) {
        self.ready = now + Duration::from_millis(self.pace.min_interval_ms.into());
    }

    pub(crate) fn acked(&mut self, seq: u64) {
        self.sent.remove(&seq);
        self.resend.remove(&seq);
    }

    pub(crate) fn lost(&mut self, seq: u64) {
        if self.sent.contains_key(&seq) {
            self.resend.insert(seq);
        }
    }

    pub(crate) fn credited(&mut self, credit: u64) {
        self.credit = self.credit.max(credit);
    }

    pub(crate) fn buffered(&self) -> usize {
        self.waiting_len + self.sent.values().map(|notice| notice.bytes.len()).sum::<usize>()
    }
}

/// On the subscriber's side.
#[derive(Default)]
pub(crate) struct Inbox {
    next: u64,
    /// Those that came, by place; read from the front as long as none is missing.
    held: BTreeMap<u64, Notice>,
    held_cost: u64,
    read: u64,
    told: u64,
    regrant: bool,
}

impl Inbox {
    /// Takes an event in; `false` when the other side had no credit for it.
    pub(crate) fn accept(&mut self, seq: u64, notice: &Notice) -> bool {
        if seq < self.next || self.held.contains_key(&seq) {
            return true;
        }
        self.held_cost += cost(&notice.bytes);
        let bytes = Bytes::copy_from_slice(&notice.bytes);
        self.held.insert(seq, Notice { bytes, missed: notice.missed });
        self.held_cost <= WINDOW
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.held.first_key_value().is_some_and(|(seq, _)| *seq == self.next)
    }

    pub(crate) fn read(&mut self) -> Option<Notice> {
        let notice = self.held.remove(&self.next)?;
        self.next += 1;
        self.held_cost -= cost(&notice.bytes);
        self.read += cost(&notice.bytes);
        Some(notice)
    }

    pub(crate) fn credit_is_due(&self) -> bool {
        self.regrant || self.read >= self.told + CREDIT_STEP
    }

    pub(crate) fn grant(&mut self) -> u64 {
        self.regrant = false;
        self.told = self.read;
        self.read + WINDOW
    }

    pub(crate) fn regrant(&mut self) {
        self.regrant = true;
    }

    pub(crate) fn buffered(&self) -> usize {
        usize::try_from(self.held_cost).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    fn bytes(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn take_all(outbox: &mut Outbox, now: Instant) -> Vec<(u64, Bytes, u64)> {
        let taken = std::iter::from_fn(|| outbox.take(now, MAX_EVENT));
        let taken = taken.map(|(seq, notice)| (seq, notice.bytes, notice.missed)).collect();
        outbox.batch_ends(now);
        taken
    }

    #[test]
    fn of_a_topic_only_the_latest_is_told_and_the_gap_too() {
        let mut outbox = Outbox::new(Pace { coalesce: true, ..Pace::default() });
        for (topic, event) in [(1, "a"), (2, "b"), (1, "c"), (1, "d"), (3, "e")] {
            outbox.push(topic, bytes(event));
        }
        let told = take_all(&mut outbox, at(0));
        assert_eq!(told, [(0, bytes("b"), 1), (1, bytes("d"), 1), (2, bytes("e"), 0)]);
        let all = told.len() as u64 + told.iter().map(|(.., missed)| missed).sum::<u64>();
        assert_eq!(all, 5);
    }

    #[test]
    fn events_keep_to_their_pace() {
        let mut outbox = Outbox::new(Pace { min_interval_ms: 1000, coalesce: false });
        outbox.push(1, bytes("a"));
        outbox.push(1, bytes("b"));
        assert_eq!(take_all(&mut outbox, at(500)).len(), 2, "what waits goes together");
        outbox.push(1, bytes("c"));
        assert_eq!((outbox.ripe_at(), take_all(&mut outbox, at(600)).len()), (Some(at(1500)), 0));
    }

    #[test]
    fn the_oldest_is_left_out_when_too_many_wait() {
        let mut outbox = Outbox::new(Pace::default());
        for n in 0..MAX_WAITING + 3 {
            outbox.push(n as u64, bytes(&n.to_string()));
        }
        let told = take_all(&mut outbox, at(0));
        assert_eq!((told.len(), told[0].clone()), (MAX_WAITING, (0, bytes("3"), 3)));
    }

    #[test]
    fn waits_for_credit_and_repeats_what_was_lost() {
        let mut outbox = Outbox::new(Pace::default());
        let large = Bytes::from(vec![0; MAX_EVENT]);
        for n in 0..4 {
            outbox.push(n, large.clone());
        }
        assert_eq!(
            take_all(&mut outbox, at(0)).len(),
            3,
            "four and what they cost beside their bytes are too much"
        );
        assert_eq!(outbox.ripe_at(), None);
        outbox.lost(1);
        outbox.acked(0);
        outbox.lost(0);
        let again = take_all(&mut outbox, at(0));
        assert!(again.len() == 1 && again[0].0 == 1);
        outbox.credited(2 * WINDOW);
        assert_eq!(take_all(&mut outbox, at(0)).len(), 1);
    }

    #[test]
    fn events_are_heard_in_order_and_once() {
        let mut inbox = Inbox::default();
        let notice = |text: &str| Notice { bytes: bytes(text), missed: 0 };
        assert!(inbox.accept(1, &notice("b")) && !inbox.is_ready());
        assert!(inbox.accept(0, &notice("a")) && inbox.accept(1, &notice("b")));
        assert!(inbox.read().unwrap().bytes == "a" && inbox.read().unwrap().bytes == "b");
        assert!(inbox.accept(0, &notice("a")) && !inbox.is_ready());
        assert_eq!(inbox.buffered(), 0);
    }

    #[test]
    fn more_events_than_there_is_credit_for_are_a_violation() {
        let mut inbox = Inbox::default();
        let large = Notice { bytes: Bytes::from(vec![0; MAX_EVENT]), missed: 0 };
        assert!((0..3).all(|seq| inbox.accept(seq, &large)));
        assert!(!inbox.accept(3, &large));
        for _ in 0..3 {
            inbox.read();
        }
        assert!(inbox.credit_is_due());
        assert_eq!(inbox.grant(), 3 * cost(&Bytes::from(vec![0; MAX_EVENT])) + WINDOW);
    }
}
