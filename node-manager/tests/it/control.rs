//! The control socket, and what may come over it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, node_manager};
use crate::stage::Stage;

/// A daemon that says what it is told to: it answers the first question, for its status, and then does as `then` says.
fn daemon(directory: &TempDir, then: impl FnOnce(UnixStream) + Send + 'static) {
    let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
    thread::spawn(move || {
        let mut then = Some(then);
        while let Some(stream) = accept(&listener) {
            let (mut stream, request) = stream;
            if request["request"] == "status" {
                let status = r#"{"ok":{"response":"status","part":"host","label":"","fingerprint":"","version":"",
                    "running":true,"peers":[]}}"#;
                writeln!(stream, "{}", status.replace('\n', "")).unwrap();
            } else {
                then.take().unwrap()(stream);
            }
        }
    });
}

/// The next connection that asks for something.
fn accept(listener: &UnixListener) -> Option<(UnixStream, Value)> {
    loop {
        let (stream, _) = listener.accept().ok()?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).ok()?;
        if let Ok(request) = serde_json::from_str(&line) {
            return Some((stream, request));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_its_owner_alone_and_survives_a_kill() {
    let stage = Stage::new().await;
    let socket = stage.host().join("control.sock");
    for _ in 0..2 {
        let host = stage.run_host();
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        host.kill();
        assert!(socket.exists(), "what a kill leaves");
        // What is left there is no daemon.
        assert_eq!(stage.on_host(&["status"]).code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_on_it_is_refused_and_harms_nothing() {
    let stage = Stage::new().await;
    let host = stage.run_host();
    for junk in [&b"\n"[..], b"{}\n", b"{\"request\":\"dance\"}\n", b"\xff\xfe\n", &[b'x'; 4096]] {
        let mut stream = UnixStream::connect(stage.host().join("control.sock")).unwrap();
        stream.write_all(junk).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["failed"]["message"].as_str().unwrap().contains("does not understand"), "{answer}");
    }
    assert_eq!(stage.on_host(&["status"]).code, Some(0));
    host.signal("TERM");
    assert_eq!(host.wait().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_were_given_up_leave_room_for_others() {
    let stage = Stage::new().await;
    stage.pair_by_hand();
    let _host = stage.run_host();
    // More than the daemon serves at one time. The app does not run, so nobody will ever answer.
    for _ in 0..40 {
        let mut stream = UnixStream::connect(stage.host().join("control.sock")).unwrap();
        writeln!(stream, r#"{{"request":"ping","peer":null,"timeout_ms":3600000}}"#).unwrap();
    }
    assert_eq!(stage.on_host(&["status"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_sides_daemon_is_not_taken_for_ones_own() {
    let stage = Stage::new().await;
    let _host = stage.run_host();
    for command in [&["app", "peers"][..], &["app", "pair"], &["app", "status"], &["app", "digits", "123456"]]
    {
        let ended = Process::start(&stage.host(), command).wait();
        assert_eq!(ended.code, Some(5), "{command:?}: {}", ended.output);
        assert!(ended.output.contains("the other side's"), "{}", ended.output);
    }
}

#[test]
fn a_daemon_of_another_version_is_named() {
    let directory = TempDir::new().unwrap();
    daemon(&directory, |mut stream| writeln!(stream, r#"{{"ok":{{"response":"later"}}}}"#).unwrap());
    let ended = Process::start(directory.path(), &["peers", "show", "laptop"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("another version"), "{}", ended.output);
}

#[test]
fn a_daemon_that_dies_before_it_answers_is_named() {
    let directory = TempDir::new().unwrap();
    daemon(&directory, drop);
    let ended = Process::start(directory.path(), &["peers", "revoke", "laptop"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("does not answer any more"), "{}", ended.output);
}

#[test]
fn a_name_longer_than_any_request_is_refused() {
    let directory = TempDir::new().unwrap();
    daemon(&directory, |_| panic!("it was sent"));
    let ended = Process::spawn(
        node_manager(directory.path(), &["peers", "show", &"x".repeat(5000)]),
        "peers show with a long name",
    );
    let ended = ended.wait();
    assert_eq!(ended.code, Some(2), "{}", ended.output);
    assert!(ended.output.contains("that long"), "{}", ended.output);
}
