//! What runs at most once: requests by their idempotency key, with their answers, for a day.
//!
//! A request with a key is written down as begun before it is handed out, and with its answer before that is sent. One
//! that is found as begun after a restart may have been done: it is never run again, and its sender is told so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use waku_noise_session::time::{Instant, Now, UnixTime};

use crate::request::{Header, Key};
use crate::stream::Handle;

/// How long a key is known.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys that are known at once. Further requests with one are told to come later.
pub const MAX_KEYS: usize = 16 * 1024;
/// The most bytes of an answer that is kept.
pub const MAX_KEPT: usize = 1024 * 1024;
/// Bytes of all answers that are kept; the oldest are let go when there are more, not so that they ran.
pub const MAX_KEPT_IN_ALL: usize = 16 * 1024 * 1024;

/// A request with a key, as it is to be kept on disk, for each peer apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// When it was begun, or how long its sender gave it if that is later: its day begins then.
    pub begun: UnixTime,
    /// What came of it, once something did.
    pub outcome: Option<Outcome>,
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its answer.
    Answer(Kept),
    /// It was done; its answer is too long to be kept, or was let go.
    Lost,
}

/// An answer that is kept. It is the caller's secret as much as the answer was.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// As in HTTP.
    pub status: u16,
    /// In their order.
    pub headers: Vec<Header>,
    /// All of it.
    pub body: Bytes,
    /// Whether it may be compressed.
    pub compress: bool,
}

/// What to change on disk.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Put it in the place of the record with the same key.
    Put(Record),
    /// Nothing was done, or its day is over.
    Remove(Key),
}

struct Entry {
    record: Record,
    forget_at: Instant,
    /// While it runs in this process: the streams that wait for its answer beside the first.
    waiting: Option<Vec<Handle>>,
}

/// What is known of a key.
pub(crate) enum Known {
    /// Nothing; it is begun now.
    New(Change),
    /// It runs; the answer goes to this stream too.
    Runs,
    /// It was begun by an earlier process.
    Indeterminate,
    /// It was done.
    Done(Outcome),
    /// The key is another request's.
    Reused,
    /// Too many are known.
    Full,
}

/// The requests with keys of one peer.
#[derive(Default)]
pub(crate) struct Once {
    entries: BTreeMap<Key, Entry>,
    /// In the order in which they are forgotten.
    ages: VecDeque<(Instant, Key)>,
    kept: usize,
}

/// Streams that wait for the same answer.
const MAX_WAITING: usize = 16;

impl Once {
    /// What was on disk. Records whose day is over are given back to be removed. A clock that went back makes records
    /// younger, never older.
    pub(crate) fn new(now: Now, stored: Vec<Record>) -> (Self, Vec<Change>) {
        let (mut once, mut old) = (Self::default(), Vec::new());
        let mut aged: Vec<_> = stored
            .into_iter()
            .map(|record| {
                let age = now.unix.as_secs().saturating_sub(record.begun.as_secs());
                (LIFETIME.saturating_sub(Duration::from_secs(age)), record)
            })
            .collect();
        aged.sort_by_key(|(left, _)| *left);
        for (left, record) in aged {
            if left.is_zero() || once.entries.len() >= MAX_KEYS {
                old.push(Change::Remove(record.key));
                continue;
            }
            let forget_at = now.instant + left;
            once.kept += record.kept();
            once.ages.push_back((forget_at, record.key));
            once.entries.insert(record.key, Entry { record, forget_at, waiting: None });
        }
        (once, old)
    }

    /// Forgets those whose day is over.
    pub(crate) fn forget(&mut self, now: Instant) -> Vec<Change> {
        let mut forgotten = Vec::new();
        while let Some((_, key)) = self.ages.front().copied().filter(|(at, _)| *at <= now) {
            self.ages.pop_front();
            let Some(entry) = self.entries.get(&key).filter(|entry| entry.forget_at <= now) else { continue };
            if entry.waiting.is_some() {
                // It still runs after a day: a further one.
                self.ages.push_back((now + LIFETIME, key));
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.forget_at = now + LIFETIME;
                }
                continue;
            }
            self.kept -= entry.record.kept();
            self.entries.remove(&key);
            forgotten.push(Change::Remove(key));
        }
        forgotten
    }

    pub(crate) fn next_forgotten(&self) -> Option<Instant> {
        self.ages.front().map(|(at, _)| *at)
    }

    /// Whether a request with this key may run, or what came of it.
    pub(crate) fn begin(&mut self, now: Now, key: Key, method: &str, path: &str, stream: Handle) -> Known {
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.record.method != method || entry.record.path != path {
                return Known::Reused;
            }
            return match (&entry.record.outcome, &mut entry.waiting) {
                (Some(outcome), _) => Known::Done(outcome.clone()),
                (None, Some(waiting)) if waiting.len() < MAX_WAITING => {
                    waiting.push(stream);
                    Known::Runs
                }
                (None, Some(_)) => Known::Full,
                (None, None) => Known::Indeterminate,
            };
        }
        if self.entries.len() >= MAX_KEYS {
            return Known::Full;
        }
        let record =
            Record { key, method: method.to_owned(), path: path.to_owned(), begun: now.unix, outcome: None };
        let forget_at = now.instant + LIFETIME;
        self.ages.push_back((forget_at, key));
        let entry = Entry { record: record.clone(), forget_at, waiting: Some(Vec::new()) };
        self.entries.insert(key, entry);
        Known::New(Change::Put(record))
    }

    /// Nothing was done, and nothing is known of it any more. Returns who else waits.
    pub(crate) fn undo(&mut self, key: Key) -> Vec<Handle> {
        let entry = self.entries.remove(&key);
        self.ages.retain(|(_, known)| *known != key);
        entry.and_then(|entry| entry.waiting).unwrap_or_default()
    }

    /// The one that ran it does not say what came of it. Returns who else waits.
    pub(crate) fn leave(&mut self, key: Key) -> Vec<Handle> {
        self.entries.get_mut(&key).and_then(|entry| entry.waiting.take()).unwrap_or_default()
    }

    /// What came of it, to be written down with what is let go for it; and who else waits.
    pub(crate) fn done(&mut self, key: Key, outcome: Outcome) -> Option<(Vec<Change>, Vec<Handle>)> {
        let entry = self.entries.get_mut(&key)?;
        entry.record.outcome = Some(outcome);
        let waiting = entry.waiting.take().unwrap_or_default();
        self.kept += entry.record.kept();
        let mut changes = vec![Change::Put(entry.record.clone())];
        self.let_go(key, &mut changes);
        Some((changes, waiting))
    }

    /// Lets go of the oldest answers while too much is kept, but for the newest.
    fn let_go(&mut self, newest: Key, changes: &mut Vec<Change>) {
        let mut oldest = self.ages.iter();
        while self.kept > MAX_KEPT_IN_ALL
            && let Some((_, key)) = oldest.next()
        {
            if let Some(entry) = self.entries.get_mut(key).filter(|_| *key != newest) {
                let kept = entry.record.kept();
                if kept > 0 {
                    self.kept -= kept;
                    entry.record.outcome = Some(Outcome::Lost);
                    changes.push(Change::Put(entry.record.clone()));
                }
            }
        }
    }

    /// Bytes of answers kept.
    pub(crate) fn buffered(&self) -> usize {
        self.kept
    }
}

impl Record {
    fn kept(&self) -> usize {
        match &self.outcome {
            Some(Outcome::Answer(kept)) => kept.body.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::StreamId;

    const KEY: Key = Key([1; 16]);

    fn now(secs: u64) -> Now {
        let instant = Instant::from_origin(Duration::from_secs(secs));
        Now { instant, unix: UnixTime::from_secs(1_760_000_000 + secs) }
    }

    fn stream(id: u32) -> Handle {
        Handle { generation: 0, id: StreamId::from(id) }
    }

    fn answer(len: usize) -> Outcome {
        let body = Bytes::from(vec![0; len]);
        Outcome::Answer(Kept { status: 200, headers: Vec::new(), body, compress: false })
    }

    fn begin(once: &mut Once, now: Now, key: Key) -> Known {
        once.begin(now, key, "POST", "/stop", stream(1))
    }

    fn record(known: Known) -> Record {
        match known {
            Known::New(Change::Put(record)) => record,
            _ => panic!("it is to be new"),
        }
    }

    #[test]
    fn runs_once_and_then_answers_from_memory() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        assert!(record(begin(&mut once, now(0), KEY)).outcome.is_none());
        assert!(matches!(once.begin(now(1), KEY, "POST", "/stop", stream(3)), Known::Runs));
        let (changes, waiting) = once.done(KEY, answer(3)).unwrap();
        assert!(
            matches!(changes[..], [Change::Put(Record { outcome: Some(_), .. })]) && waiting == [stream(3)]
        );
        assert!(matches!(begin(&mut once, now(2), KEY), Known::Done(Outcome::Answer(_))));
    }

    #[test]
    fn what_was_begun_before_a_restart_is_not_run_again() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        let begun = record(begin(&mut once, now(0), KEY));
        let (mut once, old) = Once::new(now(60), vec![begun]);
        assert!(old.is_empty());
        assert!(matches!(begin(&mut once, now(61), KEY), Known::Indeterminate));
    }

    #[test]
    fn one_key_is_one_requests() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        record(begin(&mut once, now(0), KEY));
        assert!(matches!(once.begin(now(0), KEY, "POST", "/start", stream(5)), Known::Reused));
        assert!(matches!(once.begin(now(0), KEY, "PUT", "/stop", stream(5)), Known::Reused));
    }

    #[test]
    fn a_key_is_known_for_a_day_whatever_the_wall_clock_does() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        let begun = record(begin(&mut once, now(0), KEY));
        once.done(KEY, answer(1));
        assert!(once.forget(now(86_399).instant).is_empty());
        assert!(matches!(begin(&mut once, now(86_399), KEY), Known::Done(_)));
        assert!(once.forget(now(86_400).instant) == [Change::Remove(KEY)]);
        assert_eq!(once.buffered(), 0);

        let back = Now { unix: UnixTime::from_secs(1_000), ..now(0) };
        let (once, old) = Once::new(back, vec![begun.clone()]);
        assert!(old.is_empty() && once.next_forgotten() == Some(now(86_400).instant));
        let (_, old) = Once::new(now(90_000), vec![begun]);
        assert!(old == [Change::Remove(KEY)]);
    }

    #[test]
    fn old_answers_are_let_go_but_not_that_they_ran() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        for number in 0..20 {
            let key = Key([number; 16]);
            record(begin(&mut once, now(number.into()), key));
            let (changes, _) = once.done(key, answer(MAX_KEPT)).unwrap();
            assert_eq!(changes.len(), if number < 16 { 1 } else { 2 }, "the disk lets go of as much");
            assert!(once.buffered() <= MAX_KEPT_IN_ALL);
        }
        assert!(matches!(begin(&mut once, now(30), Key([0; 16])), Known::Done(Outcome::Lost)));
        assert!(matches!(begin(&mut once, now(30), Key([19; 16])), Known::Done(Outcome::Answer(_))));
    }

    #[test]
    fn no_key_is_forgotten_to_make_room() {
        let (mut once, _) = Once::new(now(0), Vec::new());
        for number in 0..MAX_KEYS as u64 {
            let key = Key([number.to_le_bytes(); 2].concat().try_into().unwrap());
            record(begin(&mut once, now(0), key));
        }
        assert!(matches!(begin(&mut once, now(0), Key([0xff; 16])), Known::Full));
    }
}
