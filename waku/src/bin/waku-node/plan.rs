//! From the command line to what the node is told.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};
use waku::{
    Config, ConnectionLimits, ContentTopic, FilterConfig, Keypair, LightpushConfig, Multiaddr, NodeRecord,
    PeerExchangeConfig, Rate, RateLimit, Shard, Sharding, Tls,
};
use waku_operator::command_line::{self, NWAKU_VERSION, Nat, Options, Origin, Service};
use zeroize::Zeroizing;

use crate::place::Place;
use crate::protected::ProtectedShards;
use crate::rest::{Origins, ServiceNodes, Services, Settings};

/// Where known peers are kept when the command line names no file.
const PEER_STORE: &str = "peers.waku";

/// What is to be run.
pub(crate) struct Plan {
    /// All but the archive, which takes a while to open, and what depends on other parts of the program.
    pub(crate) config: Config,
    /// The key of [`Config::keypair`].
    pub(crate) secret: Zeroizing<[u8; 32]>,
    /// Shards to relay from the start.
    pub(crate) shards: Vec<Shard>,
    /// Content topics whose shards to relay from the start.
    pub(crate) content_topics: Vec<ContentTopic>,
    pub(crate) place: Place,
    pub(crate) rest: Option<(SocketAddr, Settings)>,
    pub(crate) metrics: Option<SocketAddr>,
}

impl Plan {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let (keypair, secret) = identity(options)?;
        let shards = shards(options)?;
        let content_topics = content_topics(options)?;
        if options.relay.enabled && shards.is_empty() && content_topics.is_empty() {
            tracing::warn!(
                "no shard is relayed until a client of the REST API asks for one: give --shard, or \
                 --num-shards-in-network for an autosharded network"
            );
        }
        let mut sharding = sharding(options)?;
        if options.relay.enabled {
            // They are joined one by one, so that clients of the REST API can leave them.
            sharding = sharding.subscribed_to([])?;
        }
        let place = Place::new(options)?;
        let mut config = Config::new(keypair, sharding);
        config.listen_addresses = place.listen_addresses();
        config.tls = tls(options)?;
        if let Some(agent) = &options.identity.agent {
            config.agent.clone_from(agent);
        }
        config.max_rpc_size = usize::try_from(options.relay.max_message_len).unwrap_or(usize::MAX);
        config.relay = options.relay.enabled;
        config.deliver_unsent = true;
        if !options.sharding.protected_shards.is_empty() {
            config.validator = Some(ProtectedShards::new(options).shared());
        }
        peers(options, &mut config)?;
        serve(options, &mut config);
        let rest = options.rest.as_ref().map(|rest| {
            let address = SocketAddr::new(rest.address, rest.port);
            Ok::<_, anyhow::Error>((address, settings(options, rest)?))
        });
        Ok(Self {
            config,
            secret,
            shards,
            content_topics,
            place,
            rest: rest.transpose()?,
            metrics: options.metrics.as_ref().map(|metrics| SocketAddr::new(metrics.address, metrics.port)),
        })
    }
}

fn identity(options: &Options) -> anyhow::Result<(Keypair, Zeroizing<[u8; 32]>)> {
    if let Some(key) = &options.identity.node_key {
        let secret = Zeroizing::new(*key.bytes());
        // The value itself is a secret and is not repeated.
        let keypair = Keypair::from_secret(*secret).context("--nodekey: Invalid private key")?;
        return Ok((keypair, secret));
    }
    loop {
        let mut secret = Zeroizing::new([0; 32]);
        UnwrapErr(SysRng).fill_bytes(&mut *secret);
        // All but a vanishing part of all numbers are keys.
        if let Ok(keypair) = Keypair::from_secret(*secret) {
            return Ok((keypair, secret));
        }
    }
}

fn sharding(options: &Options) -> anyhow::Result<Sharding> {
    let command_line::Sharding { cluster_id, shard_count, shards, .. } = &options.sharding;
    let shards = shards.iter().copied();
    Ok(match *shard_count {
        0 => Sharding::fixed(*cluster_id, shards)?,
        count if options.sharding.shards.is_empty() => Sharding::auto(*cluster_id, count)?,
        count => Sharding::auto(*cluster_id, count)?.subscribed_to(shards)?,
    })
}

/// The shards to be on from the start: those given, or else all of an autosharded network.
fn shards(options: &Options) -> anyhow::Result<Vec<Shard>> {
    Ok(sharding(options)?.subscribed().collect())
}

fn content_topics(options: &Options) -> anyhow::Result<Vec<ContentTopic>> {
    let topics = options.sharding.content_topics.iter();
    topics.map(|topic| topic.parse().with_context(|| format!("--content-topic={topic}"))).collect()
}

fn tls(options: &Options) -> anyhow::Result<Tls> {
    let certificate = options.websocket.as_ref().and_then(|websocket| websocket.certificate.as_ref());
    let Some(certificate) = certificate else { return Ok(Tls::default()) };
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let (chain, key) = (&certificate.chain, &certificate.key);
    let tls = Tls::default().with_certificate(&read(chain)?, &Zeroizing::new(read(key)?));
    tls.with_context(|| format!("{} and {}", chain.display(), key.display()))
}

fn peers(options: &Options, config: &mut Config) -> anyhow::Result<()> {
    let peers = &options.peers;
    for text in &peers.static_nodes {
        match text.parse::<Multiaddr>() {
            Ok(address) if waku::peers::can_dial(&address) => config.static_peers.push(address),
            _ => warn_of("staticnode", text, "it is no address this node can dial"),
        }
    }
    for text in &peers.entry_records {
        match text.parse::<NodeRecord>() {
            Ok(record) => config.static_peers.extend(record.addresses().into_iter().next()),
            Err(error) => warn_of("entry-node", text, error),
        }
    }
    let services = [
        ("storenode", &options.services.store),
        ("filternode", &options.services.filter),
        ("lightpushnode", &options.services.lightpush),
        ("peer-exchange-node", &options.services.peer_exchange),
    ];
    for (flag, text) in services {
        config.service_peers.extend(service_node(flag, text.as_deref())?);
    }
    config.service_peers.dedup();
    config.ask_for_peers = options.services.peer_exchange.is_some();
    config.limits = ConnectionLimits {
        total: peers.max_connections,
        per_ip: peers.max_per_ip.unwrap_or(u32::MAX),
        relay_share: peers.relay_service_ratio.0,
        ..ConnectionLimits::default()
    };
    if let Some(capacity) = peers.store_capacity {
        config.max_known_peers = usize::try_from(capacity).unwrap_or(usize::MAX);
    }
    config.peer_store = match &peers.store {
        Some(path) => Some(path.clone()),
        None => peers.persistent.then(|| PathBuf::from(PEER_STORE)),
    };
    if options.origin("dns-addrs-name-server") != Origin::Default {
        config.name_servers.clone_from(&options.discovery.dns_servers);
    }
    Ok(())
}

/// What is given on the command line and cannot be used, without ending the program.
fn warn_of(flag: &str, text: &str, reason: impl Display) {
    tracing::warn!(value = text, %reason, "--{flag} is left out");
}

fn service_node(flag: &str, text: Option<&str>) -> anyhow::Result<Option<Multiaddr>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let address: Multiaddr = text.parse().with_context(|| format!("--{flag}={text} is no multiaddress"))?;
    if !waku::peers::can_dial(&address) || !text.contains("/p2p/") {
        bail!("--{flag}={text}: it must be an address that can be dialled and ends in /p2p/ and the peer id");
    }
    Ok(Some(address))
}

fn serve(options: &Options, config: &mut Config) {
    if options.filter.is_some() && !options.relay.enabled {
        tracing::warn!("--filter has no effect with --relay=false: there is nothing to push");
    }
    let limit = |service: Service| command_line::RateLimit::of(service, &options.rate_limits);
    config.filter = options.filter.as_ref().filter(|_| options.relay.enabled).map(|filter| {
        let mut config = FilterConfig {
            subscription_timeout: Duration::from_secs(filter.subscription_timeout.into()),
            max_subscribers: usize::try_from(filter.max_peers).unwrap_or(usize::MAX),
            max_criteria: usize::try_from(filter.max_criteria).unwrap_or(usize::MAX),
            ..FilterConfig::default()
        };
        if let Some(limit) = limit(Service::Filter) {
            let each = (!limit.is_unlimited()).then(|| Rate::each(volume(limit.volume), limit.period));
            config.rate_limit = RateLimit { total: None, per_peer: each };
        }
        config
    });
    let shared = |service| limit(service).map(|limit| shared_limit(&limit)).unwrap_or_default();
    config.lightpush = options.lightpush.then(|| LightpushConfig { rate_limit: shared(Service::Lightpush) });
    config.peer_exchange = options
        .discovery
        .peer_exchange
        .then(|| PeerExchangeConfig { rate_limit: shared(Service::PeerExchange) });
}

/// What `--rate-limit` means for a service that all peers share: so much in all, and for one peer three quarters of what
/// would come in a longer time.
pub(crate) fn shared_limit(limit: &command_line::RateLimit) -> RateLimit {
    if limit.is_unlimited() {
        return RateLimit::default();
    }
    let factor: u32 = match limit.period {
        period if period <= Duration::from_secs(1) => 10,
        period if period <= Duration::from_secs(60) => 3,
        _ => 2,
    };
    let per_peer = limit.volume.saturating_mul(factor.into()).saturating_mul(3) / 4;
    RateLimit {
        total: Some(Rate::new(volume(limit.volume), limit.period)),
        per_peer: Some(Rate::each(volume(per_peer.max(1)), limit.period * factor)),
    }
}

fn volume(volume: u64) -> u32 {
    u32::try_from(volume).unwrap_or(u32::MAX)
}

fn settings(options: &Options, rest: &command_line::Rest) -> anyhow::Result<Settings> {
    let services = &options.services;
    Ok(Settings {
        admin: rest.admin,
        origins: Origins::new(rest.allow_origin.iter().cloned()),
        cache_capacity: usize::try_from(rest.relay_cache_capacity).unwrap_or(usize::MAX),
        max_message_len: usize::try_from(options.relay.max_message_len).unwrap_or(usize::MAX),
        version: NWAKU_VERSION.to_owned(),
        discovers: options.discovery.discv5.is_some(),
        services: Services {
            relay: options.relay.enabled,
            filter: options.filter.is_some() && options.relay.enabled,
            lightpush: options.lightpush,
            peer_exchange: options.discovery.peer_exchange,
        },
        service_nodes: ServiceNodes {
            store: service_node("storenode", services.store.as_deref())?,
            filter: service_node("filternode", services.filter.as_deref())?,
            lightpush: service_node("lightpushnode", services.lightpush.as_deref())?,
        },
    })
}

/// The address of `--nat`, where it gives one.
pub(crate) fn external_ip(options: &Options) -> Option<IpAddr> {
    match options.addresses.nat {
        Nat::Known(ip) => Some(ip),
        Nat::Any | Nat::None => None,
    }
}

/// What these words say.
#[cfg(test)]
pub(crate) fn options(words: &[&str]) -> Box<Options> {
    use waku_operator::command_line::{Asked, Sources, parse};
    let sources = Sources::new("waku-node", words.iter().copied(), [("", ""); 0]);
    let asked = parse(&sources, |_| Err(std::io::ErrorKind::NotFound.into()));
    let Asked::Run { options, .. } = asked.unwrap() else { panic!("{words:?} asks for something else") };
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(words: &[&str]) -> Config {
        Plan::new(&options(words)).unwrap().config
    }

    #[test]
    fn connections_are_limited_as_the_command_line_says() {
        let limits = |words: &[&str]| config(words).limits;
        assert_eq!(limits(&[]), ConnectionLimits { total: 150, per_ip: 5, relay_share: 50, per_peer: 2 });
        let words = ["--max-connections=7", "--ip-colocation-limit=3", "--relay-service-ratio=70:30"];
        let expected = ConnectionLimits { total: 7, per_ip: 3, relay_share: 70, ..limits(&[]) };
        assert_eq!(limits(&words), expected);
        // Any number.
        assert_eq!(limits(&["--ip-colocation-limit=0"]).per_ip, u32::MAX);
    }

    #[test]
    fn a_limit_for_all_services_is_each_one_s_that_has_none_of_its_own() {
        let words = ["--filter", "--lightpush", "--rate-limit=5/1m", "--rate-limit=lightpush:0/1m"];
        let config = config(&words);
        let filter = config.filter.unwrap().rate_limit;
        assert_eq!(filter.per_peer, Some(Rate::each(5, Duration::from_secs(60))));
        assert_eq!(config.lightpush.unwrap().rate_limit, RateLimit::default());
        let exchange = config.peer_exchange.unwrap().rate_limit;
        assert_eq!(exchange.total, Some(Rate::new(5, Duration::from_secs(60))));
    }
}
