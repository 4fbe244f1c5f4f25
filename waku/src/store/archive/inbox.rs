//! What waits to be kept.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::Notify;

use crate::Envelope;

/// How far a message's timestamp may be from the clock, in nanoseconds: 20 seconds either way (13/WAKU2-STORE).
pub const MAX_TIMESTAMP_DISTANCE: u64 = 20_000_000_000;

/// Messages that are worth an insertion of their own.
pub(super) const BATCH_LEN: usize = 2_048;

/// Why a message is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its sender does not want it kept.
    #[error("the message is ephemeral")]
    Ephemeral,
    /// It has no timestamp, so that it has no place on the time axis.
    #[error("the message has no timestamp")]
    NoTimestamp,
    /// Its timestamp is more than [`MAX_TIMESTAMP_DISTANCE`] from the clock.
    #[error("the message's timestamp is more than 20 seconds from the clock")]
    FarTimestamp,
    /// Too many messages wait already.
    #[error("too many messages wait to be kept")]
    Full,
    /// The writer has been stopped.
    #[error("the writer has been stopped")]
    Stopped,
}

/// Whether a message may be kept that has just come, `now` being in Unix nanoseconds.
pub(super) fn admit(envelope: &Envelope, now: i64) -> Result<(), Refusal> {
    let message = envelope.message();
    if message.ephemeral == Some(true) {
        return Err(Refusal::Ephemeral);
    }
    match message.timestamp {
        None => Err(Refusal::NoTimestamp),
        Some(timestamp) if timestamp.abs_diff(now) > MAX_TIMESTAMP_DISTANCE => Err(Refusal::FarTimestamp),
        Some(_) => Ok(()),
    }
}

/// A size, of an inbox or of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Load {
    fn with(self, envelope: &Envelope) -> Self {
        Self { messages: self.messages + 1, bytes: self.bytes + envelope.bytes().len() }
    }

    fn without(self, other: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(other.messages),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }

    fn fits(self, limit: Self) -> bool {
        self.messages <= limit.messages && self.bytes <= limit.bytes
    }

    pub(super) fn of(envelopes: &[Envelope]) -> Self {
        envelopes.iter().fold(Self::default(), Self::with)
    }
}

/// A bounded queue that never lets anybody wait to put something in. What was taken out counts until it is
/// released.
pub(super) struct Inbox {
    limit: Load,
    state: Mutex<State>,
    /// The first message waits.
    filled: Notify,
    /// A batch waits.
    heaped: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Envelope>,
    /// Waiting, or taken and not released.
    load: Load,
    /// Dropped since the inbox was last empty.
    dropped: u64,
    is_closed: bool,
}

impl Inbox {
    pub(super) fn new(limit: Load) -> Self {
        Self { limit, state: Mutex::default(), filled: Notify::new(), heaped: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state is sound between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, envelope: Envelope) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Refusal::Stopped);
        }
        let load = state.load.with(&envelope);
        if !load.fits(self.limit) {
            state.dropped += 1;
            let is_first = state.dropped == 1;
            drop(state);
            if is_first {
                tracing::warn!("the archive is behind: messages are not kept until it catches up");
            }
            return Err(Refusal::Full);
        }
        state.load = load;
        state.waiting.push_back(envelope);
        let waiting = state.waiting.len();
        drop(state);
        match waiting {
            1 => self.filled.notify_one(),
            BATCH_LEN => self.heaped.notify_one(),
            _ => {}
        }
        Ok(())
    }

    /// What came first, as much as fits `limit`, but at least one message.
    pub(super) fn take(&self, limit: Load) -> Vec<Envelope> {
        let mut state = self.state();
        let (mut taken, mut load) = (Vec::new(), Load::default());
        while let Some(envelope) = state.waiting.front() {
            load = load.with(envelope);
            if !taken.is_empty() && !load.fits(limit) {
                break;
            }
            taken.extend(state.waiting.pop_front());
        }
        taken
    }

    /// Whether more than a quarter of the room is taken, waiting or not released.
    pub(super) fn is_filling(&self) -> bool {
        let quarter = Load { messages: self.limit.messages / 4, bytes: self.limit.bytes / 4 };
        !self.state().load.fits(quarter)
    }

    /// Makes room again for what was taken.
    pub(super) fn release(&self, load: Load) {
        let mut state = self.state();
        state.load = state.load.without(load);
        let caught_up = state.waiting.is_empty();
        let dropped = if caught_up { std::mem::take(&mut state.dropped) } else { 0 };
        drop(state);
        if dropped > 0 {
            tracing::warn!(dropped, "the archive has caught up");
        }
    }

    /// Returns when something waits.
    pub(super) async fn filled(&self) {
        while self.state().waiting.is_empty() {
            self.filled.notified().await;
        }
    }

    /// Returns when [`BATCH_LEN`] messages wait.
    pub(super) async fn heaped(&self) {
        while self.state().waiting.len() < BATCH_LEN {
            self.heaped.notified().await;
        }
    }

    /// What waits, or was taken and not released.
    pub(super) fn load(&self) -> Load {
        self.state().load
    }

    /// Takes nothing more in.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
    }
}

/// Shows how much waits, and nothing of it.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("limit", &self.limit)
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{envelope, envelopes};
    use super::*;

    fn load(messages: usize) -> Load {
        Load { messages, bytes: messages * envelope(0).bytes().len() }
    }

    #[test]
    fn what_was_taken_counts_until_it_is_released() {
        let inbox = Inbox::new(load(2));
        assert_eq!((inbox.push(envelope(0)), inbox.push(envelope(1))), (Ok(()), Ok(())));
        let taken = inbox.take(load(10));
        assert_eq!(taken, envelopes([0, 1]));
        assert_eq!(inbox.push(envelope(2)), Err(Refusal::Full));
        inbox.release(Load::of(&taken));
        assert_eq!(inbox.push(envelope(2)), Ok(()));
        assert_eq!(inbox.load(), load(1));
    }

    #[test]
    fn is_bounded_in_bytes_too() {
        let limit = Load { messages: usize::MAX, bytes: load(2).bytes };
        let inbox = Inbox::new(limit);
        let pushed: Vec<_> = envelopes([0, 0, 0]).into_iter().map(|envelope| inbox.push(envelope)).collect();
        assert_eq!(pushed, [Ok(()), Ok(()), Err(Refusal::Full)]);
    }

    #[test]
    fn a_batch_is_bounded_in_messages_and_in_bytes_and_never_stuck() {
        let inbox = Inbox::new(load(10));
        for envelope in envelopes(0..6) {
            inbox.push(envelope).unwrap();
        }
        assert_eq!(inbox.take(Load { messages: 2, bytes: usize::MAX }), envelopes(0..2));
        assert_eq!(inbox.take(Load { messages: 10, bytes: load(3).bytes }), envelopes(2..5));
        assert_eq!(inbox.take(Load { messages: 10, bytes: 1 }), envelopes(5..6));
        assert_eq!(inbox.take(load(10)), []);
    }

    #[test]
    fn a_closed_inbox_takes_nothing_and_keeps_what_it_has() {
        let inbox = Inbox::new(load(2));
        inbox.push(envelope(0)).unwrap();
        inbox.close();
        assert_eq!(inbox.push(envelope(1)), Err(Refusal::Stopped));
        assert_eq!(inbox.take(load(2)), envelopes([0]));
    }
}
