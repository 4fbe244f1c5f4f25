//! What holds for every request, before and after its handler.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, SERVER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::ext::ReasonPhrase;
use tokio::time::timeout;

use waku_operator::metrics::{GaugeFamily, Registry};

use super::Api;
use super::reply::{html, nothing_here, text};

const PROCESSED: GaugeFamily<0> = GaugeFamily::named("presto_server_processed_request_count");
const ANSWERS: GaugeFamily<2> = GaugeFamily::named("presto_server_response_status_count");
const MISSING: GaugeFamily<0> = GaugeFamily::named("presto_server_missing_requests_count");
const INVALID: GaugeFamily<0> = GaugeFamily::named("presto_server_invalid_requests_count");

/// Largest body, in bytes.
const MAX_BODY: usize = 16 << 20;
/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

const NAME: HeaderValue = HeaderValue::from_static(concat!("waku-node/", env!("CARGO_PKG_VERSION")));

/// Passes a request on with its body collected, or answers it.
pub(super) async fn front(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    tracing::debug!(%method, path, "REST request");
    let mut response = answer(&api, request, next).await;
    count(&api.registry, &response);
    // The router answers it like GET.
    if method == Method::HEAD {
        response = nothing_here();
    }
    response.headers_mut().insert(SERVER, NAME);
    response
}

/// Counts an answer under nwaku's names.
fn count(registry: &Registry, response: &Response) {
    registry.gauge(PROCESSED, []).add(1.0);
    if let Some(endpoint) = response.extensions().get::<MatchedPath>() {
        registry.gauge(ANSWERS, [endpoint.as_str(), response.status().as_str()]).add(1.0);
    } else if response.status() == StatusCode::NOT_FOUND {
        registry.gauge(MISSING, []).add(1.0);
    } else {
        registry.gauge(INVALID, []).add(1.0);
    }
}

async fn answer(api: &Api, request: Request, next: Next) -> Response {
    let allowed = match api.settings.origins.check(request.headers()) {
        Ok(allowed) => allowed,
        Err(refusal) => return *refusal,
    };
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return too_large();
    }
    let is_typed = parts.headers.contains_key(CONTENT_TYPE);
    if !is_typed && !body.is_end_stream() {
        return html(StatusCode::BAD_REQUEST, "Invalid content type");
    }
    let body = match timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
        Ok(Err(error)) => return text(StatusCode::BAD_REQUEST, format!("The body cannot be read: {error}")),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "The body did not come in time"),
    };
    let mut response = next.run(Request::from_parts(parts, whole(body))).await;
    allowed.tell(&mut response);
    response
}

fn whole(body: Bytes) -> Body {
    Body::from(body)
}

fn too_large() -> Response {
    let mut response = text(StatusCode::PAYLOAD_TOO_LARGE, "");
    // As nwaku words it, and HTTP did before.
    response.extensions_mut().insert(ReasonPhrase::from_static(b"Request Entity Too Large"));
    response
}

/// Nothing but `/health` is there before the node is up.
pub(super) async fn mounted(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if api.node.get().is_none() {
        return nothing_here();
    }
    next.run(request).await
}

/// Lets the answer say which endpoint it is of.
pub(super) async fn named(request: Request, next: Next) -> Response {
    let endpoint = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(endpoint) = endpoint {
        response.extensions_mut().insert(endpoint);
    }
    response
}
