//! What the node counts and measures, under nwaku's names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval};
use waku::proto::protocol_id::{
    FILTER_SUBSCRIBE, LIGHTPUSH, LIGHTPUSH_V2, PEER_EXCHANGE, RELAY, STORE_QUERY,
};
use waku::relay::Tap;
use waku::{Envelope, FilterConfig, Node, PeerId, PeerInfo, PubsubTopic};
use waku_discovery::discv5::{Counters, Discovery};
use waku_operator::command_line::{NWAKU_VERSION, Options, RateLimit, Service};
use waku_operator::metrics::{CounterFamily, GaugeFamily, HistogramFamily, Registry};

const PEERS: GaugeFamily<0> = GaugeFamily::named("libp2p_peers");
const PUBSUB_PEERS: GaugeFamily<0> = GaugeFamily::named("libp2p_pubsub_peers");
const PUBSUB_TOPICS: GaugeFamily<0> = GaugeFamily::named("libp2p_pubsub_topics");
const SUBSCRIPTIONS: CounterFamily<0> = CounterFamily::named("libp2p_pubsub_subscriptions");
const MESH: GaugeFamily<1> = GaugeFamily::named("libp2p_gossipsub_peers_per_topic_mesh");
const ON_TOPIC: GaugeFamily<1> = GaugeFamily::named("libp2p_gossipsub_peers_per_topic_gossipsub");
const NETWORK_BYTES: CounterFamily<1> = CounterFamily::named("libp2p_network_bytes");
const DIALS: CounterFamily<0> = CounterFamily::named("libp2p_total_dial_attempts");
const GOOD_DIALS: CounterFamily<0> = CounterFamily::named("libp2p_successful_dials");
const BAD_DIALS: CounterFamily<0> = CounterFamily::named("libp2p_failed_dials");
const BAD_ARRIVALS: CounterFamily<0> = CounterFamily::named("libp2p_failed_upgrades_incoming");
const VALID: CounterFamily<0> = CounterFamily::named("libp2p_pubsub_validation_success");
const INVALID: CounterFamily<0> = CounterFamily::named("libp2p_pubsub_validation_failure");
const IGNORED: CounterFamily<0> = CounterFamily::named("libp2p_pubsub_validation_ignore");
const RECEIVED: CounterFamily<0> = CounterFamily::named("libp2p_gossipsub_received");
const UNPUBLISHED: CounterFamily<0> = CounterFamily::named("libp2p_gossipsub_failed_publish");
const MESSAGES: CounterFamily<1> = CounterFamily::named("waku_node_messages");
const SIZES: HistogramFamily<0> = HistogramFamily::named("waku_histogram_message_size");
const RELAY_BYTES: CounterFamily<3> = CounterFamily::named("waku_relay_network_bytes");
const SHARD_BYTES: GaugeFamily<1> = GaugeFamily::named("waku_relay_total_msg_bytes_per_shard");
const SHARD_MAX: GaugeFamily<1> = GaugeFamily::named("waku_relay_max_msg_bytes_per_shard");
const SHARD_MEAN: GaugeFamily<1> = GaugeFamily::named("waku_relay_avg_msg_bytes_per_shard");
const KNOWN: GaugeFamily<0> = GaugeFamily::named("waku_peer_store_size");
const UNIQUE: GaugeFamily<0> = GaugeFamily::named("waku_total_unique_peers");
const CONNECTED: GaugeFamily<2> = GaugeFamily::named("waku_connected_peers");
const PER_SHARD: GaugeFamily<1> = GaugeFamily::named("waku_connected_peers_per_shard");
const PER_AGENT: GaugeFamily<1> = GaugeFamily::named("waku_connected_peers_per_agent");
const SERVICE_PEERS: GaugeFamily<2> = GaugeFamily::named("waku_service_peers");
const LIGHTPUSH_PEERS: GaugeFamily<0> = GaugeFamily::named("waku_lightpush_peers");
const FILTER_PEERS: GaugeFamily<0> = GaugeFamily::named("waku_filter_peers");
const STORE_PEERS: GaugeFamily<0> = GaugeFamily::named("waku_store_peers");
const PX_PEERS: GaugeFamily<0> = GaugeFamily::named("waku_px_peers");
const PX_SENT: CounterFamily<0> = CounterFamily::named("waku_px_peers_sent");
const SUBSCRIBERS: GaugeFamily<0> = GaugeFamily::named("waku_filter_subscriptions");
const QUERIES: CounterFamily<0> = CounterFamily::named("waku_store_queries");
const PUSHES: CounterFamily<1> = CounterFamily::named("waku_lightpush_v3_messages");
const REQUESTS: CounterFamily<2> = CounterFamily::named("waku_service_requests");
const LIMITS: GaugeFamily<1> = GaugeFamily::named("waku_service_requests_limit");
const STORED: GaugeFamily<1> = GaugeFamily::named("waku_archive_messages");
const ARCHIVE_ERRORS: CounterFamily<1> = CounterFamily::named("waku_archive_errors");
const VERSION: GaugeFamily<1> = GaugeFamily::named("waku_version");
const ROUTING_TABLE: GaugeFamily<1> = GaugeFamily::named("routing_table_nodes");
const DISCOVERED: GaugeFamily<1> = GaugeFamily::named("waku_discv5_discovered_per_shard");
const DISCOVERY_BYTES: CounterFamily<1> = CounterFamily::named("discv5_network_bytes");
const DISCOVERY_ERRORS: CounterFamily<1> = CounterFamily::named("waku_discv5_errors");
const FILTER_ERRORS: CounterFamily<1> = CounterFamily::named("waku_filter_errors");
const PUSH_ERRORS: CounterFamily<1> = CounterFamily::named("waku_lightpush_v3_errors");
const STORE_ERRORS: CounterFamily<1> = CounterFamily::named("waku_store_errors");
const PX_ERRORS: CounterFamily<1> = CounterFamily::named("waku_px_errors");
const PEER_ERRORS: CounterFamily<1> = CounterFamily::named("waku_peers_errors");
const REACHABILITY: GaugeFamily<1> = GaugeFamily::named("libp2p_autonat_reachability_confidence");

/// How topics are called in libp2p's families, as in nwaku.
const ANY_TOPIC: &str = "other";
/// Old store protocol, whose service slot tools look at still.
const LEGACY_STORE: &str = "/vac/waku/store/2.0.0-beta4";
/// How often what is not counted as it happens is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How often a summary is logged (`--metrics-logging`).
const LOG_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Puts figures into the registry.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    registry: Arc<Registry>,
}

/// `/metrics`, and `/health` for whoever looks there.
pub(crate) fn router(figures: &Figures) -> Router {
    let registry = Arc::clone(&figures.registry);
    let metrics = async move || {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        ([(CONTENT_TYPE, kind)], registry.render()).into_response()
    };
    let html = |status: StatusCode, body: &'static str| (status, [(CONTENT_TYPE, "text/html")], body);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(async move || html(StatusCode::OK, "OK")))
        .fallback(async move || html(StatusCode::NOT_FOUND, "Try /metrics"))
}

impl Figures {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        registry.gauge(VERSION, [NWAKU_VERSION]).set(1.0);
        Self { registry }
    }

    /// Measures every message relayed.
    pub(crate) fn tap(&self) -> Arc<dyn Tap> {
        Arc::new(Messages { registry: Arc::clone(&self.registry), shards: Mutex::default() })
    }

    /// Looks at the node from time to time.
    pub(crate) fn follow(
        &self,
        node: &Node,
        options: &Options,
        discovery: Option<Arc<Discovery>>,
        tasks: &mut JoinSet<()>,
    ) {
        for (protocol, service) in [
            (FILTER_SUBSCRIBE, Service::Filter),
            (STORE_QUERY, Service::StoreV3),
            (LIGHTPUSH, Service::Lightpush),
            (LIGHTPUSH_V2, Service::Lightpush),
            (PEER_EXCHANGE, Service::PeerExchange),
        ] {
            let given = RateLimit::of(service, &options.rate_limits);
            let usual = || FilterConfig::default().rate_limit.per_peer.filter(|_| service == Service::Filter);
            let (volume, period) = match (given, usual()) {
                (Some(limit), _) if limit.is_unlimited() => continue,
                (Some(limit), _) => (limit.volume, limit.period),
                (None, Some(rate)) if options.filter.is_some() => (rate.volume.into(), rate.period),
                (None, _) => continue,
            };
            self.registry.gauge(LIMITS, [protocol]).set(number(volume) / period.as_secs_f64());
        }
        for (protocol, address) in service_slots(options) {
            self.registry.gauge(SERVICE_PEERS, [protocol, &address]).set(1.0);
        }
        let look = Look { registry: Arc::clone(&self.registry), node: node.clone(), discovery };
        let is_logged = options.metrics_logging;
        let mut timetable = Timetable::new(is_logged);
        tasks.spawn(async move {
            loop {
                match timetable.next().await {
                    Due::Look => look.take().await,
                    Due::Log => look.log(),
                }
            }
        });
    }
}

/// When to look, at once and then every two seconds, and when to log, every ten minutes if that is wanted.
struct Timetable {
    look: Interval,
    log: Interval,
    is_logged: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Due {
    Look,
    Log,
}

impl Timetable {
    fn new(is_logged: bool) -> Self {
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut log = interval(LOG_INTERVAL);
        log.reset();
        Self { look, log, is_logged }
    }

    async fn next(&mut self) -> Due {
        tokio::select! {
            _ = self.look.tick() => Due::Look,
            _ = self.log.tick(), if self.is_logged => Due::Log,
        }
    }
}

/// The services that are named on the command line: protocol, and address without the peer id.
fn service_slots(options: &Options) -> Vec<(&'static str, String)> {
    let services = &options.services;
    let slots = [
        (FILTER_SUBSCRIBE, &services.filter),
        (LIGHTPUSH_V2, &services.lightpush),
        (LIGHTPUSH, &services.lightpush),
        (STORE_QUERY, &services.store),
        (LEGACY_STORE, &services.store),
        (PEER_EXCHANGE, &services.peer_exchange),
    ];
    let slots = slots.into_iter().filter_map(|(protocol, address)| {
        let address = address.as_deref().filter(|address| !address.is_empty())?;
        let (address, _) = address.rsplit_once("/p2p/")?;
        Some((protocol, address.to_owned()))
    });
    slots.collect()
}

/// Measures messages.
#[derive(Debug)]
struct Messages {
    registry: Arc<Registry>,
    shards: Mutex<BTreeMap<PubsubTopic, Traffic>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Traffic {
    messages: u64,
    bytes: u64,
    most: u64,
}

impl Tap for Messages {
    fn push(&self, envelope: &Envelope, source: Option<PeerId>) {
        let (topic, len) = (envelope.pubsub_topic(), envelope.bytes().len() as u64);
        let traffic = {
            // It is whole after every change.
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            let traffic = shards.entry(topic.clone()).or_default();
            traffic.messages += 1;
            traffic.bytes += len;
            traffic.most = traffic.most.max(len);
            *traffic
        };
        let (registry, name) = (&self.registry, topic.as_str());
        registry.counter(MESSAGES, ["relay"]).increment();
        registry.histogram(SIZES, []).observe(number(len) / 1000.0);
        let direction = if source.is_some() { "in" } else { "out" };
        for kind in ["gross", "net"] {
            registry.counter(RELAY_BYTES, [name, kind, direction]).inc_by(len);
        }
        registry.gauge(SHARD_BYTES, [name]).set(number(traffic.bytes));
        registry.gauge(SHARD_MAX, [name]).set(number(traffic.most));
        registry.gauge(SHARD_MEAN, [name]).set(number(traffic.bytes) / number(traffic.messages));
    }
}

/// What is looked at from time to time.
struct Look {
    registry: Arc<Registry>,
    node: Node,
    discovery: Option<Arc<Discovery>>,
}

impl Look {
    async fn take(&self) {
        self.counters();
        self.peers().await;
        if let Some(archive) = self.node.store().archive().cloned()
            && let Ok(Ok(stats)) = spawn_blocking(move || archive.stats()).await
        {
            self.registry.gauge(STORED, ["stored"]).set(number(stats.messages));
        }
        if let Ok(subscribers) = self.node.filter().subscribers().await {
            self.registry.gauge(SUBSCRIBERS, []).set(count(subscribers.len()));
        }
        if let Some(discovery) = &self.discovery {
            self.discovery(&discovery.counters());
        }
    }

    /// Those that the node keeps itself.
    fn counters(&self) {
        let (counted, registry) = (self.node.metrics(), &self.registry);
        registry.set_own_totals(counted.named());
        for (family, total) in [
            (DIALS, counted.dials_succeeded + counted.dials_failed),
            (BAD_DIALS, counted.dials_failed),
            (GOOD_DIALS, counted.dials_succeeded),
            (BAD_ARRIVALS, counted.connections_refused),
            (VALID, counted.relay_received),
            (INVALID, counted.relay_rejected),
            (IGNORED, counted.relay_ignored),
            (RECEIVED, counted.relay_received),
            (UNPUBLISHED, counted.relay_publish_busy),
            (PX_SENT, counted.peer_exchange_given),
            (QUERIES, counted.store_requests),
        ] {
            registry.counter(family, []).set_total(total);
        }
        registry.counter(NETWORK_BYTES, ["in"]).set_total(counted.stream_bytes_received);
        registry.counter(NETWORK_BYTES, ["out"]).set_total(counted.stream_bytes_sent);
        registry.counter(PUSHES, ["PushRequest"]).set_total(counted.lightpush_requests);
        for (protocol, requests, limited) in [
            (FILTER_SUBSCRIBE, counted.filter_requests, counted.filter_requests_limited),
            (STORE_QUERY, counted.store_requests, counted.store_requests_limited),
            (LIGHTPUSH, counted.lightpush_requests, counted.lightpush_requests_limited),
        ] {
            registry.counter(REQUESTS, [protocol, "served"]).set_total(requests.saturating_sub(limited));
            registry.counter(REQUESTS, [protocol, "rejected"]).set_total(limited);
        }
        for (family, kind, total) in [
            (FILTER_ERRORS, "error_response", counted.filter_requests_refused),
            (FILTER_ERRORS, "decode_rpc_failure", counted.filter_requests_failed),
            (FILTER_ERRORS, "push_failure", counted.filter_pushes_failed),
            (PUSH_ERRORS, "error_response", counted.lightpush_refused),
            (PUSH_ERRORS, "decode_rpc_failure", counted.lightpush_requests_failed),
            (STORE_ERRORS, "error_response", counted.store_refused),
            (STORE_ERRORS, "decode_rpc_failure", counted.store_requests_failed),
            (PX_ERRORS, "decode_error", counted.peer_exchange_invalid),
            (PEER_ERRORS, "metadata_refused", counted.metadata_refused),
            (PEER_ERRORS, "graylisted", counted.peers_graylisted),
        ] {
            registry.counter(family, [kind]).set_total(total);
        }
        registry.counter(ARCHIVE_ERRORS, ["insert_failure"]).set_total(counted.archive_insert_errors);
        let timestamps = counted.archive_refused_timestamp;
        registry.counter(ARCHIVE_ERRORS, ["invalid_message_too_old"]).set_total(timestamps);
    }

    async fn peers(&self) {
        let (list, registry) = (self.node.peers().list(), &self.registry);
        let speaks = |peer: &PeerInfo, protocol: &str| peer.protocols.iter().any(|known| known == protocol);
        let serving = |protocol: &str| list.connected.iter().filter(|peer| speaks(peer, protocol)).count();
        registry.gauge(PEERS, []).set(count(list.connected.len()));
        registry.gauge(KNOWN, []).set(count(list.known));
        registry.gauge(UNIQUE, []).set(count(list.known));
        registry.gauge(LIGHTPUSH_PEERS, []).set(count(serving(LIGHTPUSH)));
        registry.gauge(FILTER_PEERS, []).set(count(serving(FILTER_SUBSCRIBE)));
        registry.gauge(STORE_PEERS, []).set(count(serving(STORE_QUERY)));
        registry.gauge(PX_PEERS, []).set(count(serving(PEER_EXCHANGE)));
        let relay_peers = list.connected.iter().filter(|peer| !peer.topics.is_empty());
        registry.gauge(PUBSUB_PEERS, []).set(count(relay_peers.count()));

        let protocols = [RELAY, FILTER_SUBSCRIBE, STORE_QUERY, LIGHTPUSH, LIGHTPUSH_V2, PEER_EXCHANGE];
        let connections = list.connected.iter().flat_map(|peer| {
            let direction = match peer.direction {
                waku::peers::Direction::Inbound => "In",
                waku::peers::Direction::Outbound => "Out",
            };
            let spoken = protocols.into_iter().filter(move |protocol| speaks(peer, protocol));
            spoken.map(move |protocol| ([direction, protocol], 1.0))
        });
        registry.replace(CONNECTED, connections);
        let shards = list.connected.iter().flat_map(|peer| peer.shards.iter());
        registry.replace(PER_SHARD, shards.map(|shard| ([shard.to_string()], 1.0)));
        let agents = list.connected.iter().map(|peer| peer.agent.as_deref().unwrap_or("unknown"));
        registry.replace(PER_AGENT, agents.map(|agent| ([agent], 1.0)));

        let topics = self.node.relay().watch_topics().borrow().clone();
        registry.gauge(PUBSUB_TOPICS, []).set(count(topics.len()));
        registry.counter(SUBSCRIPTIONS, []).set_total(topics.len() as u64);
        let on = list.connected.iter().map(|peer| peer.topics.intersection(&topics).count()).sum();
        registry.gauge(ON_TOPIC, [ANY_TOPIC]).set(count(on));
        if let Ok(peers) = self.node.relay().peers().await {
            let mesh = peers.iter().map(|peer| peer.mesh.len()).sum();
            registry.gauge(MESH, [ANY_TOPIC]).set(count(mesh));
        }
        let confidence = match &*self.node.watch_reachability().borrow() {
            waku::Reachability::Unknown => "Unknown",
            waku::Reachability::Public(_) => "Reachable",
            waku::Reachability::Private => "NotReachable",
        };
        if confidence != "Unknown" {
            registry.replace(REACHABILITY, [([confidence], 1.0)]);
        }
    }

    fn discovery(&self, counted: &Counters) {
        let registry = &self.registry;
        registry.gauge(ROUTING_TABLE, [""]).set(count(counted.table));
        registry.gauge(ROUTING_TABLE, ["seen"]).set(count(counted.connected));
        let shards = counted.found_per_shard.iter();
        registry.replace(DISCOVERED, shards.map(|(shard, found)| ([shard.to_string()], number(*found))));
        registry.counter(DISCOVERY_BYTES, ["in"]).set_total(counted.bytes_received as u64);
        registry.counter(DISCOVERY_BYTES, ["out"]).set_total(counted.bytes_sent as u64);
        registry.counter(DISCOVERY_ERRORS, ["lookup_failed"]).set_total(counted.lookups_failed);
    }

    /// A summary for people without Prometheus.
    fn log(&self) {
        let (counted, list) = (self.node.metrics(), self.node.peers().list());
        tracing::info!(
            peers = list.connected.len(),
            known = list.known,
            received = counted.relay_received,
            published = counted.relay_published,
            rejected = counted.relay_rejected,
            archived = counted.archive_inserted,
            "figures so far"
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for charts")]
fn number(value: u64) -> f64 {
    value as f64
}

pub(crate) fn count(value: usize) -> f64 {
    number(value as u64)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How often is looked and logged in twenty-five minutes.
    async fn counts(is_logged: bool) -> (usize, usize) {
        let (mut timetable, begin) = (Timetable::new(is_logged), Instant::now());
        let mut counts = (0, 0);
        while begin.elapsed() < Duration::from_secs(25 * 60) {
            match timetable.next().await {
                Due::Look => counts.0 += 1,
                Due::Log => counts.1 += 1,
            }
        }
        counts
    }

    #[tokio::test(start_paused = true)]
    async fn a_summary_is_logged_every_ten_minutes_unless_that_is_switched_off() {
        // `--metrics-logging`
        let (looks, logs) = counts(true).await;
        assert!((740..=760).contains(&looks), "{looks}");
        assert_eq!(logs, 2);
        assert_eq!(counts(false).await.1, 0);
    }
}
