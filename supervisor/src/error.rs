//! What can go wrong.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a service cannot be started, stopped or looked at.
#[derive(Debug, Error)]
pub enum Error {
    /// A name that is not configured.
    #[error("there is no service `{name}`: there are {known}")]
    UnknownService {
        /// What was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The folder or a file of the logs.
    #[error("{} cannot be used for logs: {error}", path.display())]
    LogFile {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A process did not start.
    #[error("{} cannot be started: {error}", program.display())]
    Spawn {
        /// Which program.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Too many orders wait for a service.
    #[error("`{0}` has as many orders waiting as it may; ask again when it is done with them")]
    Busy(String),
    /// The supervisor was shut down.
    #[error("the supervisor was shut down, and starts no processes any more")]
    ShutDown,
    /// An order is not done after its time.
    #[error("`{name}` has not done what it was told after {} s; it goes on, look at its status", limit.as_secs())]
    Slow {
        /// The service.
        name: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// systemd cannot be reached.
    #[error("systemd cannot be reached over {bus}: {reason}. {advice}")]
    NoBus {
        /// Which bus.
        bus: String,
        /// Why.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// Not allowed.
    #[error(
        "not allowed to {verb} {unit} ({reason}): add a rule below /etc/polkit-1/rules.d that allows the user of this \
         process `org.freedesktop.systemd1.manage-units` for this unit, or run as root"
    )]
    Denied {
        /// start, stop, restart, or look at.
        verb: &'static str,
        /// The unit.
        unit: String,
        /// systemd's words.
        reason: String,
    },
    /// systemd knows no such unit.
    #[error("systemd has no unit {0}: install it, or mend its name in the configuration")]
    NoUnit(String),
    /// A unit that systemd cannot use as it is.
    #[error("systemd cannot use {unit} ({reason}): see `systemctl status {unit}`")]
    Unusable {
        /// The unit.
        unit: String,
        /// masked, error, bad-setting, or systemd's words.
        reason: String,
    },
    /// A job did not come to its end.
    #[error(
        "systemd did not {verb} {unit}, the job's result is `{result}`: see its log, or `systemctl status {unit}`"
    )]
    Job {
        /// start, stop or restart.
        verb: &'static str,
        /// The unit.
        unit: String,
        /// failed, canceled, timeout, dependency and others of systemd.
        result: String,
    },
    /// An answer of systemd that makes no sense, or a refusal not listed here.
    #[error("systemd: {0}")]
    Systemd(String),
    /// The journal may not be read.
    #[error("not allowed to read the journal: add the user of this process to the group `systemd-journal`")]
    JournalDenied,
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(String),
}

impl Error {
    /// A word for programs, which stays when the text changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownService { .. } => "unknown_service",
            Self::LogFile { .. } => "log_file",
            Self::Spawn { .. } => "spawn",
            Self::Busy(_) => "busy",
            Self::ShutDown => "shut_down",
            Self::Slow { .. } => "slow",
            Self::NoBus { .. } => "no_bus",
            Self::Denied { .. } => "denied",
            Self::NoUnit(_) => "no_unit",
            Self::Unusable { .. } => "unusable",
            Self::Job { .. } => "job",
            Self::Systemd(_) => "systemd",
            Self::JournalDenied => "journal_denied",
            Self::Journal(_) => "journal",
        }
    }
}
