//! How our source looks.

use crate::assert_none;
use crate::source::Source;
use crate::workspace::sources;

/// The most lines a file has before its tests. What is longer means two things.
const MAX_LINES: usize = 450;

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 9] =
    ["common", "helper", "helpers", "misc", "mod", "shared_utils", "util", "utilities", "utils"];

/// Sleeps outside the product that wait for time itself to pass, each with its reason.
const SLEEPS: [(&str, &str); 8] = [
    ("pairing/examples/in_memory.rs", "the channel's deadline timer"),
    ("node-manager/benches/over_waku/scene.rs", "what a side does that is left alone is measured"),
    (
        "waku/benches/overload/role.rs",
        "a publisher that was told that it is too fast waits as an application would",
    ),
    ("waku/tests/waku_node/process.rs", "another process's log does not tell when it grows"),
    ("node-manager/tests/it/once.rs", "an order is good until a time by the wall clock"),
    ("node-manager/tests/it/revoking.rs", "that nothing comes any more takes its time"),
    ("waku/benches/filter.rs", "a publisher that was told that it is too fast waits as an application would"),
    ("waku/benches/relay.rs", "a publisher that was told that it is too fast waits as an application would"),
];

#[test]
fn modules_are_named_by_what_they_are() {
    let mut broken = Vec::new();
    for source in sources() {
        let parts = source.path.trim_end_matches(".rs").split('/');
        if let Some(drawer) = parts.clone().find(|part| DRAWERS.contains(part)) {
            broken.push(format!("{}: {drawer}", source.path));
        }
        let inline = Source::find_word(&source.code, "mod").filter(|at| {
            let name = source.code[at + 3..].trim_start().split(|c: char| !c.is_alphanumeric() && c != '_');
            name.clone().next().is_some_and(|name| DRAWERS.contains(&name))
        });
        broken.extend(inline.map(|at| source.at(at)));
    }
    assert_none("`foo.rs` beside `foo/`, and a name that says what is inside", &broken);
}

#[test]
fn files_are_short_enough_to_mean_one_thing() {
    let length = |source: &Source| source.product().trim_end().lines().count();
    let long = sources().into_iter().filter(|source| length(source) > MAX_LINES);
    let broken: Vec<_> = long.map(|source| format!("{}: {} lines", source.path, length(&source))).collect();
    assert_none(&format!("split by meaning what has more than {MAX_LINES} lines before its tests"), &broken);
}

#[test]
fn queues_are_bounded() {
    const UNBOUNDED: [&str; 6] = [
        "unbounded",
        "unbounded_channel",
        "UnboundedSender",
        "UnboundedReceiver",
        "mpsc::channel()",
        "mpsc::Sender::new()",
    ];
    let broken = words_in_code(&UNBOUNDED);
    assert_none("give the queue a length, and count what it drops", &broken);
}

#[test]
fn nothing_sleeps_to_wait_for_something() {
    let sources = sources();
    let mut broken = Vec::new();
    for source in &sources {
        // What ships has timers, but a thread that sleeps cannot be woken.
        let shipped = source.product().len();
        let asleep = Source::find_word(&source.code, "thread::sleep");
        let sleeps = ["sleep(", "sleep_until(", "park_timeout("];
        let waiting = sleeps.iter().flat_map(|sleep| Source::find_word(&source.code, sleep));
        let mut found = asleep.chain(waiting.filter(|at| *at >= shipped)).peekable();
        match SLEEPS.iter().find(|(path, _)| *path == source.path) {
            Some((path, _)) if found.peek().is_none() => {
                broken.push(format!("{path}: sleeps no longer; take it off the list in {}", file!()));
            }
            Some(_) => {}
            None => broken.extend(found.map(|at| source.at(at))),
        }
    }
    let gone = SLEEPS.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path));
    broken.extend(gone.map(|(path, _)| format!("{path}: is gone; take it off the list in {}", file!())));
    assert_none("wait for the event, the watch or the condition itself", &broken);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut broken = words_in_code(&["#[ignore", "dbg!", "todo!", "unimplemented!"]);
    for source in sources() {
        let marks = ["TODO", "FIXME", "XXX", "HACK"];
        let found = marks.iter().flat_map(|mark| Source::find_word(&source.comments, mark));
        broken.extend(found.map(|at| source.at(at)));
    }
    assert_none("finish it, or write an issue", &broken);
}

#[test]
fn every_expect_says_why_it_cannot_fail() {
    let mut broken = Vec::new();
    for source in &sources() {
        for (at, call) in source.product().match_indices(".expect(") {
            let reason = literal(source, at + call.len()).unwrap_or_default();
            if reason.split_whitespace().count() < 3 {
                broken.push(format!("{}: expect(\"{reason}\")", source.at(at)));
            }
        }
    }
    assert_none("say in a few words why this cannot fail, or return an error", &broken);
}

#[test]
fn every_silenced_lint_says_why() {
    let mut broken = Vec::new();
    for source in sources() {
        for attribute in ["#[allow(", "#[expect(", "#![allow(", "#![expect("] {
            for (at, _) in source.code.match_indices(attribute) {
                let end = source.code[at..].find(")]").map_or(source.code.len(), |end| at + end);
                if Source::find_word(&source.code[at..end], "reason").next().is_none() {
                    broken.push(source.at(at));
                }
            }
        }
    }
    assert_none("add `reason = \"…\"`", &broken);
}

/// The string that stands at `offset`.
fn literal(source: &Source, offset: usize) -> Option<&str> {
    source.text[offset..].trim_start().strip_prefix('"')?.split('"').next()
}

fn words_in_code(words: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !source.is_generated()) {
        for word in words {
            broken
                .extend(Source::find_word(&source.code, word).map(|at| format!("{}: {word}", source.at(at))));
        }
    }
    broken
}
