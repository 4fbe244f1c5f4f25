//! Starting, stopping and looking at the host's services, for paired apps that may.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use waku_gateway::Caller;
use waku_gateway::audit::{Entry, Phase};
use waku_gateway::policy::{Grant, Refusal};
use waku_pairing::record::PairingId;
use waku_supervisor::{Error, Supervisor};
use waku_tunnel::request::Answer;

use super::Inner;
use super::own::reply;
use super::serve::whole;
use crate::tunnels::Served;

/// Lines of a log, if the query does not say how many.
const LINES: usize = 100;
/// What the audit log calls the manager itself.
const OWN: &str = "node-manager";

/// What can be done with a service.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Start,
    Stop,
    Restart,
}

impl Order {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "start" => Some(Self::Start),
            "stop" => Some(Self::Stop),
            "restart" => Some(Self::Restart),
            _ => None,
        }
    }

    fn pattern(self) -> &'static str {
        match self {
            Self::Start => "/node-manager/v1/services/{name}/start",
            Self::Stop => "/node-manager/v1/services/{name}/stop",
            Self::Restart => "/node-manager/v1/services/{name}/restart",
        }
    }
}

/// How every service is.
pub(super) async fn list(inner: &Inner, stream: Served) {
    let services = match &inner.supervisor {
        Some(supervisor) => supervisor.list().await,
        None => Vec::new(),
    };
    reply(stream, &json!({ "services": services })).await;
}

/// The last lines of a service's log.
pub(super) async fn log(
    inner: &Inner,
    pairing: PairingId,
    caller: &Caller,
    name: &str,
    query: &str,
    stream: Served,
) {
    let Some((supervisor, stream)) = allowed(inner, pairing, stream).await else {
        return note(
            inner,
            entry(caller, "GET", "/node-manager/v1/services/{name}/log", Phase::Refused, 403),
        );
    };
    let wanted = query.split('&').find_map(|part| part.strip_prefix("lines="));
    let lines = wanted.and_then(|lines| lines.parse().ok()).unwrap_or(LINES);
    match supervisor.log(name, lines).await {
        Ok(lines) => {
            note(inner, entry(caller, "GET", "/node-manager/v1/services/{name}/log", Phase::Done, 200));
            reply(stream, &json!({ "lines": lines })).await;
        }
        Err(error) => fail(stream, &error).await,
    }
}

/// Has an order carried out. It is in the audit log before it begins.
pub(super) async fn order(
    inner: &Inner,
    pairing: PairingId,
    caller: &Caller,
    name: &str,
    order: Order,
    stream: Served,
) {
    let entry = |phase, status| entry(caller, "POST", order.pattern(), phase, status);
    let Some((supervisor, stream)) = allowed(inner, pairing, stream).await else {
        return note(inner, entry(Phase::Refused, 403));
    };
    if let Err(error) = inner.recorder.ensure(entry(Phase::Begun, 0)).await {
        let answer = Answer { ran: false, ..Answer::new(500) };
        return whole(stream, answer, &format!("{error}: nothing was done")).await;
    }
    let done = match order {
        Order::Start => supervisor.start(name).await,
        Order::Stop => supervisor.stop(name).await,
        Order::Restart => supervisor.restart(name).await,
    };
    match done {
        Ok(status) => {
            tracing::info!(by = caller.name, service = name, ?order, state = %status.state, "a service was ordered");
            inner.recorder.note(entry(Phase::Done, 200), true);
            reply(stream, &json!(status)).await;
        }
        Err(error) => {
            tracing::warn!(by = caller.name, service = name, ?order, %error, "a service did not do what it was told");
            inner.recorder.note(entry(Phase::Done, status(&error)), true);
            fail(stream, &error).await;
        }
    }
}

/// The supervisor, if there is one and the grants of this moment allow its use. Else the request is answered.
async fn allowed(inner: &Inner, pairing: PairingId, stream: Served) -> Option<(&Supervisor, Served)> {
    if !inner.grants.of(pairing).include(Grant::Operate) {
        let answer = Answer { ran: false, ..Answer::new(403) };
        whole(stream, answer, &Refusal::Grant(Grant::Operate).to_string()).await;
        return None;
    }
    let Some(supervisor) = &inner.supervisor else {
        let message = "no services are looked after on this host: name them in services.toml";
        whole(stream, Answer { ran: false, ..Answer::new(404) }, message).await;
        return None;
    };
    Some((supervisor, stream))
}

fn note(inner: &Inner, entry: Entry) {
    inner.recorder.note(entry, false);
}

fn entry(caller: &Caller, method: &str, path: &str, phase: Phase, status: u16) -> Entry {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Entry {
        at: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        phase,
        pairing: caller.pairing.clone(),
        name: caller.name.clone(),
        method: method.to_owned(),
        service: OWN.to_owned(),
        path: path.to_owned(),
        grant: Grant::Operate.name().to_owned(),
        status,
        bytes: 0,
    }
}

fn status(error: &Error) -> u16 {
    match error {
        Error::UnknownService { .. } | Error::NoUnit(_) => 404,
        Error::Busy(_) => 429,
        Error::Slow { .. } => 504,
        Error::Denied { .. } | Error::JournalDenied => 502,
        _ => 500,
    }
}

async fn fail(stream: Served, error: &Error) {
    let ran = !matches!(error, Error::UnknownService { .. } | Error::Busy(_));
    whole(stream, Answer { ran, ..Answer::new(status(error)) }, &error.to_string()).await;
}
