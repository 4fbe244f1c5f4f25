//! What the page asks, under `api/`.

use std::sync::Arc;

use futures::stream;
use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use node_manager::app::{Body, parse_pairing};
use qrcode::{Color, QrCode};
use serde::Deserialize;
use serde_json::{Value, json};
use waku_pairing::code::{CODE_LIFETIME, Code};
use waku_tunnel::request::Reason;

use super::Pages;
use super::assets::whole;
use crate::control::{Request as Ask, Response as Told, Secret, Watch, serve};
use crate::failure::{Failure, Kind};

/// The longest body of a request of the page itself, in bytes.
const MAX_BODY: usize = 4096;
/// What shows that a script of this page asks: others would have to ask this server's leave first, and do not get it.
const MARK: &str = "x-node-manager";

/// A problem, as the page shows it.
pub(super) fn problem(status: u16, message: &str, hint: Option<&str>) -> Response<Body> {
    let body = json!({ "message": message, "hint": hint });
    answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

fn answer(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn failed(failure: &Failure) -> Response<Body> {
    let status = match failure.kind {
        Kind::Usage => 400,
        Kind::Rejected => 403,
        Kind::Timeout => 504,
        Kind::Other | Kind::Vault | Kind::Network | Kind::Interrupted => 500,
    };
    problem(status, &failure.message, failure.hint.as_deref())
}

fn respond(result: Result<Value, Failure>) -> Response<Body> {
    match result {
        Ok(Value::Null) => {
            let mut response = Response::new(whole(""));
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
        Ok(value) => answer(StatusCode::OK, &value),
        Err(failure) => failed(&failure),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Digits {
    pairing: String,
    digits: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: Option<String>,
}

impl Pages {
    /// Answers a call of the page.
    pub(super) async fn api(&self, call: &str, request: Request<Incoming>) -> Response<Body> {
        let changes = !request.method().is_safe();
        if changes && !request.headers().contains_key(MARK) {
            return problem(403, "only the page itself may ask for this", None);
        }
        let parts: Vec<&str> = call.split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["state"]) => respond(self.state().await),
            (&Method::GET, ["events"]) => self.events(),
            (&Method::POST, ["pair"]) => respond(self.pair().await),
            (&Method::DELETE, ["pair"]) => respond(self.cancel().await),
            (&Method::POST, ["digits"]) => match read::<Digits>(request).await {
                Ok(Digits { pairing, digits }) => {
                    respond(self.done(Ask::Digits { peer: Some(pairing), digits }).await)
                }
                Err(failure) => failed(&failure),
            },
            (&Method::POST, ["hosts", pairing, "name"]) => {
                let peer = (*pairing).to_owned();
                match read::<Name>(request).await {
                    Ok(Name { name }) => respond(self.done(Ask::Rename { peer, name }).await),
                    Err(failure) => failed(&failure),
                }
            }
            (&Method::DELETE, ["hosts", pairing]) => {
                let revoked = self.done(Ask::Revoke { peer: (*pairing).to_owned() }).await;
                respond(revoked.map(|_| Value::Null))
            }
            (_, ["hosts", pairing, "http", target @ ..]) => match parse_pairing(pairing) {
                Ok(pairing) => {
                    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
                    let target = format!("/{}{query}", target.join("/"));
                    self.forward.request_to(pairing, target, request).await
                }
                Err(error) => problem(404, &error.to_string(), None),
            },
            _ => problem(404, "the page's server has no such call", None),
        }
    }

    async fn done(&self, ask: Ask) -> Result<Value, Failure> {
        Ok(match serve(&self.room, ask).await? {
            Told::Peer(peer) => json!(peer),
            _ => Value::Null,
        })
    }

    async fn state(&self) -> Result<Value, Failure> {
        let Told::Status(status) = serve(&self.room, Ask::Status).await? else {
            return Err(Failure::other("the service answered something else"));
        };
        Ok(json!({
            "version": status.version,
            "label": status.label,
            "network": status.network,
            "pairing": self.offer.view(),
            "hosts": status.peers,
        }))
    }

    async fn pair(&self) -> Result<Value, Failure> {
        let code = Code::generate(&mut UnwrapErr(SysRng)).digits();
        let qr = QrCode::new(code.as_bytes()).map_err(Failure::other)?;
        let colors = qr.to_colors();
        let module = |color: &Color| if *color == Color::Dark { '1' } else { '0' };
        let rows: Vec<String> =
            colors.chunks(qr.width()).map(|row| row.iter().map(module).collect()).collect();
        serve(
            &self.room,
            Ask::Offer { code: Secret(code.clone()), compare_digits: true, allow_clock_skew: false },
        )
        .await?;
        let shown = json!({ "code": code.as_str(), "expires_in_s": CODE_LIFETIME.as_secs(), "qr": rows });
        self.offer.begin(code, CODE_LIFETIME);
        Ok(shown)
    }

    async fn cancel(&self) -> Result<Value, Failure> {
        serve(&self.room, Ask::Cancel).await?;
        self.offer.end();
        Ok(Value::Null)
    }

    /// What happens from now on.
    fn events(&self) -> Response<Body> {
        let room = Arc::clone(&self.room);
        let notices = stream::unfold(Watch::local(&room.service), async |mut watch| {
            let notice = watch.next().await?;
            let data = serde_json::to_string(&notice).ok()?;
            let frame = Frame::data(format!("event: notice\ndata: {data}\n\n").into());
            Some((Ok::<_, Reason>(frame), watch))
        });
        let mut response = Response::new(StreamBody::new(notices).boxed_unsync());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        response
    }
}

async fn read<T: for<'d> Deserialize<'d>>(request: Request<Incoming>) -> Result<T, Failure> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|error| Failure::usage(format!("the body cannot be read: {error}")))?;
    serde_json::from_slice(&body.to_bytes())
        .map_err(|error| Failure::usage(format!("the body is not as it should be: {error}")))
}
