//! Whether the host's clock is right. Validators and pairings need it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;
use waku_gateway::watch::{Alert, Kind};

use super::report::Finding;

const CHECK: &str = "clock";
/// What systemd-timesyncd leaves where it has set the clock.
const TIMESYNC: &str = "/run/systemd/timesync/synchronized";
/// How long a program may take to say how the clock is.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer of such a program that is looked at, in bytes.
const MAX_ANSWER: usize = 4096;

/// Who says that the clock is kept right, or that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeper {
    Keeps(&'static str),
    DoesNot(&'static str),
    Unknown,
}

/// Asks who knows, and judges. `offset_ms` is what the blocks of the beacon chain say, if anything.
pub(super) async fn check(offset_ms: Option<i64>, raised: &[Alert]) -> Finding {
    judge(keeper().await, offset_ms, raised)
}

async fn keeper() -> Keeper {
    if Path::new(TIMESYNC).exists() {
        return Keeper::Keeps("systemd-timesyncd");
    }
    // The kernel's own word, whoever it is that keeps the clock.
    let told = output("timedatectl", &["show", "--property=NTPSynchronized", "--value"]).await;
    match told.as_deref().map(str::trim) {
        Some("yes") => return Keeper::Keeps("the kernel"),
        Some("no") => return Keeper::DoesNot("the kernel"),
        _ => {}
    }
    match output("chronyc", &["-c", "tracking"]).await.as_deref() {
        Some(told) => chrony(told),
        None => Keeper::Unknown,
    }
}

/// The last value of a line is the leap status.
fn chrony(told: &str) -> Keeper {
    match told.trim().rsplit(',').next() {
        Some("Normal" | "Insert second" | "Delete second") => Keeper::Keeps("chrony"),
        Some("Not synchronised") => Keeper::DoesNot("chrony"),
        _ => Keeper::Unknown,
    }
}

/// What a program says; nothing when it is not there, fails, or takes too long.
async fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let said = output.stdout.get(..output.stdout.len().min(MAX_ANSWER))?;
    output.status.success().then(|| String::from_utf8_lossy(said).into_owned())
}

fn judge(keeper: Keeper, offset_ms: Option<i64>, raised: &[Alert]) -> Finding {
    let offset = match offset_ms {
        Some(0) => "; blocks of the beacon chain arrive when they should",
        _ => "",
    };
    if let Some(alert) = raised.iter().find(|alert| alert.kind == Kind::ClockDrift) {
        return Finding::failed(CHECK, &alert.text, alert.kind.runbook());
    }
    let set_it = "sudo timedatectl set-ntp true, or install chrony";
    match (keeper, offset_ms) {
        (Keeper::DoesNot(who), _) => {
            Finding::warning(CHECK, format!("{who} says that it is not synchronised{offset}"), set_it)
        }
        (Keeper::Keeps(who), _) => Finding::ok(CHECK, format!("synchronised, says {who}{offset}")),
        (Keeper::Unknown, Some(0)) => {
            Finding::ok(CHECK, "blocks of the beacon chain arrive when they should")
        }
        (Keeper::Unknown, _) => Finding::not_checked(
            CHECK,
            "nobody here says whether it is synchronised",
            "see that a time service runs: timedatectl status, or chronyc tracking",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn drift() -> Alert {
        let kind = Kind::ClockDrift;
        let runbook = kind.runbook();
        Alert { kind, text: "the host's clock is at least 2800 ms ahead".to_owned(), runbook, since: 1 }
    }

    #[test]
    fn a_clock_that_is_off_has_failed_whoever_says_that_it_is_right() {
        let finding = judge(Keeper::Keeps("chrony"), Some(2800), &[drift()]);
        assert_eq!(finding.state, State::Failed);
        assert!(finding.seen.contains("2800 ms") && finding.fix.is_some());
    }

    #[test]
    fn what_is_known_decides_and_nothing_known_is_said() {
        let state = |keeper, offset| judge(keeper, offset, &[]).state;
        assert_eq!(state(Keeper::Keeps("chrony"), None), State::Ok);
        assert_eq!(state(Keeper::DoesNot("chrony"), Some(0)), State::Warning);
        assert_eq!(state(Keeper::Unknown, Some(0)), State::Ok);
        // A small offset, which is no alert, says nothing for sure.
        assert_eq!(state(Keeper::Unknown, Some(300)), State::NotChecked);
        assert_eq!(state(Keeper::Unknown, None), State::NotChecked);
    }

    #[test]
    fn chrony_is_understood() {
        let line = |status: &str| {
            format!("C0A80001,192.168.0.1,2,1700000000.1,0.0001,0.0,0.0,1.0,0.0,0.1,0.1,0.1,64.0,{status}\n")
        };
        assert_eq!(chrony(&line("Normal")), Keeper::Keeps("chrony"));
        assert_eq!(chrony(&line("Not synchronised")), Keeper::DoesNot("chrony"));
        assert_eq!(chrony("506 Cannot talk to daemon\n"), Keeper::Unknown);
        assert_eq!(chrony(""), Keeper::Unknown);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_or_fails_says_nothing() {
        assert_eq!(output("no-such-program-here", &[]).await, None);
        assert_eq!(output("false", &[]).await, None);
        assert_eq!(output("echo", &["yes"]).await.as_deref(), Some("yes\n"));
    }
}
