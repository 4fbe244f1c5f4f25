//! Lists looked up at a real name server, over loopback sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use enr::Enr;
use hickory_server::Server;
use hickory_server::proto::rr::rdata::{SOA, TXT};
use hickory_server::proto::rr::{LowerName, Name, RData, Record as DnsRecord, RecordSet, RrKey};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use waku_discovery::Record;
use waku_discovery::dns::{Client, Config, Content, DnsError, Limits, Problem, Tree, TreeUrl};
use waku_discovery::k256::ecdsa::SigningKey;

const DOMAIN: &str = "nodes.example.org";

fn key(secret: u8) -> SigningKey {
    SigningKey::from_slice(&[secret; 32]).unwrap()
}

/// Nodes 1 to `count`; those with an even number are on Waku.
fn nodes(count: u8) -> Vec<Record> {
    let node = |secret: u8| {
        let mut builder = Enr::builder();
        if secret.is_multiple_of(2) {
            builder.add_value("waku2", &[1u8].as_slice());
        }
        Record::decode(&alloy_rlp::encode(builder.build(&key(secret)).unwrap())).unwrap()
    };
    (1..=count).map(node).collect()
}

fn tree(seq: u64, count: u8, max_children: usize) -> Tree {
    let content = Content { seq, records: nodes(count), max_children, ..Content::default() };
    Tree::sign(&key(100), DOMAIN, &content).unwrap()
}

fn node_ids(records: &[Record]) -> Vec<[u8; 32]> {
    let mut ids: Vec<_> = records.iter().map(Record::node_id).collect();
    ids.sort_unstable();
    ids
}

fn zone<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> InMemoryZoneHandler {
    let origin = Name::from_ascii("org.").unwrap();
    let soa = SOA::new(origin.clone(), origin.clone(), 1, 60, 60, 60, 0);
    let mut sets = BTreeMap::new();
    let mut add = |name: Name, data: RData| {
        let record = DnsRecord::from_rdata(name.clone(), 0, data);
        let key = RrKey::new(LowerName::from(name), record.record_type());
        sets.insert(key, RecordSet::from(record));
    };
    add(origin.clone(), RData::SOA(soa));
    for (name, text) in entries {
        let pieces = text.as_bytes().chunks(255).collect();
        add(Name::from_ascii(format!("{name}.")).unwrap(), RData::TXT(TXT::from_bytes(pieces)));
    }
    InMemoryZoneHandler::new(origin, sets, ZoneType::Primary, AxfrPolicy::Deny).unwrap()
}

/// A name server for `org`, until dropped.
struct NameServer {
    address: SocketAddr,
    _server: Server<Catalog>,
}

impl NameServer {
    async fn start<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>, speaks_tcp: bool) -> Self {
        let mut catalog = Catalog::new();
        catalog.upsert(Name::from_ascii("org.").unwrap().into(), vec![Arc::new(zone(entries))]);
        let mut server = Server::new(catalog);
        let (udp, tcp) = both_sockets().await;
        let address = udp.local_addr().unwrap();
        server.register_socket(udp);
        if speaks_tcp {
            server.register_listener(tcp, Duration::from_secs(60), 16);
        }
        Self { address, _server: server }
    }

    fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    fn config(&self) -> Config {
        Config { name_servers: vec![self.address], ..Config::default() }
    }
}

/// UDP and TCP at one free port.
async fn both_sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

#[tokio::test]
async fn finds_the_nodes_that_are_wanted() {
    let tree = tree(1, 40, 13);
    let server = NameServer::start(tree.entries(), true).await;
    let found = server.client().lookup(tree.url(), |record| record.capabilities().0 != 0).await.unwrap();
    let wanted: Vec<_> = nodes(40).into_iter().filter(|node| node.capabilities().0 != 0).collect();
    assert_eq!(node_ids(&found.records), node_ids(&wanted));
    assert_eq!((found.unwanted, found.unanswered, found.wrong, found.is_cut_off), (20, 0, 0, false));
    assert_eq!(found.asked, tree.entries().count());
}

#[tokio::test]
async fn follows_links_to_other_lists_and_does_not_go_in_circles() {
    let url = |domain| TreeUrl::new(*key(100).verifying_key(), domain).unwrap();
    let list = |domain, link, record: usize| {
        let content =
            Content { records: vec![nodes(2)[record].clone()], links: vec![url(link)], ..Content::default() };
        Tree::sign(&key(100), domain, &content).unwrap()
    };
    let (one, two) = (list("one.org", "two.org", 0), list("two.org", "one.org", 1));
    let server = NameServer::start(one.entries().chain(two.entries()), true).await;
    let found = server.client().lookup(one.url(), |_| true).await.unwrap();
    assert_eq!(node_ids(&found.records), node_ids(&nodes(2)));
}

#[tokio::test]
async fn an_answer_too_long_for_udp_is_fetched_over_tcp() {
    // One branch of 100 hashes: 2.7 kB.
    let tree = tree(1, 100, 151);
    let with_tcp = NameServer::start(tree.entries(), true).await;
    let found = with_tcp.client().lookup(tree.url(), |_| true).await.unwrap();
    assert_eq!((found.records.len(), found.unanswered), (100, 0));

    let without = NameServer::start(tree.entries(), false).await;
    let found = without.client().lookup(tree.url(), |_| true).await.unwrap();
    assert_eq!((found.records.len(), found.unanswered), (0, 1));
}

#[tokio::test]
async fn a_root_that_another_key_signed_is_refused() {
    let tree = tree(1, 3, 13);
    let server = NameServer::start(tree.entries(), true).await;
    let url = TreeUrl::new(*key(101).verifying_key(), DOMAIN).unwrap();
    let refused = server.client().lookup(&url, |_| true).await.unwrap_err();
    assert_eq!(refused, DnsError::Refused { domain: DOMAIN.into(), problem: Problem::NotSigned });
}

#[tokio::test]
async fn an_entry_that_was_exchanged_is_left_out() {
    let tree = tree(1, 5, 13);
    let mut entries: Vec<_> = tree.entries().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let place = entries.iter().position(|(_, text)| text.starts_with("enr:")).unwrap();
    entries[place].1 = nodes(6)[5].to_string();
    let server = NameServer::start(entries.iter().map(|(name, text)| (&**name, &**text)), true).await;
    let found = server.client().lookup(tree.url(), |_| true).await.unwrap();
    assert_eq!((found.records.len(), found.wrong), (4, 1));
    assert_eq!(found.problems, [(entries[place].0.clone(), Problem::WrongHash)]);
}

#[tokio::test]
async fn an_edition_older_than_one_seen_before_is_refused() {
    let (old, new) = (tree(7, 1, 13), tree(8, 2, 13));
    let server = NameServer::start(new.entries(), true).await;
    let client = server.client();
    assert_eq!(client.lookup(new.url(), |_| true).await.unwrap().records.len(), 2);

    let server = NameServer::start(old.entries(), true).await;
    let client = Client::with_seqs(server.config(), client.seqs()).unwrap();
    let refused = client.lookup(old.url(), |_| true).await.unwrap_err();
    let problem = Problem::Outdated { known: 8, found: 7 };
    assert_eq!(refused, DnsError::Refused { domain: DOMAIN.into(), problem });
}

#[tokio::test]
async fn a_name_that_has_nothing_is_told_from_a_name_server_that_is_gone() {
    let tree = tree(1, 1, 13);
    let server = NameServer::start(std::iter::empty(), true).await;
    let error = server.client().lookup(tree.url(), |_| true).await.unwrap_err();
    assert_eq!(error, DnsError::NotFound { domain: DOMAIN.into() });
}

#[tokio::test]
async fn a_name_server_that_never_answers_is_given_up() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let config = Config {
        name_servers: vec![silent.local_addr().unwrap()],
        timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let client = Client::new(config).unwrap();
    let started = Instant::now();
    let error = client.lookup(tree(1, 1, 13).url(), |_| true).await.unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&silent.local_addr().unwrap().to_string()));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_was_found_before_time_was_up_is_returned() {
    // The long branch needs TCP, and this port takes connections and says nothing.
    let tree = tree(1, 100, 151);
    let mut catalog = Catalog::new();
    catalog.upsert(Name::from_ascii("org.").unwrap().into(), vec![Arc::new(zone(tree.entries()))]);
    let (udp, tcp) = both_sockets().await;
    let address = udp.local_addr().unwrap();
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    let timeout = Duration::from_secs(2);
    let client = Client::new(Config { name_servers: vec![address], timeout, ..Config::default() }).unwrap();
    let found = client.lookup(tree.url(), |_| true).await.unwrap();
    assert_eq!((found.records.len(), found.is_cut_off), (0, true));
    drop(tcp);
}

#[tokio::test]
async fn a_list_longer_than_the_limit_is_cut_off() {
    let tree = tree(1, 100, 13);
    let server = NameServer::start(tree.entries(), true).await;
    let limits = Limits { entries: 50, ..Limits::default() };
    let client = Client::new(Config { limits, ..server.config() }).unwrap();
    let found = client.lookup(tree.url(), |_| true).await.unwrap();
    assert_eq!((found.asked, found.is_cut_off), (50, true));
    assert!(!found.records.is_empty());
}

#[test]
fn a_client_without_name_servers_is_refused() {
    let refused = Client::new(Config::default().with_name_servers([])).unwrap_err();
    assert_eq!(refused, DnsError::NoNameServers);
}
