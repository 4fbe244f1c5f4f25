//! What is logged, in which form, and what never is.

mod busy;

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};
use waku_operator::log::ALARMING;

use crate::network::{message, pair};
use crate::process::{Process, run};

/// The lines of a log, as objects.
fn objects(log: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    log.lines().map(object).collect()
}

#[test]
fn the_setup_ends_with_nwaku_s_line() {
    let node = Process::start(&["--shard=0", "--log-level=INFO"]);
    let log = node.log();
    let lines: Vec<_> = log.lines().collect();
    assert!(
        lines.iter().any(|line| line.starts_with("INF ") && line.contains("Created WakuMetadata protocol"))
    );
    let last = lines.last().unwrap();
    assert!(last.starts_with("INF ") && last.contains("Node setup complete"), "{log}");
}

#[test]
fn every_line_of_text_has_nwaku_s_form() {
    let (a, b) = pair(&["--log-level=TRACE"], &[]);
    b.publish(0, &message(b"x", "/a/1/b/proto"));
    a.receives(0, b"x");
    let log = a.log();
    for line in log.lines() {
        let form = |line: &str| {
            let (level, rest) = line.split_at_checked(4)?;
            ["TRC ", "DBG ", "INF ", "NTC ", "WRN ", "ERR ", "FAT "].contains(&level).then_some(())?;
            let (time, rest) = rest.split_at_checked(30)?;
            let digits = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c });
            (digits.collect::<String>() == "0000-00-00 00:00:00.000+00:00 ").then_some(())?;
            let (message, rest) = rest.split_once(" topics=\"")?;
            (message.chars().count() >= 42).then_some(())?;
            let (_, rest) = rest.split_once("\" tid=")?;
            let (tid, rest) = rest.split_once(" file=")?;
            tid.parse::<u32>().ok()?;
            let file = rest.split(' ').next()?;
            file.rsplit_once(':')?.1.parse::<u32>().ok()
        };
        assert!(form(line).is_some(), "{line}");
    }
    assert!(log.lines().count() > 10, "{log}");
}

#[test]
fn every_line_of_json_is_an_object() {
    let (a, b) = pair(&["--log-level=TRACE", "--log-format=json"], &[]);
    b.publish(0, &message(b"x", "/a/1/b/proto"));
    a.receives(0, b"x");
    let objects = objects(&a.log());
    assert!(objects.iter().any(|line| line["msg"] == "Node setup complete" && line["lvl"] == "INF"));
    for line in objects {
        assert!(line["lvl"].as_str().unwrap().len() == 3 && line["ts"].is_string(), "{line}");
        assert!(line["tid"].is_u64() && line["topics"].is_string() && line["file"].is_string(), "{line}");
    }
}

/// Whether a line of this level is among what was logged from there on.
fn has(log: &str, from: usize, level: &str) -> bool {
    log[from..].lines().any(|line| line.starts_with(level))
}

#[test]
fn the_level_is_followed_from_the_start() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = format!("--tcp-port={}", taken.local_addr().unwrap().port());
    for (level, expected) in [
        ("TRACE", &["INF", "ERR"][..]),
        ("debug", &["INF", "ERR"]),
        ("INFO", &["INF", "ERR"]),
        ("Notice", &["ERR"]),
        ("WARN", &["ERR"]),
        ("ERROR", &["ERR"]),
        ("FATAL", &[]),
        ("NONE", &[]),
    ] {
        // It says that REST is there, and ends with an error.
        let flags = ["--listen-address=127.0.0.1", "--shard=0", "--rest", "--rest-port=0", &port];
        let said = run(&[&flags[..], &[&format!("--log-level={level}")]].concat());
        assert_eq!(said.status.code(), Some(1));
        let mut levels: Vec<_> = said.stdout.lines().map(|line| &line[..3]).collect();
        levels.retain(|level| !["TRC", "DBG"].contains(level));
        levels.dedup();
        assert_eq!(levels, expected, "{level}: {said:?}");
    }
}

#[test]
fn the_level_can_be_changed_while_it_runs() {
    let node = Process::start(&["--shard=0", "--log-level=INFO"]);
    let set = |level: &str| {
        let answer = node.request("POST", &format!("/admin/v1/log-level/{level}"), "", "");
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{level}");
        node.log().len()
    };
    let from = node.log().len();
    node.get("/info");
    assert!(has(&node.log(), from, "INF "), "at least a line for a request at INFO");
    assert!(!has(&node.log(), 0, "DBG "));

    let from = set("WARN");
    for _ in 0..3 {
        node.get("/info");
        node.get("/version");
    }
    assert!(!has(&node.log(), from, "INF ") && !has(&node.log(), from, "DBG "), "{}", &node.log()[from..]);

    let from = set("debug");
    for path in ["/info", "/health", "/admin/v1/peers", "/nowhere"] {
        let before = node.log().len();
        node.get(path);
        assert!(has(&node.log(), before, "DBG "), "{path}: {}", &node.log()[before..]);
    }
    assert!(has(&node.log(), from, "DBG "));

    let from = set("TRACE");
    node.get("/info");
    assert!(has(&node.log(), from, "DBG "));
    set("FATAL");
    let from = node.log().len();
    let wrong = node.post(
        "/admin/v1/peers",
        &json!(["/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAm3Nsao9FmXrEJ9A6vGVcDfmz2cXnp69HLUQMnjBwAf4qX"])
            .to_string(),
    );
    assert_eq!(wrong.status, 400);
    assert_eq!(&node.log()[from..], "");
}

#[test]
fn whoever_connects_is_named_in_full() {
    let (a, b) = pair(&["--log-level=TRACE"], &["--log-level=TRACE"]);
    a.logs(&[&b.peer_id()]);
    b.logs(&[&a.peer_id()]);
}

/// Fails when the log has a word that tools take for a process that died.
fn is_calm(log: &str) {
    let lower = log.to_lowercase();
    for word in ALARMING {
        let line = lower.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{word}: {line:?}");
    }
}
