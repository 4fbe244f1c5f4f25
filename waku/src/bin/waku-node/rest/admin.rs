//! `/admin/v1`: peers, filter subscribers, and the log level.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use waku::peers::{KnownPeer, PeerOrigin, PeerState};
use waku::proto::protocol_id::{
    FILTER_PUSH, FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, PEER_EXCHANGE, RECONCILIATION, RELAY,
    STORE_QUERY, TRANSFER,
};
use waku::{Node, PeerId, PeerInfo, PubsubTopic, Shard};

use super::Api;
use super::filter::quoted;
use super::input::{Payload, Segment};
use super::reply::{Refusal, Reply, json, ok};
use super::service_peer::keep;
use super::store::parse_address;

/// What counts as a service in `/admin/v1/peers/service`.
const SERVICES: [&str; 8] =
    [RELAY, FILTER_SUBSCRIBE, STORE_QUERY, LIGHTPUSH_V2, LIGHTPUSH, PEER_EXCHANGE, RECONCILIATION, TRANSFER];
/// What `/admin/v1/peers/stats` counts.
const COUNTED: [&str; 8] = [
    RELAY,
    FILTER_SUBSCRIBE,
    FILTER_PUSH,
    STORE_QUERY,
    LIGHTPUSH,
    LIGHTPUSH_V2,
    PEER_EXCHANGE,
    RECONCILIATION,
];

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(peers, connect))
        .routes(routes!(connected))
        .routes(routes!(service))
        .routes(routes!(connected_on))
        .routes(routes!(relay_peers))
        .routes(routes!(relay_peers_on))
        .routes(routes!(mesh_peers))
        .routes(routes!(mesh_peers_on))
        .routes(routes!(stats))
        .routes(routes!(peer))
        .routes(routes!(subscribers))
        .routes(routes!(log_level))
        .route("/admin/v1/log-level/", axum::routing::post(log_level))
}

/// A peer the node knows.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Peer {
    /// Where it is dialled, or where it is connected, with `/p2p/…`.
    multiaddr: String,
    protocols: Vec<String>,
    shards: Vec<u16>,
    /// `NotConnected`, `CannotConnect`, `CanConnect` or `Connected`.
    connected: &'static str,
    agent: String,
    /// `UnknownOrigin`, `Discv5`, `Static`, `PeerExchange` or `Dns`.
    origin: &'static str,
    /// Gossipsub's score.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
}

/// The peers of a shard.
#[derive(Debug, Serialize, ToSchema)]
struct OnShard {
    shard: u16,
    peers: Vec<Peer>,
}

/// A filter subscriber.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Subscriber {
    peer_id: String,
    filter_criteria: Vec<Criterion>,
}

/// What it is pushed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Criterion {
    pubsub_topic: String,
    content_topic: String,
}

/// A known peer, with what is known of its connection.
struct View {
    known: Arc<KnownPeer>,
    now: Option<PeerInfo>,
}

impl View {
    fn protocols(&self) -> &[String] {
        self.now.as_ref().map_or(&self.known.protocols, |now| &now.protocols)
    }

    fn is_connected(&self) -> bool {
        self.now.is_some()
    }

    fn is_on(&self, shard: Shard) -> bool {
        match &self.now {
            Some(now) => now.is_on(shard) == Some(true),
            None => self.known.cluster == Some(shard.cluster()) && self.known.shards.contains(&shard.index()),
        }
    }

    fn show(&self, score: Option<f64>) -> Peer {
        let known = &self.known;
        // What a peer says of itself can be dialled; the port that it connected from cannot.
        let address = known.addresses.first().or_else(|| self.now.as_ref()?.addresses.first());
        let address = address.map(|address| without_peer_id(&address.to_string()).to_owned());
        let mut shards = match &self.now {
            Some(now) if !now.shards.is_empty() => now.shards.clone(),
            _ => known.shards.clone(),
        };
        shards.sort_unstable();
        Peer {
            multiaddr: format!("{}/p2p/{}", address.unwrap_or_default(), known.peer_id),
            protocols: self.protocols().to_vec(),
            shards,
            connected: match (self.is_connected(), known.state) {
                (true, _) | (_, PeerState::Connected) => "Connected",
                (_, PeerState::NotConnected) => "NotConnected",
                (_, PeerState::CannotConnect) => "CannotConnect",
                (_, PeerState::CanConnect) => "CanConnect",
            },
            agent: self
                .now
                .as_ref()
                .and_then(|now| now.agent.clone())
                .or_else(|| known.agent.clone())
                .unwrap_or_default(),
            origin: match known.origin {
                PeerOrigin::Application => "Static",
                PeerOrigin::PeerExchange => "PeerExchange",
                PeerOrigin::Discv5 => "Discv5",
                PeerOrigin::Dns => "Dns",
                _ => "UnknownOrigin",
            },
            score,
        }
    }
}

fn without_peer_id(address: &str) -> &str {
    address.rsplit_once("/p2p/").map_or(address, |(address, _)| address)
}

async fn views(node: &Node) -> Result<Vec<View>, Refusal> {
    let known = node.peers().known().await.map_err(|error| Refusal::internal(error.to_string()))?;
    let list = node.peers().list();
    Ok(known.into_iter().map(|known| View { now: list.get(known.peer_id).cloned(), known }).collect())
}

fn shown(views: &[View], wanted: impl Fn(&View) -> bool) -> Vec<Peer> {
    views.iter().filter(|view| wanted(view)).map(|view| view.show(None)).collect()
}

/// Every peer the node knows.
#[utoipa::path(get, path = "/admin/v1/peers", tag = "admin", responses((status = 200, body = Vec<Peer>)))]
async fn peers(State(api): State<Arc<Api>>) -> Reply {
    let views = views(api.node()?).await?;
    Ok(json(StatusCode::OK, &shown(&views, |_| true)))
}

/// Connects to these addresses, one after the other.
#[utoipa::path(
    post, path = "/admin/v1/peers", tag = "admin", request_body = Vec<String>,
    responses((status = 200, body = String, description = "`OK`"), (status = 400, body = String))
)]
async fn connect(State(api): State<Arc<Api>>, body: Payload) -> Reply {
    let node = api.node()?;
    let addresses = body.decode::<Vec<String>>();
    let addresses = addresses.map_err(|flaw| {
        Refusal::bad_request(format!("Failed to decode request: {}", quoted(&flaw.to_string())))
    })?;
    for (index, text) in addresses.iter().enumerate() {
        let address = parse_address(text);
        let address = address
            .map_err(|flaw| Refusal::bad_request(format!("Couldn't parse remote peer info: {flaw}")))?;
        if let Err(error) = node.peers().connect(address.clone()).await {
            tracing::debug!(address = text, %error, "not connected");
            keep(node, address).await;
            return Err(Refusal::bad_request(format!(
                "Failed to connect to peer at index: {index} - {text}"
            )));
        }
    }
    Ok(ok())
}

/// The peers that are connected.
#[utoipa::path(get, path = "/admin/v1/peers/connected", tag = "admin", responses((status = 200, body = Vec<Peer>)))]
async fn connected(State(api): State<Arc<Api>>) -> Reply {
    let views = views(api.node()?).await?;
    Ok(json(StatusCode::OK, &shown(&views, View::is_connected)))
}

/// The peers that serve something.
#[utoipa::path(get, path = "/admin/v1/peers/service", tag = "admin", responses((status = 200, body = Vec<Peer>)))]
async fn service(State(api): State<Arc<Api>>) -> Reply {
    let mut peers = shown(&views(api.node()?).await?, |view| {
        view.protocols().iter().any(|protocol| SERVICES.contains(&protocol.as_str()))
    });
    for peer in &mut peers {
        peer.protocols.retain(|protocol| SERVICES.contains(&protocol.as_str()));
    }
    Ok(json(StatusCode::OK, &peers))
}

/// The connected peers of a shard.
#[utoipa::path(
    get, path = "/admin/v1/peers/connected/on/{shard}", tag = "admin", params(("shard" = u16, Path)),
    responses((status = 200, body = Vec<Peer>), (status = 400, body = String))
)]
async fn connected_on(State(api): State<Arc<Api>>, Segment(shard): Segment) -> Reply {
    let node = api.node()?;
    let shard = shard_of(node, &shard)?;
    let views = views(node).await?;
    let is_on = |view: &View| view.is_connected() && shard.is_some_and(|shard| view.is_on(shard));
    Ok(json(StatusCode::OK, &shown(&views, is_on)))
}

/// The relay peers of each shard the node is on.
#[utoipa::path(
    get, path = "/admin/v1/peers/relay", tag = "admin",
    responses((status = 200, body = Vec<OnShard>), (status = 503, body = String))
)]
async fn relay_peers(State(api): State<Arc<Api>>) -> Reply {
    each_shard(&api, Kind::Relay).await
}

/// The relay peers of a shard.
#[utoipa::path(
    get, path = "/admin/v1/peers/relay/on/{shard}", tag = "admin", params(("shard" = u16, Path)),
    responses((status = 200, body = OnShard), (status = 400, body = String), (status = 503, body = String))
)]
async fn relay_peers_on(State(api): State<Arc<Api>>, Segment(shard): Segment) -> Reply {
    one_shard(&api, &shard, Kind::Relay).await
}

/// The mesh peers of each shard the node is on.
#[utoipa::path(
    get, path = "/admin/v1/peers/mesh", tag = "admin",
    responses((status = 200, body = Vec<OnShard>), (status = 503, body = String))
)]
async fn mesh_peers(State(api): State<Arc<Api>>) -> Reply {
    each_shard(&api, Kind::Mesh).await
}

/// The mesh peers of a shard.
#[utoipa::path(
    get, path = "/admin/v1/peers/mesh/on/{shard}", tag = "admin", params(("shard" = u16, Path)),
    responses((status = 200, body = OnShard), (status = 400, body = String), (status = 503, body = String))
)]
async fn mesh_peers_on(State(api): State<Arc<Api>>, Segment(shard): Segment) -> Reply {
    one_shard(&api, &shard, Kind::Mesh).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Subscribed to the shard.
    Relay,
    /// In the node's mesh there.
    Mesh,
}

/// The relay's peers at one moment.
struct RelayView {
    views: Vec<View>,
    relay: BTreeMap<PeerId, waku::RelayPeer>,
}

impl RelayView {
    async fn new(api: &Api, node: &Node) -> Result<Self, Refusal> {
        if !api.settings.services.relay {
            return Err(Refusal::unavailable("Error: Relay Protocol is not mounted to the node"));
        }
        let relay = node.relay().peers().await.map_err(|error| Refusal::internal(error.to_string()))?;
        Ok(Self {
            views: views(node).await?,
            relay: relay.into_iter().map(|peer| (peer.peer_id, peer)).collect(),
        })
    }

    fn on(&self, topic: &PubsubTopic, kind: Kind) -> Vec<Peer> {
        let shown = |view: &View| {
            let (now, relay) = (view.now.as_ref()?, self.relay.get(&view.known.peer_id)?);
            let is_on = match kind {
                Kind::Relay => now.topics.contains(topic),
                Kind::Mesh => relay.mesh.contains(topic),
            };
            is_on.then(|| view.show(Some(relay.score)))
        };
        self.views.iter().filter_map(shown).collect()
    }
}

async fn each_shard(api: &Api, kind: Kind) -> Reply {
    let node = api.node()?;
    let view = RelayView::new(api, node).await?;
    let topics = node.relay().watch_topics().borrow().clone();
    let shards = topics.iter().filter_map(|topic| {
        let shard = topic.shard().filter(|shard| shard.cluster() == node.sharding().cluster())?;
        Some(OnShard { shard: shard.index(), peers: view.on(topic, kind) })
    });
    Ok(json(StatusCode::OK, &shards.collect::<Vec<_>>()))
}

async fn one_shard(api: &Api, text: &str, kind: Kind) -> Reply {
    let node = api.node()?;
    let index = shard_index(text)?;
    let view = RelayView::new(api, node).await?;
    let shard = Shard::new(node.sharding().cluster(), index).ok();
    let peers = shard.map(|shard| view.on(&shard.into(), kind)).unwrap_or_default();
    Ok(json(StatusCode::OK, &OnShard { shard: index, peers }))
}

fn shard_index(text: &str) -> Result<u16, Refusal> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::bad_request("Invalid shardId: Non-decimal character encountered"));
    }
    text.parse().map_err(|_| Refusal::bad_request("Invalid shardId: Integer overflow"))
}

/// A shard of the node's cluster; `None` when there cannot be such a one.
fn shard_of(node: &Node, text: &str) -> Result<Option<Shard>, Refusal> {
    Ok(Shard::new(node.sharding().cluster(), shard_index(text)?).ok())
}

/// How many peers there are of each kind.
#[utoipa::path(
    get, path = "/admin/v1/peers/stats", tag = "admin",
    responses((status = 200, body = BTreeMap<String, BTreeMap<String, usize>>))
)]
async fn stats(State(api): State<Arc<Api>>) -> Reply {
    let node = api.node()?;
    let views = views(node).await?;
    let count = |wanted: &dyn Fn(&View) -> bool| views.iter().filter(|view| wanted(view)).count();
    let states = ["Connected", "NotConnected", "CannotConnect", "CanConnect"];
    let by_state = states.map(|state| (state.to_owned(), count(&|view| view.show(None).connected == state)));
    let by_protocol = COUNTED.map(|protocol| {
        (protocol.to_owned(), count(&|view| view.protocols().iter().any(|known| known == protocol)))
    });
    let mut sections =
        vec![("Sum", vec![("Total peers".to_owned(), views.len())]), ("By Connectedness", by_state.to_vec())];
    let mut relay = (Vec::new(), Vec::new());
    if api.settings.services.relay {
        let view = RelayView::new(&api, node).await?;
        for topic in node.relay().watch_topics().borrow().iter() {
            let Some(shard) = topic.shard() else { continue };
            relay.0.push((shard.index().to_string(), view.on(topic, Kind::Relay).len()));
            relay.1.push((shard.index().to_string(), view.on(topic, Kind::Mesh).len()));
        }
    }
    // The number of shards, not of peers: clients know it so.
    let shards = relay.0.len();
    relay.0.push(("Total relay peers".to_owned(), shards));
    relay.1.push(("Total mesh peers".to_owned(), shards));
    sections.extend([
        ("Relay peers", relay.0),
        ("Mesh peers", relay.1),
        ("By Protocols", by_protocol.to_vec()),
    ]);
    Ok(json(StatusCode::OK, &Sections(sections)))
}

/// Objects of numbers, in their order.
struct Sections(Vec<(&'static str, Vec<(String, usize)>)>);

impl Serialize for Sections {
    fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        struct Section<'a>(&'a [(String, usize)]);
        impl Serialize for Section<'_> {
            fn serialize<S: serde::Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.collect_map(self.0.iter().map(|(name, count)| (name, count)))
            }
        }
        output.collect_map(self.0.iter().map(|(name, section)| (name, Section(section))))
    }
}

/// One peer.
#[utoipa::path(
    get, path = "/admin/v1/peer/{peerId}", tag = "admin", params(("peerId" = String, Path)),
    responses((status = 200, body = Peer), (status = 400, body = String), (status = 404, body = String))
)]
async fn peer(State(api): State<Arc<Api>>, Segment(id): Segment) -> Reply {
    let wanted = id.parse::<PeerId>();
    let wanted =
        wanted.map_err(|_| Refusal::bad_request("Invalid argument:peerid: incorrect PeerId string"))?;
    let views = views(api.node()?).await?;
    match views.iter().find(|view| view.known.peer_id == wanted) {
        Some(view) => Ok(json(StatusCode::OK, &view.show(None))),
        // The words are nwaku's.
        None => Err(Refusal::not_found(format!("Peer with ID ok({id}) not found"))),
    }
}

/// Whom the node pushes messages to, and which.
#[utoipa::path(
    get, path = "/admin/v1/filter/subscriptions", tag = "admin",
    responses((status = 200, body = Vec<Subscriber>), (status = 400, body = String))
)]
async fn subscribers(State(api): State<Arc<Api>>) -> Reply {
    if !api.settings.services.filter {
        return Err(Refusal::bad_request("Error: Filter Protocol is not mounted to the node"));
    }
    let subscribers = api.node()?.filter().subscribers().await;
    let subscribers = subscribers.map_err(|error| Refusal::internal(error.to_string()))?;
    let shown = subscribers.into_iter().map(|subscriber| Subscriber {
        peer_id: subscriber.peer_id.to_string(),
        filter_criteria: subscriber
            .criteria
            .into_iter()
            .map(|(pubsub_topic, content_topic)| Criterion {
                pubsub_topic: pubsub_topic.to_string(),
                content_topic: content_topic.to_string(),
            })
            .collect(),
    });
    Ok(json(StatusCode::OK, &shown.collect::<Vec<_>>()))
}

/// Changes which log lines are written.
#[utoipa::path(
    post, path = "/admin/v1/log-level/{level}", tag = "admin",
    params(("level" = String, Path, description = "TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or FATAL")),
    responses((status = 200, body = String, description = "`OK`"), (status = 400, body = String))
)]
async fn log_level(State(api): State<Arc<Api>>, Segment(level): Segment) -> Reply {
    if level.is_empty() {
        return Err(Refusal::bad_request("Invalid log-level, it can’t be empty"));
    }
    (api.set_log_level)(&level).map_err(Refusal::bad_request)?;
    Ok(ok())
}
