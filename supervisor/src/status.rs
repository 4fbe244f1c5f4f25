//! How a service is.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// How a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What it is called in the configuration.
    pub name: String,
    /// Who runs it.
    pub kind: KindOf,
    /// What it does.
    pub state: State,
    /// Since when it is in that state, in milliseconds of Unix time.
    pub since: Option<u64>,
    /// Its main process.
    pub pid: Option<u32>,
    /// How often it was started again by itself since it was last started by order.
    pub restarts: u32,
    /// How it last ended, such as `exit status 1` or `signal 9 (KILL)`.
    pub exit: Option<String>,
    /// What it is, for people.
    pub description: String,
    /// Why nothing is known of it, where its state is [`State::Unknown`].
    pub problem: Option<String>,
}

/// Who runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KindOf {
    /// systemd.
    Unit,
    /// The supervisor itself.
    Process,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is about to run; also while a restart is waited for.
    Starting,
    /// It runs.
    Running,
    /// It was told to end, and has not yet.
    Stopping,
    /// It does not run.
    Stopped,
    /// It does not run, and ended badly.
    Failed,
    /// It could not be asked.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        })
    }
}

/// Now, in milliseconds of Unix time.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How a process ended, in words.
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = match self {
            Self::Code(code) => return write!(f, "exit status {code}"),
            Self::Signal(signal) => *signal,
        };
        let name = match signal {
            1 => "HUP",
            2 => "INT",
            3 => "QUIT",
            4 => "ILL",
            6 => "ABRT",
            8 => "FPE",
            9 => "KILL",
            11 => "SEGV",
            13 => "PIPE",
            14 => "ALRM",
            15 => "TERM",
            _ => return write!(f, "signal {signal}"),
        };
        write!(f, "signal {signal} ({name})")
    }
}
