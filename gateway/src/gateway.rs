//! A request's way: policy, places, token, audit log, service, answer.

mod failure;
mod record;
mod response;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::audit::Recorder;
use crate::config::Config;
use crate::events::{Pace, Source, Subscription};
use crate::metrics::Selection;
use crate::policy::header::Header;
use crate::policy::{Decision, Effect, Glob, Grant, Grants, Head, Kind, Policy, Refusal, Service, json_rpc};
use crate::upstream::{
    self, AnswerBody, Call, Outgoing, PeerPlace, PeerSlots, Place, RequestBody, ServiceSlots, Token,
    TokenError, Uploading,
};
use failure::Failure;
use record::Record;
use response::Told;
pub use response::{Origin, Response};

/// Subscriptions of one service at a time.
const MAX_SUBSCRIPTIONS: usize = 32;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The pairing's id: limits and the audit log go by it.
    pub pairing: String,
    /// What the operator calls it.
    pub name: String,
    /// What it may do, at this moment.
    pub grants: Grants,
}

/// What is asked.
#[derive(Debug, Default)]
pub struct Request {
    /// Method, target, headers.
    pub head: Head,
    /// The body.
    pub body: RequestBody,
}

/// What a request would be, before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether its result has to be kept so that it runs once.
    pub effect: Effect,
    /// Whether it is a subscription.
    pub is_stream: bool,
    /// Most bytes of its body.
    pub max_request: u64,
    /// The grant it needs.
    pub grant: Grant,
}

/// The gateway. Copies are one and the same.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    policy: Policy,
    pace: Pace,
    peers: PeerSlots,
    /// In the order of the policy's services.
    services: Vec<Gate>,
    audit: Option<Recorder>,
}

/// What is kept of a service while it is called.
struct Gate {
    slots: ServiceSlots,
    subscriptions: ServiceSlots,
    /// Whether its token file was said to be open to others.
    warned: AtomicBool,
}

impl Gateway {
    /// The gateway of a configuration. Without an audit log nothing is recorded.
    pub fn new(config: Config, audit: Option<Recorder>) -> Self {
        let gate = |service: &Service| Gate {
            slots: ServiceSlots::new(service.max_running, service.max_waiting),
            subscriptions: ServiceSlots::new(MAX_SUBSCRIPTIONS, 0),
            warned: AtomicBool::new(false),
        };
        Self(Arc::new(Inner {
            pace: Pace::per_second(config.limits.events_per_second),
            peers: PeerSlots::new(config.limits.per_peer),
            services: config.policy.services().iter().map(gate).collect(),
            policy: config.policy,
            audit,
        }))
    }

    /// What a request is, without making it and without a trace in the audit log.
    ///
    /// # Errors
    /// Why it would be refused.
    pub fn check(&self, grants: Grants, head: &Head) -> Result<Checked, Refusal> {
        let decision = self.0.policy.decide(head, grants)?;
        Ok(Checked {
            effect: decision.effect(),
            is_stream: matches!(decision.rule.kind, Kind::Events(_)),
            max_request: decision.rule.max_request,
            grant: decision.rule.grant,
        })
    }

    /// Makes a request. Whatever goes wrong is an answer too, of [`Origin::Gateway`].
    ///
    /// The whole body of a request that changes something is waited for before the service hears of it. Dropping the
    /// future or the answer gives the request up.
    pub async fn handle(&self, caller: &Caller, request: Request) -> Response {
        self.handle_while(caller, request, &|| caller.grants).await
    }

    /// The same, with another look at what the caller may do right before the service hears of the request: it may have
    /// waited for its body and its turn.
    pub async fn handle_while(
        &self,
        caller: &Caller,
        request: Request,
        grants: &(dyn Fn() -> Grants + Sync),
    ) -> Response {
        let mut record = Record::new(caller, &request.head, self.0.audit.clone());
        let decision = match self.0.policy.decide(&request.head, caller.grants) {
            Ok(decision) => decision,
            Err(refusal) => return record.refuse(&refusal),
        };
        record.decided(&decision);
        match self.0.make(&decision, request.body, &mut record, caller, grants).await {
            Ok(told) => Response::told(told, record),
            Err(Failure::Refused(refusal)) => record.refuse(&refusal),
            Err(failure) => Response::failed(&failure, decision.service, record),
        }
    }

    /// Subscribes to a stream of events.
    ///
    /// # Errors
    /// The answer that is no stream of events: a refusal, a failure, or what the service said.
    pub async fn subscribe(&self, caller: &Caller, head: &Head) -> Result<Subscription, Box<Response>> {
        let mut record = Record::new(caller, head, self.0.audit.clone());
        let decision = match self.0.policy.decide(head, caller.grants) {
            Ok(decision) => decision,
            Err(refusal) => return Err(Box::new(record.refuse(&refusal))),
        };
        record.decided(&decision);
        match self.open(&decision, caller).await {
            Ok(Ok(subscription)) => {
                record.answered(200);
                Ok(subscription)
            }
            Ok(Err(told)) => Err(Box::new(Response::told(told, record))),
            Err(Failure::Refused(refusal)) => Err(Box::new(record.refuse(&refusal))),
            Err(failure) => Err(Box::new(Response::failed(&failure, decision.service, record))),
        }
    }

    async fn open(
        &self,
        decision: &Decision<'_>,
        caller: &Caller,
    ) -> Result<Result<Subscription, Told>, Failure> {
        if !matches!(decision.rule.kind, Kind::Events(_)) {
            return Err(Refusal::NotSubscribed.into());
        }
        let peer = self.0.peers.place(&caller.pairing).ok_or(Failure::PeerBusy)?;
        let gate = self.0.gate(decision.service);
        let place = gate.subscriptions.place().await.map_err(|_| Failure::ServiceBusy)?;
        let headers = vec![("accept", "text/event-stream".to_owned())];
        let topics = decision.query.list("topics").map(str::to_owned).collect();
        let mut reopening = Reopening {
            inner: Arc::clone(&self.0),
            service: decision.service.clone(),
            target: decision.target.clone(),
            timeout: decision.rule.timeout,
            headers,
            _places: (peer, place),
        };
        let answer = reopening.call().await?;
        let is_stream = |(name, value): &(String, String)| name == "content-type" && is_event_stream(value);
        if answer.status != 200 {
            return Ok(Err(Told::streamed(answer, None)));
        }
        if !answer.headers.iter().any(is_stream) {
            return Err(Failure::NoEvents);
        }
        Ok(Ok(Subscription::start(answer.body, reopening, topics, self.0.pace)))
    }
}

fn is_event_stream(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

impl Inner {
    fn gate(&self, service: &Service) -> &Gate {
        let at = self.policy.services().iter().position(|known| known.name == service.name);
        at.and_then(|at| self.services.get(at)).expect("every service of the policy has a gate")
    }

    async fn make(
        &self,
        decision: &Decision<'_>,
        body: RequestBody,
        record: &mut Record,
        caller: &Caller,
        grants: &(dyn Fn() -> Grants + Sync),
    ) -> Result<Told, Failure> {
        let rule = decision.rule;
        if let Kind::Events(_) = rule.kind {
            return Err(Refusal::OnlySubscribed.into());
        }
        let peer = self.peers.place(&caller.pairing).ok_or(Failure::PeerBusy)?;
        let (mut headers, body) = body_to_send(decision, body).await?;
        if let Kind::JsonRpc(_) = rule.kind {
            headers.retain(|(name, _)| *name != "content-type");
            headers.push(("content-type", "application/json".to_owned()));
        }
        let service = decision.service;
        let gate = self.gate(service);
        let waiting = tokio::time::timeout(rule.timeout, gate.slots.place()).await;
        let place = waiting.ok().and_then(Result::ok).ok_or(Failure::ServiceBusy)?;
        let token = gate.token(service)?;
        if !grants().include(rule.grant) {
            return Err(Refusal::Grant(rule.grant).into());
        }
        if decision.effect() == Effect::StateChanging {
            record.begin().await.map_err(Failure::Audit)?;
        }
        let answer = upstream::call(Call {
            base: &service.base,
            method: decision.method,
            target: &decision.target,
            headers: &headers,
            token: token.as_ref(),
            body,
            max_response: rule.max_response,
            timeout: rule.timeout,
        })
        .await?;
        match &rule.kind {
            Kind::Metrics(series) if answer.status == 200 => {
                let text = select(answer.body, series, decision).await?;
                Ok(Told::whole(200, "text/plain; version=0.0.4; charset=utf-8", text.into()))
            }
            _ => Ok(Told::streamed(answer, Some((peer, place)))),
        }
    }
}

/// The headers and the body that are sent. A body that must be known whole is waited for.
async fn body_to_send(
    decision: &Decision<'_>,
    body: RequestBody,
) -> Result<(Vec<Header>, Outgoing), Failure> {
    let rule = decision.rule;
    let headers = decision.headers.clone();
    let is_streamed = decision.effect() == Effect::Safe && !decision.method.is_safe();
    match (body, &rule.kind) {
        (RequestBody::Streamed(incoming), Kind::Forward) if is_streamed => {
            Ok((headers, Outgoing::Streamed(Uploading::new(incoming, rule.max_request))))
        }
        (body, kind) => {
            let body = body.gather(rule.max_request).await?;
            let body = match kind {
                Kind::JsonRpc(methods) => {
                    Bytes::from(json_rpc::checked(&body, methods).map_err(Refusal::from)?)
                }
                _ => body,
            };
            let sent = if body.is_empty() && decision.method.is_safe() {
                Outgoing::None
            } else {
                Outgoing::Whole(body)
            };
            Ok((headers, sent))
        }
    }
}

/// Reads metrics to their end and keeps those that are listed and wanted.
async fn select(mut body: AnswerBody, listed: &[Glob], decision: &Decision<'_>) -> Result<String, Failure> {
    let wanted = decision.query.list("series").map(|name| Glob::parse(name).ok_or(Failure::Series));
    let mut selection = Selection::new(listed.to_vec(), wanted.collect::<Result<_, _>>()?);
    while let Some(piece) = body.next().await {
        selection.push(&piece?);
    }
    selection.finish().ok_or(Failure::TooManySeries)
}

impl Gate {
    /// The service's token, if it has one. The file is a line: reading it takes no longer than finding it.
    fn token(&self, service: &Service) -> Result<Option<Token>, TokenError> {
        let Some(path) = service.token_path()? else { return Ok(None) };
        let (token, shared) = Token::read(&path)?;
        // systemd guards its credentials with more than the mode.
        let shared = shared && service.token_file.is_some();
        if shared && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path = %path.display(), service = service.name,
                "the token file may be read by others than its owner: `chmod 600` it"
            );
        }
        Ok(Some(token))
    }
}

/// A stream of events, opened as often as it breaks. Holds its places as long as the subscription lives.
struct Reopening {
    inner: Arc<Inner>,
    service: Service,
    target: String,
    timeout: std::time::Duration,
    headers: Vec<Header>,
    _places: (PeerPlace, Place),
}

impl Reopening {
    async fn call(&mut self) -> Result<upstream::Answer, Failure> {
        let token = self.inner.gate(&self.service).token(&self.service)?;
        let call = Call {
            base: &self.service.base,
            method: crate::policy::Method::Get,
            target: &self.target,
            headers: &self.headers,
            token: token.as_ref(),
            body: Outgoing::None,
            max_response: u64::MAX,
            timeout: self.timeout,
        };
        Ok(upstream::call(call).await?)
    }
}

impl Source for Reopening {
    async fn open(&mut self) -> Option<AnswerBody> {
        let answer = self.call().await.ok()?;
        (answer.status == 200).then_some(answer.body)
    }
}
