//! Units of a systemd that is played, and a look at a real one where there is one.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::interval;
use waku_supervisor::{Bus, KindOf, Source, State, Supervisor, Systemd};

use crate::bench::config;
use crate::fake_systemd::{FakeSystemd, Job, Played, Refusal};

const UNIT: &str = "[[service]]\nname = 'a'\nunit = 'a.service'\n";

fn with_place(text: &str, place: Systemd) -> (Supervisor, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::with_systemd(config(text), &folder.path().join("logs"), place).unwrap();
    (supervisor, folder)
}

/// One unit, `a.service`, as service `a`.
fn played(unit: Played) -> (Supervisor, FakeSystemd, TempDir) {
    let systemd = FakeSystemd::new([("a.service", unit)]);
    let (supervisor, folder) = with_place(UNIT, systemd.place("exit 1"));
    (supervisor, systemd, folder)
}

#[tokio::test]
async fn a_unit_starts_restarts_and_stops() {
    let (supervisor, systemd, folder) = played(Played::default());
    let stopped = supervisor.status("a").await.unwrap();
    assert_eq!((stopped.state, stopped.pid, stopped.exit), (State::Stopped, None, None));
    let running = supervisor.start("a").await.unwrap();
    assert_eq!((running.state, running.kind, running.pid), (State::Running, KindOf::Unit, Some(4242)));
    assert_eq!((running.since, running.description.as_str()), (Some(1_700_000_000_123), "A unit\\u{202e}"));
    assert_eq!(supervisor.restart("a").await.unwrap().state, State::Running);
    assert_eq!(supervisor.stop("a").await.unwrap().state, State::Stopped);
    assert_eq!(
        systemd.asked(),
        ["start a.service replace", "restart a.service replace", "stop a.service replace"]
    );
    // A folder for logs is made for processes alone.
    assert!(!folder.path().join("logs").exists());
}

#[tokio::test]
async fn who_has_nothing_to_do_asks_for_no_job() {
    let (supervisor, systemd, _folder) =
        played(Played { active_state: "active", job: Job::Refused(Refusal::Denied), ..Played::default() });
    assert_eq!(supervisor.start("a").await.unwrap().state, State::Running);
    systemd.change("a.service", |unit| unit.active_state = "failed");
    assert_eq!(supervisor.stop("a").await.unwrap().state, State::Failed);
    assert!(systemd.asked().is_empty());
}

#[tokio::test]
async fn an_order_waits_for_the_end_of_its_job_and_the_next_one_for_both() {
    let (supervisor, systemd, _folder) = played(Played { job: Job::Held("done"), ..Played::default() });
    let order = |stop: bool| {
        let supervisor = supervisor.clone();
        tokio::spawn(
            async move { if stop { supervisor.stop("a").await } else { supervisor.start("a").await } },
        )
    };
    let first = order(false);
    let mut look = interval(Duration::from_millis(5));
    let mut asked = Vec::new();
    for _ in 0..2000 {
        asked.extend(systemd.asked());
        if !asked.is_empty() {
            break;
        }
        look.tick().await;
    }
    let second = order(true);
    // While the first is held, looks go through and see nothing done.
    for _ in 0..20 {
        assert_eq!(supervisor.status("a").await.unwrap().state, State::Stopped);
    }
    assert!(!first.is_finished() && systemd.asked().is_empty());
    systemd.let_go();
    assert_eq!(first.await.unwrap().unwrap().state, State::Running);
    systemd.let_go();
    assert_eq!(second.await.unwrap().unwrap().state, State::Stopped);
    assert_eq!(
        (asked, systemd.asked()),
        (vec!["start a.service replace".into()], vec!["stop a.service replace".into()])
    );
}

#[tokio::test]
async fn a_job_that_does_not_end_well_is_an_error_that_says_how() {
    for result in ["failed", "timeout", "dependency", "canceled"] {
        let (supervisor, _systemd, _folder) =
            played(Played { job: Job::Result(result), ..Played::default() });
        let error = supervisor.start("a").await.unwrap_err();
        let expected = format!("systemd did not start a.service, the job's result is `{result}`");
        assert!(error.code() == "job" && error.to_string().starts_with(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_an_error_and_the_service_can_be_asked_again() {
    let systemd = FakeSystemd::new([("a.service", Played { job: Job::Held("done"), ..Played::default() })]);
    let (supervisor, _folder) = with_place(&format!("{UNIT}timeout_seconds = 1"), systemd.place("exit 1"));
    let error = supervisor.start("a").await.unwrap_err();
    assert!(error.code() == "slow" && error.to_string().contains("after 1 s"), "{error}");
    systemd.let_go();
    systemd.let_go();
    assert_eq!(supervisor.start("a").await.unwrap().state, State::Running);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (refusal, code, expected) in [
        (
            Refusal::Denied,
            "denied",
            "not allowed to restart a.service (Access denied): add a rule below /etc/polkit-1",
        ),
        (Refusal::Interactive, "denied", "(Interactive authentication required): add a rule"),
        (
            Refusal::Masked,
            "unusable",
            "systemd cannot use a.service (Unit a.service is masked): see `systemctl",
        ),
        (Refusal::Other, "systemd", "systemd: restart a.service: Transaction is\\u{1b}[31m destructive"),
    ] {
        let (supervisor, _systemd, _folder) =
            played(Played { job: Job::Refused(refusal), ..Played::default() });
        let error = supervisor.restart("a").await.unwrap_err();
        assert!(error.code() == code && error.to_string().contains(expected), "{error}");
    }
    let (supervisor, systemd, _folder) = played(Played { load_state: "bad-setting", ..Played::default() });
    let error = supervisor.start("a").await.unwrap_err();
    assert!(error.to_string().contains("cannot use a.service (bad-setting)"), "{error}");
    assert!(systemd.asked().is_empty());
}

#[tokio::test]
async fn a_connection_that_is_lost_is_an_error_and_the_next_order_makes_another() {
    let (supervisor, systemd, _folder) = played(Played { job: Job::Lost, ..Played::default() });
    let error = supervisor.start("a").await.unwrap_err();
    assert!(error.code() == "no_bus", "{error}");
    systemd.change("a.service", |unit| unit.job = Job::Result("done"));
    assert_eq!(supervisor.start("a").await.unwrap().state, State::Running);
}

#[tokio::test]
async fn states_and_ends_have_their_words() {
    for (active_state, state) in [
        ("active", State::Running),
        ("reloading", State::Running),
        ("activating", State::Starting),
        ("deactivating", State::Stopping),
        ("inactive", State::Stopped),
        ("failed", State::Failed),
        ("maintenance", State::Unknown),
    ] {
        let (supervisor, _systemd, _folder) = played(Played { active_state, ..Played::default() });
        let status = supervisor.status("a").await.unwrap();
        assert_eq!(
            (status.state, status.problem.is_some()),
            (state, state == State::Unknown),
            "{active_state}"
        );
    }
    for (result, exit, words) in [
        ("success", (1, 0), Some("exit status 0")),
        ("exit-code", (1, 78), Some("exit status 78")),
        ("signal", (2, 9), Some("signal 9 (KILL)")),
        ("core-dump", (3, 11), Some("signal 11 (SEGV)")),
        ("oom-kill", (2, 9), Some("oom-kill (signal 9 (KILL))")),
        ("start-limit-hit", (0, 0), Some("start-limit-hit")),
        ("success", (0, 0), None),
    ] {
        let (supervisor, _systemd, _folder) =
            played(Played { result, exit, restarts: 7, ..Played::default() });
        let status = supervisor.status("a").await.unwrap();
        assert_eq!((status.exit.as_deref(), status.restarts), (words, 7));
    }
}

#[tokio::test]
async fn a_list_shows_what_is_known_of_each() {
    let systemd = FakeSystemd::new([
        ("a.service", Played { active_state: "active", ..Played::default() }),
        ("gone.service", Played { load_state: "not-found", ..Played::default() }),
    ]);
    let text = format!(
        "{UNIT}[[service]]\nname = 'gone'\nunit = 'gone.service'\n\
         [[service]]\nname = 'theirs'\nunit = 'b.service'\nuser = true\n\
         [[service]]\nname = 'p'\ncommand = ['/bin/true']\n"
    );
    let nobody = Bus::Socket("/no/such/socket".into());
    let (supervisor, _folder) = with_place(&text, Systemd { user: nobody, ..systemd.place("exit 1") });
    let list = supervisor.list().await;
    let states: Vec<_> = list.iter().map(|status| (status.name.as_str(), status.state)).collect();
    let expected =
        [("a", State::Running), ("gone", State::Unknown), ("theirs", State::Unknown), ("p", State::Stopped)];
    assert_eq!(states, expected);
    let problem = |at: usize| list[at].problem.clone().unwrap_or_default();
    assert!(problem(1).contains("systemd has no unit gone.service: install it"), "{}", problem(1));
    assert!(problem(2).starts_with("systemd cannot be reached over /no/such/socket: "), "{}", problem(2));
    assert_eq!(supervisor.start("gone").await.unwrap_err().code(), "no_unit");
    assert_eq!(supervisor.start("theirs").await.unwrap_err().code(), "no_bus");
    // Whoever is shut down leaves units alone, and can still be asked about them.
    supervisor.shutdown().await;
    assert_eq!(supervisor.status("a").await.unwrap().state, State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_answer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mute");
    let _mute = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let place = Systemd { system: Bus::Socket(path), ..Systemd::default() };
    let (supervisor, _folder) = with_place(UNIT, place);
    let error = supervisor.status("a").await.unwrap_err();
    assert!(error.to_string().contains("no answer"), "{error}");
}

async fn journal(
    text: &str,
    script: &str,
    lines: usize,
) -> Result<Vec<waku_supervisor::Line>, waku_supervisor::Error> {
    let nowhere = Bus::Socket("/no/such/socket".into());
    let journalctl = ["/bin/sh", "-c", script, "journalctl"].map(Into::into).to_vec();
    let (supervisor, _folder) =
        with_place(text, Systemd { system: nowhere.clone(), user: nowhere, journalctl });
    supervisor.log("a", lines).await
}

#[tokio::test]
async fn the_journal_is_asked_with_fixed_arguments_and_a_clean_environment() {
    let script = r#"for word in "$@" "$LC_ALL" "$HOME"; do echo "{\"__REALTIME_TIMESTAMP\":\"5000\",\"MESSAGE\":\"$word\"}"; done"#;
    let lines = journal(UNIT, script, 5000).await.unwrap();
    let words: Vec<_> = lines.iter().rev().map(|line| line.text.as_str()).collect();
    let mut expected = vec![
        "--unit=a.service",
        "--lines=1000",
        "--reverse",
        "--output=json",
        "--output-fields=MESSAGE",
        "--all",
        "--no-pager",
        "C",
        "",
    ];
    assert_eq!(words, expected);
    assert!(lines.iter().all(|line| line.at == 5 && line.source == Source::Journal));
    let lines = journal(&format!("{UNIT}user = true"), script, 9).await.unwrap();
    expected[0] = "--user-unit=a.service";
    expected[1] = "--lines=9";
    assert_eq!(lines.iter().rev().map(|line| line.text.as_str()).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_an_error_that_says_why() {
    let error = journal(UNIT, "echo 'No such thing' >&2; exit 1", 5).await.unwrap_err();
    assert_eq!(error.to_string(), "the journal cannot be read: No such thing");
    for script in [
        "echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1",
        "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2",
    ] {
        let error = journal(UNIT, script, 5).await.unwrap_err();
        assert!(error.to_string().contains("`systemd-journal`"), "{error}");
    }
    assert!(journal(UNIT, "exit 0", 5).await.unwrap().is_empty());
    let place = Systemd { journalctl: vec!["/no/such/journalctl".into()], ..Systemd::default() };
    let (supervisor, _folder) = with_place(UNIT, place);
    assert_eq!(supervisor.log("a", 5).await.unwrap_err().code(), "journal");
}

#[tokio::test]
async fn a_journal_without_end_is_cut_and_its_program_ended() {
    let script =
        r#"while :; do echo '{"__REALTIME_TIMESTAMP":"5000","MESSAGE":"again and again and again"}'; done"#;
    assert_eq!(journal(UNIT, script, 10).await.unwrap().len(), 10);
}

#[tokio::test]
async fn looks_leave_no_connection_open() {
    let (supervisor, systemd, _folder) = played(Played::default());
    for _ in 0..50 {
        supervisor.status("a").await.unwrap();
    }
    let mut look = interval(Duration::from_millis(5));
    for _ in 0..2000 {
        if systemd.connections() == (50, 0) {
            return;
        }
        look.tick().await;
    }
    panic!("made and open: {:?}", systemd.connections());
}

#[tokio::test]
async fn orders_for_a_unit_beyond_what_may_wait_are_refused() {
    let (supervisor, systemd, _folder) = played(Played { job: Job::Held("done"), ..Played::default() });
    let orders: Vec<_> = (0..40)
        .map(|_| {
            let supervisor = supervisor.clone();
            tokio::spawn(async move { supervisor.start("a").await.map_err(|error| error.code()) })
        })
        .collect();
    systemd.let_go();
    let mut refused = 0;
    for order in orders {
        match order.await.unwrap() {
            Ok(status) => assert_eq!(status.state, State::Running),
            Err(code) => {
                assert_eq!(code, "busy");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 40 - 16);
}

/// Only looks, and where there is nothing to look at it says so.
#[tokio::test]
async fn a_real_systemd_can_be_looked_at() {
    if !Path::new("/run/systemd/system").exists() {
        println!("not run: there is no systemd here");
        return;
    }
    let text = "[[service]]\nname = 'a'\nunit = 'systemd-journald.service'";
    let (supervisor, _folder) = with_place(text, Systemd::default());
    match supervisor.status("a").await {
        Ok(status) => assert!(status.state != State::Unknown && !status.description.is_empty(), "{status:?}"),
        Err(error) if error.code() == "no_bus" => println!("not run: {error}"),
        Err(error) => panic!("{error}"),
    }
}
