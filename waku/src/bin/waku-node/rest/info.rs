//! Who the node is: `/info`, `/version`, and the same under `/debug/v1`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::reply::{json, text};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(info))
        .routes(routes!(debug_info))
        .routes(routes!(version))
        .routes(routes!(debug_version))
}

/// Who the node is, and where.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Info {
    /// Where it can be dialled, TCP first, each with `/p2p/…`.
    listen_addresses: Vec<String>,
    /// Its node record.
    enr_uri: String,
}

/// The node's addresses and its record.
#[utoipa::path(get, path = "/info", tag = "info", responses((status = 200, body = Info)))]
async fn info(State(api): State<Arc<Api>>) -> Response {
    tracing::info!("asked for its addresses and record");
    let about = api.about.borrow();
    let info = Info {
        listen_addresses: about.addresses.iter().map(ToString::to_string).collect(),
        enr_uri: about.record.clone(),
    };
    json(StatusCode::OK, &info)
}

/// As `/info`.
#[utoipa::path(get, path = "/debug/v1/info", tag = "info", responses((status = 200, body = Info)))]
async fn debug_info(state: State<Arc<Api>>) -> Response {
    info(state).await
}

/// The version of nwaku whose interface this is.
#[utoipa::path(get, path = "/version", tag = "info", responses((status = 200, body = String)))]
async fn version(State(api): State<Arc<Api>>) -> Response {
    text(StatusCode::OK, &*api.settings.version)
}

/// As `/version`.
#[utoipa::path(get, path = "/debug/v1/version", tag = "info", responses((status = 200, body = String)))]
async fn debug_version(state: State<Arc<Api>>) -> Response {
    version(state).await
}
