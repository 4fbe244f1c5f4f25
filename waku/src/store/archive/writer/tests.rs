//! The writer's promises, kept to an archive that does what it is told to.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{Semaphore, watch};
use waku_proto::{EncodedMessage, WakuMessage};

use super::super::testing::{SHARD, TOPIC, envelope, envelopes, timestamps};
use super::super::{Inserted, MemoryArchive, Page, Query, QueryError, Stats};
use super::*;

/// What an archive was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    Insert(usize),
    Prune(Keep),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Fail,
    Panic,
    /// Works, and says that it deleted so many.
    Deleted(usize),
}

/// An archive that plays its moods, and then is a plain one.
#[derive(Debug)]
struct Moody {
    plain: MemoryArchive,
    moods: Mutex<VecDeque<Mood>>,
    calls: watch::Sender<Vec<Call>>,
    /// Every insertion takes one.
    permits: Semaphore,
}

impl Moody {
    fn new(moods: impl IntoIterator<Item = Mood>) -> Arc<Self> {
        Arc::new(Self {
            plain: MemoryArchive::new(u64::MAX, u64::MAX),
            moods: Mutex::new(moods.into_iter().collect()),
            calls: watch::Sender::default(),
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// One whose insertions wait until permits are added.
    fn held() -> Arc<Self> {
        let moody = Self::new([]);
        moody.permits.forget_permits(Semaphore::MAX_PERMITS);
        moody
    }

    fn called(&self, call: Call) -> Result<Option<usize>, ArchiveError> {
        self.calls.send_modify(|calls| calls.push(call));
        let mood = self.moods.lock().unwrap().pop_front();
        match mood {
            None => Ok(None),
            Some(Mood::Deleted(count)) => Ok(Some(count)),
            Some(Mood::Fail) => Err(ArchiveError::Storage("a mood".into())),
            Some(Mood::Panic) => panic!("a mood"),
        }
    }

    async fn until(&self, condition: impl FnMut(&Vec<Call>) -> bool) -> Vec<Call> {
        self.calls.subscribe().wait_for(condition).await.unwrap().clone()
    }

    fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }
}

impl Archive for Moody {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        futures::executor::block_on(self.permits.acquire()).unwrap().forget();
        let inserted = self.plain.insert(batch);
        self.called(Call::Insert(batch.len())).inspect_err(|_| {
            self.plain.prune(&Keep { messages: Some(0), ..Keep::default() }, usize::MAX).unwrap();
        })?;
        inserted
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        self.plain.query(query)
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        let deleted = self.called(Call::Prune(*keep))?;
        deleted.map_or_else(|| self.plain.prune(keep, at_most), Ok)
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        self.plain.stats()
    }
}

/// Nothing is deleted but at the start.
fn config() -> WriterConfig {
    WriterConfig { retention: RetentionPolicy::default(), ..WriterConfig::default() }
}

fn inserted(calls: &[Call]) -> Vec<usize> {
    let len = |call: &Call| if let Call::Insert(len) = call { Some(*len) } else { None };
    calls.iter().filter_map(len).collect()
}

#[tokio::test]
async fn everything_taken_is_inserted_before_it_ends() {
    let archive = Moody::held();
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    for envelope in envelopes(0..5_000) {
        writer.try_push(envelope).unwrap();
    }
    archive.permits.add_permits(100);
    writer.shutdown().await;
    assert_eq!(timestamps(&*archive), (0..5_000).collect::<Vec<_>>());
    assert_eq!(writer.metrics().archive_inserted, 5_000);
    let batches = inserted(&archive.calls());
    assert!(
        batches.iter().all(|len| *len <= BATCH.messages) && batches.contains(&BATCH.messages),
        "{batches:?}"
    );
    writer.shutdown().await;
}

#[tokio::test]
async fn everything_taken_is_inserted_when_the_last_handle_is_dropped() {
    let archive = Moody::held();
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    let clone = writer.clone();
    writer.try_push(envelope(1)).unwrap();
    drop(writer);
    clone.try_push(envelope(2)).unwrap();
    drop(clone);
    archive.permits.add_permits(100);
    archive.until(|calls| inserted(calls).iter().sum::<usize>() == 2).await;
    assert_eq!(timestamps(&*archive), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn few_messages_are_kept_at_once() {
    let archive = Moody::new([]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    let began = Instant::now();
    for (count, envelope) in (1..).zip(envelopes(0..3)) {
        writer.try_push(envelope).unwrap();
        archive.until(|calls| inserted(calls).len() == count).await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(inserted(&archive.calls()), [1; 3]);
}

/// Some messages are kept at once, and then so many that follow closely. Returns how long these waited.
async fn follow_closely(count: i64) -> Duration {
    let archive = Moody::new([]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    // The deletion at the start, before which nothing rests.
    archive.until(|calls| !calls.is_empty()).await;
    let first = i64::try_from(BUSY_LEN).unwrap();
    for envelope in envelopes(0..first) {
        writer.try_push(envelope).unwrap();
    }
    archive.until(|calls| inserted(calls).len() == 1).await;
    let began = Instant::now();
    for envelope in envelopes(first..first + count) {
        writer.try_push(envelope).unwrap();
    }
    archive.until(|calls| inserted(calls).len() == 2).await;
    assert_eq!(inserted(&archive.calls()), [BUSY_LEN, usize::try_from(count).unwrap()]);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn messages_that_follow_closely_are_kept_together_after_a_rest() {
    assert_eq!(follow_closely(99).await, REST);
}

#[tokio::test(start_paused = true)]
async fn a_whole_batch_does_not_wait() {
    assert_eq!(follow_closely(2_048).await, Duration::ZERO);
}

#[tokio::test]
async fn what_is_not_to_be_kept_is_refused_and_counted() {
    const SECOND: i64 = 1_000_000_000;
    let now = 1_700_000_000 * SECOND;
    let archive = Moody::new([]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), move || now);
    let push =
        |message| writer.try_push(Envelope::new(SHARD.parse().unwrap(), EncodedMessage::encode(message)));
    let message = |at| WakuMessage::new(&TOPIC.parse().unwrap(), "hello", at);

    assert_eq!(push(message(now).with_ephemeral()), Err(Refusal::Ephemeral));
    assert_eq!(push(WakuMessage { timestamp: None, ..message(now) }), Err(Refusal::NoTimestamp));
    for far in [now - 20 * SECOND - 1, now + 20 * SECOND + 1, 0, i64::MIN, i64::MAX] {
        assert_eq!(push(message(far)), Err(Refusal::FarTimestamp), "{far}");
    }
    for near in [now - 20 * SECOND, now, now + 20 * SECOND] {
        assert_eq!(push(message(near)), Ok(()), "{near}");
    }
    assert_eq!(push(WakuMessage { ephemeral: Some(false), ..message(now) }), Ok(()));

    writer.shutdown().await;
    assert_eq!(timestamps(&*archive), [now - 20 * SECOND, now, now + 20 * SECOND]);
    let metrics = writer.metrics();
    assert_eq!((metrics.archive_refused_ephemeral, metrics.archive_refused_timestamp), (1, 6));
    assert_eq!((metrics.archive_inserted, metrics.archive_duplicates, metrics.archive_dropped), (3, 1, 0));
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted_and_nobody_waits() {
    let len = envelope(0).bytes().len();
    for (inbox_messages, inbox_bytes) in [(10, usize::MAX), (usize::MAX, 10 * len)] {
        let archive = Moody::held();
        let config = WriterConfig { inbox_messages, inbox_bytes, ..config() };
        let writer = ArchiveWriter::spawn(archive.clone(), &config, || 0);
        let pushed: Vec<_> =
            envelopes([0; 25]).into_iter().map(|envelope| writer.try_push(envelope)).collect();
        assert!(pushed[..10].iter().all(Result::is_ok), "{pushed:?}");
        assert!(pushed[10..].iter().all(|pushed| *pushed == Err(Refusal::Full)), "{pushed:?}");
        assert_eq!(writer.metrics().archive_dropped, 15);
        archive.permits.add_permits(100);
        archive.until(|calls| inserted(calls).iter().sum::<usize>() == 10).await;
        writer.shutdown().await;
        assert_eq!(writer.metrics().archive_inserted + writer.metrics().archive_duplicates, 10);
    }
}

#[tokio::test]
async fn there_is_room_again_when_the_archive_has_caught_up() {
    let archive = Moody::held();
    let writer = ArchiveWriter::spawn(archive.clone(), &WriterConfig { inbox_messages: 2, ..config() }, || 0);
    for (round, first) in (1..).zip([0, 2, 4]) {
        for at in [first, first + 1] {
            writer.try_push(envelope(at)).unwrap();
        }
        assert_eq!(writer.try_push(envelope(9)), Err(Refusal::Full));
        archive.permits.add_permits(2);
        // The load is released after the insertion that can be seen here.
        archive.until(|calls| inserted(calls).iter().sum::<usize>() >= 2 * round).await;
        while writer.shared.inbox.load() != Load::default() {
            tokio::task::yield_now().await;
        }
        archive.permits.forget_permits(usize::MAX);
    }
    assert_eq!(timestamps(&*archive), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_stopped_writer_takes_nothing() {
    let writer = ArchiveWriter::spawn(Moody::new([]), &config(), || 0);
    writer.shutdown().await;
    assert_eq!(writer.try_push(envelope(0)), Err(Refusal::Stopped));
    assert_eq!(writer.metrics().archive_dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_tried_again_until_the_archive_works() {
    // The first call is the deletion at the start.
    let archive = Moody::new([Mood::Deleted(0), Mood::Fail, Mood::Panic, Mood::Fail]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    archive.until(|calls| calls.len() == 1).await;
    let started = Instant::now();
    writer.try_push(envelope(1)).unwrap();
    archive.until(|calls| inserted(calls).len() == 4).await;
    // Half a second, then one, then two.
    assert_eq!(started.elapsed().as_millis() / 100, 35);
    writer.shutdown().await;
    assert_eq!(timestamps(&*archive), [1]);
    let metrics = writer.metrics();
    assert_eq!((metrics.archive_inserted, metrics.archive_insert_errors, metrics.archive_dropped), (1, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_a_minute_apart_at_most() {
    let moods = std::iter::once(Mood::Deleted(0)).chain([Mood::Fail; 20]);
    let archive = Moody::new(moods);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    archive.until(|calls| calls.len() == 1).await;
    writer.try_push(envelope(1)).unwrap();
    archive.until(|calls| inserted(calls).len() == 15).await;
    let before = Instant::now();
    archive.until(|calls| inserted(calls).len() == 17).await;
    assert_eq!(before.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn an_archive_that_fails_to_the_end_does_not_keep_the_writer_from_ending() {
    let archive = Moody::new([Mood::Fail; 100]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    for envelope in envelopes(0..10) {
        writer.try_push(envelope).unwrap();
    }
    archive.until(|calls| !inserted(calls).is_empty()).await;
    writer.shutdown().await;
    let metrics = writer.metrics();
    assert_eq!((metrics.archive_inserted, metrics.archive_dropped), (0, 10));
}

#[tokio::test(start_paused = true)]
async fn old_messages_are_deleted_at_the_start_and_at_every_interval() {
    const HOUR: i64 = 3_600_000_000_000;
    let (archive, clock) = (Moody::new([]), Arc::new(AtomicI64::new(100 * HOUR)));
    archive.plain.insert(&envelopes([97 * HOUR, 98 * HOUR, 99 * HOUR])).unwrap();
    let config = WriterConfig { retention: "time:7200".parse().unwrap(), ..WriterConfig::default() };
    let now = Arc::clone(&clock);
    let writer = ArchiveWriter::spawn(archive.clone(), &config, move || now.load(Ordering::SeqCst));
    let started = Instant::now();
    archive.until(|calls| calls.len() == 1).await;
    clock.store(101 * HOUR, Ordering::SeqCst);
    let calls = archive.until(|calls| calls.len() == 2).await;
    let keep = |since| Call::Prune(Keep { since: Some(since), ..Keep::default() });
    assert_eq!(calls, [keep(98 * HOUR), keep(99 * HOUR)]);
    assert_eq!(started.elapsed().as_secs(), 30 * 60);
    writer.shutdown().await;
    assert_eq!(timestamps(&*archive), [99 * HOUR]);
    assert_eq!(writer.metrics().archive_retention_deleted, 2);
}

#[tokio::test(start_paused = true)]
async fn insertions_go_on_while_much_is_deleted() {
    let archive = Moody::new(vec![Mood::Deleted(PRUNE_LEN); 10_000]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    archive.until(|calls| !calls.is_empty()).await;
    writer.try_push(envelope(1)).unwrap();
    archive.until(|calls| !inserted(calls).is_empty()).await;
    assert!(!archive.moods.lock().unwrap().is_empty(), "the deletion has ended");
    writer.shutdown().await;
    assert_eq!(timestamps(&*archive), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_is_counted_and_waits_for_the_next_interval() {
    let archive = Moody::new([Mood::Fail, Mood::Panic]);
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    let started = Instant::now();
    archive.until(|calls| calls.len() == 3).await;
    assert_eq!(started.elapsed().as_secs(), 60 * 60);
    writer.shutdown().await;
    assert_eq!(writer.metrics().archive_retention_errors, 2);
}

#[tokio::test]
async fn what_is_shown_of_a_writer_and_of_an_archive_has_no_message() {
    let archive = Moody::held();
    let writer = ArchiveWriter::spawn(archive.clone(), &config(), || 0);
    writer.try_push(envelope(1)).unwrap();
    archive.plain.insert(&envelopes([2])).unwrap();
    let shown = format!("{writer:?} {archive:?}");
    assert!(!shown.contains("hello") && !shown.contains(TOPIC), "{shown}");
    archive.permits.add_permits(1);
}
