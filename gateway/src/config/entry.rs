//! The tables of the file as they are written, and what becomes of them.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use toml::Spanned;

use super::place::Place;
use super::{ConfigError, Limits, Problem};
use crate::audit::Keep;
use crate::policy::{
    Effect, Glob, Grant, Kind, Method, Parameters, Pattern, PatternError, Rule, UnknownGrant,
};
use crate::watch::Thresholds;

/// Most bytes of a request that a rule can allow.
const MAX_REQUEST: u64 = 16 * 1024 * 1024;
/// Most bytes of an answer that a rule can allow.
const MAX_RESPONSE: u64 = 64 * 1024 * 1024;
/// Bytes of a request with a body, unless the rule says otherwise.
const DEFAULT_REQUEST: u64 = 64 * 1024;
/// Bytes of an answer, unless the rule says otherwise.
const DEFAULT_RESPONSE: u64 = 1024 * 1024;
/// Milliseconds that a service may take, unless the rule says otherwise; and at most.
const TIMEOUT_MS: (u64, u64) = (10_000, 300_000);
/// Most methods, paths, names or series in a list.
const MAX_LIST: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) profile: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) service: Vec<ServiceEntry>,
    #[serde(default)]
    pub(super) limits: LimitsEntry,
    #[serde(default)]
    pub(super) audit: AuditEntry,
    #[serde(default)]
    pub(super) watch: WatchEntry,
    #[serde(default)]
    pub(super) doctor: DoctorEntry,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceEntry {
    pub(super) name: Spanned<String>,
    pub(super) url: Option<Spanned<String>>,
    pub(super) mount: Option<Spanned<String>>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_credential: Option<Spanned<String>>,
    pub(super) enabled: Option<bool>,
    pub(super) max_running: Option<Spanned<u64>>,
    pub(super) max_waiting: Option<Spanned<u64>>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<RuleEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    methods: Option<Vec<String>>,
    paths: Vec<String>,
    #[serde(default)]
    query: Vec<String>,
    #[serde(default)]
    required: Vec<String>,
    grant: Option<String>,
    changes: Option<bool>,
    json_rpc: Option<Vec<String>>,
    series: Option<Vec<String>>,
    topics: Option<Vec<String>>,
    max_request_bytes: Option<Spanned<u64>>,
    max_response_bytes: Option<Spanned<u64>>,
    timeout_ms: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsEntry {
    per_peer: Option<Spanned<u64>>,
    events_per_second: Option<Spanned<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditEntry {
    max_bytes: Option<Spanned<u64>>,
    files: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchEntry {
    min_peers: Option<Spanned<u64>>,
    max_sync_distance: Option<Spanned<u64>>,
    disk_path: Option<PathBuf>,
    disk_days: Option<Spanned<u64>>,
    max_clock_offset_ms: Option<Spanned<u64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoctorEntry {
    pub(super) jwt_secret: Option<PathBuf>,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleProblem {
    /// A method that there is not.
    #[error("`{0}` is no method: there are GET, HEAD, POST, PUT, PATCH and DELETE")]
    Method(String),
    /// A path pattern.
    #[error("{0}")]
    Pattern(#[from] PatternError),
    /// A grant.
    #[error("{0}")]
    Grant(#[from] UnknownGrant),
    /// An empty or a far too long list.
    #[error("`{0}` has to have from 1 to 256 entries")]
    List(&'static str),
    /// A name of a metric.
    #[error("`{0}` is no name of a metric, with `*` for any characters")]
    Series(String),
    /// More than one of `json_rpc`, `series` and `topics`.
    #[error("a rule has one of `json_rpc`, `series` and `topics`")]
    Kinds,
    /// `json_rpc` without POST alone, `series` or `topics` without GET alone.
    #[error("`json_rpc` is for POST alone, `series` and `topics` are for GET alone")]
    KindMethod,
    /// A required parameter that is not accepted.
    #[error("`{0}` is required but not in `query`")]
    Required(String),
}

/// Why a rule cannot be used: a problem that has a place of its own, or one of the rule.
pub(super) enum Failed {
    Placed(ConfigError),
    Rule(RuleProblem),
}

impl<E: Into<RuleProblem>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Rule(error.into())
    }
}

impl RuleEntry {
    pub(super) fn finish(self, place: Place<'_>) -> Result<Rule, Failed> {
        let methods = list("methods", self.methods.unwrap_or_else(|| vec!["GET".to_owned()]))?;
        let methods = methods
            .into_iter()
            .map(|name| name.parse::<Method>().map_err(|()| RuleProblem::Method(name)))
            .collect::<Result<Vec<_>, _>>()?;
        let paths = list("paths", self.paths)?;
        let paths = paths.iter().map(|path| Pattern::parse(path)).collect::<Result<Vec<_>, _>>()?;
        let kind = kind(self.json_rpc, self.series, self.topics)?;
        let wanted = match kind {
            Kind::Forward => None,
            Kind::JsonRpc(_) => Some(Method::Post),
            Kind::Metrics(_) | Kind::Events(_) => Some(Method::Get),
        };
        if wanted.is_some_and(|wanted| methods != [wanted]) {
            return Err(RuleProblem::KindMethod.into());
        }
        let parameters = if self.query.iter().any(|name| name == "*") {
            Parameters::Any
        } else {
            Parameters::Listed(self.query)
        };
        if let Some(name) = self.required.iter().find(|name| !parameters.allow(name)) {
            return Err(RuleProblem::Required(name.clone()).into());
        }
        let mut required = self.required;
        if let Kind::Events(_) = kind {
            // Without topics, some servers send all.
            required.push("topics".to_owned());
        }
        let number = |what, value: Option<Spanned<u64>>, least, default, most| match value {
            Some(value) => within(place, what, &value, least, most).map_err(Failed::Placed),
            None => Ok(default),
        };
        let has_body = methods.iter().any(|method| !method.is_safe());
        let default_request = if has_body { DEFAULT_REQUEST } else { 0 };
        let (timeout, most) = TIMEOUT_MS;
        Ok(Rule {
            grant: self.grant.map_or(Ok(Grant::Monitor), |grant| grant.parse())?,
            effect: if self.changes.unwrap_or(has_body) { Effect::StateChanging } else { Effect::Safe },
            max_request: number(
                "max_request_bytes",
                self.max_request_bytes,
                0,
                default_request,
                MAX_REQUEST,
            )?,
            max_response: number(
                "max_response_bytes",
                self.max_response_bytes,
                1,
                DEFAULT_RESPONSE,
                MAX_RESPONSE,
            )?,
            timeout: Duration::from_millis(number("timeout_ms", self.timeout_ms, 1, timeout, most)?),
            methods,
            paths,
            parameters,
            required,
            kind,
        })
    }
}

fn kind(
    json_rpc: Option<Vec<String>>,
    series: Option<Vec<String>>,
    topics: Option<Vec<String>>,
) -> Result<Kind, RuleProblem> {
    Ok(match (json_rpc, series, topics) {
        (None, None, None) => Kind::Forward,
        (Some(methods), None, None) => Kind::JsonRpc(list("json_rpc", methods)?),
        (None, Some(series), None) => {
            let read = |name: String| Glob::parse(&name).ok_or(RuleProblem::Series(name));
            Kind::Metrics(list("series", series)?.into_iter().map(read).collect::<Result<_, _>>()?)
        }
        (None, None, Some(topics)) => Kind::Events(list("topics", topics)?),
        _ => return Err(RuleProblem::Kinds),
    })
}

fn list(what: &'static str, entries: Vec<String>) -> Result<Vec<String>, RuleProblem> {
    let fits = (1..=MAX_LIST).contains(&entries.len());
    if fits { Ok(entries) } else { Err(RuleProblem::List(what)) }
}

impl LimitsEntry {
    pub(super) fn finish(self, place: Place<'_>) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        if let Some(value) = self.per_peer {
            limits.per_peer = count(within(place, "per_peer", &value, 1, 1024)?);
        }
        if let Some(value) = self.events_per_second {
            let rate = *value.get_ref();
            if !(0.001..=1000.0).contains(&rate) {
                return Err(place.wrong(value.span(), Problem::Range("events_per_second", 0, 1000)));
            }
            limits.events_per_second = rate;
        }
        Ok(limits)
    }
}

impl AuditEntry {
    pub(super) fn finish(self, place: Place<'_>) -> Result<Keep, ConfigError> {
        let mut keep = Keep::default();
        if let Some(value) = self.max_bytes {
            keep.max_bytes = within(place, "max_bytes", &value, 4096, 1 << 30)?;
        }
        if let Some(value) = self.files {
            keep.files = count(within(place, "files", &value, 1, 100)?);
        }
        Ok(keep)
    }
}

impl WatchEntry {
    pub(super) fn finish(self, place: Place<'_>) -> Result<(Thresholds, PathBuf), ConfigError> {
        let mut thresholds = Thresholds::default();
        if let Some(value) = self.min_peers {
            thresholds.min_peers = within(place, "min_peers", &value, 0, 10_000)?;
        }
        if let Some(value) = self.max_sync_distance {
            thresholds.max_sync_distance = within(place, "max_sync_distance", &value, 1, 1_000_000)?;
        }
        if let Some(value) = self.disk_days {
            thresholds.disk_days = within(place, "disk_days", &value, 1, 365)?;
        }
        if let Some(value) = self.max_clock_offset_ms {
            thresholds.max_clock_offset_ms = within(place, "max_clock_offset_ms", &value, 1, 600_000)?;
        }
        Ok((thresholds, self.disk_path.unwrap_or_else(|| PathBuf::from("/"))))
    }
}

/// A number that is within its range.
pub(super) fn within(
    place: Place<'_>,
    what: &'static str,
    value: &Spanned<u64>,
    least: u64,
    most: u64,
) -> Result<u64, ConfigError> {
    if (least..=most).contains(value.get_ref()) {
        Ok(*value.get_ref())
    } else {
        Err(place.wrong(value.span(), Problem::Range(what, least, most)))
    }
}

/// A number of things; those within their range fit.
pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
