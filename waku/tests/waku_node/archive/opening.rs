//! Where the archive is, and files that cannot be used.

use std::fs;
use std::path::Path;

use redb::{Database, TableDefinition};
use rusqlite::Connection;
use waku::store::archive::{Archive as _, SqliteArchive, SqliteOptions};

use super::{envelopes, has, hashes, left};
use crate::network::message;
use crate::process::{Process, run_in, until};

#[test]
fn without_a_word_messages_are_kept_in_the_working_directory_from_run_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    node.publish(0, &message(b"kept", "/a/1/b/proto"));
    let kept = until("it is kept", || Some(node.stored()).filter(|stored| stored.len() == 1));
    assert_eq!(node.end("-TERM").code(), Some(0));
    assert!(folder.path().join("store.redb").is_file() && !folder.path().join("store.sqlite3").exists());
    has(&Process::start_in(folder.path(), &["--shard=0", "--store"]), &kept);
}

#[test]
fn nwaku_s_file_is_used_where_it_is_and_a_line_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let envelopes = envelopes(3, 60);
    let archive = SqliteArchive::open(folder.path().join("store.sqlite3"), SqliteOptions::default()).unwrap();
    archive.insert(&envelopes).unwrap();
    drop(archive);
    let mut node = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    node.logs(&["INF", "the archive of nwaku", "store.sqlite3"]);
    has(&node, &hashes(&envelopes));
    node.end("-TERM");
    assert!(!folder.path().join("store.redb").exists());
}

#[test]
fn an_url_names_the_file() {
    for scheme in ["redb", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("elsewhere");
        let url = format!("--store-message-db-url={scheme}://{}", path.display());
        let node = Process::start(&["--shard=0", "--store", &url]);
        node.publish(0, &message(b"kept", "/a/1/b/proto"));
        until("it is kept", || (node.stored().len() == 1).then_some(()));
        assert!(path.is_file(), "{scheme}");
        assert!(!node.folder().join("store.redb").exists());
    }
}

#[test]
fn in_memory_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["--shard=0", "--store", "--store-message-db-url=memory://"];
    let mut node = Process::start_in(folder.path(), &words);
    node.publish(0, &message(b"kept", "/a/1/b/proto"));
    until("it is kept", || (node.stored().len() == 1).then_some(()));
    node.end("-TERM");
    has(&Process::start_in(folder.path(), &words), &[]);
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["log"]);
}

#[test]
fn without_store_no_file_is_made() {
    let node = Process::start(&["--shard=0", "--store-message-db-url=redb://elsewhere"]);
    assert!(!node.folder().join("elsewhere").exists());
}

/// Ends with 1, says this, and leaves every file of the folder as it was.
fn is_refused(folder: &Path, url: &str, expected: &str) {
    let contents = || {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut contents: Vec<_> = files.map(|path| (fs::read(&path).unwrap(), path)).collect();
        contents.sort();
        contents
    };
    let before = contents();
    let flags =
        ["--listen-address=127.0.0.1", "--shard=0", "--store", &format!("--store-message-db-url={url}")];
    let said = run_in(folder, &flags);
    assert_eq!(said.status.code(), Some(1), "{url}: {said:?}");
    assert!(said.stderr.contains(expected), "{url}: {said:?}");
    assert!(
        said.stdout
            .lines()
            .any(|line| line.starts_with("ERR ") && line.contains("Waku initialization failed"))
    );
    assert!(!said.stderr.contains("panicked"), "{said:?}");
    assert!(contents() == before, "{url}: the files are others now");
}

#[test]
fn a_file_that_is_no_archive_is_left_as_it_is() {
    for scheme in ["redb", "sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "no archive at all").unwrap();
        is_refused(folder.path(), &format!("{scheme}://file"), "damaged");
    }
}

#[test]
fn an_archive_that_was_cut_off_is_left_as_it_is() {
    for (scheme, keep) in [("redb", 5000), ("sqlite", 3000)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        if scheme == "redb" {
            left(&path, &envelopes(50, 60));
        } else {
            let archive = SqliteArchive::open(&path, SqliteOptions::default()).unwrap();
            archive.insert(&envelopes(50, 60)).unwrap();
        }
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..keep]).unwrap();
        is_refused(folder.path(), &format!("{scheme}://file"), "cannot open the archive file");
    }
}

#[test]
fn an_archive_of_a_newer_version_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    left(&path, &envelopes(3, 60));
    let database = Database::open(&path).unwrap();
    let write = database.begin_write().unwrap();
    let table: TableDefinition<'_, &str, u64> = TableDefinition::new("archive");
    write.open_table(table).unwrap().insert("format", 7).unwrap();
    write.commit().unwrap();
    drop(database);
    is_refused(folder.path(), "redb://file", "has format 7");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    drop(SqliteArchive::open(&path, SqliteOptions::default()).unwrap());
    // `user_version`, where SQLite keeps it.
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    is_refused(folder.path(), "sqlite://file", "1000");
}

#[test]
fn an_archive_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for scheme in ["redb", "sqlite"] {
        is_refused(folder.path(), &format!("{scheme}://no/such/folder/file"), "no/such/folder/file");
        // Nobody makes files there.
        is_refused(folder.path(), &format!("{scheme}:///proc/store"), "/proc/store");
        is_refused(folder.path(), &format!("{scheme}://."), "cannot open the archive .");
    }
}

#[test]
fn an_archive_that_another_process_has_is_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let running = Process::start_in(folder.path(), &["--shard=0", "--store"]);
    running.publish(0, &message(b"kept", "/a/1/b/proto"));
    let kept = until("it is kept", || Some(running.stored()).filter(|stored| stored.len() == 1));
    let url = format!("redb://{}", folder.path().join("store.redb").display());
    is_refused(tempfile::tempdir().unwrap().path(), &url, "another process has the archive");
    has(&running, &kept);

    // SQLite is shared, as nwaku shares it, but by one that writes all the time.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    drop(SqliteArchive::open(&path, SqliteOptions::default()).unwrap());
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let url = format!("sqlite://{}", path.display());
    is_refused(tempfile::tempdir().unwrap().path(), &url, "another process writes to the archive");
}
