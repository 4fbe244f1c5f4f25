//! The queue between the node and one subscription's reader.
//!
//! The node never waits: when the queue is full it counts what it drops, and the reader is told how many
//! messages are missing at the very place where they are missing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::{Delivery, Envelope};

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when a reader goes away.
    readers_gone: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    deliveries: VecDeque<Delivery>,
    capacity: usize,
    /// Dropped since the last delivery that was queued.
    missed: u64,
    /// The node's end is gone: nothing more will come.
    closed: bool,
    /// The reader is gone.
    abandoned: bool,
    reader: Option<Waker>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state is sound between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue for `capacity` messages. `readers_gone` is notified when the reader's end is dropped.
pub(crate) fn queue(capacity: usize, readers_gone: Arc<Notify>) -> (Writer, Reader) {
    let state = State {
        deliveries: VecDeque::new(),
        capacity: capacity.max(1),
        missed: 0,
        closed: false,
        abandoned: false,
        reader: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), readers_gone });
    (Writer(Arc::clone(&shared)), Reader(shared))
}

/// The node's end.
#[derive(Debug)]
pub(crate) struct Writer(Arc<Shared>);

impl Writer {
    /// Queues a message, or counts it as missed and returns false.
    pub(crate) fn push(&self, envelope: Envelope) -> bool {
        let mut state = self.0.state();
        if state.deliveries.len() >= state.capacity {
            state.missed += 1;
            return false;
        }
        if state.missed > 0 {
            let missed = std::mem::take(&mut state.missed);
            state.deliveries.push_back(Delivery::Missed(missed));
        }
        state.deliveries.push_back(Delivery::Message(envelope));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        true
    }

    /// True when the reader is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.state().abandoned
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Reader(Arc<Shared>);

impl Reader {
    /// The next delivery; `None` when the node has stopped and everything has been read.
    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.0.state();
        if let Some(delivery) = state.deliveries.pop_front() {
            return Poll::Ready(Some(delivery));
        }
        if state.missed > 0 {
            return Poll::Ready(Some(Delivery::Missed(std::mem::take(&mut state.missed))));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.abandoned = true;
        state.deliveries.clear();
        drop(state);
        self.0.readers_gone.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use waku_proto::{EncodedMessage, WakuMessage};

    use super::*;

    fn envelope(number: i64) -> Envelope {
        let message = WakuMessage::new(&"/a/1/b/c".parse().unwrap(), "x", number);
        Envelope::new("/waku/2/rs/0/0".parse().unwrap(), EncodedMessage::encode(message))
    }

    fn next(reader: &Reader) -> Poll<Option<Delivery>> {
        reader.poll_next(&Context::from_waker(Waker::noop()))
    }

    fn message(number: i64) -> Poll<Option<Delivery>> {
        Poll::Ready(Some(Delivery::Message(envelope(number))))
    }

    fn missed(count: u64) -> Poll<Option<Delivery>> {
        Poll::Ready(Some(Delivery::Missed(count)))
    }

    #[test]
    fn tells_missed_messages_where_they_are_missing() {
        let (writer, reader) = queue(2, Arc::default());
        let pushed: Vec<bool> = (0..5).map(|number| writer.push(envelope(number))).collect();
        assert_eq!(pushed, [true, true, false, false, false]);
        assert_eq!(next(&reader), message(0));
        assert!(writer.push(envelope(5)));
        assert_eq!(next(&reader), message(1));
        assert_eq!(next(&reader), missed(3));
        assert_eq!(next(&reader), message(5));
        assert_eq!(next(&reader), Poll::Pending);
    }

    #[test]
    fn tells_missed_messages_also_when_none_follows() {
        let (writer, reader) = queue(1, Arc::default());
        assert!(writer.push(envelope(0)) && !writer.push(envelope(1)));
        assert_eq!(next(&reader), message(0));
        assert_eq!(next(&reader), missed(1));
        assert_eq!(next(&reader), Poll::Pending);
    }

    #[test]
    fn ends_after_the_last_message_when_the_node_stops() {
        let (writer, reader) = queue(2, Arc::default());
        writer.push(envelope(0));
        drop(writer);
        assert_eq!(next(&reader), message(0));
        assert_eq!(next(&reader), Poll::Ready(None));
        assert_eq!(next(&reader), Poll::Ready(None));
    }

    #[test]
    fn says_when_the_reader_is_gone() {
        let (writer, reader) = queue(2, Arc::default());
        assert!(!writer.is_abandoned());
        drop(reader);
        assert!(writer.is_abandoned());
    }
}
