//! The tables of the file as they are written, and what becomes of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use super::{Kind, ProcessSpec, Restart, ServiceSpec, UnitSpec};

/// Longest name of a service.
const MAX_NAME: usize = 32;
/// Longest description.
const MAX_DESCRIPTION: usize = 256;
/// Longest name of a unit, as systemd has it.
const MAX_UNIT: usize = 255;
/// Most arguments and variables, and most bytes of one.
const MAX_ITEMS: usize = 256;
const MAX_ITEM: usize = 4096;
/// Default, least and most seconds that a unit's job is waited for.
const LIMIT: (u64, u64, u64) = (120, 1, 900);
/// Default, least and most seconds from SIGTERM to SIGKILL.
const STOP: (u64, u64, u64) = (30, 1, 600);
/// Default, least and most milliseconds before the first restart.
const DELAY: (u64, u64, u64) = (1000, 10, 60_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File<E> {
    #[serde(default = "Vec::new")]
    pub(super) service: Vec<E>,
}

/// What is wrong with a service.
#[derive(Debug, Error)]
pub(crate) enum Problem {
    #[error("name 1 to {0} services, each as [[service]]")]
    Number(usize),
    #[error("the service `{0}` is there twice")]
    Twice(String),
    #[error("`{0}` is no name for a service: lower-case letters, digits and `-`, {MAX_NAME} at most")]
    Name(String),
    #[error("service `{0}`: it needs either `unit` or `command`")]
    KindOf(String),
    #[error("service `{0}`: `{1}` is for services with `{2}`")]
    Key(String, &'static str, &'static str),
    #[error("service `{0}`: a description is one line of at most {MAX_DESCRIPTION} bytes")]
    Description(String),
    #[error(
        "service `{0}`: `{1}` is no unit that can be named here: letters, digits and `:_.-`, after one `@` the \
         instance, and `.service` at the end"
    )]
    Unit(String, String),
    #[error("service `{0}`: `{1}` has to be an absolute path; no shell and no PATH looks for it")]
    Path(String, String),
    #[error(
        "service `{0}`: `command` and `env` have at most {MAX_ITEMS} entries of {MAX_ITEM} bytes, without NUL"
    )]
    Items(String),
    #[error("service `{0}`: `{1}` is no name of an environment variable")]
    Variable(String, String),
    #[error("service `{0}`: `{1}` has to be from {2} to {3}")]
    Range(String, &'static str, u64, u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    name: String,
    description: Option<String>,
    unit: Option<String>,
    user: Option<bool>,
    timeout_seconds: Option<u64>,
    command: Option<Vec<String>>,
    dir: Option<PathBuf>,
    env: Option<BTreeMap<String, String>>,
    restart: Option<Restart>,
    restart_delay_ms: Option<u64>,
    stop_seconds: Option<u64>,
    autostart: Option<bool>,
}

impl Entry {
    pub(super) fn finish(mut self) -> Result<ServiceSpec, Problem> {
        let name = self.name.clone();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_name) {
            return Err(Problem::Name(name));
        }
        let description = self.description.take();
        let is_line = |text: &String| text.len() <= MAX_DESCRIPTION && !text.contains(char::is_control);
        if !description.iter().all(is_line) {
            return Err(Problem::Description(name));
        }
        let kind = match (self.unit.take(), self.command.take()) {
            (Some(unit), None) => Kind::Unit(self.unit(unit)?),
            (None, Some(command)) => Kind::Process(self.process(command)?),
            _ => return Err(Problem::KindOf(name)),
        };
        Ok(ServiceSpec { name, description, kind })
    }

    fn unit(self, unit: String) -> Result<UnitSpec, Problem> {
        let for_processes = [
            ("dir", self.dir.is_some()),
            ("env", self.env.is_some()),
            ("restart", self.restart.is_some()),
            ("restart_delay_ms", self.restart_delay_ms.is_some()),
            ("stop_seconds", self.stop_seconds.is_some()),
            ("autostart", self.autostart.is_some()),
        ];
        if let Some((key, _)) = for_processes.into_iter().find(|(_, is_there)| *is_there) {
            return Err(Problem::Key(self.name, key, "command"));
        }
        if !is_unit(&unit) {
            return Err(Problem::Unit(self.name, unit));
        }
        let limit = self.number("timeout_seconds", self.timeout_seconds, LIMIT)?;
        Ok(UnitSpec { unit, user: self.user.unwrap_or_default(), limit: Duration::from_secs(limit) })
    }

    fn process(self, command: Vec<String>) -> Result<ProcessSpec, Problem> {
        let for_units = [("user", self.user.is_some()), ("timeout_seconds", self.timeout_seconds.is_some())];
        if let Some((key, _)) = for_units.into_iter().find(|(_, is_there)| *is_there) {
            return Err(Problem::Key(self.name, key, "unit"));
        }
        let restart_delay = self.number("restart_delay_ms", self.restart_delay_ms, DELAY)?;
        let stop_limit = self.number("stop_seconds", self.stop_seconds, STOP)?;
        let env = self.env.unwrap_or_default();
        let mut items = command.iter().chain(env.values());
        if command.len().max(env.len()) > MAX_ITEMS
            || items.any(|item| item.len() > MAX_ITEM || item.contains('\0'))
        {
            return Err(Problem::Items(self.name));
        }
        if let Some(wrong) = env.keys().find(|name| !is_variable(name)) {
            return Err(Problem::Variable(self.name, wrong.clone()));
        }
        let mut command = command.into_iter();
        let (program, dir) = (command.next().unwrap_or_default(), self.dir.unwrap_or_else(|| "/".into()));
        let program = PathBuf::from(program);
        for path in [&program, &dir] {
            if !path.is_absolute() || path.as_os_str().as_encoded_bytes().contains(&0) {
                return Err(Problem::Path(self.name, path.display().to_string()));
            }
        }
        Ok(ProcessSpec {
            program,
            args: command.collect(),
            dir,
            env,
            restart: self.restart.unwrap_or_default(),
            restart_delay: Duration::from_millis(restart_delay),
            stop_limit: Duration::from_secs(stop_limit),
            autostart: self.autostart.unwrap_or_default(),
        })
    }

    fn number(
        &self,
        key: &'static str,
        given: Option<u64>,
        (default, least, most): (u64, u64, u64),
    ) -> Result<u64, Problem> {
        let number = given.unwrap_or(default);
        let fits = (least..=most).contains(&number);
        fits.then_some(number).ok_or_else(|| Problem::Range(self.name.clone(), key, least, most))
    }
}

/// Patterns, escapes, options and templates without an instance are none.
fn is_unit(unit: &str) -> bool {
    let Some(stem) = unit.strip_suffix(".service") else { return false };
    let (prefix, instance) = stem.split_once('@').map_or((stem, None), |(prefix, rest)| (prefix, Some(rest)));
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_.-".contains(&byte))
    };
    unit.len() <= MAX_UNIT && is_part(prefix) && instance.is_none_or(is_part)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_ITEM
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
