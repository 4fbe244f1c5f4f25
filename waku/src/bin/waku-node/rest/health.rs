//! `/health`: whether the node is up, and how its protocols do.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde::ser::SerializeMap as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::PeerList;
use waku::proto::protocol_id;

use super::reply::json;
use super::{Api, Services};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(health))
}

/// How the node does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// `INITIALIZING` until the node is up, `READY` from then on.
    node_health: &'static str,
    /// `Disconnected`, `PartiallyConnected` or `Connected`.
    connection_status: &'static str,
    /// One object a protocol: its name with `READY`, `NOT_READY` or `NOT_MOUNTED`, and `desc` where there is more to say.
    #[schema(value_type = Vec<std::collections::BTreeMap<String, String>>)]
    protocols_health: Vec<Protocol>,
}

#[derive(Debug)]
struct Protocol {
    name: &'static str,
    state: &'static str,
    reason: Option<&'static str>,
}

impl Serialize for Protocol {
    fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        let mut map = output.serialize_map(None)?;
        map.serialize_entry(self.name, self.state)?;
        if let Some(reason) = self.reason {
            map.serialize_entry("desc", reason)?;
        }
        map.end()
    }
}

impl Protocol {
    fn ready(name: &'static str) -> Self {
        Self { name, state: "READY", reason: None }
    }

    fn not_ready(name: &'static str, reason: &'static str) -> Self {
        Self { name, state: "NOT_READY", reason: Some(reason) }
    }

    fn not_mounted(name: &'static str) -> Self {
        Self { name, state: "NOT_MOUNTED", reason: None }
    }

    /// Ready on a condition, if it is there at all.
    fn when(name: &'static str, is_mounted: bool, is_ready: bool, reason: &'static str) -> Self {
        match (is_mounted, is_ready) {
            (false, _) => Self::not_mounted(name),
            (true, false) => Self::not_ready(name, reason),
            (true, true) => Self::ready(name),
        }
    }
}

/// Whether the node is up, and how its protocols do.
#[utoipa::path(get, path = "/health", tag = "info", responses((status = 200, body = Report)))]
async fn health(State(api): State<Arc<Api>>) -> Response {
    let report = match api.node.get() {
        Some(node) => report(api.settings.services, &node.peers().list(), node.store().archive().is_some()),
        None => Report {
            node_health: "INITIALIZING",
            connection_status: "Disconnected",
            protocols_health: Vec::new(),
        },
    };
    json(StatusCode::OK, &report)
}

fn report(services: Services, peers: &PeerList, has_archive: bool) -> Report {
    let speaks = |protocol: &str| {
        peers.connected.iter().any(|peer| peer.protocols.iter().any(|known| known == protocol))
    };
    let relay_peers = peers.connected.iter().filter(|peer| !peer.topics.is_empty()).count();
    let (is_relay, has_relay_peers) = (services.relay, relay_peers > 0);
    let no_relay_peers = "Node has no relay peers to fullfill push requests";
    let relay_not_ready = "Relay is not ready, filter will not be able to sort out messages";
    let no_lightpush = "No Lightpush service peer available yet";
    let no_filter = "No Filter service peer available yet";
    let no_store = "No Store service peer available yet, neither Store service set up for the node";
    let has_lightpush = speaks(protocol_id::LIGHTPUSH);
    let has_old_lightpush = speaks(protocol_id::LIGHTPUSH_V2);
    let has_filter = speaks(protocol_id::FILTER_SUBSCRIBE);
    let has_store = has_archive || speaks(protocol_id::STORE_QUERY);
    let is_filtering = services.filter && is_relay;
    Report {
        node_health: "READY",
        connection_status: match (peers.connected.len(), is_relay, relay_peers) {
            (0, ..) => "Disconnected",
            (_, true, count) if count >= ENOUGH_RELAY_PEERS => "Connected",
            (_, false, _) if has_filter && (has_lightpush || has_old_lightpush) && has_store => "Connected",
            _ => "PartiallyConnected",
        },
        protocols_health: vec![
            Protocol::when("Relay", is_relay, has_relay_peers, "No connected peers"),
            Protocol::when("Lightpush", services.lightpush, has_relay_peers, no_relay_peers),
            Protocol::when("Legacy Lightpush", services.lightpush, has_relay_peers, no_relay_peers),
            Protocol::when("Filter", is_filtering, has_relay_peers, relay_not_ready),
            Protocol::when("Store", has_archive, true, ""),
            Protocol::when("Peer Exchange", services.peer_exchange, true, ""),
            Protocol::not_mounted("Rendezvous"),
            Protocol::not_mounted("Mix"),
            Protocol::when("Lightpush Client", true, has_lightpush, no_lightpush),
            Protocol::when("Legacy Lightpush Client", true, has_old_lightpush, no_lightpush),
            Protocol::when("Store Client", true, has_store, no_store),
            Protocol::when("Filter Client", true, has_filter, no_filter),
            Protocol::not_mounted("Rln Relay"),
        ],
    }
}

/// So many relay peers make a node well connected: gossipsub wants no fewer in a mesh.
const ENOUGH_RELAY_PEERS: usize = 4;
