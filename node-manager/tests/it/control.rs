//! The control socket, and what may come over it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Process, node_manager};
use crate::stage::Stage;

/// A daemon that says what it is told to.
fn daemon(directory: &TempDir, mut answer: impl FnMut(&Value, UnixStream) + Send + 'static) {
    let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            // Whoever only looks whether a daemon is there says nothing.
            if let Ok(request) = serde_json::from_str(&line) {
                answer(&request, stream);
            }
        }
    });
}

fn say(mut stream: &UnixStream, answer: &Value) {
    writeln!(stream, "{answer}").unwrap();
}

fn say_status(stream: &UnixStream, part: &str, peers: &[Value]) {
    let mut status =
        json!({ "response": "status", "part": part, "label": "", "fingerprint": "", "version": "" });
    status["running"] = true.into();
    status["peers"] = peers.into();
    say(stream, &json!({ "ok": status }));
}

fn peer(pairing: &str, stage: &str) -> Value {
    json!({ "pairing": pairing, "name": "other", "label": "other", "fingerprint": "ab12", "stage": stage,
        "compared": true, "paired_at": 1 })
}

fn done() -> Value {
    json!({ "ok": { "response": "done" } })
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
    daemon(&directory, |request, stream| match request["request"].as_str() {
        Some("status") => say_status(&stream, "host", &[]),
        _ => say(&stream, &json!({ "ok": { "response": "later" } })),
    });
    let ended = Process::start(directory.path(), &["peers", "show", "laptop"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("another version"), "{}", ended.output);
}

#[test]
fn a_daemon_that_dies_before_it_answers_is_named() {
    let directory = TempDir::new().unwrap();
    daemon(&directory, |request, stream| {
        if request["request"] == "status" {
            say_status(&stream, "host", &[]);
        }
    });
    let ended = Process::start(directory.path(), &["peers", "revoke", "laptop"]).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("does not answer any more"), "{}", ended.output);
}

#[test]
fn a_name_longer_than_any_request_is_refused() {
    let directory = TempDir::new().unwrap();
    daemon(&directory, |request, stream| match request["request"].as_str() {
        Some("status") => say_status(&stream, "host", &[]),
        _ => panic!("it was sent"),
    });
    let ended = Process::spawn(
        node_manager(directory.path(), &["peers", "show", &"x".repeat(5000)]),
        "peers show with a long name",
    );
    let ended = ended.wait();
    assert_eq!(ended.code, Some(2), "{}", ended.output);
    assert!(ended.output.contains("that long"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_while_a_command_waits_is_named() {
    let stage = Stage::new().await;
    let host = stage.run_host();
    let mut pair = Process::start(&stage.host(), &["pair", "81985529216486895", "--json"]);
    pair.event("hello_app_sent");
    host.signal("TERM");
    let ended = pair.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.output);
    assert!(ended.output.contains("the daemon stopped"), "{}", ended.output);
    assert_eq!(host.wait().code, Some(0));
}

/// A command that was suspended, for instance.
#[test]
fn a_command_that_missed_the_end_finds_it_out() {
    let directory = TempDir::new().unwrap();
    let (mut watching, mut peers) = (None, Vec::new());
    daemon(&directory, move |request, stream| match request["request"].as_str() {
        Some("status") => say_status(&stream, "host", &peers),
        Some("watch") => {
            say(&stream, &done());
            watching = Some(stream);
        }
        Some("pair") => {
            say(&stream, &done());
            peers.push(peer("0a", "confirmed"));
            say(watching.as_ref().unwrap(), &json!({ "event": "missed", "count": 3 }));
        }
        _ => say(&stream, &json!({ "ok": { "response": "pong", "name": "other", "round_trip_ms": 1.0 } })),
    });
    let ended = Process::start(directory.path(), &["pair", "81985529216486895"]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("Paired with \"other\""), "{}", ended.output);
}

#[test]
fn digits_are_not_asked_for_a_pairing_that_was_begun_before() {
    let directory = TempDir::new().unwrap();
    let who = |pairing: &str| json!({ "pairing": pairing, "name": "other", "fingerprint": "ab12" });
    let mut watching = None;
    daemon(&directory, move |request, stream| match request["request"].as_str() {
        Some("status") => say_status(&stream, "app", &[peer("01d0", "keyed")]),
        Some("watch") => {
            say(&stream, &done());
            say(&stream, &json!({ "event": "network", "connected": 1, "static_nodes": [] }));
            watching = Some(stream);
        }
        Some("offer") => {
            say(&stream, &done());
            for pairing in ["01d0", "0e30", "01d0"] {
                say(watching.as_ref().unwrap(), &json!({ "event": "ask_digits", "peer": who(pairing) }));
            }
        }
        Some("digits") => {
            assert_eq!(request["peer"], "0e30");
            say(&stream, &done());
            let watching = watching.as_ref().unwrap();
            say(watching, &json!({ "event": "confirmed", "peer": who("0e30"), "compared": true }));
            say(watching, &json!({ "event": "acknowledged", "pairing": "0e30" }));
        }
        _ => panic!("{request}"),
    });
    let mut app = Process::start(directory.path(), &["app", "pair", "--no-qr"]);
    app.expect("asks to be paired");
    app.type_line("123456");
    let ended = app.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
}
