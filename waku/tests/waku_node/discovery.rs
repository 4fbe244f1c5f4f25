//! Nodes that find each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::rdata::{SOA, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record as DnsRecord, RecordSet, RrKey};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use k256::ecdsa::SigningKey;
use tokio::net::{TcpListener, UdpSocket};
use waku::NodeRecord;
use waku_discovery::Record;
use waku_discovery::dns::{Content, Tree};

use crate::network::{message, topic};
use crate::process::{Process, until};

/// Its node record, as text.
fn record(node: &Process) -> String {
    node.get("/info").json()["enrUri"].as_str().unwrap().to_owned()
}

#[test]
fn two_nodes_find_each_other_by_discv5_and_relay() {
    let a = Process::start(&["--shard=0", "--discv5-discovery"]);
    let bootstrap = format!("--discv5-bootstrap-node={}", record(&a));
    let b = Process::start(&["--shard=0", "--discv5-discovery", &bootstrap]);
    // A third one that only knows the second.
    let bootstrap = format!("--discv5-bootstrap-node={}", record(&b));
    let c = Process::start(&["--shard=0", "--discv5-discovery", &bootstrap]);
    assert_eq!(a.meets(&b)["shards"].to_string(), "[0]");
    c.meets(&a);
    c.meshes(0, 1);
    let origins: Vec<_> = b
        .get("/admin/v1/peers")
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["origin"].clone())
        .collect();
    assert!(origins.iter().any(|origin| origin == "Discv5"), "{origins:?}");
    a.meshes(0, 1);
    a.publish(0, &message(b"found", "/a/1/b/proto"));
    c.receives(0, b"found");
}

#[test]
fn nodes_are_not_found_where_discovery_is_off() {
    let a = Process::start(&["--shard=0"]);
    assert_eq!(record(&a).parse::<NodeRecord>().unwrap().udp4(), None);
    assert!(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, a.discovery)).is_ok());
    let b = Process::start(&["--shard=0", "--discv5-discovery"]);
    assert!(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, b.discovery)).is_err());
}

#[test]
fn the_record_changes_with_the_shards() {
    for flags in [&["--shard=0"][..], &["--shard=0", "--discv5-discovery"]] {
        let node = Process::start(flags);
        let first = record(&node);
        let shards = |text: &str| {
            let record: NodeRecord = text.parse().unwrap();
            (record.seq(), record.shards().unwrap().shards().map(waku::Shard::index).collect::<Vec<_>>())
        };
        assert_eq!(shards(&first).1, [0]);
        let body = format!("[\"{}\"]", topic(5));
        assert_eq!(node.post("/relay/v1/subscriptions", &body).status, 200);
        let second = until("the record is another", || Some(record(&node)).filter(|now| *now != first));
        assert_eq!(shards(&second).1, [0, 5]);
        assert!(shards(&second).0 > shards(&first).0);
        assert_eq!(node.send("DELETE", "/relay/v1/subscriptions", &body).status, 200);
        let third = until("the record is another", || Some(record(&node)).filter(|now| *now != second));
        assert_eq!(shards(&third).1, [0]);
    }
}

#[test]
fn the_record_is_newer_after_a_restart() {
    let key = format!("--nodekey={:064x}", 9);
    let seqs: Vec<u64> =
        (0..2).map(|_| record(&Process::start(&[&key])).parse::<NodeRecord>().unwrap().seq()).collect();
    assert!(seqs[0] < seqs[1], "{seqs:?}");
}

/// An address of our own, so that port 53 of the machine stays as it is.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 7, 7, 7);

/// A name server for the list `nodes.example`, as long as it is kept.
async fn name_server(list: &Tree) -> Server<Catalog> {
    let origin = Name::from_ascii("example.").unwrap();
    let soa = SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, 0);
    let mut sets = std::collections::BTreeMap::new();
    let mut add = |name: Name, data: RData| {
        let record = DnsRecord::from_rdata(name.clone(), 0, data);
        sets.insert(RrKey::new(LowerName::from(name), record.record_type()), RecordSet::from(record));
    };
    add(origin.clone(), RData::SOA(soa));
    for (name, text) in list.entries() {
        let pieces = text.as_bytes().chunks(255).collect();
        add(Name::from_ascii(format!("{name}.")).unwrap(), RData::TXT(TXT::from_bytes(pieces)));
    }
    let zone: InMemoryZoneHandler =
        InMemoryZoneHandler::new(origin.clone(), sets, ZoneType::Primary, AxfrPolicy::Deny).unwrap();
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    let at = SocketAddr::from((NAME_SERVER, 53));
    server.register_socket(UdpSocket::bind(at).await.unwrap());
    server.register_listener(TcpListener::bind(at).await.unwrap(), Duration::from_secs(60), 16);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_found_in_a_list_in_dns() {
    if UdpSocket::bind((NAME_SERVER, 53)).await.is_err() {
        // Name servers are at port 53, and this machine does not let us have it.
        eprintln!("not run: port 53 of {NAME_SERVER} cannot be had");
        return;
    }
    let a = Process::start(&["--shard=0"]);
    let listed: Record = record(&a).parse().unwrap();
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let content = Content { seq: 1, records: vec![listed], ..Content::default() };
    let tree = Tree::sign(&key, "nodes.example", &content).unwrap();
    let _server = name_server(&tree).await;
    let url = tree.url().to_string();
    let asked = format!("--dns-addrs-name-server={NAME_SERVER}");
    for flag in [format!("--dns-discovery-url={url}"), format!("--entry-node={url}")] {
        let b = Process::start(&["--shard=0", &asked, &flag]);
        b.meets(&a);
        b.counts("waku_dnsdisc_discovered", 1.0);
    }
}
