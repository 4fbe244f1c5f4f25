//! The REST API, as nwaku has it: the same paths, bodies, status codes and words, for its clients depend on them.
//!
//! It answers as soon as its socket is bound; before the node is up only `/health`.
//!
//! # Differences from nwaku
//! They are listed in `docs/differences-from-nwaku.md`.

mod admin;
mod cache;
mod filter;
mod front;
mod health;
mod info;
mod input;
mod json;
mod lightpush;
mod openapi;
mod origin;
mod query;
mod relay;
mod reply;
mod server;
mod service_peer;
mod store;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::{Mutex, watch};
use utoipa_axum::router::OpenApiRouter;
use waku::relay::Tap;
use waku::{ContentTopic, Multiaddr, Node, PeerId, Shard};

use self::cache::{Cache, CacheTap};
use self::reply::Refusal;
use waku_operator::metrics::Registry;

use crate::topics::Topics;

pub(crate) use self::origin::Origins;
pub(crate) use self::server::Server;

/// Messages kept for `GET /filter/v2/messages/…`, as in nwaku.
const FILTER_CACHE_LEN: usize = 50;
/// How long a service node's answer is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the command line says of the API.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whether `/admin/v1` is there.
    pub(crate) admin: bool,
    /// Pages of which origins may use the API.
    pub(crate) origins: Origins,
    /// Most messages kept for a topic until they are asked for.
    pub(crate) cache_capacity: usize,
    /// Largest encoded message, in bytes.
    pub(crate) max_message_len: usize,
    /// What `/version` says.
    pub(crate) version: String,
    /// Whether other nodes are looked for when none serves a protocol; only the words of errors depend on it.
    pub(crate) discovers: bool,
    pub(crate) services: Services,
    pub(crate) service_nodes: ServiceNodes,
}

/// What the node does for others.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each service is on or off")]
pub(crate) struct Services {
    pub(crate) relay: bool,
    pub(crate) filter: bool,
    pub(crate) lightpush: bool,
    pub(crate) peer_exchange: bool,
}

/// The service nodes that are named on the command line, to be asked first.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceNodes {
    pub(crate) store: Option<Multiaddr>,
    pub(crate) filter: Option<Multiaddr>,
    pub(crate) lightpush: Option<Multiaddr>,
}

/// Changes the log level at run time; the error is for the client.
pub(crate) type SetLogLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// What the handlers work with.
pub(crate) struct Api {
    settings: Settings,
    /// Once the node is up.
    node: OnceLock<Node>,
    relay_cache: Arc<Cache>,
    filter_cache: Arc<Cache>,
    /// Where the filter subscriptions are.
    filter_peer: Mutex<Option<PeerId>>,
    topics: Arc<Topics>,
    about: watch::Receiver<About>,
    set_log_level: Box<SetLogLevel>,
    registry: Arc<Registry>,
}

/// What the node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Announced addresses, each with `/p2p/…`.
    pub(crate) addresses: Vec<Multiaddr>,
    /// Its node record as text.
    pub(crate) record: String,
}

impl Api {
    pub(crate) fn new(
        settings: Settings,
        topics: Arc<Topics>,
        about: watch::Receiver<About>,
        set_log_level: Box<SetLogLevel>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            relay_cache: Arc::new(Cache::new(settings.cache_capacity)),
            filter_cache: Arc::new(Cache::new(FILTER_CACHE_LEN)),
            filter_peer: Mutex::default(),
            topics,
            node: OnceLock::new(),
            settings,
            about,
            set_log_level,
            registry,
        }
    }

    /// What is to see every message relayed.
    pub(crate) fn tap(&self) -> Arc<dyn Tap> {
        Arc::new(CacheTap::new(&self.relay_cache))
    }

    /// Keeps messages of these topics from the start.
    pub(crate) fn want(
        &self,
        shards: impl IntoIterator<Item = Shard>,
        content_topics: impl IntoIterator<Item = ContentTopic>,
    ) {
        for shard in shards {
            self.relay_cache.want_pubsub_topic(shard.into());
        }
        for topic in content_topics {
            self.relay_cache.want_content_topic(topic.as_str());
        }
    }

    /// Opens the other paths.
    pub(crate) async fn mount(&self, node: Node) {
        filter::collect(&node, &self.filter_cache).await;
        // There is one node, so that this cannot fail.
        let _ = self.node.set(node);
    }

    fn node(&self) -> Result<&Node, Refusal> {
        self.node.get().ok_or_else(|| Refusal::not_found(""))
    }
}

/// Everything that is served.
pub(crate) fn router(api: &Arc<Api>) -> Router {
    let mut api_routes = OpenApiRouter::with_openapi(openapi::description())
        .merge(info::routes())
        .merge(filter::routes())
        .merge(lightpush::routes())
        .merge(store::routes());
    if api.settings.services.relay {
        api_routes = api_routes.merge(relay::routes());
    }
    if api.settings.admin {
        api_routes = api_routes.merge(admin::routes());
    }
    let mounted = from_fn_with_state(Arc::clone(api), front::mounted);
    let api_routes =
        api_routes.route_layer(mounted).merge(health::routes()).route_layer(from_fn(front::named));
    let (router, description) = api_routes.split_for_parts();
    router
        .merge(openapi::routes(&description))
        .fallback(async || reply::nothing_here())
        .method_not_allowed_fallback(async || reply::nothing_here())
        .layer(from_fn_with_state(Arc::clone(api), front::front))
        .with_state(Arc::clone(api))
}
