//! What the host answers, from a TOML file: a profile, and what is changed about it.
//!
//! ```toml
//! profile = "nimbus"          # or "http"
//!
//! [[service]]
//! name = "beacon"             # one of the profile, or another
//! url = "http://127.0.0.1:5052"
//!
//! [[service.rule]]            # before those of the profile
//! paths = ["/eth/v1/node/version"]
//! ```

mod entry;
mod place;

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::Spanned;

use crate::policy::{BaseUrl, BaseUrlError, Policy, Service};
use crate::watch::Thresholds;
pub use entry::RuleProblem;
use entry::{File, RuleEntry, ServiceEntry};
use place::Place;

/// The profiles that are built in: name and text.
const PROFILES: [(&str, &str); 2] =
    [("nimbus", include_str!("../profiles/nimbus.toml")), ("http", include_str!("../profiles/http.toml"))];

/// Longest configuration, in bytes.
const MAX_LEN: u64 = 1024 * 1024;
/// Requests of one service at a time, unless the file says otherwise.
const MAX_RUNNING: usize = 8;
/// Requests that wait for a service, unless the file says otherwise.
const MAX_WAITING: usize = 64;

/// A gateway's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What may be asked.
    pub policy: Policy,
    /// How much at a time.
    pub limits: Limits,
    /// How much of the audit log is kept.
    pub audit: crate::audit::Keep,
    /// When the watch raises alerts.
    pub thresholds: Thresholds,
    /// The folder whose disk is watched.
    pub disk_path: PathBuf,
    /// The secret that beacon node and execution client share, to be looked at when the host is examined.
    pub jwt_secret: Option<PathBuf>,
}

/// How much at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests of one pairing, running and waiting. Default: 8.
    pub per_peer: usize,
    /// Events a second that one subscription hands out at most. Default: 2.
    pub events_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_peer: 8, events_per_second: 2.0 }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{place}: {problem}")]
    Wrong {
        /// File and line.
        place: String,
        /// What.
        problem: Problem,
    },
}

/// What is wrong in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// No TOML, or a key that there is not.
    #[error("{0}")]
    Toml(String),
    /// More than 1 MiB.
    #[error("the file is longer than 1 MiB")]
    TooLong,
    /// A profile that there is not.
    #[error("there is no profile `{0}`: there are nimbus and http")]
    Profile(String),
    /// A service's name.
    #[error("`{0}` is no name for a service: lower-case letters, digits and `-`, 32 at most")]
    Name(String),
    /// Two services of one name.
    #[error("the service `{0}` is there twice")]
    Twice(String),
    /// A service without an address.
    #[error("the service `{0}` has no url")]
    NoUrl(String),
    /// An address that is not called.
    #[error("{0}")]
    Url(#[from] BaseUrlError),
    /// A mount that no path is below.
    #[error("`{0}` is no mount: `/` before letters, digits and `-._~,`, without one at the end")]
    Mount(String),
    /// A name that systemd gives to no credential.
    #[error("`{0}` is no name of a credential: letters, digits and `-._`, as in the unit's LoadCredential")]
    Credential(String),
    /// Two places for one token.
    #[error("the service `{0}` has both token_file and token_credential: keep one of them")]
    TwoTokens(String),
    /// A number out of range.
    #[error("{0} has to be from {1} to {2}")]
    Range(&'static str, u64, u64),
    /// A rule.
    #[error("{0}")]
    Rule(#[from] RuleProblem),
    /// Nothing is on.
    #[error("no service is on: name a profile or a service")]
    Nothing,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The first thing in it that is wrong, with its line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Unreadable { path: path.to_owned(), error };
        let name = path.display().to_string();
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_LEN {
            return Err(ConfigError::Wrong { place: name, problem: Problem::TooLong });
        }
        Self::parse(&name, &fs::read_to_string(path).map_err(unreadable)?)
    }

    /// Reads the text of a file of that name.
    ///
    /// # Errors
    /// The first thing in it that is wrong, with its line.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let place = Place { name, text };
        let file = read(place)?;
        let mut services = match &file.profile {
            Some(profile) => {
                let (name, text) =
                    PROFILES.into_iter().find(|(name, _)| name == profile.get_ref()).ok_or_else(|| {
                        place.wrong(profile.span(), Problem::Profile(profile.get_ref().clone()))
                    })?;
                let place = Place { name: &format!("profile {name}"), text };
                read(place)?
                    .service
                    .into_iter()
                    .map(|entry| Draft::new(place, entry, false))
                    .collect::<Result<Vec<_>, _>>()?
            }
            None => Vec::new(),
        };
        let mut named = Vec::new();
        for entry in file.service {
            let (name, span) = (entry.name.get_ref().clone(), entry.name.span());
            if named.contains(&name) {
                return Err(place.wrong(span, Problem::Twice(name)));
            }
            named.push(name);
            let draft = Draft::new(place, entry, true)?;
            match services.iter_mut().find(|known| known.name == draft.name) {
                Some(known) => known.change(draft),
                None => services.push(draft),
            }
        }
        let on = services.into_iter().filter(|service| service.enabled);
        let services = on.map(|draft| draft.finish(place)).collect::<Result<Vec<_>, _>>()?;
        if services.is_empty() {
            return Err(place.wrong(0..0, Problem::Nothing));
        }
        let limits = file.limits.finish(place)?;
        let (audit, (thresholds, disk_path)) = (file.audit.finish(place)?, file.watch.finish(place)?);
        let jwt_secret = file.doctor.jwt_secret;
        Ok(Self { policy: Policy::new(services), limits, audit, thresholds, disk_path, jwt_secret })
    }
}

fn read(place: Place<'_>) -> Result<File, ConfigError> {
    if place.text.len() as u64 > MAX_LEN {
        return Err(place.wrong(0..0, Problem::TooLong));
    }
    toml::from_str(place.text).map_err(|error| {
        place.wrong(error.span().unwrap_or_default(), Problem::Toml(error.message().trim_end().to_owned()))
    })
}

/// Whether systemd takes a name for a credential. It is a file's name, and nothing that leads elsewhere.
fn is_credential(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=255).contains(&name.len()) && name.bytes().all(is_known) && name.bytes().any(|byte| byte != b'.')
}

/// A service while its profile and the file are put together.
struct Draft {
    name: String,
    line: String,
    enabled: bool,
    url: Option<BaseUrl>,
    mount: Option<String>,
    token_file: Option<PathBuf>,
    token_credential: Option<String>,
    max_running: Option<usize>,
    max_waiting: Option<usize>,
    rules: Vec<crate::policy::Rule>,
}

impl Draft {
    fn new(place: Place<'_>, entry: ServiceEntry, named: bool) -> Result<Self, ConfigError> {
        let span = entry.name.span();
        let name = entry.name.into_inner();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(is_name) {
            return Err(place.wrong(span, Problem::Name(name)));
        }
        let url = entry
            .url
            .map(|url| BaseUrl::parse(url.get_ref()).map_err(|error| place.wrong(url.span(), error.into())));
        let mount = entry.mount.map(|mount| {
            let fits = crate::policy::Path::parse(mount.get_ref()).is_ok() && mount.get_ref() != "/";
            if fits || mount.get_ref().is_empty() {
                Ok(mount.into_inner())
            } else {
                Err(place.wrong(mount.span(), Problem::Mount(mount.get_ref().clone())))
            }
        });
        if entry.token_file.is_some() && entry.token_credential.is_some() {
            return Err(place.wrong(span, Problem::TwoTokens(name)));
        }
        let credential = entry.token_credential.map(|credential| {
            if is_credential(credential.get_ref()) {
                Ok(credential.into_inner())
            } else {
                Err(place.wrong(credential.span(), Problem::Credential(credential.get_ref().clone())))
            }
        });
        let number = |what, value: Option<Spanned<u64>>, most| {
            value.map(|value| entry::within(place, what, &value, 1, most)).transpose()
        };
        let rules = entry.rule.into_iter().map(|rule: Spanned<RuleEntry>| {
            let span = rule.span();
            rule.into_inner().finish(place).map_err(|problem| match problem {
                entry::Failed::Placed(error) => error,
                entry::Failed::Rule(problem) => place.wrong(span, problem.into()),
            })
        });
        Ok(Self {
            line: if named { place.line(span) } else { String::new() },
            name,
            enabled: entry.enabled.unwrap_or(true),
            url: url.transpose()?,
            mount: mount.transpose()?,
            token_file: entry.token_file,
            token_credential: credential.transpose()?,
            max_running: number("max_running", entry.max_running, 1024)?.map(entry::count),
            max_waiting: number("max_waiting", entry.max_waiting, 10_000)?.map(entry::count),
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Takes over what the file says about a service of the profile.
    fn change(&mut self, by: Self) {
        self.line = by.line;
        self.enabled = by.enabled;
        self.url = by.url.or(self.url.take());
        self.mount = by.mount.or(self.mount.take());
        if by.token_file.is_some() || by.token_credential.is_some() {
            (self.token_file, self.token_credential) = (by.token_file, by.token_credential);
        }
        self.max_running = by.max_running.or(self.max_running);
        self.max_waiting = by.max_waiting.or(self.max_waiting);
        self.rules.splice(0..0, by.rules);
    }

    fn finish(self, place: Place<'_>) -> Result<Service, ConfigError> {
        let (name, line) = (self.name, self.line);
        // A service of the profile that the file does not name has its line in the profile.
        let place = if line.is_empty() { place.line(0..0) } else { line };
        let Some(base) = self.url else {
            return Err(ConfigError::Wrong { place, problem: Problem::NoUrl(name) });
        };
        Ok(Service {
            name,
            base,
            mount: self.mount.unwrap_or_default(),
            token_file: self.token_file,
            token_credential: self.token_credential,
            max_running: self.max_running.unwrap_or(MAX_RUNNING),
            max_waiting: self.max_waiting.unwrap_or(MAX_WAITING),
            rules: self.rules,
        })
    }
}

#[cfg(test)]
mod tests;
