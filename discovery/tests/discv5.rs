//! Nodes of the discovery network, over loopback sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;
use waku_discovery::discv5::{
    BootstrapError, Config, Counters, Discovery, Ended, Found, StartError, UpdateError,
};
use waku_discovery::{Bytes, Capabilities, Fields, Record, RelayShards};

const CLUSTER: u16 = 16;

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn on(shards: &[u16]) -> Fields {
    on_cluster(CLUSTER, shards)
}

fn on_cluster(cluster: u16, shards: &[u16]) -> Fields {
    Fields {
        ip4: Some([127, 0, 0, 1].into()),
        shards: RelayShards::new(cluster, shards.iter().copied()).ok(),
        capabilities: Capabilities::RELAY,
        ..Fields::default()
    }
}

fn config(secret: u8, fields: Fields, bootstrap: &[&Discovery]) -> Config {
    Config {
        bootstrap: bootstrap.iter().map(|node| node.local_record().record.to_string()).collect(),
        fields,
        interval: Duration::from_millis(50),
        // All of them have one address.
        limit_ips: false,
        ..Config::new([secret; 32], loopback())
    }
}

async fn start(secret: u8, fields: Fields, bootstrap: &[&Discovery]) -> (Discovery, Found) {
    Discovery::start(config(secret, fields, bootstrap)).await.unwrap()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), what).await.unwrap()
}

fn id(node: &Discovery) -> [u8; 32] {
    node.local_record().record.node_id()
}

/// Reads what is found until all of these nodes were among it.
async fn find_all(found: &mut Found, nodes: &[&Discovery]) {
    let mut missing: BTreeSet<_> = nodes.iter().map(|node| id(node)).collect();
    while !missing.is_empty() {
        missing.remove(&soon(found.recv()).await.unwrap().node_id());
    }
}

/// Looks around until the counters say what they should.
async fn look_until(node: &Discovery, holds: impl Fn(&Counters) -> bool) {
    soon(async {
        while !holds(&node.counters()) {
            node.lookup_now().await.unwrap();
        }
    })
    .await;
}

/// What was found and not read yet, once the node has ended.
async fn rest(node: Discovery, mut found: Found) -> Vec<Record> {
    node.shutdown().await;
    let mut records = Vec::new();
    while let Some(record) = found.recv().await {
        records.push(record);
    }
    records
}

#[tokio::test]
async fn two_nodes_find_each_other() {
    let (one, mut found_by_one) = start(1, on(&[1]), &[]).await;
    let (two, mut found_by_two) = start(2, on(&[1]), &[&one]).await;
    assert_eq!(soon(found_by_two.recv()).await, Some(one.local_record().record));
    assert_eq!(soon(found_by_one.recv()).await, Some(two.local_record().record));
    let counters = two.counters();
    assert_eq!((counters.found, counters.dropped, counters.table), (1, 0, 1));
    assert_eq!(counters.found_per_shard, [(1, 1)].into());
}

#[tokio::test]
async fn five_nodes_find_each_other_through_one() {
    let (first, found_by_first) = start(1, on(&[1]), &[]).await;
    let (mut nodes, mut found) = (vec![first], vec![found_by_first]);
    for secret in 2..=5 {
        let (node, found_by_node) = start(secret, on(&[1]), &[&nodes[0]]).await;
        nodes.push(node);
        found.push(found_by_node);
    }
    for (at, found) in found.iter_mut().enumerate() {
        let others: Vec<_> =
            nodes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, node)| node).collect();
        find_all(found, &others).await;
    }
}

#[tokio::test]
async fn a_node_is_handed_over_once() {
    let (one, _) = start(1, on(&[1]), &[]).await;
    let (two, found) = start(2, on(&[1]), &[&one]).await;
    look_until(&two, |counters| counters.repeated > 3).await;
    assert_eq!(rest(two, found).await.len(), 1);
}

#[tokio::test]
async fn nodes_of_other_shards_and_clusters_and_idle_ones_are_not_handed_over() {
    let (bootstrap, _) = start(1, on(&[1, 2]), &[]).await;
    let (_other_shard, _found1) = start(2, on(&[2]), &[&bootstrap]).await;
    let (_other_cluster, _found2) = start(3, on_cluster(CLUSTER + 1, &[1]), &[&bootstrap]).await;
    let idle = Fields { capabilities: Capabilities(0), ..on(&[1]) };
    let (_idle, _found3) = start(4, idle, &[&bootstrap]).await;
    look_until(&bootstrap, |counters| counters.table == 3).await;

    let (node, found) = start(5, on(&[1]), &[&bootstrap]).await;
    look_until(&node, |counters| counters.table == 4 && counters.unwanted >= 3).await;
    let found: Vec<_> = rest(node, found).await.iter().map(Record::node_id).collect();
    assert_eq!(found, [id(&bootstrap)]);
}

#[tokio::test]
async fn a_bootstrap_node_is_handed_over_whatever_its_shards() {
    let (bootstrap, _) = start(1, on(&[7]), &[]).await;
    let (_node, mut found) = start(2, on(&[1]), &[&bootstrap]).await;
    assert_eq!(soon(found.recv()).await, Some(bootstrap.local_record().record));
}

#[tokio::test]
async fn a_change_of_shards_reaches_those_who_know_the_node() {
    let (one, _) = start(1, on(&[1]), &[]).await;
    let (two, mut found) = start(2, on(&[1, 2]), &[&one]).await;
    let before = soon(found.recv()).await.unwrap();
    // Only whom it knows a node can tell.
    look_until(&one, |counters| counters.connected == 1).await;

    let mut watch = one.watch_record();
    let said = one.update(on(&[2])).unwrap();
    assert_eq!(said.record.seq(), before.seq() + 1);
    assert!(watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), said);
    let after = soon(found.recv()).await.unwrap();
    assert_eq!(after, said.record);
    assert_eq!(after.shards(), RelayShards::new(CLUSTER, [2]).ok());
    drop(two);
}

#[tokio::test]
async fn after_a_change_of_shards_others_are_looked_for() {
    let (bootstrap, _) = start(1, on(&[1, 2]), &[]).await;
    let (other, _found) = start(2, on(&[2]), &[&bootstrap]).await;
    let (node, mut found) = start(3, on(&[1]), &[&bootstrap]).await;
    look_until(&node, |counters| counters.unwanted > 0).await;
    node.update(on(&[2])).unwrap();
    find_all(&mut found, &[&other]).await;
}

#[tokio::test]
async fn saying_the_same_again_changes_nothing_and_what_does_not_fit_neither() {
    let (node, _) = Discovery::start(Config { seq: Some(41), ..config(1, on(&[1]), &[]) }).await.unwrap();
    let first = node.local_record();
    assert_eq!(first.record.seq(), 41);
    assert_eq!(node.update(on(&[1])), Ok(first.clone()));

    let address = Bytes::from(vec![7; 120]);
    let full = Fields { multiaddrs: vec![address.clone(), address.clone()], ..on(&[1]) };
    let said = node.update(full).unwrap();
    assert_eq!((said.record.seq(), said.left_out), (42, vec![address]));

    let every: Vec<_> = (0..1024).collect();
    let too_long =
        Fields { ip6: Some("::1".parse().unwrap()), tcp6: Some(60000), tcp4: Some(60000), ..on(&every) };
    assert!(matches!(node.update(too_long), Err(UpdateError::Fields(_))));
    assert_eq!(node.local_record().record, said.record);
}

#[tokio::test]
async fn an_address_that_others_see_is_taken_over_when_that_is_wanted() {
    let (first, _) = start(1, on(&[1]), &[]).await;
    let mut nodes = Vec::new();
    for secret in 2..=6 {
        nodes.push(start(secret, on(&[1]), &[&first]).await);
    }
    look_until(&first, |counters| counters.table == 5).await;

    let without = Fields { ip4: None, ..on(&[1]) };
    let wants =
        Config { enr_auto_update: true, enr_auto_update_votes: 2, ..config(7, without.clone(), &[&first]) };
    let (node, _found) = Discovery::start(wants).await.unwrap();
    let before = node.local_record().record;
    let mut watch = node.watch_record();
    let seen =
        soon(watch.wait_for(|local| local.record.udp() == Some(node.local_addr()))).await.unwrap().clone();
    assert!(seen.record.seq() > before.seq());
    assert_eq!(before.udp(), None);
    // It stays when something else is said.
    let said = node.update(Fields { shards: RelayShards::new(CLUSTER, [2]).ok(), ..without }).unwrap();
    assert_eq!((said.record.udp(), said.record.seq()), (Some(node.local_addr()), seen.record.seq() + 1));
}

#[tokio::test]
async fn the_first_number_of_a_record_is_the_time_so_that_a_restart_does_not_go_back() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let before = now();
    let (node, _) = start(1, on(&[1]), &[]).await;
    assert!((before..=now()).contains(&node.local_record().record.seq().into()));
}

#[tokio::test]
async fn a_node_of_plain_discv5_is_not_spoken_to() {
    let (ours, _found) = start(1, on(&[1]), &[]).await;
    let plain = Config { protocol_id: *b"discv5", ..config(2, on(&[1]), &[&ours]) };
    let (theirs, found) = Discovery::start(plain).await.unwrap();
    assert_eq!(soon(theirs.lookup_now()).await, Ok(0));
    assert_eq!((theirs.counters().sessions_established, ours.counters().sessions_established), (0, 0));
    assert_eq!((theirs.counters().connected, ours.counters().table), (0, 0));
    assert_eq!(rest(theirs, found).await, []);
}

#[tokio::test]
async fn bootstrap_nodes_that_are_none_are_passed_over() {
    let (one, _) = start(1, on(&[1]), &[]).await;
    let mut config = config(2, on(&[1]), &[&one]);
    let without_address = start(3, Fields { ip4: None, ..on(&[1]) }, &[]).await.0.local_record().record;
    let useless = ["nonsense", "", "enr:AAAA", "/ip4/127.0.0.1/udp/9000"].map(str::to_owned);
    config.bootstrap.splice(0..0, useless);
    config.bootstrap.push(without_address.to_string());
    let (two, mut found) = Discovery::start(config).await.unwrap();
    assert_eq!(two.counters().bootstrap_invalid, 5);
    assert_eq!(soon(found.recv()).await, Some(one.local_record().record));
}

#[tokio::test]
async fn a_bootstrap_node_can_be_added_later() {
    let (one, _) = start(1, on(&[1]), &[]).await;
    let (two, mut found) = start(2, on(&[1]), &[]).await;
    assert_eq!(soon(two.lookup_now()).await, Ok(0));
    assert_eq!(two.add_bootstrap(&two.local_record().record), Err(BootstrapError::Oneself));
    two.add_bootstrap(&one.local_record().record).unwrap();
    assert_eq!(soon(found.recv()).await, Some(one.local_record().record));
}

#[tokio::test]
async fn records_that_nobody_reads_are_dropped_and_counted() {
    let (one, _) = start(1, on(&[1]), &[]).await;
    let (_two, _found) = start(2, on(&[1]), &[&one]).await;
    let (three, found) = Discovery::start(Config { queue: 1, ..config(3, on(&[1]), &[&one]) }).await.unwrap();
    look_until(&three, |counters| counters.dropped > 0).await;
    assert_eq!(three.counters().found, 1);
    assert_eq!(rest(three, found).await.len(), 1);
}

#[tokio::test]
async fn a_port_in_use_is_said_to_be() {
    let taken = UdpSocket::bind(loopback()).unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Discovery::start(Config::new([1; 32], listen)).await.unwrap_err();
    assert!(matches!(error, StartError::PortTaken { address } if address == listen), "{error}");
    assert!(error.to_string().contains(&listen.port().to_string()));
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let error = Discovery::start(Config::new([0; 32], loopback())).await.unwrap_err();
    assert!(matches!(error, StartError::Key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_shut_down_has_left_its_port() {
    // Many times: a port that is left a little later would be found free now and then.
    for _ in 0..50 {
        let (node, _found) = start(1, on(&[1]), &[]).await;
        soon(node.shutdown()).await;
        UdpSocket::bind(node.local_addr()).unwrap();
    }
}

#[tokio::test]
async fn a_node_that_was_shut_down_says_so() {
    let (one, mut found) = start(1, on(&[1]), &[]).await;
    let (_two, _) = start(2, on(&[1]), &[&one]).await;
    let _ = soon(found.recv()).await.unwrap();
    soon(one.shutdown()).await;
    soon(one.shutdown()).await;
    assert_eq!(soon(found.recv()).await, None);
    assert_eq!(one.update(on(&[2])), Err(UpdateError::Ended));
    assert_eq!(one.lookup_now().await, Err(Ended));
    assert_eq!(one.counters().table, 0);
}

#[tokio::test]
async fn a_node_that_is_dropped_ends() {
    let (one, mut found) = start(1, on(&[1]), &[]).await;
    drop(one);
    assert_eq!(soon(found.recv()).await, None);
}

#[tokio::test]
async fn nodes_find_each_other_over_ipv6() {
    let fields = || Fields { ip4: None, ip6: Some("::1".parse().unwrap()), ..on(&[1]) };
    let listen = "[::1]:0".parse().unwrap();
    let config = |secret, bootstrap: &[&Discovery]| Config { listen, ..config(secret, fields(), bootstrap) };
    // Not every machine has IPv6.
    if UdpSocket::bind(listen).is_err() {
        return;
    }
    let (one, _) = Discovery::start(config(1, &[])).await.unwrap();
    let (_two, mut found) = Discovery::start(config(2, &[&one])).await.unwrap();
    assert_eq!(soon(found.recv()).await, Some(one.local_record().record));
}
