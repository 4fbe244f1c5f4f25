//! A process group with a guard in it, so that nobody in it outlives the supervisor.
//!
//! The guard is a shell that leads the group and reads from a pipe whose other end is the supervisor's. When that end
//! closes, because the supervisor crashed or was killed, the guard ends the group. It also holds the group's number:
//! while the guard was not reaped nobody else gets it, so no signal meets a stranger.
//!
//! The kernel's own signal at a parent's death would not do: it comes when the *thread* that made the child ends, it
//! does not reach grandchildren, and it cannot be set for a child without `unsafe`.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

const SHELL: &str = "/bin/sh";
/// Says when it is ready. At the end of its input: SIGTERM to its group, itself excepted, and later SIGKILL to all.
const SCRIPT: &str =
    "trap '' HUP INT QUIT TERM; echo; exec >&-; read -r _; kill -s TERM 0; sleep \"$1\"; kill -s KILL 0";
/// How long the guard may take to be ready.
const READY: Duration = Duration::from_secs(10);

/// The group. Whoever is in it is killed when it is dropped.
pub(super) struct Group {
    id: Pid,
    guard: Child,
    /// The guard acts when this is closed.
    _lifeline: ChildStdin,
}

impl Group {
    /// A group with its guard, and with the time from SIGTERM to SIGKILL that it grants when the supervisor is gone.
    pub(super) async fn new(limit: Duration) -> io::Result<Self> {
        let because = |error: io::Error| io::Error::new(error.kind(), format!("its guard, {SHELL}: {error}"));
        let mut guard = Command::new(SHELL)
            .args(["-c", SCRIPT, "guard", &limit.as_secs().to_string()])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(because)?;
        let missing = || because(io::ErrorKind::BrokenPipe.into());
        let id = guard.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(missing)?;
        let (lifeline, stdout) = (guard.stdin.take(), guard.stdout.take());
        let (lifeline, mut stdout) = lifeline.zip(stdout).ok_or_else(missing)?;
        match timeout(READY, stdout.read_u8()).await {
            Ok(Ok(_)) => Ok(Self { id, guard, _lifeline: lifeline }),
            Ok(Err(error)) => Err(because(error)),
            Err(_) => Err(because(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Sends a signal to everybody in it. The guard heeds SIGKILL alone.
    pub(super) fn signal(&self, signal: Signal) {
        // There is always somebody in it, and who changed their user is out of our power.
        _ = kill_process_group(self.id, signal);
    }

    /// Kills everybody in it, the guard too.
    pub(super) async fn end(mut self) {
        self.signal(Signal::KILL);
        // The guard's number is free after this; dropping the group must not signal it.
        _ = self.guard.wait().await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // No number when it was reaped.
        if self.guard.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}
