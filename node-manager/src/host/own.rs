//! What the manager answers itself, under `/node-manager/v1/`.

use serde_json::{Value, json};
use waku_gateway::Caller;
use waku_gateway::audit::{Filter, read};
use waku_gateway::watch::{Column, Sample};
use waku_pairing::record::PairingId;
use waku_tunnel::connection::Incoming;
use waku_tunnel::request::{Answer, Code, Header, Kind, Priority};

use super::Inner;
use super::serve::{SUBSCRIBE, event, event_stream, topic, whole};
use super::services::{self, Order};
use crate::doctor::Doctor;
use crate::tunnels::Served;

/// Where the manager's own paths begin.
pub(crate) const PREFIX: &str = "/node-manager/";
/// The day of figures, as [`waku_gateway::watch::History::encode`] writes it.
pub(crate) const HISTORY_TYPE: &str = "application/vnd.node-manager.history";
/// Entries of the audit log in an answer, and how many there are at most.
const AUDIT_ENTRIES: (usize, usize) = (100, 1000);

/// Whether a path is the manager's own.
pub(super) fn is_own(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers a request of the manager's own.
pub(super) async fn serve(
    inner: &Inner,
    doctor: &Doctor,
    pairing: PairingId,
    caller: &Caller,
    request: &Incoming,
    stream: Served,
) {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let path = path.strip_prefix(PREFIX).unwrap_or_default();
    match (request.kind, request.method.as_str(), path) {
        (Kind::Subscribe, _, "v1/events") => events(inner, stream).await,
        (Kind::Http, "GET", "v1/events") => {
            let answer = Answer { headers: vec![Header::new(SUBSCRIBE.0, SUBSCRIBE.1)], ..Answer::new(400) };
            whole(stream, answer, "this path is a stream of events: subscribe to it").await;
        }
        (Kind::Http, "GET", "v1/info") => reply(stream, &info(inner, caller)).await,
        (Kind::Http, "GET", "v1/history") => history(inner, stream).await,
        (Kind::Http, "GET", "v1/alerts") => {
            let alerts = {
                let observed = inner.observed.borrow();
                json!({ "raised": observed.raised, "log": observed.log })
            };
            reply(stream, &alerts).await;
        }
        (Kind::Http, "GET", "v1/doctor") => reply(stream, &json!(doctor.recent().await)).await,
        (Kind::Http, "GET", "v1/services") => services::list(inner, stream).await,
        (Kind::Http, "GET" | "POST", path) if path.starts_with("v1/services/") => {
            one_service(inner, pairing, caller, &request.method, path, query, stream).await;
        }
        (Kind::Http, "GET", "v1/audit") => audit(inner, pairing, query, stream).await,
        (Kind::Http, "GET", _) => whole(stream, Answer::new(404), "the manager has no such path").await,
        (Kind::Http, ..) => whole(stream, Answer::new(405), "the path does not take this method").await,
        _ => stream.reject(Code::Refused).await,
    }
}

pub(super) async fn reply(stream: Served, value: &Value) {
    let headers = vec![Header::new("content-type", "application/json")];
    let answer = Answer { headers, compress: true, ..Answer::new(200) };
    body(stream, answer, value.to_string().into()).await;
}

async fn body(stream: Served, answer: Answer, body: bytes::Bytes) {
    if stream.answer(answer).await.is_ok() && stream.write(body).await.is_ok() {
        // If it is over by now, it is not wanted.
        _ = stream.finish().await;
    }
}

async fn one_service(
    inner: &Inner,
    pairing: PairingId,
    caller: &Caller,
    method: &str,
    path: &str,
    query: &str,
    stream: Served,
) {
    let parts: Vec<&str> = path.split('/').collect();
    match (method, parts.as_slice()) {
        ("GET", ["v1", "services", name, "log"]) => {
            services::log(inner, pairing, caller, name, query, stream).await;
        }
        ("POST", ["v1", "services", name, verb]) => match Order::named(verb) {
            Some(order) => services::order(inner, pairing, caller, name, order, stream).await,
            None => whole(stream, Answer::new(404), "a service is told start, stop or restart").await,
        },
        _ => whole(stream, Answer::new(404), "the manager has no such path").await,
    }
}

fn info(inner: &Inner, caller: &Caller) -> Value {
    let services = inner.services.iter().map(|(name, mount)| json!({ "name": name, "mount": mount }));
    json!({
        "label": inner.label,
        "version": env!("CARGO_PKG_VERSION"),
        "grants": caller.grants.to_string().split(',').collect::<Vec<_>>(),
        "services": services.collect::<Vec<_>>(),
    })
}

async fn history(inner: &Inner, stream: Served) {
    let encoded = inner.observed.borrow().history.encode();
    let headers = vec![Header::new("content-type", HISTORY_TYPE)];
    let answer = Answer { headers, compress: true, priority: Priority::Telemetry, ..Answer::new(200) };
    body(stream, answer, encoded.into()).await;
}

/// What this pairing did: an app sees nothing of the others.
async fn audit(inner: &Inner, pairing: PairingId, query: &str, stream: Served) {
    let wanted = query.split('&').find_map(|part| part.strip_prefix("limit="));
    let last = wanted.and_then(|limit| limit.parse().ok()).unwrap_or(AUDIT_ENTRIES.0).min(AUDIT_ENTRIES.1);
    let filter =
        Filter { pairing: Some(super::pairing_text(pairing)), last: Some(last), ..Filter::default() };
    let path = inner.audit_path.clone();
    match tokio::task::spawn_blocking(move || read(&path, &filter)).await {
        Ok(Ok(mut reading)) => {
            reading.entries.reverse();
            reply(stream, &json!({ "entries": reading.entries })).await;
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "the audit log cannot be read");
            whole(stream, Answer::new(500), "the audit log cannot be read: the host's log says why").await;
        }
        Err(_) => stream.reject(Code::Failed).await,
    }
}

/// A sample as JSON has it, in the order of [`Column::ALL`].
pub(crate) fn values(sample: &Sample) -> Vec<Option<i64>> {
    Column::ALL.into_iter().map(|column| sample.get(column)).collect()
}

async fn events(inner: &Inner, mut stream: Served) {
    let mut observed = inner.observed.clone();
    let (mut minute, mut told) = {
        let now = observed.borrow_and_update();
        (now.history.samples().last().map(|sample| sample.minute), now.log.last().cloned())
    };
    if stream.answer(event_stream()).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            changed = observed.changed() => if changed.is_err() {
                return stream.reject(Code::Ended).await;
            },
            () = stream.over() => return,
        }
        let (sample, news) = {
            let now = observed.borrow_and_update();
            let sample = now.history.samples().last().filter(|sample| Some(sample.minute) != minute).cloned();
            let known = told.as_ref().and_then(|told| now.log.iter().rposition(|entry| entry == told));
            let news: Vec<_> = now.log.iter().skip(known.map_or(0, |at| at + 1)).cloned().collect();
            (sample, news)
        };
        let mut events = Vec::new();
        for entry in news {
            let at = format!("alert {} {}", entry.at, entry.change);
            events.push((topic(&at), event("alert", &entry.change.to_string())));
            told = Some(entry);
        }
        if let Some(sample) = sample {
            minute = Some(sample.minute);
            let data = json!({ "minute": sample.minute, "values": values(&sample) });
            events.push((topic("sample"), event("sample", &data.to_string())));
        }
        for (topic, event) in events {
            if stream.notify(topic, event).await.is_err() {
                return;
            }
        }
    }
}
