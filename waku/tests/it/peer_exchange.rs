//! 34/WAKU2-PEER-EXCHANGE between our nodes, and with peers that do it in other ways, or badly.

use std::time::Duration;

use waku::peers::{NewPeer, PeerOrigin, PeerState};
use waku::proto::peer_exchange::{Response, Rpc, Status};
use waku::proto::{Bytes, protocol_id};
use waku::{
    Announcement, AskError, Capabilities, Config, Keypair, Multiaddr, Node, NodeRecord, PeerExchangeConfig,
    PeerExchangeError, PeerId, Rate, RateLimit, RelayShards,
};

use super::raw_stream::{RawHost, Reaction, frame, service, unframe};
use super::scene::{acquainted, address, node, peers_until, within};

/// The record of a node that listens at an address.
fn record_of(keypair: &Keypair, address: &Multiaddr) -> NodeRecord {
    let announcement = Announcement {
        seq: 1,
        multiaddrs: vec![address.clone()],
        shards: Some(RelayShards::new(0, [0]).unwrap()),
        capabilities: Capabilities::RELAY,
        ..Announcement::default()
    };
    announcement.sign(keypair).unwrap().record
}

fn some_record() -> NodeRecord {
    record_of(&Keypair::generate(), &"/ip4/127.0.0.1/tcp/1".parse().unwrap())
}

/// Nobody is dialled but static peers.
fn calm(config: &mut Config) {
    config.dialing.relay_peers = Some(0);
}

async fn server(change: impl FnOnce(&mut PeerExchangeConfig)) -> Node {
    let mut exchange = PeerExchangeConfig::default();
    change(&mut exchange);
    node(|config| {
        calm(config);
        config.peer_exchange = Some(exchange);
    })
    .await
}

/// Tells a node about peers as discovery would.
async fn tell(node: &Node, records: &[NodeRecord]) {
    let peers = records.iter().map(|record| NewPeer::from_record(record, PeerOrigin::Discv5));
    assert_eq!(node.peers().add(peers).await.unwrap(), records.len());
}

async fn client(server: &Node) -> Node {
    let client = node(|config| {
        calm(config);
        config.static_peers = vec![address(server)];
    })
    .await;
    acquainted(&client, server).await;
    client
}

async fn exchange(client: &Node, server: PeerId, count: usize) -> Result<Vec<NodeRecord>, PeerExchangeError> {
    within("peers", client.peers().exchange(server, count)).await
}

#[tokio::test]
async fn records_are_given_and_their_peers_are_known_from_then_on() {
    let server = server(|_| {}).await;
    let records = [some_record(), some_record(), some_record()];
    tell(&server, &records).await;
    let client = client(&server).await;
    let two = exchange(&client, server.local_peer_id(), 2).await.unwrap();
    assert!(two.len() == 2 && two.iter().all(|record| records.contains(record)), "{two:?}");
    let all = exchange(&client, server.local_peer_id(), 60).await.unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(server.metrics().peer_exchange_given, 5);

    let known = client.peers().known().await.unwrap();
    for record in records {
        let peer = known.iter().find(|peer| peer.peer_id == record.peer_id()).unwrap();
        assert_eq!((peer.origin, peer.state), (PeerOrigin::PeerExchange, PeerState::NotConnected));
        assert_eq!((peer.cluster, &peer.shards, peer.addresses.len()), (Some(0), &vec![0], 1));
        assert_eq!(peer.record, Some(record));
    }
}

#[tokio::test]
async fn whoever_knows_nobody_says_so() {
    let server = server(|_| {}).await;
    let client = client(&server).await;
    assert_eq!(exchange(&client, server.local_peer_id(), 5).await, Err(PeerExchangeError::NoPeers));
}

#[tokio::test]
async fn the_asker_is_not_told_about_itself_and_not_about_other_clusters() {
    let server = server(|_| {}).await;
    let client = client(&server).await;
    let keypair = Keypair::generate();
    let own = node(|config| {
        calm(config);
        config.keypair = keypair.clone();
        config.static_peers = vec![address(&server)];
    })
    .await;
    let elsewhere = Announcement {
        multiaddrs: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()],
        shards: Some(RelayShards::new(1, [0]).unwrap()),
        capabilities: Capabilities::RELAY,
        ..Announcement::default()
    };
    let elsewhere = elsewhere.sign(&Keypair::generate()).unwrap().record;
    acquainted(&own, &server).await;
    tell(&server, &[record_of(&keypair, &address(&own)), elsewhere]).await;
    assert_eq!(exchange(&own, server.local_peer_id(), 5).await, Err(PeerExchangeError::NoPeers));
    let told = exchange(&client, server.local_peer_id(), 5).await.unwrap();
    assert_eq!(told.iter().map(NodeRecord::peer_id).collect::<Vec<_>>(), [own.local_peer_id()]);
}

#[tokio::test]
async fn who_asks_too_often_is_told_so() {
    let once = Rate::new(1, Duration::from_secs(3600));
    let server = server(|config| config.rate_limit = RateLimit { total: None, per_peer: Some(once) }).await;
    tell(&server, &[some_record()]).await;
    let client = client(&server).await;
    assert!(exchange(&client, server.local_peer_id(), 5).await.is_ok());
    let limited = exchange(&client, server.local_peer_id(), 5).await;
    assert_eq!(limited, Err(PeerExchangeError::TooManyRequests));
    assert_eq!(server.metrics().peer_exchange_requests_limited, 1);
}

#[tokio::test]
async fn a_peer_that_does_not_serve_is_told_apart_from_one_that_is_not_there() {
    let other = node(calm).await;
    let client = client(&other).await;
    let unsupported = exchange(&client, other.local_peer_id(), 5).await;
    assert_eq!(unsupported, Err(AskError::Unsupported.into()));
    let absent = exchange(&client, Keypair::generate().peer_id(), 5).await;
    assert_eq!(absent, Err(AskError::NotReached.into()));
}

#[tokio::test]
async fn answers_have_both_parts_as_nwaku_and_go_waku_need_them() {
    let server = server(|_| {}).await;
    let host = RawHost::client_of(&server, protocol_id::PEER_EXCHANGE).await;
    let ask = async |bytes: &[u8]| host.ask(server.local_peer_id(), bytes).await.unwrap();
    let query = |num_peers| frame(Rpc::Query { num_peers });

    let none = ask(&query(5)).await;
    // An empty question first; then an answer with 503 in field 10.
    assert_eq!(none[1..7], [0x0a, 0x00, 0x12, none[4], 0x50, 0xf7], "{none:02x?}");
    let Rpc::Response(answer) = unframe(&none) else { panic!("no answer") };
    assert_eq!((answer.status, answer.enrs.len()), (Status::Unavailable, 0));

    for nonsense in [query(0), frame(Rpc::Response(answer)), b"\x01\xff".to_vec(), b"\x00".to_vec()] {
        let Rpc::Response(answer) = unframe(&ask(&nonsense).await) else { panic!("no answer") };
        assert_eq!(answer.status, Status::BadRequest, "{nonsense:02x?}");
    }
}

/// A node and a host that answers each question of it with these bytes.
async fn asking_a_host_that_says(answer: Reaction) -> (Node, RawHost) {
    let serve = service(protocol_id::PEER_EXCHANGE, move |_| answer.clone());
    let host = RawHost::server(vec![serve]).await;
    let client = node(|config| {
        calm(config);
        config.static_peers = vec![host.address.clone()];
    })
    .await;
    peers_until(&client, "the host", |peers| peers.connected.iter().any(|peer| peer.agent.is_some())).await;
    (client, host)
}

/// Protobuf bytes of an answer with these records and no status, as go-waku writes it.
fn without_status(records: &[Bytes]) -> Reaction {
    let response = Response { enrs: records.to_vec(), status: Status::Success, status_desc: None };
    let mut bytes = frame(Rpc::Response(response));
    // The status is the last field: `50 c8 01`. The lengths before it shrink by its three bytes.
    assert_eq!(bytes.split_off(bytes.len() - 3), [0x50, 0xc8, 0x01]);
    let body = bytes.iter().position(|byte| *byte == 0x12).unwrap();
    for at in [0, body + 1] {
        // Both lengths take two bytes: the lower seven bits are in the first.
        assert!(bytes[at] >= 0x80 + 3, "{bytes:02x?}");
        bytes[at] -= 3;
    }
    Reaction::Answer(bytes)
}

#[tokio::test]
async fn an_answer_without_a_status_is_a_success_when_it_has_peers() {
    // With their sixteen bytes of names and lengths the two records make lengths of two bytes.
    let records = [some_record(), some_record()];
    let (client, host) =
        asking_a_host_that_says(without_status(&records.each_ref().map(NodeRecord::encode))).await;
    assert_eq!(exchange(&client, host.peer_id, 5).await.unwrap(), records);
    let (client, host) = asking_a_host_that_says(Reaction::Answer(vec![0x02, 0x12, 0x00])).await;
    assert_eq!(exchange(&client, host.peer_id, 5).await, Err(PeerExchangeError::NoPeers));
}

#[tokio::test]
async fn forged_records_are_left_out_and_counted() {
    let good = some_record();
    let mut forged = some_record().encode().to_vec();
    forged[20] ^= 1;
    let enrs = vec![Bytes::from(forged), good.encode(), Bytes::from_static(b"junk")];
    let response = Response { enrs, status: Status::Success, status_desc: None };
    let (client, host) = asking_a_host_that_says(Reaction::message(Rpc::Response(response))).await;
    assert_eq!(exchange(&client, host.peer_id, 5).await.unwrap(), [good]);
    assert_eq!(client.metrics().peer_exchange_invalid, 2);
    assert_eq!(client.peers().list().known, 2);
}

#[tokio::test]
async fn answers_that_make_no_sense_harm_nobody() {
    for answer in [
        Reaction::Answer(vec![]),
        Reaction::Answer(vec![0x01, 0xff]),
        // 2^34 bytes announced.
        Reaction::Answer(vec![0x80, 0x80, 0x80, 0x80, 0x40]),
        Reaction::message(Rpc::Query { num_peers: 5 }),
    ] {
        let (client, host) = asking_a_host_that_says(answer.clone()).await;
        let error = exchange(&client, host.peer_id, 5).await.unwrap_err();
        let is_invalid = matches!(error, PeerExchangeError::Unanswered(AskError::Invalid(_)));
        assert!(is_invalid, "{answer:?}: {error}");
        // Others would be asked first from now on.
        assert_eq!(client.peers().serving(protocol_id::PEER_EXCHANGE, None), [host.peer_id]);
    }
}

#[tokio::test]
async fn silence_and_a_closed_connection_are_told_apart() {
    let (client, host) = asking_a_host_that_says(Reaction::Silence).await;
    assert_eq!(exchange(&client, host.peer_id, 5).await, Err(AskError::Timeout.into()));
    let (client, host) = asking_a_host_that_says(Reaction::Disconnect).await;
    assert_eq!(exchange(&client, host.peer_id, 5).await, Err(AskError::Disconnected.into()));
}

#[tokio::test]
async fn a_node_that_knows_one_peer_finds_others_through_it() {
    let keypair = Keypair::generate();
    let hidden = node(|config| {
        calm(config);
        config.keypair = keypair.clone();
    })
    .await;
    let server = server(|_| {}).await;
    tell(&server, &[record_of(&keypair, &address(&hidden))]).await;
    let seeker = node(|config| {
        config.service_peers = vec![address(&server)];
        config.ask_for_peers = true;
    })
    .await;
    acquainted(&seeker, &hidden).await;
    let known = seeker.peers().known().await.unwrap();
    let found = known.iter().find(|peer| peer.peer_id == hidden.local_peer_id()).unwrap();
    assert_eq!(found.origin, PeerOrigin::PeerExchange);
}
