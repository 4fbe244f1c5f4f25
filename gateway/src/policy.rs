//! Which requests are passed on, and as what. No I/O: text in, a decision or a refusal out.
//!
//! A request is an app's text: a method, a target and headers. Of the services whose mount it is below, the first rule
//! in the order of the configuration that knows its path and method decides. What is passed on is put together anew
//! from the parts that were understood.

mod base;
mod grant;
pub(crate) mod header;
pub(crate) mod json_rpc;
mod pattern;
mod refusal;
mod rule;
mod target;

pub use base::{BaseUrl, BaseUrlError};
pub use grant::{Grant, Grants, UnknownGrant};
pub use header::{MAX_HEADER_BYTES, MAX_HEADERS, passes_to_service};
pub use pattern::{Glob, Pattern, PatternError};
pub use refusal::{JsonRpcRefusal, Refusal};
pub use rule::{Effect, Kind, Method, Parameters, Rule, Service};
pub use target::{MAX_PARAMETERS, MAX_PATH, MAX_TARGET, Path, Query, Target, TargetError};

use header::Header;

/// What an app sends before the body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The method, in capitals.
    pub method: String,
    /// Path and query, as the app wrote them.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
}

/// A request that may be made.
#[derive(Debug, Clone)]
pub struct Decision<'p> {
    /// Of whom.
    pub service: &'p Service,
    /// The rule that allows it.
    pub rule: &'p Rule,
    /// The pattern its path is like: what the audit log has of the path.
    pub pattern: &'p Pattern,
    /// The method.
    pub method: Method,
    /// Path and query at the service, ready to be sent.
    pub target: String,
    /// The query, decoded.
    pub query: Query,
    pub(crate) headers: Vec<Header>,
}

impl Decision<'_> {
    /// Whether it changes something.
    pub fn effect(&self) -> Effect {
        if self.method.is_safe() { Effect::Safe } else { self.rule.effect }
    }

    /// The whole address that is called.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.service.base.authority(), self.target)
    }

    /// The headers that are passed on: lower-case names, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// What may be asked of which service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    services: Vec<Service>,
}

impl Policy {
    /// The policy of these services, in this order.
    pub fn new(services: Vec<Service>) -> Self {
        Self { services }
    }

    /// The services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Decides about a request.
    ///
    /// # Errors
    /// Why it is not passed on.
    pub fn decide(&self, head: &Head, grants: Grants) -> Result<Decision<'_>, Refusal> {
        let Target { path, query } = Target::parse(&head.target)?;
        let headers = header::from_app(&head.headers)?;
        let method = head.method.parse::<Method>().ok();
        let mut known = Vec::new();
        for service in &self.services {
            let Some(below) = path.below(&service.mount) else { continue };
            for rule in &service.rules {
                let Some(pattern) = rule.pattern(&below) else { continue };
                let Some(method) = method.filter(|method| rule.methods.contains(method)) else {
                    known.extend(&rule.methods);
                    continue;
                };
                if !grants.include(rule.grant) {
                    return Err(Refusal::Grant(rule.grant));
                }
                check_query(rule, &query)?;
                let path = if below.as_str() == "/" && !service.base.prefix().is_empty() {
                    ""
                } else {
                    below.as_str()
                };
                let sent = if let Kind::Metrics(_) = rule.kind { String::new() } else { query.canonical() };
                let target = format!("{}{path}{sent}", service.base.prefix());
                return Ok(Decision { service, rule, pattern, method, target, query, headers });
            }
        }
        if known.is_empty() { Err(Refusal::NotListed) } else { Err(Refusal::Method(known)) }
    }
}

fn check_query(rule: &Rule, query: &Query) -> Result<(), Refusal> {
    if let Some((name, _)) = query.parameters().find(|(name, _)| !rule.parameters.allow(name)) {
        return Err(Refusal::Parameter(name.to_owned()));
    }
    if let Some(name) = rule.required.iter().find(|name| query.list(name).next().is_none()) {
        return Err(Refusal::Missing(name.clone()));
    }
    let Kind::Events(topics) = &rule.kind else { return Ok(()) };
    match query.list("topics").find(|topic| topics.iter().all(|known| known != topic)) {
        Some(topic) => Err(Refusal::Topic(topic.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
