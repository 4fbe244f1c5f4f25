//! Services, and what may be asked of them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::base::BaseUrl;
use super::grant::Grant;
use super::pattern::{Glob, Pattern};
use super::target::Path;

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// As it is sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether it leaves things as they are, by its own promise.
    pub(crate) fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or(())
    }
}

/// What a request does to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it may be asked again, and its answer kept for a while.
    Safe,
    /// Something: it runs once, and is in the audit log before it runs.
    StateChanging,
}

/// Which query parameters a rule takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameters {
    /// These names.
    Listed(Vec<String>),
    /// Every name.
    Any,
}

impl Parameters {
    /// Whether a name is taken.
    pub fn allow(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(names) => names.iter().any(|known| known == name),
        }
    }
}

/// How a request and its answer are handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Passed on as they are.
    Forward,
    /// The body is one JSON-RPC call of one of these methods.
    JsonRpc(Vec<String>),
    /// The answer is metrics, of which only these are kept.
    Metrics(Vec<Glob>),
    /// The answer is a stream of events of these topics.
    Events(Vec<String>),
}

/// One thing that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Methods, at least one.
    pub methods: Vec<Method>,
    /// Paths, at least one.
    pub paths: Vec<Pattern>,
    /// Query parameters.
    pub parameters: Parameters,
    /// Query parameters without which there would be far too much of an answer.
    pub required: Vec<String>,
    /// What a pairing needs.
    pub grant: Grant,
    /// Whether methods other than GET and HEAD change something.
    pub effect: Effect,
    /// How it is handled.
    pub kind: Kind,
    /// Most bytes of a request's body.
    pub max_request: u64,
    /// Most bytes of an answer's body.
    pub max_response: u64,
    /// How long the service may keep us waiting, all its pauses together.
    pub timeout: Duration,
}

impl Rule {
    /// The pattern that a path is like.
    pub(super) fn pattern(&self, path: &Path) -> Option<&Pattern> {
        self.paths.iter().find(|pattern| pattern.matches(path))
    }
}

/// A service on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in refusals, the audit log and the configuration.
    pub name: String,
    /// Where it listens.
    pub base: BaseUrl,
    /// What an app writes before its paths; empty, or `/…` without a slash at its end.
    pub mount: String,
    /// The file with the token it asks for.
    pub token_file: Option<PathBuf>,
    /// The credential of systemd with the token, where no file is named.
    pub token_credential: Option<String>,
    /// Requests at a time.
    pub max_running: usize,
    /// Requests that wait for their turn; more are refused.
    pub max_waiting: usize,
    /// What may be asked of it; the first rule that fits decides.
    pub rules: Vec<Rule>,
}
