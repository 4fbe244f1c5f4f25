//! From values to options that go together.

use super::nat;
use super::options::{
    Addresses, Certificate, Discovery, Discv5, Filter, Identity, Log, LogFormat, LogLevel, Metrics, Options,
    Peers, Relay, Rest, Services, Sharding, Store, WebSocket,
};
use super::preset::{self, Preset};
use super::problem::Problem;
use super::quantity;
use super::rate_limit;
use super::values::Values;

/// Makes options of values.
///
/// # Errors
/// They do not go together, or ask for what is not built.
pub(super) fn options(mut values: Values, warnings: &mut Vec<String>) -> Result<Options, Problem> {
    let options = take(&mut values, warnings)?;
    if options.lightpush && !options.relay.enabled {
        return Err(Problem::LightpushWithoutRelay);
    }
    Ok(options)
}

fn take(values: &mut Values, warnings: &mut Vec<String>) -> Result<Options, Problem> {
    if let Some((flag, advice)) = values.not_built().next() {
        return Err(Problem::NotBuilt { what: format!("--{}", flag.name), advice });
    }
    if let Some(key) = values.secret("mixkey")
        && (key.len() != 64 || !key.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        return Err(Problem::MixKey);
    }
    let preset = preset::apply(values, warnings)?;
    let origins = values.origins().clone();
    let shift = values.number("ports-shift");
    let entry = Entry::sort(values.texts("entry-node"))?;
    Ok(Options {
        identity: Identity { node_key: values.node_key("nodekey"), agent: values.filled("agent-string") },
        sharding: sharding(values, preset)?,
        addresses: addresses(values, shift)?,
        websocket: websocket(values, shift)?,
        quic_port: port(values, "quic-support", "quic-port", shift)?,
        peers: peers(values, &entry)?,
        discovery: discovery(values, shift, entry)?,
        relay: Relay {
            enabled: values.bool("relay"),
            max_message_len: quantity::bytes(&text_or(values, "max-msg-size", "150KiB"))?,
        },
        store: store(values)?,
        store_resume: values.bool("store-resume"),
        filter: filter(values),
        lightpush: values.bool("lightpush"),
        services: Services {
            store: values.filled("storenode"),
            filter: values.filled("filternode"),
            lightpush: values.filled("lightpushnode"),
            peer_exchange: values.filled("peer-exchange-node"),
        },
        rate_limits: values
            .texts("rate-limit")
            .iter()
            .map(|text| rate_limit::read(text))
            .collect::<Result<_, _>>()?,
        rest: rest(values, shift)?,
        metrics: port(values, "metrics-server", "metrics-server-port", shift)?
            .map(|port| Metrics { address: values.ip("metrics-server-address"), port }),
        metrics_logging: values.bool("metrics-logging"),
        log: log(values),
        origins,
    })
}

/// Entry nodes by what they are.
#[derive(Default)]
struct Entry {
    lists: Vec<String>,
    records: Vec<String>,
    addresses: Vec<String>,
}

impl Entry {
    fn sort(nodes: Vec<String>) -> Result<Self, Problem> {
        let mut entry = Self::default();
        for node in nodes {
            let begins = |prefix: &str| {
                node.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            };
            if node.is_empty() {
                return Err(Problem::EntryNode("Empty entry node address"));
            } else if begins("enrtree:") {
                entry.lists.push(node);
            } else if begins("enr:") {
                entry.records.push(node);
            } else if begins("/") {
                entry.addresses.push(node);
            } else {
                let wrong = "Unrecognized entry node format. Must start with 'enrtree:', 'enr:', or '/'";
                return Err(Problem::EntryNode(wrong));
            }
        }
        Ok(entry)
    }
}

fn sharding(values: &mut Values, preset: Option<Preset>) -> Result<Sharding, Problem> {
    let sharding = Sharding {
        preset,
        cluster_id: values.number("cluster-id"),
        shard_count: values.number("num-shards-in-network"),
        shards: values.numbers("shard"),
        content_topics: values.texts("content-topic"),
        protected_shards: values.protected_shards("protected-shard"),
    };
    let count = sharding.shard_count;
    if count == 0 {
        return if sharding.content_topics.is_empty() { Ok(sharding) } else { Err(Problem::ContentTopic) };
    }
    match sharding.shards.iter().find(|shard| **shard >= count) {
        Some(&shard) => Err(Problem::Shard { shard, count }),
        None => Ok(sharding),
    }
}

fn addresses(values: &mut Values, shift: u16) -> Result<Addresses, Problem> {
    Ok(Addresses {
        listen_address: values.ip("listen-address"),
        tcp_port: shifted(values, "tcp-port", shift)?,
        nat: nat::read(&values.text("nat").unwrap_or_default())?,
        external: values.texts("ext-multiaddr"),
        only_external: values.bool("ext-multiaddr-only"),
        dns4_domain_name: values.filled("dns4-domain-name"),
    })
}

fn websocket(values: &mut Values, shift: u16) -> Result<Option<WebSocket>, Problem> {
    let secure = values.bool("websocket-secure-support");
    let (key, chain) =
        (values.filled("websocket-secure-key-path"), values.filled("websocket-secure-cert-path"));
    if !values.bool("websocket-support") && !secure {
        return Ok(None);
    }
    let certificate = if secure {
        let key = key.ok_or(Problem::NoKeyPath)?.into();
        Some(Certificate { key, chain: chain.ok_or(Problem::NoCertificatePath)?.into() })
    } else {
        None
    };
    Ok(Some(WebSocket { port: shifted(values, "websocket-port", shift)?, certificate }))
}

fn peers(values: &mut Values, entry: &Entry) -> Result<Peers, Problem> {
    let mut static_nodes = values.texts("staticnode");
    static_nodes.extend_from_slice(&entry.addresses);
    let max_connections = values.number("max-connections");
    if max_connections == 0 {
        return Err(Problem::NoConnections);
    }
    Ok(Peers {
        static_nodes,
        entry_records: entry.records.clone(),
        max_connections,
        relay_service_ratio: quantity::shares(&text_or(values, "relay-service-ratio", "50:50"))?,
        max_per_ip: Some(values.number("ip-colocation-limit")).filter(|limit| *limit > 0),
        store_capacity: values.optional("peer-store-capacity"),
        persistent: values.bool("peer-persistence"),
        store: values.filled("peer-store").map(Into::into),
    })
}

fn discovery(values: &mut Values, shift: u16, entry: Entry) -> Result<Discovery, Problem> {
    let port = port(values, "discv5-discovery", "discv5-udp-port", shift)?;
    let auto_update = values.bool("discv5-enr-auto-update");
    let table_ip_limit = values.number("discv5-table-ip-limit");
    let bucket_ip_limit = values.number("discv5-bucket-ip-limit");
    let mut bootstrap_records = values.texts("discv5-bootstrap-node");
    bootstrap_records.extend(entry.records);
    let mut dns_lists = entry.lists;
    dns_lists.extend(values.filled("dns-discovery-url"));
    Ok(Discovery {
        discv5: port.map(|port| Discv5 { port, auto_update, table_ip_limit, bucket_ip_limit }),
        bootstrap_records,
        dns_lists,
        dns_servers: values.ips("dns-addrs-name-server"),
        peer_exchange: values.bool("peer-exchange"),
    })
}

fn store(values: &mut Values) -> Result<Option<Store>, Problem> {
    let store = Store {
        db_url: values.text("store-message-db-url"),
        retention_policy: values.text("store-message-retention-policy").unwrap_or_default(),
        vacuum: values.bool("store-message-db-vacuum"),
    };
    if !values.bool("store") {
        return Ok(None);
    }
    match store.db_url.as_deref().map(|url| (url, url.split_once("://"))) {
        None | Some((_, Some(("redb" | "sqlite" | "memory", _)))) => Ok(Some(store)),
        Some(("", _)) => Err(Problem::NoDatabase),
        Some((_, Some(("postgres" | "postgresql", _)))) => Err(Problem::NotBuilt {
            what: "PostgreSQL, which --store-message-db-url names,".to_owned(),
            advice: "use redb://FILE, sqlite://FILE or memory://",
        }),
        Some(_) => Err(Problem::DatabaseUrl),
    }
}

fn filter(values: &mut Values) -> Option<Filter> {
    let filter = Filter {
        subscription_timeout: values.number("filter-subscription-timeout"),
        max_peers: values.number("filter-max-peers-to-serve"),
        max_criteria: values.number("filter-max-criteria"),
    };
    values.bool("filter").then_some(filter)
}

fn rest(values: &mut Values, shift: u16) -> Result<Option<Rest>, Problem> {
    let port = port(values, "rest", "rest-port", shift)?;
    let address = values.ip("rest-address");
    let relay_cache_capacity = values.number("rest-relay-cache-capacity");
    let admin = values.bool("rest-admin");
    let allow_origin = values.texts("rest-allow-origin");
    Ok(port.map(|port| Rest { address, port, relay_cache_capacity, admin, allow_origin }))
}

fn log(values: &mut Values) -> Log {
    let level = match values.choice("log-level") {
        Some("TRACE") => LogLevel::Trace,
        Some("DEBUG") => LogLevel::Debug,
        Some("NOTICE") => LogLevel::Notice,
        Some("WARN") => LogLevel::Warn,
        Some("ERROR") => LogLevel::Error,
        Some("FATAL") => LogLevel::Fatal,
        Some("NONE") => LogLevel::None,
        _ => LogLevel::Info,
    };
    let format = if values.choice("log-format") == Some("JSON") { LogFormat::Json } else { LogFormat::Text };
    Log { level, format }
}

/// The port of what is on.
fn port(values: &mut Values, switch: &str, name: &'static str, shift: u16) -> Result<Option<u16>, Problem> {
    if values.bool(switch) { shifted(values, name, shift).map(Some) } else { Ok(None) }
}

fn shifted(values: &mut Values, flag: &'static str, shift: u16) -> Result<u16, Problem> {
    let port: u16 = values.number(flag);
    port.checked_add(shift).ok_or(Problem::PortsShift { flag, port, shift })
}

/// A text of which nwaku takes an empty one for the default.
fn text_or(values: &mut Values, name: &str, default: &str) -> String {
    values.filled(name).unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::table::{Status, find};
    use super::super::value::Value;
    use super::super::values::{Given, Origin};
    use super::*;

    #[test]
    fn every_flag_that_works_becomes_an_option() {
        let mut on = Given::default();
        for name in ["rest", "metrics-server", "discv5-discovery", "quic-support", "websocket-support"] {
            on.push(find(name).unwrap(), Value::Bool(true));
        }
        let (file, environment) = ((Origin::File, Given::default()), (Origin::Environment, Given::default()));
        let mut values = Values::merge([file, environment, (Origin::CommandLine, on)], &mut Vec::new());
        take(&mut values, &mut Vec::new()).unwrap();
        let works = |name: &&str| find(name).unwrap().status == Status::Works && *name != "config-file";
        assert_eq!(values.left().into_iter().filter(works).collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
