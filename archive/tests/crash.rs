//! An archive whose process is killed at any moment: what was acknowledged is there, and nothing half.
//!
//! Each test starts itself again as a child process, which finds its orders in the environment.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use waku_archive::{Archive, Criteria, Keep, Query, RedbArchive, Selection};
#[cfg(feature = "sqlite")]
use waku_archive::{SqliteArchive, SqliteOptions};
use waku_proto::{EncodedMessage, Envelope, Shard, WakuMessage};

/// Where the child finds its archive.
const ORDER: &str = "WAKU_ARCHIVE_CRASH_TEST";
const ROUNDS: usize = 20;
const BATCH_LEN: i64 = 16;
const SEED: u64 = 20_241_121;

/// A message of 1 KB; its number is its timestamp.
fn envelope(number: i64) -> Envelope {
    let topic = format!("/crash/1/{}/proto", number % 7).parse().unwrap();
    let shard = Shard::new(1, u16::try_from(number % 3).unwrap()).unwrap();
    let message = WakuMessage::new(&topic, vec![0x5a; 1_000], number);
    Envelope::new(shard.into(), EncodedMessage::encode(message))
}

/// An archive in a file that can tell whether everything in it fits together.
trait Verified: Archive {
    fn verify(&self);
}

impl Verified for RedbArchive {
    fn verify(&self) {
        Self::verify(self).unwrap();
    }
}

#[cfg(feature = "sqlite")]
impl Verified for SqliteArchive {
    fn verify(&self) {
        Self::verify(self).unwrap();
    }
}

/// What the name of the file says.
fn open(path: &Path) -> Box<dyn Verified> {
    #[cfg(feature = "sqlite")]
    if path.extension().is_some_and(|extension| extension == "sqlite3") {
        return Box::new(SqliteArchive::open(path, SqliteOptions::default()).unwrap());
    }
    Box::new(RedbArchive::open_with_cache(path, 1 << 20).unwrap())
}

/// The child: inserts batches without end, and after each tells the number it has come to. Before each it deletes
/// all but so many messages.
fn insert_until_killed(path: &Path, keep: Option<u64>) -> ! {
    let (archive, mut stdout) = (open(path), std::io::stdout());
    let mut next = archive.stats().unwrap().newest.map_or(0, |newest| newest + 1);
    loop {
        if let Some(messages) = keep {
            archive.prune(&Keep { messages: Some(messages), ..Keep::default() }, usize::MAX).unwrap();
        }
        let batch: Vec<_> = (next..next + BATCH_LEN).map(envelope).collect();
        assert_eq!(archive.insert(&batch).unwrap().new, batch.len());
        next += BATCH_LEN;
        writeln!(stdout, "kept {next}").unwrap();
        stdout.flush().unwrap();
    }
}

/// The number that the child had come to when it was killed, after so many batches or a little later.
fn kill_after(batches: usize, test: &str, path: &Path) -> i64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(ORDER, path);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Also what it had told before it was gone counts.
    let number = |line: String| Some(line.split_once("kept ")?.1.parse().unwrap());
    let mut kept = lines.filter_map(|line| number(line.unwrap()));
    let first = kept.nth(batches).expect("the child inserts until it is killed");
    child.kill().unwrap();
    child.wait().unwrap();
    kept.last().unwrap_or(first)
}

fn order() -> Option<PathBuf> {
    std::env::var_os(ORDER).map(PathBuf::from)
}

/// The numbers of all messages, checked against every index.
fn numbers(archive: &dyn Verified) -> Vec<i64> {
    archive.verify();
    let query = Query { limit: usize::MAX, ..Query::new(Selection::Content(Criteria::default())) };
    let page = archive.query(&query).unwrap();
    page.entries
        .into_iter()
        .map(|entry| entry.envelope.unwrap().message().timestamp.unwrap_or_default())
        .collect()
}

#[test]
fn every_acknowledged_message_is_there_once_after_a_kill() {
    keeps_what_it_acknowledged("every_acknowledged_message_is_there_once_after_a_kill", "archive.redb");
}

#[cfg(feature = "sqlite")]
#[test]
fn every_acknowledged_message_is_in_the_file_of_nwaku_once_after_a_kill() {
    let name = "every_acknowledged_message_is_in_the_file_of_nwaku_once_after_a_kill";
    keeps_what_it_acknowledged(name, "store.sqlite3");
}

#[test]
fn a_deletion_is_whole_or_undone_after_a_kill() {
    deletes_all_or_nothing("a_deletion_is_whole_or_undone_after_a_kill", "archive.redb");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_deletion_from_the_file_of_nwaku_is_whole_or_undone_after_a_kill() {
    let name = "a_deletion_from_the_file_of_nwaku_is_whole_or_undone_after_a_kill";
    deletes_all_or_nothing(name, "store.sqlite3");
}

fn keeps_what_it_acknowledged(test: &str, file: &str) {
    if let Some(path) = order() {
        insert_until_killed(&path, None);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for round in 0..ROUNDS {
        let batches = usize::try_from(random.next_u32() % 8).unwrap();
        let acknowledged = kill_after(batches, test, &path);
        let found = numbers(&*open(&path));
        let count = i64::try_from(found.len()).unwrap();
        assert_eq!(found, (0..count).collect::<Vec<_>>(), "round {round}");
        assert!(count >= acknowledged, "round {round}: {count} of {acknowledged}");
        assert_eq!(count % BATCH_LEN, 0, "round {round}: half a batch");
    }
}

fn deletes_all_or_nothing(test: &str, file: &str) {
    const KEEP: i64 = 100;
    if let Some(path) = order() {
        insert_until_killed(&path, Some(u64::try_from(KEEP).unwrap()));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    for round in 0..ROUNDS {
        let batches = usize::try_from(random.next_u32() % 8).unwrap();
        let acknowledged = kill_after(batches, test, &path);
        let found = numbers(&*open(&path));
        let (first, last) = (found[0], found[found.len() - 1]);
        assert_eq!(found, (first..=last).collect::<Vec<_>>(), "round {round}");
        assert!(last + 1 >= acknowledged, "round {round}: {last} of {acknowledged}");
        let deleted_or_not = [KEEP, KEEP + BATCH_LEN].map(|most| most.min(last + 1));
        let len = i64::try_from(found.len()).unwrap();
        assert!(deleted_or_not.contains(&len), "round {round}: {len} messages of {}", last + 1);
    }
}
