//! What processes say, and how much of it is kept.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use waku_supervisor::{MAX_LINES, Source, State, Supervisor};

use crate::bench::{Bench, config, shell};

#[tokio::test]
async fn both_outputs_are_kept_with_their_source_and_what_became_of_the_service() {
    let bench = Bench::script("echo one; echo two >&2; printf three", "restart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    bench.until_state(State::Stopped).await;
    let lines = bench.log().await;
    let of = |source| lines.iter().filter(move |line| line.source == source).map(|line| line.text.as_str());
    assert_eq!(of(Source::Out).collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(of(Source::Err).collect::<Vec<_>>(), ["two"]);
    let own: Vec<_> = of(Source::Supervisor).collect();
    assert!(own[0].starts_with("started, process ") && own[1] == "ended: exit status 0", "{own:?}");
    assert!(lines.iter().all(|line| line.at > 1_500_000_000_000));
    assert_eq!(bench.supervisor.log("a", 1).await.unwrap()[0].text, "ended: exit status 0");
    assert!(bench.supervisor.log("a", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn output_without_end_fills_neither_memory_nor_disk() {
    let bench = Bench::new("[[service]]\nname = 'a'\ncommand = ['/usr/bin/yes', 'again']");
    bench.supervisor.start("a").await.unwrap();
    let folder = bench.folder.path().join("logs");
    bench.line("again").await;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    let mut looks = 0;
    while !folder.join("a.log.1").exists() {
        look.tick().await;
        looks += 1;
        assert!(looks < 1500, "no second file was begun");
    }
    bench.supervisor.stop("a").await.unwrap();
    let lines = bench.supervisor.log("a", usize::MAX).await.unwrap();
    assert_eq!(lines.len(), MAX_LINES);
    for entry in fs::read_dir(&folder).unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert!(metadata.len() <= 4 * 1024 * 1024, "{}", metadata.len());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_line_without_end_is_cut_and_holds_nobody_up() {
    let script = "head -c 300000 /dev/zero | tr '\\0' x; echo; echo next";
    let bench = Bench::script(script, "restart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    bench.until_state(State::Stopped).await;
    assert_eq!(bench.said().await, ["x".repeat(8192) + " […]", "next".to_owned()]);
}

#[tokio::test]
async fn the_next_supervisor_knows_what_was_said_to_the_one_before() {
    let bench = Bench::script("echo said long ago", "restart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    bench.until_state(State::Stopped).await;
    let before = bench.log().await;
    bench.supervisor.shutdown().await;
    let text = shell("a", "exit", "");
    let next = Supervisor::new(config(&text), &bench.folder.path().join("logs")).unwrap();
    assert_eq!(next.log("a", 1000).await.unwrap(), before);
}

#[tokio::test]
async fn who_keeps_the_output_open_after_leaving_does_not_hold_the_stop_up() {
    let script = "setsid sh -c 'trap \"\" TERM; echo left $$; exec sleep 8' & trap exit TERM; wait; wait";
    let bench = Bench::script(script, "stop_seconds = 1");
    bench.supervisor.start("a").await.unwrap();
    bench.line("left ").await;
    assert_eq!(bench.supervisor.stop("a").await.unwrap().state, State::Stopped);
}
