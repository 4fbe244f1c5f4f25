//! Lives and ends of child processes.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;
use waku_supervisor::{Error, KindOf, State, Supervisor};

use crate::bench::{Bench, config, is_alive, shell, until_gone};

/// Runs until it is told to end.
const IDLE: &str = "echo ready; while :; do sleep 1; done";
/// Does not even end then.
const STUBBORN: &str = "trap \"\" TERM; echo ready $$; while :; do sleep 1; done";

#[tokio::test]
async fn a_process_starts_and_stops_and_starts_again() {
    let bench = Bench::script(IDLE, "description = 'Idles'");
    let stopped = bench.supervisor.status("a").await.unwrap();
    assert_eq!((stopped.state, stopped.pid, stopped.exit), (State::Stopped, None, None));
    let first = bench.supervisor.start("a").await.unwrap();
    assert_eq!(
        (first.state, first.kind, first.description.as_str()),
        (State::Running, KindOf::Process, "Idles")
    );
    assert!(is_alive(&first.pid.unwrap().to_string()) && first.since.is_some());
    bench.line("ready").await;
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(
        (stopped.state, stopped.pid, stopped.exit.as_deref()),
        (State::Stopped, None, Some("signal 15 (TERM)"))
    );
    assert!(!is_alive(&first.pid.unwrap().to_string()));
    let second = bench.supervisor.restart("a").await.unwrap();
    let third = bench.supervisor.restart("a").await.unwrap();
    assert_eq!((second.state, third.state, third.restarts), (State::Running, State::Running, 0));
    assert!(second.pid != first.pid && third.pid != second.pid);
    assert!(!is_alive(&second.pid.unwrap().to_string()));
    assert_eq!(bench.supervisor.list().await, [third]);
}

#[tokio::test]
async fn what_serializes_has_the_form_that_is_documented() {
    let bench = Bench::script("printf 'x\\033y\\n' >&2; exit 3", "restart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    let status = bench.until_state(State::Failed).await;
    let expected = json!({
        "name": "a", "kind": "process", "state": "failed", "since": status.since, "pid": null, "restarts": 0,
        "exit": "exit status 3", "description": "/bin/sh", "problem": null,
    });
    assert_eq!(serde_json::to_value(&status).unwrap(), expected);
    let line =
        bench.log().await.into_iter().find(|line| line.source == waku_supervisor::Source::Err).unwrap();
    let expected = json!({"at": line.at, "source": "err", "text": "x\\u{1b}y"});
    assert_eq!(serde_json::to_value(&line).unwrap(), expected);
}

#[tokio::test]
async fn a_child_sees_a_clean_environment_its_folder_and_nothing_at_its_input() {
    let keys = "dir = '/usr'\nenv = { TOKEN = 'a b', LANG = 'de' }\nrestart = 'never'";
    let bench = Bench::new(&format!("[[service]]\nname = 'a'\ncommand = ['/usr/bin/env']\n{keys}"));
    bench.supervisor.start("a").await.unwrap();
    bench.until_state(State::Stopped).await;
    let mut names: Vec<_> =
        bench.said().await.iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["HOME", "LANG", "PATH", "TOKEN"]);
    assert!(bench.said().await.contains(&"LANG=de".to_owned()));

    let bench = Bench::script("pwd; cat; echo end of input", "dir = '/usr'\nrestart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    bench.until_state(State::Stopped).await;
    assert_eq!(bench.said().await, ["/usr", "end of input"]);
}

#[tokio::test]
async fn what_crashes_is_started_again_and_again_until_it_is_stopped() {
    let bench = Bench::script("exit 3", "restart_delay_ms = 10");
    bench.supervisor.start("a").await.unwrap();
    let status = bench.until("a", |status| status.restarts >= 3).await;
    assert!(status.exit.as_deref() == Some("exit status 3"), "{status:?}");
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(stopped.state, State::Stopped);
    let waits: Vec<_> = bench
        .log()
        .await
        .into_iter()
        .filter_map(|line| line.text.strip_prefix("is started again in ").map(str::to_owned))
        .collect();
    assert_eq!(waits[..3], ["0.0 s", "0.0 s", "0.0 s"]);
}

#[tokio::test]
async fn a_wait_for_a_restart_ends_with_an_order() {
    let bench = Bench::script("exit 3", "restart_delay_ms = 60000");
    bench.supervisor.start("a").await.unwrap();
    let waiting = bench.until("a", |status| status.state == State::Starting && status.exit.is_some()).await;
    assert_eq!((waiting.pid, waiting.restarts), (None, 0));
    assert_eq!(bench.supervisor.stop("a").await.unwrap().state, State::Stopped);
    // A start does not wait for the rest of the minute either.
    bench.supervisor.start("a").await.unwrap();
    bench.until("a", |status| status.state == State::Starting).await;
    let pids =
        |lines: Vec<waku_supervisor::Line>| lines.iter().filter(|l| l.text.starts_with("started")).count();
    assert_eq!(pids(bench.log().await), 2);
    bench.supervisor.start("a").await.unwrap();
    bench.until("a", |status| status.state == State::Starting).await;
    assert_eq!(pids(bench.log().await), 3);
}

#[tokio::test]
async fn the_policy_says_who_is_started_again() {
    let keys = |restart: &str| format!("restart = '{restart}'\nrestart_delay_ms = 10");
    for (script, restart, state) in [
        ("exit 0", "never", State::Stopped),
        ("exit 1", "never", State::Failed),
        ("exit 0", "on_failure", State::Stopped),
        ("kill -KILL $$", "never", State::Failed),
    ] {
        let bench = Bench::script(script, &keys(restart));
        bench.supervisor.start("a").await.unwrap();
        let status = bench.until("a", |status| status.exit.is_some() && status.state == state).await;
        assert_eq!(status.restarts, 0, "{script}, {restart}");
    }
    for (script, restart) in [("exit 0", "always"), ("kill -KILL $$", "on_failure")] {
        let bench = Bench::script(script, &keys(restart));
        bench.supervisor.start("a").await.unwrap();
        bench.until("a", |status| status.restarts >= 2).await;
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_that_names_it() {
    let text = "[[service]]\nname = 'a'\ncommand = ['/no/such/program']\n\
                [[service]]\nname = 'b'\ncommand = ['/bin/sh']\ndir = '/no/such/folder'\n\
                [[service]]\nname = 'c'\ncommand = ['/etc']\n\
                [[service]]\nname = 'd'\ncommand = ['/no/such/program']\nautostart = true\nrestart_delay_ms = 10";
    let bench = Bench::new(text);
    for (name, expected) in [
        ("a", "/no/such/program cannot be started: "),
        ("b", "/no/such/folder is not there"),
        ("c", "/etc cannot"),
    ] {
        let error = bench.supervisor.start(name).await.unwrap_err();
        assert!(error.code() == "spawn" && error.to_string().contains(expected), "{error}");
        let status = bench.supervisor.status(name).await.unwrap();
        assert_eq!((status.state, status.pid), (State::Failed, None));
        assert!(status.exit.is_some_and(|exit| exit.contains(expected)));
    }
    // Whom nobody waits for is tried again: the program may come.
    bench.until("d", |status| status.restarts >= 2).await;
    let error = bench.supervisor.start("e").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no service `e`: there are a, b, c, d");
}

#[tokio::test]
async fn who_ignores_the_order_to_end_is_killed() {
    let bench = Bench::script(STUBBORN, "stop_seconds = 1");
    bench.supervisor.start("a").await.unwrap();
    let pid = bench.line("ready ").await;
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(stopped.exit.as_deref(), Some("signal 9 (KILL)"));
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn who_was_halted_ends_in_peace() {
    let bench = Bench::script(
        "trap 'echo bye; exit 0' TERM; echo ready; kill -STOP $$; while :; do sleep 1; done",
        "",
    );
    bench.supervisor.start("a").await.unwrap();
    bench.line("ready").await;
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(stopped.exit.as_deref(), Some("exit status 0"));
    assert_eq!(bench.said().await, ["ready", "bye"]);
}

#[tokio::test]
async fn grandchildren_end_with_their_service() {
    let bench = Bench::script(&format!("sh -c '{STUBBORN}' & wait"), "stop_seconds = 1");
    bench.supervisor.start("a").await.unwrap();
    let grandchild = bench.line("ready ").await;
    assert!(is_alive(&grandchild));
    bench.supervisor.stop("a").await.unwrap();
    until_gone(&grandchild).await;
}

#[tokio::test]
async fn grandchildren_have_their_time_to_end_too() {
    let slow = "trap 'sleep 0.3; echo saved; exit' TERM; echo ready $$; while :; do sleep 0.1; done";
    let bench = Bench::script(&format!("trap exit TERM; sh -c \"{slow}\" & wait"), "stop_seconds = 20");
    bench.supervisor.start("a").await.unwrap();
    bench.line("ready ").await;
    bench.supervisor.stop("a").await.unwrap();
    assert!(bench.said().await.contains(&"saved".to_owned()));
}

#[tokio::test]
async fn what_a_crashed_service_leaves_behind_is_gone_before_the_next_begins() {
    let bench = Bench::script(&format!("sh -c '{IDLE}' & echo left $!; exit 1"), "restart = 'never'");
    bench.supervisor.start("a").await.unwrap();
    let left = bench.line("left ").await;
    bench.until_state(State::Failed).await;
    until_gone(&left).await;
}

#[tokio::test]
async fn a_main_process_that_leaves_its_group_is_stopped_too() {
    let text =
        format!("[[service]]\nname = 'a'\ncommand = ['/usr/bin/setsid', '/bin/sh', '-c', '''{IDLE}''']");
    let bench = Bench::new(&text);
    let pid = bench.supervisor.start("a").await.unwrap().pid.unwrap().to_string();
    bench.line("ready").await;
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(stopped.exit.as_deref(), Some("signal 15 (TERM)"));
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn shut_down_all_end_at_once_and_none_starts_again() {
    let keys = "autostart = true\nstop_seconds = 1";
    let bench =
        Bench::new(&(shell("a", STUBBORN, keys) + &shell("b", STUBBORN, keys) + &shell("c", "exit 1", "")));
    let pid = bench.line("ready ").await;
    bench.until("b", |status| status.state == State::Running).await;
    bench.supervisor.shutdown().await;
    bench.supervisor.shutdown().await;
    assert!(!is_alive(&pid));
    assert!(bench.supervisor.list().await.iter().all(|status| status.state == State::Stopped));
    let error = bench.supervisor.start("c").await.unwrap_err();
    assert!(matches!(error, Error::ShutDown), "{error}");
}

#[tokio::test]
async fn a_dropped_supervisor_leaves_nobody_behind() {
    let Bench { supervisor, folder } = Bench::script(IDLE, "");
    let pid = supervisor.start("a").await.unwrap().pid.unwrap().to_string();
    let copy = supervisor.clone();
    drop(supervisor);
    assert_eq!(copy.status("a").await.unwrap().state, State::Running);
    drop(copy);
    until_gone(&pid).await;
    drop(folder);
}

#[test]
fn a_runtime_that_ends_leaves_nobody_behind() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, pid) = runtime.block_on(async {
        let bench = Bench::script(&format!("sh -c '{STUBBORN}' & wait"), "");
        bench.supervisor.start("a").await.unwrap();
        let pid = bench.line("ready ").await;
        (bench, pid)
    });
    drop(runtime);
    tokio::runtime::Runtime::new().unwrap().block_on(until_gone(&pid));
    drop(bench);
}

/// Told so by the environment, this is the one that is killed.
#[test]
fn a_supervisor_that_is_killed_leaves_nobody_behind() {
    const ROLE: &str = "SUPERVISOR_TO_BE_KILLED";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if env::var_os(ROLE).is_some() {
        runtime.block_on(async {
            let script = format!("trap 'echo ended >> ended; exit' TERM; sh -c '{STUBBORN}' & wait");
            let folder = env::var(ROLE).unwrap();
            let bench = Bench::script(&script, &format!("stop_seconds = 1\ndir = '{folder}'"));
            bench.supervisor.start("a").await.unwrap();
            println!("\ngrandchild {}", bench.line("ready ").await);
            std::future::pending::<()>().await;
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "processes::a_supervisor_that_is_killed_leaves_nobody_behind";
    let mut other = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ROLE, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(other.stdout.take().unwrap()).lines().map_while(Result::ok);
    let grandchild = lines.into_iter().find_map(|line| line.strip_prefix("grandchild ").map(str::to_owned));
    let grandchild = grandchild.expect("the other one started a service");
    assert!(is_alive(&grandchild));
    other.kill().unwrap();
    other.wait().unwrap();
    runtime.block_on(until_gone(&grandchild));
    // First they were told.
    assert_eq!(std::fs::read_to_string(folder.path().join("ended")).unwrap(), "ended\n");
}

#[tokio::test]
async fn a_folder_for_logs_that_cannot_be_made_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = Supervisor::new(config(&shell("a", "exit", "")), &path).err().unwrap();
    assert!(error.code() == "log_file" && error.to_string().contains("cannot be used for logs"), "{error}");
}
