//! Keeping messages, answering queries for them, and asking others.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{StreamExt as _, TryStreamExt as _};
use waku::peers::NewPeer;
use waku::proto::protocol_id::STORE_QUERY;
use waku::proto::store::{Direction, KeyValue, QueryRequest, QueryResponse, Status};
use waku::proto::{EncodedMessage, MessageHash};
use waku::store::archive::{
    Archive, ArchiveError, Criteria, Inserted, Keep, MemoryArchive, Page, Query, QueryError, RetentionPolicy,
    Selection, Stats,
};
use waku::{
    Config, Envelope, LightpushConfig, Node, PeerId, Rate, RateLimit, StoreConfig, StoreError, WakuMessage,
};

use super::raw_stream::{RawHost, Reaction, frame, service, unframe};
use super::scene::{
    acquainted, address, content_topic, light_client, message, next, node, peers_until, pubsub_topic, within,
};

fn envelope(message: WakuMessage) -> Envelope {
    Envelope::new(pubsub_topic(), EncodedMessage::encode(message))
}

/// Messages with these timestamps, on the content topic of all tests.
fn past(times: impl IntoIterator<Item = i64>) -> Vec<Envelope> {
    times.into_iter().map(|time| envelope(message(time))).collect()
}

fn archive_of(messages: &[Envelope]) -> Arc<MemoryArchive> {
    let archive = Arc::new(MemoryArchive::new(1_000_000, 1 << 30));
    archive.insert(messages).unwrap();
    archive
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// A store over an archive. What is relayed to it goes into the archive too.
async fn store_over(archive: Arc<dyn Archive>, change: impl FnOnce(&mut Config)) -> Node {
    node(|config| {
        let mut store = StoreConfig::new(archive);
        // The messages of these tests are old.
        store.writer.retention = RetentionPolicy::default();
        config.store = Some(store);
        change(config);
    })
    .await
}

async fn store_of(messages: &[Envelope]) -> Node {
    store_over(archive_of(messages), |_| {}).await
}

async fn light_client_of(store: &Node) -> Node {
    light_client([(store.local_peer_id(), address(store))]).await
}

fn all() -> Query {
    Query::new(Selection::Content(Criteria::default()))
}

async fn collect(mut pages: waku::store::Pages) -> Result<Vec<Page>, (Vec<Page>, StoreError)> {
    let mut collected = Vec::new();
    while let Some(page) = within("a page", pages.next()).await {
        match page {
            Ok(page) => collected.push(page),
            Err(error) => {
                assert!(within("the end", pages.next()).await.is_none(), "an error is the end");
                return Err((collected, error));
            }
        }
    }
    Ok(collected)
}

/// The hashes of the messages on some pages, each of which must be there with its data.
fn contents(pages: &[Page]) -> Vec<MessageHash> {
    let entries = pages.iter().flat_map(|page| &page.entries);
    entries.map(|entry| entry.envelope.as_ref().unwrap().hash()).collect()
}

fn lens(pages: &[Page]) -> Vec<usize> {
    pages.iter().map(|page| page.entries.len()).collect()
}

fn request() -> QueryRequest {
    QueryRequest {
        request_id: "an id".to_owned(),
        include_data: true,
        pubsub_topic: None,
        content_topics: Vec::new(),
        time_start: None,
        time_end: None,
        message_hashes: Vec::new(),
        cursor: None,
        direction: Direction::Forward,
        limit: None,
    }
}

/// What the store answers to these bytes, read until it closes the stream.
async fn answer_to(client: &RawHost, store: &Node, bytes: &[u8]) -> QueryResponse {
    unframe(&client.ask(store.local_peer_id(), bytes).await.unwrap())
}

async fn ask(client: &RawHost, store: &Node, request: QueryRequest) -> QueryResponse {
    answer_to(client, store, &frame(request)).await
}

fn hashes(messages: &[Envelope]) -> Vec<MessageHash> {
    messages.iter().map(Envelope::hash).collect()
}

#[tokio::test]
async fn what_is_relayed_published_or_pushed_is_found_in_the_store() {
    let relaying = node(|_| {}).await;
    let store = store_over(archive_of(&[]), |config| {
        config.static_peers = vec![address(&relaying)];
        config.lightpush = Some(LightpushConfig::default());
    })
    .await;
    acquainted(&store, &relaying).await;
    let client = light_client_of(&store).await;
    let mut inbox = store.relay().subscribe(content_topic()).await.unwrap();
    let start = now();
    let messages: Vec<_> = (0..3).map(|number| message(start + number)).collect();
    relaying.relay().publish(messages[0].clone()).await.unwrap();
    next(&mut inbox).await;
    store.relay().publish(messages[1].clone()).await.unwrap();
    client.lightpush().publish(messages[2].clone()).await.unwrap();

    let peer = store.local_peer_id();
    let expected: HashSet<_> = messages.iter().map(|message| envelope(message.clone()).hash()).collect();
    // The archive is written to beside the relay.
    let kept = within("the messages in the archive", async {
        loop {
            let present = client.store().present(peer, expected.clone()).await.unwrap();
            if present.len() == 3 {
                break present;
            }
        }
    })
    .await;
    assert_eq!(kept, expected);
    let chat = Criteria { content_topics: [content_topic().to_string()].into(), ..Criteria::default() };
    let pages = collect(client.store().query(peer, Query::new(Selection::Content(chat)), 10)).await.unwrap();
    let found: Vec<_> = pages.into_iter().flat_map(|page| page.entries).collect();
    let found: Vec<_> = found.into_iter().map(|entry| entry.envelope.unwrap().message().clone()).collect();
    assert_eq!(found, messages);
}

#[tokio::test]
async fn pages_follow_each_other_both_ways() {
    let messages = past(0..250);
    let store = store_of(&messages).await;
    let client = light_client_of(&store).await;
    let peer = store.local_peer_id();
    let query = async |query: Query| collect(client.store().query(peer, query, 1000)).await.unwrap();

    let forward = query(Query { limit: 100, ..all() }).await;
    assert_eq!((lens(&forward), contents(&forward)), (vec![100, 100, 50], hashes(&messages)));

    let backward = query(Query { limit: 100, direction: Direction::Backward, ..all() }).await;
    assert_eq!(lens(&backward), [100, 100, 50]);
    let newest_page_last: Vec<_> = backward.into_iter().rev().collect();
    assert_eq!(contents(&newest_page_last), hashes(&messages));

    // From the middle, either way.
    let cursor = Some(messages[100].hash());
    let after = query(Query { cursor, ..all() }).await;
    assert_eq!(contents(&after), hashes(&messages[101..]));
    let before = query(Query { cursor, direction: Direction::Backward, limit: 100, ..all() }).await;
    assert_eq!(contents(&before), hashes(&messages[..100]));

    let some = collect(client.store().query(peer, all(), 30)).await.unwrap();
    assert_eq!((lens(&some), contents(&some)), (vec![20, 10], hashes(&messages[..30])));
    assert_eq!(some[1].cursor, Some(messages[29].hash()));
}

#[tokio::test]
async fn criteria_select_messages() {
    let mut messages = past(0..10);
    let other = WakuMessage::new(&"/another/1/topic/proto".parse().unwrap(), "x", 4);
    let elsewhere = Envelope::new("/waku/2/rs/0/9".parse().unwrap(), EncodedMessage::encode(message(5)));
    messages.extend([envelope(other.clone()), elsewhere.clone()]);
    let store = store_of(&messages).await;
    let client = light_client_of(&store).await;
    let found = async |criteria: Criteria| {
        let query = Query::new(Selection::Content(criteria));
        contents(&collect(client.store().query(store.local_peer_id(), query, 100)).await.unwrap())
    };
    let criteria = Criteria {
        pubsub_topic: Some(pubsub_topic()),
        content_topics: [content_topic().to_string()].into(),
        time_start: Some(3),
        time_end: Some(5),
    };
    assert_eq!(found(criteria.clone()).await, hashes(&past(3..=5)));
    let content_topics = [other.content_topic.clone()].into();
    assert_eq!(found(Criteria { content_topics, ..Criteria::default() }).await, [envelope(other).hash()]);
    let pubsub_topic = Some(elsewhere.pubsub_topic().clone());
    assert_eq!(found(Criteria { pubsub_topic, ..Criteria::default() }).await, [elsewhere.hash()]);
    assert_eq!(found(Criteria { time_start: Some(6), time_end: Some(5), ..criteria }).await, []);
}

#[tokio::test]
async fn messages_are_found_by_their_hashes() {
    let messages = past(0..250);
    let store = store_of(&messages).await;
    let client = light_client_of(&store).await;
    let peer = store.local_peer_id();
    let wanted = [hashes(&messages[5..8]), vec![[7; 32].into()]].concat();
    let pages = collect(client.store().query(peer, Query::new(Selection::Hashes(wanted.clone())), 10)).await;
    assert_eq!(contents(&pages.unwrap()), hashes(&messages[5..8]));
    let without_data = Query { include_data: false, ..Query::new(Selection::Hashes(wanted)) };
    let pages = collect(client.store().query(peer, without_data, 10)).await.unwrap();
    assert_eq!(pages[0].entries.len(), 3);
    assert!(pages[0].entries.iter().all(|entry| entry.envelope.is_none()));

    let unknown: Vec<MessageHash> = (0..50).map(|number| [number; 32].into()).collect();
    let asked = [hashes(&messages), unknown].concat();
    let present = client.store().present(peer, asked).await.unwrap();
    assert_eq!(present, hashes(&messages).into_iter().collect());
    assert_eq!(client.store().present(peer, []).await, Ok(HashSet::new()));
}

#[tokio::test]
async fn every_query_has_its_status_and_closes_the_stream() {
    let messages = past(0..150);
    let store = store_of(&messages).await;
    let client = RawHost::client_of(&store, STORE_QUERY).await;
    let ask = async |request: QueryRequest| ask(&client, &store, request).await;
    for (limit, expected) in [(None, 20), (Some(0), 20), (Some(7), 7), (Some(u64::MAX), 100)] {
        let response = ask(QueryRequest { limit, ..request() }).await;
        assert_eq!((response.status, response.status_desc.as_str()), (Status::Ok, "OK"));
        assert_eq!((response.request_id.as_str(), response.messages.len()), ("an id", expected));
        assert_eq!(response.cursor, Some(messages[expected - 1].hash()));
        assert_eq!(response.messages[0].message.as_ref(), Some(messages[0].message()));
        assert_eq!(response.messages[0].pubsub_topic.as_deref(), Some("/waku/2/rs/0/0"));
    }
    let response = ask(QueryRequest { include_data: false, ..request() }).await;
    let bare = |hash| KeyValue { message_hash: hash, message: None, pubsub_topic: None };
    assert_eq!(response.messages, hashes(&messages[..20]).into_iter().map(bare).collect::<Vec<_>>());

    let cursor = |bytes: [u8; 32]| QueryRequest { cursor: Some(bytes.into()), ..request() };
    let mixed = QueryRequest { message_hashes: vec![[1; 32].into()], time_end: Some(1), ..request() };
    let many = QueryRequest { content_topics: vec!["/a/1/b/c".to_owned(); 101], ..request() };
    for (request, status) in [
        (cursor([0; 32]), Status::BadResponse),
        (cursor([9; 32]), Status::BadResponse),
        (mixed, Status::BadRequest),
        (many, Status::BadRequest),
    ] {
        let response = ask(request).await;
        assert_eq!((response.status, response.request_id.as_str()), (status, "an id"));
        assert!(!response.status_desc.is_empty() && response.messages.is_empty(), "{response:?}");
    }
    // What no message can match is not found, and no error.
    for topic in ["no topic", "/waku/2/rs/5/5"] {
        let response = ask(QueryRequest { pubsub_topic: Some(topic.to_owned()), ..request() }).await;
        assert_eq!((response.status, response.messages.len(), response.cursor), (Status::Ok, 0, None));
    }
    assert_eq!(store.metrics().store_refused, 4);
}

#[tokio::test]
async fn bytes_that_are_no_query_are_answered_and_the_next_query_is_served() {
    let store = store_of(&past(0..5)).await;
    let client = RawHost::client_of(&store, STORE_QUERY).await;
    let framed = |bytes: &[u8]| waku::proto::framing::encode(bytes).to_vec();
    let hash_of_31_bytes = [&b"\xa2\x01\x1f"[..], &[1; 31]].concat();
    let cases = [
        framed(b"\xff\xff\xff"),
        framed(&hash_of_31_bytes),
        // The id as a number, content topics that are no text.
        framed(b"\x08\x01"),
        framed(b"\x5a\x01\xff"),
        // Four megabytes announced, and a length that is no varint.
        b"\x80\x80\x80\x02".to_vec(),
        [0xff; 12].to_vec(),
    ];
    for bytes in cases {
        let response = answer_to(&client, &store, &bytes).await;
        assert_eq!((response.status, response.request_id.as_str()), (Status::BadRequest, "N/A"), "{bytes:?}");
    }
    // Nothing at all is a query for anything, without data and backward.
    let response = answer_to(&client, &store, &framed(b"")).await;
    assert_eq!((response.status, response.messages.len()), (Status::Ok, 5));
    assert!(response.messages.iter().all(|found| found.message.is_none()));
    // As js-waku and go-waku may write it: empty strings, an empty cursor.
    let sparse = b"\x0a\x00\x10\x01\x52\x00\x9a\x03\x00\xa0\x03\x01\xa8\x03\x02";
    let response = answer_to(&client, &store, &framed(sparse)).await;
    assert_eq!((response.status, response.messages.len()), (Status::Ok, 2), "{response:?}");

    let whole = frame(request());
    let cut = client.ask(store.local_peer_id(), &whole[..whole.len() - 1]).await;
    assert!(cut.as_ref().map_or(true, Vec::is_empty), "{cut:?}");
    assert_eq!(ask(&client, &store, request()).await.messages.len(), 5);
}

#[tokio::test]
async fn who_asks_too_often_is_refused_and_others_are_served() {
    let store = store_over(archive_of(&past(0..5)), |config| {
        let per_peer = Some(Rate::new(2, Duration::from_secs(3600)));
        config.store.as_mut().unwrap().rate_limit = RateLimit { total: None, per_peer };
    })
    .await;
    let (flooder, other) =
        (RawHost::client_of(&store, STORE_QUERY).await, RawHost::client_of(&store, STORE_QUERY).await);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(ask(&flooder, &store, request()).await.status);
    }
    assert_eq!(statuses[..2], [Status::Ok; 2]);
    assert_eq!(statuses[2..], [Status::TooManyRequests; 3]);
    assert_eq!(ask(&other, &store, request()).await.status, Status::Ok);
}

/// Does with queries and insertions what a test wants, and the rest as an archive in memory.
#[derive(Debug)]
struct Scripted {
    archive: MemoryArchive,
    mode: Mutex<Mode>,
}

#[derive(Debug)]
enum Mode {
    /// Answers no query before it is told to; at once when the sender is gone.
    Gated(Receiver<()>),
    Fails,
    Panics,
    Works,
}

impl Scripted {
    fn new(mode: Mode) -> Arc<Self> {
        let archive = MemoryArchive::new(1_000_000, 1 << 30);
        archive.insert(&past(0..5)).unwrap();
        Arc::new(Self { archive, mode: Mutex::new(mode) })
    }

    fn fault(&self) -> Result<(), ArchiveError> {
        let mode = self.mode.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match &*mode {
            Mode::Gated(gate) => {
                let _ = gate.recv();
                Ok(())
            }
            Mode::Fails => Err(ArchiveError::Storage("the disk is gone".into())),
            Mode::Panics => panic!("a fault of the archive"),
            Mode::Works => Ok(()),
        }
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = mode;
    }
}

impl Archive for Scripted {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        self.fault()?;
        self.archive.insert(batch)
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        self.fault()?;
        self.archive.query(query)
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        self.archive.prune(keep, at_most)
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        self.archive.stats()
    }
}

fn gated() -> (SyncSender<()>, Arc<Scripted>) {
    let (open, gate) = sync_channel(0);
    (open, Scripted::new(Mode::Gated(gate)))
}

#[tokio::test]
async fn a_flood_from_many_is_answered_as_busy_and_served_again_later() {
    let (open, archive) = gated();
    let store = store_over(archive, |_| {}).await;
    // A connection may have sixteen streams.
    let (mut hosts, mut talks) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let client = RawHost::client_of(&store, STORE_QUERY).await;
        for _ in 0..16 {
            let talk = client.open(store.local_peer_id()).await;
            talk.write(&frame(request())).await;
            talks.push(tokio::spawn(talk.read_to_end()));
        }
        hosts.push(client);
    }
    // 256 wait and 4 are worked on: the rest is told so at once.
    within("the overflow", async {
        while store.metrics().store_requests_overflowed < 320 - 256 - 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(open);
    let mut statuses = std::collections::HashMap::new();
    for talk in talks {
        let response: QueryResponse = unframe(&talk.await.unwrap().unwrap());
        *statuses.entry(response.status).or_default() += 1;
    }
    assert_eq!(statuses, [(Status::Ok, 260), (Status::Unavailable, 60)].into());
    assert_eq!(ask(&hosts[0], &store, request()).await.status, Status::Ok);
}

#[tokio::test]
async fn an_archive_that_fails_is_told_and_the_node_relays_on() {
    let archive = Scripted::new(Mode::Fails);
    let relaying = node(|_| {}).await;
    let store = store_over(archive.clone(), |config| config.static_peers = vec![address(&relaying)]).await;
    acquainted(&store, &relaying).await;
    let client = RawHost::client_of(&store, STORE_QUERY).await;
    let mut inbox = store.relay().subscribe(content_topic()).await.unwrap();
    for mode in [Mode::Fails, Mode::Panics] {
        archive.set(mode);
        let response = ask(&client, &store, request()).await;
        assert_eq!((response.status, response.request_id.as_str()), (Status::BadResponse, "an id"));
        assert!(response.status_desc.contains("archive error"), "{response:?}");
        assert!(!response.status_desc.contains("disk"), "{response:?}");
        let published = message(now());
        relaying.relay().publish(published.clone()).await.unwrap();
        assert_eq!(next(&mut inbox).await.message(), &published);
    }
    assert_eq!(store.metrics().store_archive_errors, 2);
    archive.set(Mode::Works);
    assert_eq!(ask(&client, &store, request()).await.status, Status::Ok);
    within("the shutdown", store.shutdown()).await;
}

#[tokio::test]
async fn what_was_relayed_is_in_the_archive_after_shutdown() {
    let archive = archive_of(&[]);
    let relaying = node(|_| {}).await;
    let store = store_over(archive.clone(), |config| config.static_peers = vec![address(&relaying)]).await;
    acquainted(&store, &relaying).await;
    let mut inbox = store.relay().subscribe(content_topic()).await.unwrap();
    let start = now();
    for number in 0..100 {
        relaying.relay().publish(message(start + number)).await.unwrap();
    }
    for _ in 0..100 {
        next(&mut inbox).await;
    }
    within("the shutdown", store.shutdown()).await;
    assert_eq!(archive.stats().unwrap().messages, 100);
    drop(store);
    assert_eq!(Arc::strong_count(&archive), 1, "the archive is no longer in use");
}

#[tokio::test]
async fn ephemeral_messages_and_those_of_another_time_are_relayed_but_not_kept() {
    let archive = archive_of(&[]);
    let relaying = node(|_| {}).await;
    let store = store_over(archive.clone(), |config| config.static_peers = vec![address(&relaying)]).await;
    acquainted(&store, &relaying).await;
    let mut inbox = store.relay().subscribe(content_topic()).await.unwrap();
    let (start, minute) = (now(), 60_000_000_000);
    let kept = message(start);
    for message in [
        message(start + minute),
        message(start - minute),
        message(start + 1).with_ephemeral(),
        WakuMessage { timestamp: None, ..message(start) },
        kept.clone(),
    ] {
        relaying.relay().publish(message.clone()).await.unwrap();
        assert_eq!(next(&mut inbox).await.message(), &message);
    }
    within("the shutdown", store.shutdown()).await;
    let page = archive.query(&all()).unwrap();
    assert_eq!(contents(&[page]), [envelope(kept).hash()]);
}

/// Messages of a hundred kilobytes.
fn large(count: i64) -> Vec<Envelope> {
    let large = |number| envelope(WakuMessage::new(&content_topic(), vec![0; 100_000], number));
    (0..count).map(large).collect()
}

#[tokio::test]
async fn pages_of_large_messages_are_shorter_and_nothing_is_lost() {
    let messages = large(50);
    let store = store_of(&messages).await;
    let client = light_client_of(&store).await;
    for direction in [Direction::Forward, Direction::Backward] {
        let query = Query { limit: 100, direction, ..all() };
        let mut pages = collect(client.store().query(store.local_peer_id(), query, 100)).await.unwrap();
        assert_eq!(lens(&pages), [20, 20, 10]);
        if direction == Direction::Backward {
            pages.reverse();
        }
        assert_eq!(contents(&pages), hashes(&messages));
    }
}

#[tokio::test]
async fn readers_that_do_not_read_hold_nobody_up() {
    let store = store_of(&large(20)).await;
    let mut stalled = Vec::new();
    let mut hosts = Vec::new();
    for _ in 0..3 {
        let slow = RawHost::client_of(&store, STORE_QUERY).await;
        for _ in 0..16 {
            // Two megabytes are more than a stream takes that nobody reads.
            let talk = slow.open(store.local_peer_id()).await;
            talk.write(&frame(request())).await;
            stalled.push(talk);
        }
        hosts.push(slow);
    }
    let other = RawHost::client_of(&store, STORE_QUERY).await;
    assert_eq!(ask(&other, &store, request()).await.messages.len(), 20);
    let late: QueryResponse = unframe(&stalled.remove(0).read_to_end().await.unwrap());
    assert_eq!(late.messages.len(), 20);
}

#[tokio::test]
async fn silent_and_idle_streams_hold_nobody_up() {
    let store = store_of(&past(0..5)).await;
    let client = RawHost::client_of(&store, STORE_QUERY).await;
    let idle = client.open(store.local_peer_id()).await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(client.open(store.local_peer_id()).await);
    }
    let slow = client.open(store.local_peer_id()).await;
    let bytes = frame(request());
    let (last, first) = bytes.split_last().unwrap();
    for byte in first {
        slow.write(&[*byte]).await;
        assert_eq!(ask(&client, &store, request()).await.messages.len(), 5);
    }
    for (talk, rest) in [(slow, &[*last][..]), (idle, &bytes)] {
        talk.write(rest).await;
        let response: QueryResponse = unframe(&talk.read_to_end().await.unwrap());
        assert_eq!(response.messages.len(), 5);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_store_working() {
    let (open, archive) = gated();
    let store = store_over(archive, |_| {}).await;
    let gone = RawHost::client_of(&store, STORE_QUERY).await;
    for _ in 0..8 {
        gone.open(store.local_peer_id()).await.write(&frame(request())).await;
    }
    let id = gone.peer_id;
    within("the queries", async {
        while store.metrics().store_requests < 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(gone);
    peers_until(&store, "its end", |peers| peers.get(id).is_none()).await;
    drop(open);
    let client = RawHost::client_of(&store, STORE_QUERY).await;
    assert_eq!(ask(&client, &store, request()).await.messages.len(), 5);
}

#[tokio::test]
async fn a_node_that_does_not_relay_serves_what_it_has() {
    let store = store_over(archive_of(&past(0..5)), |config| config.relay = false).await;
    let client = light_client_of(&store).await;
    let pages = collect(client.store().query_any(all(), 10)).await.unwrap();
    assert_eq!(contents(&pages), hashes(&past(0..5)));
    assert_eq!(store.store().archive().unwrap().stats().unwrap().messages, 5);
    assert!(client.store().archive().is_none());
}

/// Stores that share a script: the first query that comes to any of them gets its first line, and so on.
async fn scripted(count: usize, script: Vec<Reaction>) -> (Vec<RawHost>, Receiver<QueryRequest>) {
    let (requests, asked) = sync_channel(64);
    let lines = Arc::new(Mutex::new(script.into_iter()));
    let mut hosts = Vec::new();
    for _ in 0..count {
        let (requests, lines) = (requests.clone(), Arc::clone(&lines));
        let react = move |bytes: Vec<u8>| {
            requests.send(unframe::<QueryRequest>(&bytes)).unwrap();
            lines.lock().unwrap().next().expect("the script is at its end")
        };
        hosts.push(RawHost::server(vec![service(STORE_QUERY, react)]).await);
    }
    (hosts, asked)
}

async fn client_of_hosts(hosts: &[RawHost]) -> Node {
    light_client(hosts.iter().map(|host| (host.peer_id, host.address.clone()))).await
}

fn found(envelope: &Envelope) -> KeyValue {
    KeyValue {
        message_hash: envelope.hash(),
        message: Some(envelope.message().clone()),
        pubsub_topic: Some(envelope.pubsub_topic().as_str().to_owned()),
    }
}

fn page_of(messages: &[Envelope], cursor: Option<&Envelope>) -> Reaction {
    Reaction::message(QueryResponse {
        // Ids are of no account.
        request_id: String::new(),
        status: Status::Ok,
        status_desc: "OK".to_owned(),
        messages: messages.iter().map(found).collect(),
        cursor: cursor.map(Envelope::hash),
    })
}

fn saying(status: Status) -> Reaction {
    let status_desc = "no".to_owned();
    let request_id = "N/A".to_owned();
    Reaction::message(QueryResponse { request_id, status, status_desc, messages: Vec::new(), cursor: None })
}

#[tokio::test]
async fn what_came_before_a_store_dies_is_kept() {
    let messages = past(0..3);
    for death in [Reaction::Disconnect, Reaction::Answer(b"\x05\x0a".to_vec()), Reaction::Answer(Vec::new())]
    {
        let (hosts, asked) = scripted(1, vec![page_of(&messages, messages.last()), death.clone()]).await;
        let client = client_of_hosts(&hosts).await;
        let (pages, error) = collect(client.store().query(hosts[0].peer_id, all(), 100)).await.unwrap_err();
        assert_eq!((contents(&pages), pages[0].cursor), (hashes(&messages), Some(messages[2].hash())));
        assert!(matches!(error, StoreError::Unanswered { .. }), "{error} after {death:?}");
        let cursors: Vec<_> = asked.try_iter().map(|request| request.cursor).collect();
        assert_eq!(cursors, [None, Some(messages[2].hash())]);
    }
}

#[tokio::test]
async fn another_store_is_asked_until_one_has_answered() {
    let messages = past(0..3);
    for first in [saying(Status::BadResponse), saying(Status::Other(500)), Reaction::Disconnect] {
        let script = vec![first, page_of(&messages, messages.last()), page_of(&[], None)];
        let (hosts, asked) = scripted(2, script).await;
        let client = client_of_hosts(&hosts).await;
        let pages = collect(client.store().query_any(all(), 100)).await.unwrap();
        assert_eq!((lens(&pages), contents(&pages)), (vec![3, 0], hashes(&messages)));
        assert_eq!(asked.try_iter().count(), 3);
    }
    // One that has answered is not left for another.
    let script = vec![page_of(&messages, messages.last()), saying(Status::BadResponse)];
    let (hosts, asked) = scripted(2, script).await;
    let client = client_of_hosts(&hosts).await;
    let (pages, error) = collect(client.store().query_any(all(), 100)).await.unwrap_err();
    assert_eq!(contents(&pages), hashes(&messages));
    assert!(matches!(error, StoreError::Refused { status: Status::BadResponse, .. }), "{error}");
    assert_eq!(asked.try_iter().count(), 2);
}

#[tokio::test]
async fn a_known_store_is_dialled_when_none_is_connected() {
    let store = store_of(&past(0..3)).await;
    let client = light_client([]).await;
    client.peers().add([NewPeer::new(store.local_peer_id(), [address(&store)])]).await.unwrap();
    let pages = collect(client.store().query_any(all(), 10)).await.unwrap();
    assert_eq!(contents(&pages), hashes(&past(0..3)));
}

#[tokio::test]
async fn at_most_five_stores_are_tried() {
    let (hosts, asked) = scripted(6, (0..6).map(|_| saying(Status::BadResponse)).collect()).await;
    let client = client_of_hosts(&hosts).await;
    let (_, error) = collect(client.store().query_any(all(), 100)).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert_eq!(asked.try_iter().count(), 5);
}

#[tokio::test]
async fn a_store_that_asks_for_a_pause_gets_it() {
    let messages = past(0..3);
    let script = vec![saying(Status::TooManyRequests), page_of(&messages, None)];
    let (hosts, _asked) = scripted(1, script).await;
    let client = client_of_hosts(&hosts).await;
    let start = std::time::Instant::now();
    let pages = collect(client.store().query(hosts[0].peer_id, all(), 100)).await.unwrap();
    assert_eq!(contents(&pages), hashes(&messages));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_store_that_turns_in_circles_is_left() {
    let messages = past(0..3);
    let circle = || page_of(&messages, messages.last());
    let (hosts, asked) = scripted(1, vec![circle(), circle()]).await;
    let client = client_of_hosts(&hosts).await;
    let peer = hosts[0].peer_id;
    let (pages, error) = collect(client.store().query(peer, all(), 100)).await.unwrap_err();
    assert_eq!((contents(&pages), error), (hashes(&messages), StoreError::NoProgress { peer }));
    assert_eq!(asked.try_iter().count(), 2);
}

#[tokio::test]
async fn messages_a_store_lies_about_are_left_out_and_counted() {
    let messages = past(0..3);
    let mut lies: Vec<KeyValue> = messages.iter().map(found).collect();
    lies[0].message_hash = [7; 32].into();
    lies[1].pubsub_topic = Some("/waku/2/rs/0/1".to_owned());
    let response = QueryResponse {
        request_id: String::new(),
        status: Status::Ok,
        status_desc: "OK".to_owned(),
        messages: lies,
        cursor: None,
    };
    let (hosts, _asked) = scripted(1, vec![Reaction::message(response)]).await;
    let client = client_of_hosts(&hosts).await;
    let pages = collect(client.store().query(hosts[0].peer_id, all(), 100)).await.unwrap();
    assert_eq!(contents(&pages), hashes(&messages[2..]));
    assert_eq!(client.metrics().store_messages_refused, 2);
}

#[tokio::test]
async fn queries_that_cannot_be_answered_are_errors_at_once() {
    let client = node(|config| config.relay = false).await;
    let (_, error) = collect(client.store().query_any(all(), 10)).await.unwrap_err();
    assert_eq!(error, StoreError::NoServicePeer);
    let content_topics = (0..11).map(|number| format!("/a/1/{number}/c")).collect();
    let query = Query::new(Selection::Content(Criteria { content_topics, ..Criteria::default() }));
    let (_, error) = collect(client.store().query_any(query, 10)).await.unwrap_err();
    assert_eq!(error, StoreError::TooManyTopics { count: 11 });
    let (peer, error) = (PeerId::random(), waku::AskError::NotReached);
    let asked = client.store().query(peer, all(), 10).try_next().await;
    assert_eq!(asked, Err(StoreError::Unanswered { peer, error }));
    within("the shutdown", client.shutdown()).await;
    let asked = client.store().query(peer, all(), 10).try_next().await;
    assert_eq!(asked, Err(StoreError::Stopped(waku::Stopped)));
}
