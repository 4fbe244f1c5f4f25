//! Which services there are, from a TOML file.
//!
//! ```toml
//! [[service]]
//! name = "beacon"
//! unit = "nimbus_beacon_node.service"
//!
//! [[service]]
//! name = "web3signer"
//! command = ["/opt/web3signer/bin/web3signer", "eth2"]
//! dir = "/var/lib/web3signer"
//! restart = "always"          # or never, on_failure
//! ```

mod entry;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use thiserror::Error;
use toml::Spanned;

use entry::{Entry, File, Problem};

/// Longest configuration, in bytes.
const MAX_LEN: usize = 256 * 1024;
/// Most services.
const MAX_SERVICES: usize = 64;

/// The services that can be named. Deserializes as a table with a list `service`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "File<Entry>")]
pub struct Config {
    pub(crate) services: Vec<ServiceSpec>,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// File and line.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceSpec {
    /// What it is called here: 1 to 32 of `a-z0-9-`.
    pub(crate) name: String,
    /// What people are told that it is.
    pub(crate) description: Option<String>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Unit(UnitSpec),
    Process(ProcessSpec),
}

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitSpec {
    /// Ends in `.service`, and holds no character that systemd, journalctl or polkit reads as more than itself.
    pub(crate) unit: String,
    /// Whether it belongs to the user's systemd.
    pub(crate) user: bool,
    /// How long a job of it is waited for.
    pub(crate) limit: Duration,
}

/// A child process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ProcessSpec {
    /// An absolute path.
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    /// An absolute path.
    pub(crate) dir: PathBuf,
    /// Beside PATH, HOME and LANG.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) restart: Restart,
    /// The wait before the first restart; each further one is twice as long.
    pub(crate) restart_delay: Duration,
    /// From SIGTERM to SIGKILL.
    pub(crate) stop_limit: Duration,
    /// Whether it starts with the supervisor.
    pub(crate) autostart: bool,
}

/// What the environment and the arguments hold may be secret.
impl std::fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessSpec").field("program", &self.program).finish_non_exhaustive()
    }
}

/// When a process that ended by itself is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Restart {
    Never,
    #[default]
    OnFailure,
    Always,
}

impl Config {
    /// Reads the text of a file of that name.
    ///
    /// # Errors
    /// The first thing in it that is wrong, with its line.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        if text.len() > MAX_LEN {
            let problem = format!("longer than {MAX_LEN} bytes");
            return Err(ConfigError { place: format!("{name}:1"), problem });
        }
        let wrong = |span: Option<Range<usize>>, problem: String| {
            let before = span.and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            ConfigError { place: format!("{name}:{line}"), problem }
        };
        let file: File<Spanned<Entry>> = toml::from_str(text)
            .map_err(|error| wrong(error.span(), error.message().trim_end().to_owned()))?;
        let services = file.service.into_iter().map(|entry| {
            let span = entry.span();
            entry.into_inner().finish().map_err(|problem| wrong(Some(span), problem.to_string()))
        });
        Self::new(services.collect::<Result<_, _>>()?).map_err(|problem| wrong(None, problem.to_string()))
    }

    fn new(services: Vec<ServiceSpec>) -> Result<Self, Problem> {
        if services.is_empty() || services.len() > MAX_SERVICES {
            return Err(Problem::Number(MAX_SERVICES));
        }
        let mut names = HashSet::new();
        match services.iter().find(|service| !names.insert(&service.name)) {
            Some(twice) => Err(Problem::Twice(twice.name.clone())),
            None => Ok(Self { services }),
        }
    }

    /// The services' names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| service.name.as_str())
    }

    /// The units of systemd among the services, without child processes: to look at them and start nothing.
    pub fn only_units(&self) -> Self {
        let is_unit = |service: &&ServiceSpec| matches!(service.kind, Kind::Unit(_));
        Self { services: self.services.iter().filter(is_unit).cloned().collect() }
    }

    /// A rule for a file below `/etc/polkit-1/rules.d` that lets a user start, stop and restart the units of the system
    /// that are configured, and no others. Nothing when there are none.
    pub fn polkit_rule(&self, user: &str) -> Option<String> {
        let units = self.services.iter().filter_map(|service| match &service.kind {
            Kind::Unit(unit) if !unit.user => Some(unit.unit.as_str()),
            _ => None,
        });
        let units: Vec<_> = units.collect();
        (!units.is_empty()).then(|| {
            format!(
                r#"polkit.addRule(function(action, subject) {{
    if (action.id == "org.freedesktop.systemd1.manage-units" &&
        subject.user == {} &&
        {}.indexOf(action.lookup("unit")) >= 0 &&
        ["start", "stop", "restart"].indexOf(action.lookup("verb")) >= 0) {{
        return polkit.Result.YES;
    }}
}});
"#,
                json!(user),
                json!(units)
            )
        })
    }
}

impl TryFrom<File<Entry>> for Config {
    type Error = Problem;

    fn try_from(file: File<Entry>) -> Result<Self, Problem> {
        Self::new(file.service.into_iter().map(Entry::finish).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests;
