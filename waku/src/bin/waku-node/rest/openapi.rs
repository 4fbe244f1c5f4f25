//! The description of the API, made from its handlers, and a page that shows it.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use super::Api;
use super::reply::{html, json};

/// What the handlers do not say themselves.
#[derive(OpenApi)]
#[openapi(info(
    title = "waku-node",
    description = "REST API of a Waku node, as nwaku has it.",
    license(name = "MIT OR Apache-2.0")
))]
pub(super) struct Description;

/// `/openapi.json` and `/docs`.
pub(super) fn routes(description: &utoipa::openapi::OpenApi) -> Router<Arc<Api>> {
    let (document, page) = (description.clone(), page(description));
    let document = move || async move { json(StatusCode::OK, &document) };
    let page = move || async move { html(StatusCode::OK, page) };
    Router::new().route("/openapi.json", get(document)).route("/docs", get(page))
}

/// A list of the API, without scripts or anything from elsewhere.
fn page(description: &utoipa::openapi::OpenApi) -> String {
    let mut rows = String::new();
    for (path, item) in &description.paths.paths {
        for (method, operation) in operations(item) {
            let summary = operation.summary.as_deref().unwrap_or_default();
            let statuses: Vec<_> = operation.responses.responses.keys().map(String::as_str).collect();
            // Writing to a text does not fail.
            let _ = write!(
                rows,
                "<tr><td>{method}</td><td><code>{path}</code></td><td>{}</td><td>{}</td></tr>",
                escaped(summary),
                statuses.join(" ")
            );
        }
    }
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>waku-node REST API</title><style>body{{font:1rem system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem;\
         color-scheme:light dark}}td,th{{text-align:left;padding:.3rem .8rem .3rem 0;vertical-align:top}}</style>\
         <h1>waku-node REST API</h1><p>The whole of it, with its types: <a href=openapi.json>openapi.json</a></p>\
         <table><tr><th>Method<th>Path<th><th>Answers</tr>{rows}</table>"
    )
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let operations = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// The empty description, to which the handlers add theirs.
pub(super) fn description() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
