//! From a request of a local program to a request over Waku, and back.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, UnwrapErr};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};
use waku_gateway::policy::passes_to_service;
use waku_noise_session::time::UnixTime;
use waku_pairing::record::PairingId;
use waku_tunnel::connection::OpenError;
use waku_tunnel::request::{self, Code, Header, Key, MAX_WHOLE, Pace, Reason, TIMEOUT};

use super::guard::Denied;
use super::history;
use super::inbox::Inbox;
use super::server::{Body, whole};
use crate::host::{HISTORY_TYPE, SUBSCRIBE};
use crate::tunnels::{AskError, Exchange, Tunnels};

/// The name a request is known by for good, given by whoever sends it: sent again, it does not run again.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How long an answer is waited for, in seconds, if not for five minutes.
const WAIT: HeaderName = HeaderName::from_static("x-node-manager-timeout");
/// Why there is no answer of the service.
const REASON: HeaderName = HeaderName::from_static("x-node-manager-reason");
/// The longest wait that can be asked for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two messages of a subscription.
const PACE: Pace = Pace { min_interval_ms: 1000, coalesce: true };
/// What a host told of while this side was away: answered here, whether or not the host can be reached.
const TOLD: &str = "/node-manager/v1/told";
/// The pause before a request is sent again to a host that was restarted meanwhile.
const AGAIN: Duration = Duration::from_millis(200);
/// The longest day of figures, encoded.
const MAX_HISTORY: usize = 1024 * 1024;

/// Makes local programs' requests through the tunnels. Cheap to clone.
#[derive(Clone)]
pub struct Forward {
    tunnels: Tunnels,
    inbox: Inbox,
}

/// The answer to a request that the guard refused.
pub(super) fn denied(denied: Denied) -> Response<Body> {
    problem(denied.status(), None, &denied.to_string())
}

/// An answer of this side's own, in the form of the Beacon API's errors.
fn problem(status: u16, reason: Option<&'static str>, message: &str) -> Response<Body> {
    let body = json!({ "code": status, "message": message }).to_string();
    let mut response = Response::new(whole(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(reason) = reason {
        response.headers_mut().insert(REASON, HeaderValue::from_static(reason));
    }
    if status == 503 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn json_body(json: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(whole(json.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A request's body, as far as it was read.
enum Gathered {
    Whole(Bytes),
    /// More than fits at once: what was read, and where the rest comes from.
    More(Bytes, Incoming),
    BrokenOff,
}

impl Forward {
    /// Over these tunnels, with what hosts told of while this side was away.
    pub(super) fn new(tunnels: Tunnels, inbox: Inbox) -> Self {
        Self { tunnels, inbox }
    }

    /// Makes a request as its sender wrote it.
    pub async fn request(&self, pairing: PairingId, request: Request<Incoming>) -> Response<Body> {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        self.request_to(pairing, target, request).await
    }

    /// Makes a request to another path and query than its sender wrote.
    pub async fn request_to(
        &self,
        pairing: PairingId,
        target: String,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET && target == TOLD {
            return json_body(&json!({ "alerts": self.inbox.of(pairing) }));
        }
        let wants_events = parts
            .headers
            .get(ACCEPT)
            .is_some_and(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/event-stream")));
        if parts.method == Method::GET && wants_events {
            return self.subscribe(pairing, target, &parts.headers).await;
        }
        let wait = match wait(&parts.headers) {
            Ok(wait) => wait,
            Err(message) => return problem(400, None, message),
        };
        let asked = request::Request {
            headers: passing(&parts.headers),
            key: key(&parts.method, &parts.headers),
            not_after: (!parts.method.is_safe()).then(|| after(wait)),
            timeout: Some(wait),
            ..request::Request::new(parts.method.as_str(), target.clone())
        };
        let answered = match gather(body).await {
            Gathered::Whole(body) => self.ask(pairing, asked, body).await,
            Gathered::More(first, rest) => match self.ask_streamed(pairing, asked, first, rest).await {
                Ok(answered) => answered,
                Err(_) => return broken_off(),
            },
            Gathered::BrokenOff => return broken_off(),
        };
        match answered {
            Ok(exchange) if is_subscribed(&exchange) => self.subscribe(pairing, target, &parts.headers).await,
            Ok(exchange) => respond(exchange).await,
            Err(error) => failed(&error),
        }
    }

    /// Makes a request whose body is here. It is made again to a host that was restarted: what has a key does not run
    /// twice, and what has none changes nothing.
    async fn ask(
        &self,
        pairing: PairingId,
        asked: request::Request,
        body: Bytes,
    ) -> Result<Exchange, AskError> {
        let until = Instant::now() + asked.timeout.unwrap_or(TIMEOUT);
        let body = if body.is_empty() { request::Body::Empty } else { request::Body::Whole(body) };
        loop {
            let timeout = Some(until.saturating_duration_since(Instant::now()));
            let request = request::Request { body: body.clone(), timeout, ..asked.clone() };
            match self.tunnels.ask(pairing, request).await {
                Err(AskError::Ended(Reason::Restarted)) if Instant::now() + AGAIN < until => {
                    sleep(AGAIN).await
                }
                answered => return answered,
            }
        }
    }

    async fn ask_streamed(
        &self,
        pairing: PairingId,
        asked: request::Request,
        first: Bytes,
        rest: Incoming,
    ) -> hyper::Result<Result<Exchange, AskError>> {
        let len = rest.size_hint().exact().map(|rest| rest + first.len() as u64);
        let asked = request::Request { body: request::Body::Streamed(len), ..asked };
        match self.tunnels.open(pairing, asked).await {
            Ok(open) => open.send(stream::iter([Ok(first)]).chain(BodyDataStream::new(rest))).await,
            Err(error) => Ok(Err(error)),
        }
    }

    async fn subscribe(&self, pairing: PairingId, target: String, headers: &HeaderMap) -> Response<Body> {
        let request =
            request::Request { headers: passing(headers), ..request::Request::subscribe(target, PACE) };
        match self.tunnels.ask(pairing, request).await {
            Ok(exchange) if exchange.status == 200 => stream_events(exchange),
            Ok(exchange) => respond(exchange).await,
            Err(error) => failed(&error),
        }
    }
}

/// The host does nothing with a request whose body is not whole.
fn broken_off() -> Response<Body> {
    problem(400, None, "the body of the request broke off")
}

async fn gather(mut body: Incoming) -> Gathered {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Gathered::BrokenOff };
        if let Ok(bytes) = frame.into_data() {
            whole.extend_from_slice(&bytes);
        }
        if whole.len() > MAX_WHOLE {
            return Gathered::More(whole.freeze(), body);
        }
    }
    Gathered::Whole(whole.freeze())
}

/// The headers that mean something to a service.
fn passing(headers: &HeaderMap) -> Vec<Header> {
    let passing = headers.iter().filter(|(name, _)| passes_to_service(name.as_str()));
    passing.map(|(name, value)| Header::new(name.as_str(), value.as_bytes())).collect()
}

fn wait(headers: &HeaderMap) -> Result<Duration, &'static str> {
    let Some(wait) = headers.get(WAIT) else { return Ok(TIMEOUT) };
    let seconds = wait.to_str().ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    seconds
        .filter(|wait| !wait.is_zero() && *wait <= MAX_WAIT)
        .ok_or("x-node-manager-timeout has seconds, from 1 to 86400")
}

/// What changes something has a key: the one that was given, or one of its own.
fn key(method: &Method, headers: &HeaderMap) -> Option<Key> {
    if method.is_safe() {
        return None;
    }
    let mut key = [0; 16];
    match headers.get(KEY) {
        Some(given) => {
            let digest: [u8; 32] = Sha256::digest(given.as_bytes()).into();
            key.copy_from_slice(digest.split_at(16).0);
        }
        None => UnwrapErr(SysRng).fill_bytes(&mut key),
    }
    Some(Key(key))
}

fn after(wait: Duration) -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_epoch(now + wait)
}

fn is_subscribed(exchange: &Exchange) -> bool {
    let says_so = |header: &Header| header.name == SUBSCRIBE.0 && header.value == SUBSCRIBE.1.as_bytes();
    exchange.headers.iter().any(says_so)
}

fn head(exchange: &Exchange, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(exchange.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for header in &exchange.headers {
        // What is no header in HTTP is left out.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(header.name.as_bytes()), HeaderValue::from_bytes(&header.value))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}

async fn respond(exchange: Exchange) -> Response<Body> {
    let is_history =
        |header: &Header| header.name == CONTENT_TYPE.as_str() && header.value == HISTORY_TYPE.as_bytes();
    if exchange.headers.iter().any(is_history) {
        let read = match exchange.read(MAX_HISTORY).await {
            Ok(read) => read,
            Err(reason) => return failed(&reason.into()),
        };
        return match history::to_json(&read) {
            Ok(json) => json_body(&json),
            Err(error) => {
                problem(502, Some("bad-body"), &format!("the host's figures cannot be read: {error}"))
            }
        };
    }
    let mut response = head(&exchange, whole(Bytes::new()));
    let pieces = stream::try_unfold(exchange, async |mut exchange| {
        Ok::<_, Reason>(exchange.next().await?.map(|bytes| (bytes, exchange)))
    });
    *response.body_mut() = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
    response
}

fn stream_events(exchange: Exchange) -> Response<Body> {
    let mut response = head(&exchange, whole(Bytes::new()));
    let events = stream::try_unfold(exchange, async |mut exchange| {
        Ok::<_, Reason>(exchange.event().await?.map(|notice| (notice, exchange)))
    });
    let frames = events.map_ok(|notice| {
        let mut text = BytesMut::new();
        if notice.missed > 0 {
            text.extend_from_slice(format!(": {} events were left out\n\n", notice.missed).as_bytes());
        }
        text.extend_from_slice(&notice.bytes);
        Frame::data(text.freeze())
    });
    *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    response
}

/// What a local program is told when there is no answer.
fn failed(error: &AskError) -> Response<Body> {
    let (status, reason) = match error {
        AskError::UnknownPeer => (404, "unknown-peer"),
        AskError::Open(OpenError::Full | OpenError::Exhausted) => (503, "too-many-requests"),
        AskError::Open(OpenError::TooLong(_)) => (431, "too-long"),
        AskError::Open(OpenError::KeyMissing) => (400, "no-key"),
        AskError::Stream(_) | AskError::Stopped => (502, "stopped"),
        AskError::Ended(reason) => ended(*reason),
    };
    problem(status, Some(reason), &format!("no answer over Waku: {error}"))
}

fn ended(reason: Reason) -> (u16, &'static str) {
    match reason {
        Reason::Timeout => (504, "timeout"),
        Reason::Unreachable => (504, "unreachable"),
        Reason::Restarted => (502, "restarted"),
        Reason::Closed => (502, "closed"),
        Reason::Cancelled => (502, "cancelled"),
        Reason::BadBody => (502, "bad-body"),
        Reason::Protocol => (502, "protocol"),
        Reason::Reset { code, .. } => match code {
            Code::Busy => (503, "busy"),
            Code::Refused => (403, "refused"),
            Code::Expired => (504, "expired"),
            Code::KeyMissing => (400, "no-key"),
            Code::KeyReused => (422, "key-reused"),
            Code::Indeterminate => (502, "indeterminate"),
            Code::AnswerLost => (502, "answer-lost"),
            Code::BadBody => (502, "bad-body"),
            Code::Idle => (504, "idle"),
            Code::Ended => (502, "ended"),
            Code::Cancelled | Code::Failed | Code::Protocol | Code::Other(_) => (502, "failed"),
        },
    }
}
