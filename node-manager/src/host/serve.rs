//! One request of a paired app.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use waku_gateway::policy::{Effect, Grant, Grants, Refusal};
use waku_gateway::{Caller, Checked, Head, Notice, Request, RequestBody, Response};
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::record::PairingId;
use waku_tunnel::connection::{Incoming, NotifyError};
use waku_tunnel::request::{Answer, Code, Header, Kind, Priority};

use super::{Inner, own};
use crate::doctor::Doctor;
use crate::tunnels::{Requested, Served};

/// What a request is answered with when its path has to be subscribed to.
pub(crate) const SUBSCRIBE: (&str, &str) = ("x-node-manager", "subscribe");
/// Longer bodies give way to whatever somebody waits for.
const BULK: u64 = 64 * 1024;

/// Answers a request.
pub(super) async fn serve(inner: Arc<Inner>, party: Party, doctor: Doctor, requested: Requested) {
    let Requested { pairing, request, stream } = requested;
    // What the grants are is looked at afterwards, so that no change goes unnoticed.
    let changes = inner.grants.watch();
    // Without a pairing, or a party that knows of it, nobody is there to be answered.
    let Some(caller) = inner.caller(&party, pairing).await else { return };
    let Some(head) = head(&request) else { return stream.reject(Code::Protocol).await };
    if own::is_own(&request.path) {
        return own::serve(&inner, &doctor, pairing, &caller, &request, stream).await;
    }
    let asking = Asking { inner: &inner, pairing, caller, head };
    match request.kind {
        Kind::Http => asking.http(stream, changes).await,
        Kind::Subscribe => asking.subscribe(stream, changes).await,
        Kind::Rpc => stream.reject(Code::Refused).await,
    }
}

/// Headers are text to the gateway; what is none is refused.
fn head(request: &Incoming) -> Option<Head> {
    let text =
        |header: &Header| Some((header.name.clone(), std::str::from_utf8(&header.value).ok()?.to_owned()));
    let headers = request.headers.iter().map(text).collect::<Option<_>>()?;
    Some(Head { method: request.method.clone(), target: request.path.clone(), headers })
}

struct Asking<'i> {
    inner: &'i Inner,
    pairing: PairingId,
    /// With what it may do, as it was looked at last.
    caller: Caller,
    head: Head,
}

impl Asking<'_> {
    fn check(&self, grants: Grants) -> Result<Checked, Refusal> {
        self.inner.gateway.check(grants, &self.head)
    }

    /// Returns the grants when they do not allow this any more.
    async fn revoked(&self, changes: &mut watch::Receiver<()>) -> Grants {
        loop {
            changes.changed().await.expect("the grants are there as long as anybody is answered");
            let grants = self.inner.grants.of(self.pairing);
            if self.check(grants).is_err() {
                return grants;
            }
        }
    }

    async fn http(mut self, mut stream: Served, mut changes: watch::Receiver<()>) {
        let checked = match self.check(self.caller.grants) {
            Ok(checked) if checked.is_stream => {
                let headers = vec![Header::new(SUBSCRIBE.0, SUBSCRIBE.1)];
                let answer = Answer { headers, ran: false, ..Answer::new(400) };
                return whole(stream, answer, &Refusal::OnlySubscribed.to_string()).await;
            }
            Ok(checked) => checked,
            Err(_) => return self.refuse(stream).await,
        };
        let gathered = tokio::select! {
            gathered = gather(&mut stream, checked.max_request) => gathered,
            grants = self.revoked(&mut changes) => Gathered::Revoked(grants),
        };
        let body = match gathered {
            Gathered::Whole(body) => body,
            Gathered::TooLong => {
                let refusal = Refusal::BodyTooLarge(checked.max_request);
                let answer = Answer { ran: false, ..Answer::new(refusal.status()) };
                return whole(stream, answer, &refusal.to_string()).await;
            }
            Gathered::Revoked(grants) => {
                self.caller.grants = grants;
                return self.refuse(stream).await;
            }
            // Nothing was done, and it may be sent again.
            Gathered::BrokenOff => return stream.reject(Code::Busy).await,
        };
        let compress = checked.grant == Grant::Monitor;
        if checked.effect == Effect::StateChanging {
            // Begun, it is carried out: its answer is kept for whoever asks again.
            let response = self.ask(body).await;
            return pass_on(stream, response, compress).await;
        }
        let response = tokio::select! {
            biased;
            () = stream.over() => return,
            _ = self.revoked(&mut changes) => return stream.reject(Code::Refused).await,
            response = self.ask(body) => response,
        };
        self.read(stream, changes, response, compress).await;
    }

    async fn ask(&self, body: Bytes) -> Response {
        let request = Request { head: self.head.clone(), body: RequestBody::Whole(body) };
        let grants = || self.inner.grants.of(self.pairing);
        self.inner.gateway.handle_while(&self.caller, request, &grants).await
    }

    /// Has the gateway say why these grants do not allow this, and write it down.
    async fn refuse(&self, stream: Served) {
        let request = Request { head: self.head.clone(), body: RequestBody::default() };
        let response = self.inner.gateway.handle(&self.caller, request).await;
        pass_on(stream, response, false).await;
    }

    /// Passes an answer on for as long as it is allowed and wanted.
    async fn read(
        &self,
        mut stream: Served,
        mut changes: watch::Receiver<()>,
        mut response: Response,
        compress: bool,
    ) {
        if stream.answer(begin(&response, compress)).await.is_err() {
            return;
        }
        loop {
            let piece = tokio::select! {
                biased;
                () = stream.over() => return,
                _ = self.revoked(&mut changes) => return stream.reject(Code::Refused).await,
                piece = response.next() => piece,
            };
            match piece {
                Some(Ok(bytes)) => {
                    if stream.write(bytes).await.is_err() {
                        return;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "an answer broke off");
                    return stream.reject(Code::Failed).await;
                }
                None => {
                    // If it is over by now, it is not wanted.
                    _ = stream.finish().await;
                    return;
                }
            }
        }
    }

    async fn subscribe(self, mut stream: Served, mut changes: watch::Receiver<()>) {
        let opened = tokio::select! {
            biased;
            () = stream.over() => return,
            _ = self.revoked(&mut changes) => return stream.reject(Code::Refused).await,
            opened = self.inner.gateway.subscribe(&self.caller, &self.head) => opened,
        };
        let mut subscription = match opened {
            Ok(subscription) => subscription,
            Err(response) => return pass_on(stream, *response, false).await,
        };
        if stream.answer(event_stream()).await.is_err() {
            return;
        }
        loop {
            let notice = tokio::select! {
                biased;
                // Not only with the next event: its place is wanted by others.
                () = stream.over() => return,
                _ = self.revoked(&mut changes) => return stream.reject(Code::Refused).await,
                notice = subscription.next() => notice,
            };
            if !tell(notice, &stream).await {
                return;
            }
        }
    }
}

/// The beginning of a subscription.
pub(super) fn event_stream() -> Answer {
    Answer { headers: vec![Header::new("content-type", "text/event-stream")], ..Answer::new(200) }
}

/// Tells a subscriber what happened; `false` when it has gone.
async fn tell(notice: Notice, stream: &Served) -> bool {
    let (topic, event) = match notice {
        Notice::Event { kind, data, left_out: _ } => (topic(&kind), event(&kind, &data)),
        Notice::Gap => (topic(""), Bytes::from_static(b": some events were missed\n\n")),
    };
    match stream.notify(topic, event).await {
        Ok(()) => true,
        Err(NotifyError::TooLong) => {
            tracing::debug!("an event is too long to be told");
            true
        }
        Err(NotifyError::Gone) => false,
    }
}

/// An event as `text/event-stream` has it.
pub(super) fn event(kind: &str, data: &str) -> Bytes {
    let lines = data.lines().map(|line| format!("data: {line}\n"));
    format!("event: {kind}\n{}\n", lines.collect::<String>()).into()
}

/// Events of the same topic replace each other while they wait.
pub(super) fn topic(kind: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    hasher.finish()
}

enum Gathered {
    Whole(Bytes),
    TooLong,
    /// What is granted by now.
    Revoked(Grants),
    BrokenOff,
}

async fn gather(stream: &mut Served, most: u64) -> Gathered {
    let mut body = BytesMut::new();
    loop {
        match stream.next().await {
            Ok(Some(bytes)) if (body.len() + bytes.len()) as u64 > most => return Gathered::TooLong,
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Gathered::Whole(body.freeze()),
            Err(_) => return Gathered::BrokenOff,
        }
    }
}

fn begin(response: &Response, compress: bool) -> Answer {
    let header = |name: &str| {
        response.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let is_text =
        header("content-type").is_some_and(|kind| kind.contains("json") || kind.starts_with("text/"));
    let is_plain = header("content-encoding").is_none();
    let priority =
        if response.bytes_left().is_some_and(|len| len > BULK) { Priority::Bulk } else { Priority::Command };
    let headers = response.headers.iter().map(|(name, value)| Header::new(name.clone(), value.as_bytes()));
    Answer {
        status: response.status,
        headers: headers.collect(),
        compress: compress && is_text && is_plain,
        priority,
        ran: response.was_sent,
    }
}

/// Passes an answer on whatever happens meanwhile: it is kept.
async fn pass_on(stream: Served, mut response: Response, compress: bool) {
    if stream.answer(begin(&response, compress)).await.is_err() {
        return;
    }
    while let Some(piece) = response.next().await {
        match piece {
            Ok(bytes) => {
                if stream.write(bytes).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "an answer broke off");
                return stream.reject(Code::Failed).await;
            }
        }
    }
    // If it is over by now, it is not wanted.
    _ = stream.finish().await;
}

/// An answer of the manager's own, in the form of the Beacon API's errors.
pub(super) async fn whole(stream: Served, mut answer: Answer, message: &str) {
    let body = serde_json::json!({ "code": answer.status, "message": message }).to_string();
    answer.headers.push(Header::new("content-type", "application/json"));
    if stream.answer(answer).await.is_ok() && stream.write(body.into()).await.is_ok() {
        _ = stream.finish().await;
    }
}
