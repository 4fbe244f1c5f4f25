//! Why a command failed, for a person and for a script.

use std::fmt;
use std::process::ExitCode;

use node_manager::StartError;
use serde::{Deserialize, Serialize};

/// The kinds of failure, each with an exit status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Other,
    Usage,
    Rejected,
    Timeout,
    Vault,
    Network,
    Interrupted,
}

impl Kind {
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::Rejected => 3,
            Self::Timeout => 4,
            Self::Vault => 5,
            Self::Network => 6,
            Self::Interrupted => 130,
        })
    }
}

/// A failure: what happened, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }

    pub(crate) fn other(message: impl fmt::Display) -> Self {
        Self::new(Kind::Other, message)
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  {hint}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        use node_manager::VaultError;
        let vault_hint = match &error {
            StartError::Vault(VaultError::InUse { .. }) => {
                "wait for it to start, to stop, or to finish pairing, and try again; or use another --data-dir"
            }
            StartError::Vault(VaultError::Shared { .. }) => {
                "give a directory of its own as --data-dir, or `chmod 700` this one"
            }
            StartError::Vault(VaultError::Damaged { .. }) => {
                "nothing was changed; put a backup in its place, or move it away and pair again"
            }
            StartError::Vault(
                VaultError::Directory { .. } | VaultError::File { .. } | VaultError::Redb { .. },
            ) => {
                "check that the disk has room and that the directory may be written to, or use another --data-dir"
            }
            _ => "",
        };
        match &error {
            StartError::Vault(_) | StartError::Store(_) | StartError::Journal(_) => {
                let failure = Self::new(Kind::Vault, &error);
                if vault_hint.is_empty() { failure } else { failure.hint(vault_hint) }
            }
            StartError::Node(waku::SpawnError::Listen(waku::ListenError::InUse { .. })) => {
                Self::new(Kind::Network, &error)
                    .hint("give another --tcp-port, or none: no connections need to be accepted")
            }
            StartError::Node(_) | StartError::Subscribe(_) | StartError::Filter(_) => {
                Self::new(Kind::Network, &error)
            }
        }
    }
}
