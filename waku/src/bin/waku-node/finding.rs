//! Other nodes, found through lists in DNS and Node Discovery v5.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use waku::peers::{NewPeer, PeerOrigin};
use waku::{Capabilities, Fields, Node};
use waku_discovery::discv5::{self, Discovery, Found};
use waku_discovery::dns::{Client, TreeUrl};
use waku_discovery::{Record, dns};
use waku_operator::command_line::{Discv5, Options, Origin};
use waku_operator::metrics::{CounterFamily, GaugeFamily, Registry};
use zeroize::Zeroizing;

use crate::figures;

const IN_DNS: GaugeFamily<0> = GaugeFamily::named("waku_dnsdisc_discovered");
const DNS_ERRORS: CounterFamily<1> = CounterFamily::named("waku_dnsdisc_errors");

/// How often a list that could not be read is tried again, and how often one that was is read anew.
const RETRY: Duration = Duration::from_secs(60);
const REFRESH: Duration = Duration::from_secs(30 * 60);

/// Starts Node Discovery v5, if it is on. What it finds is passed on by [`follow`].
pub(crate) async fn start(
    options: &Options,
    secret: &Zeroizing<[u8; 32]>,
    (seq, fields): (u64, Fields),
) -> anyhow::Result<Option<(Discovery, Found)>> {
    let Some(discv5) = &options.discovery.discv5 else { return Ok(None) };
    let config = discv5::Config { fields, seq: Some(seq), ..config(options, discv5, secret) };
    let started = Discovery::start(config).await.context("discovery cannot start")?;
    tracing::info!(address = %started.0.local_addr(), "discovery started");
    Ok(Some(started))
}

/// What the command line says of it.
fn config(options: &Options, discv5: &Discv5, secret: &Zeroizing<[u8; 32]>) -> discv5::Config {
    let listen = SocketAddr::new(options.addresses.listen_address, discv5.port);
    discv5::Config {
        bootstrap: options.discovery.bootstrap_records.clone(),
        enr_auto_update: discv5.auto_update,
        // The library knows nwaku's limits and none.
        limit_ips: discv5.table_ip_limit <= 10 && discv5.bucket_ip_limit <= 2,
        ..discv5::Config::new(**secret, listen)
    }
}

/// Tells the node of what discovery finds, as long as both run.
pub(crate) async fn follow(node: Node, mut found: Found) {
    while let Some(record) = found.recv().await {
        if learn(&node, [record], PeerOrigin::Discv5).await.is_none() {
            return;
        }
    }
}

/// Reads lists in DNS, and reads them again from time to time, as long as the node runs.
pub(crate) async fn read_lists(node: Node, options: ListOptions, registry: Arc<Registry>) {
    let client = match Client::new(options.config) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "lists of nodes in DNS cannot be read");
            return;
        }
    };
    let cluster = node.sharding().cluster();
    let is_wanted = |record: &Record| {
        record.capabilities() != Capabilities::default()
            && record.shards().is_none_or(|shards| shards.cluster() == cluster)
    };
    loop {
        let mut pause = REFRESH;
        for list in &options.lists {
            match client.lookup(list, is_wanted).await {
                Ok(found) => {
                    let count = found.records.len();
                    tracing::info!(%list, count, "nodes found in DNS");
                    registry.gauge(IN_DNS, []).set(figures::count(count));
                    if learn(&node, found.records, PeerOrigin::Dns).await.is_none() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%list, %error, "a list of nodes in DNS could not be read");
                    registry.counter(DNS_ERRORS, ["lookup_failed"]).increment();
                    pause = RETRY;
                }
            }
        }
        sleep(pause).await;
    }
}

/// Which lists, and who is asked for them.
pub(crate) struct ListOptions {
    lists: Vec<TreeUrl>,
    config: dns::Config,
}

impl ListOptions {
    /// `None` when there are no lists. One that is no list is left out with a warning.
    pub(crate) fn new(options: &Options) -> Option<Self> {
        let mut lists = Vec::new();
        for text in &options.discovery.dns_lists {
            match text.parse::<TreeUrl>() {
                Ok(list) => lists.push(list),
                Err(error) => tracing::warn!(list = text, %error, "no list of nodes in DNS; it is left out"),
            }
        }
        let mut config = dns::Config::default();
        if options.origin("dns-addrs-name-server") != Origin::Default {
            config = config.with_name_servers(options.discovery.dns_servers.iter().copied());
        }
        (!lists.is_empty()).then_some(Self { lists, config })
    }
}

/// Tells the node of these nodes; `None` when it has stopped.
async fn learn(node: &Node, records: impl IntoIterator<Item = Record>, origin: PeerOrigin) -> Option<usize> {
    let peers = records.into_iter().map(|record| NewPeer::from_record(&record.into(), origin));
    node.peers().add(peers).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::options;

    /// Whether addresses are taken over, and whether those of one network are limited.
    fn settings(words: &[&str]) -> (bool, bool) {
        let options = options(&[&["--discv5-discovery"][..], words].concat());
        let discv5 = options.discovery.discv5.as_ref().unwrap();
        let config = config(&options, discv5, &Zeroizing::new([1; 32]));
        (config.enr_auto_update, config.limit_ips)
    }

    #[test]
    fn discovery_is_told_what_the_command_line_says() {
        assert_eq!(settings(&[]), (false, true));
        assert_eq!(settings(&["--discv5-enr-auto-update"]), (true, true));
        assert_eq!(settings(&["--discv5-table-ip-limit=11"]), (false, false));
        assert_eq!(settings(&["--discv5-bucket-ip-limit=3"]), (false, false));
        assert_eq!(settings(&["--discv5-table-ip-limit=10", "--discv5-bucket-ip-limit=2"]), (false, true));
    }
}
