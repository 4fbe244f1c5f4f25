//! Lightpush and store over loopback: requests a second and latency, for fifty clients at a time.
//!
//! Service and clients share the machine, so that the clients' work counts too: to find out what to send, and to check
//! the hash of every message that comes. Run with `cargo bench -p waku --bench services`; the folder of the file can
//! be set with `TMPDIR`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use waku::proto::EncodedMessage;
use waku::store::archive::{
    Archive, Criteria, MemoryArchive, Query, RedbArchive, RetentionPolicy, Selection,
};
use waku::{
    Config, ContentTopic, Envelope, Keypair, LightpushConfig, MessageHash, Node, PeerId, PeerList, Sharding,
    StoreConfig, WakuMessage,
};

type Failure = Box<dyn Error + Send + Sync>;

const CLIENTS: usize = 50;
const PAYLOAD_LEN: usize = 1_000;
const ARCHIVED: i64 = 100_000;
const PAGE_LEN: usize = 100;
/// Requests of one run.
const PUSHES: usize = 10_000;
const PAGES: usize = 4_000;
const LOOKUPS: usize = 10_000;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench())
}

async fn bench() -> Result<(), Failure> {
    println!("{CLIENTS} clients, messages with {PAYLOAD_LEN} B of payload, archives of {ARCHIVED}\n");
    println!("{:<34} {:>10} {:>9} {:>9} {:>9}", "", "requests/s", "MB/s", "p50", "p99");
    lightpush().await?;
    let messages: Vec<_> = (0..ARCHIVED).map(envelope).collect::<Result<_, _>>()?;
    let memory = Arc::new(MemoryArchive::new(u64::MAX, u64::MAX));
    store("in memory", memory, &messages).await?;
    let folder = tempfile::tempdir()?;
    let file = Arc::new(RedbArchive::open(folder.path().join("archive.redb"))?);
    store("in a file", file, &messages).await
}

fn topic() -> Result<ContentTopic, Failure> {
    Ok("/bench/1/services/proto".parse()?)
}

/// A message that differs from others by its timestamp.
fn message(number: i64) -> Result<WakuMessage, Failure> {
    Ok(WakuMessage::new(&topic()?, vec![0x5a; PAYLOAD_LEN], number))
}

fn envelope(number: i64) -> Result<Envelope, Failure> {
    Ok(Envelope::new("/waku/2/rs/0/0".parse()?, EncodedMessage::encode(message(number)?)))
}

async fn node(change: impl FnOnce(&mut Config)) -> Result<Node, Failure> {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(0, [0])?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    change(&mut config);
    Ok(Node::spawn(config).await?)
}

async fn clients_of(service: &Node) -> Result<Vec<Node>, Failure> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = node(|config| {
            config.relay = false;
            config.static_peers = service.listen_addresses();
        })
        .await?;
        let is_served = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.protocols.is_empty());
        client.peers().watch().wait_for(is_served).await?;
        clients.push(client);
    }
    Ok(clients)
}

async fn lightpush() -> Result<(), Failure> {
    let relaying = node(|_| {}).await?;
    let service = node(|config| {
        config.lightpush = Some(LightpushConfig::default());
        config.static_peers = relaying.listen_addresses();
    })
    .await?;
    let is_ready = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
    service.peers().watch().wait_for(is_ready).await?;
    let peer = service.local_peer_id();
    let push = move |client: Node, number: usize| async move {
        let (topic, message) = (Some("/waku/2/rs/0/0".parse()?), message(i64::try_from(number)? + 1)?);
        let receipt = client.lightpush().publish_via(peer, topic, message).await?;
        Ok(usize::from(receipt.relay_peers == Some(1)) * PAYLOAD_LEN)
    };
    measure("lightpush, one relay peer", &service, PUSHES, push).await
}

async fn store(place: &str, archive: Arc<dyn Archive>, messages: &[Envelope]) -> Result<(), Failure> {
    for batch in messages.chunks(2_000) {
        archive.insert(batch)?;
    }
    let service = node(|config| {
        let mut store = StoreConfig::new(archive);
        // Their timestamps are old.
        store.writer.retention = RetentionPolicy::default();
        config.store = Some(store);
    })
    .await?;
    let (peer, hashes) = (service.local_peer_id(), hashes(messages));
    let (cursors, pages) = (Arc::clone(&hashes), messages.len() - PAGE_LEN);
    let page = move |client: Node, number: usize| {
        let cursor = cursors.get(number * 7_919 % pages).copied();
        async move {
            let criteria = Criteria { content_topics: [topic()?.to_string()].into(), ..Criteria::default() };
            let query = Query { cursor, limit: PAGE_LEN, ..Query::new(Selection::Content(criteria)) };
            found(&client, peer, query).await
        }
    };
    measure(&format!("store {place}, page of {PAGE_LEN}"), &service, PAGES, page).await?;
    let presence = move |client: Node, number: usize| {
        let start = number * 7_919 % pages;
        let asked: Vec<_> = hashes.iter().skip(start).take(PAGE_LEN).copied().collect();
        async move { Ok(client.store().present(peer, asked).await?.len() * size_of::<MessageHash>()) }
    };
    measure(&format!("store {place}, presence of {PAGE_LEN}"), &service, LOOKUPS, presence).await
}

fn hashes(messages: &[Envelope]) -> Arc<[MessageHash]> {
    messages.iter().map(Envelope::hash).collect()
}

/// Bytes of the messages on a page.
async fn found(client: &Node, peer: PeerId, query: Query) -> Result<usize, Failure> {
    let page = client.store().query(peer, query, PAGE_LEN).try_next().await?.unwrap_or_default();
    let found = page.entries.iter().filter_map(|entry| entry.envelope.as_ref());
    Ok(found.map(|envelope| envelope.bytes().len()).sum())
}

/// Has the clients make so many requests in all, each its next one as soon as the last is answered. A request returns
/// how many bytes it was about.
async fn measure<F>(
    name: &str,
    service: &Node,
    requests: usize,
    request: impl Fn(Node, usize) -> F + Clone + Send + 'static,
) -> Result<(), Failure>
where
    F: Future<Output = Result<usize, Failure>> + Send,
{
    let clients = clients_of(service).await?;
    let (next, start) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let working: Vec<_> = clients
        .iter()
        .map(|client| {
            let (client, next, request) = (client.clone(), Arc::clone(&next), request.clone());
            tokio::spawn(async move {
                let (mut latencies, mut bytes) = (Vec::new(), 0);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return Ok::<_, Failure>((latencies, bytes));
                    }
                    let start = Instant::now();
                    bytes += request(client.clone(), number).await?;
                    latencies.push(start.elapsed());
                }
            })
        })
        .collect();
    let (mut latencies, mut bytes) = (Vec::new(), 0);
    for work in working {
        let (of_client, its_bytes) = work.await??;
        latencies.extend(of_client);
        bytes += its_bytes;
    }
    let seconds = start.elapsed().as_secs_f64();
    for client in clients {
        client.shutdown().await;
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100);
    #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
    let (count, bytes) = (latencies.len() as f64, bytes as f64);
    println!(
        "{name:<34} {:>10.0} {:>9.1} {:>9} {:>9}",
        count / seconds,
        bytes / 1e6 / seconds,
        show(percentile(50)),
        show(percentile(99)),
    );
    Ok(())
}

fn show(latency: Option<&Duration>) -> String {
    latency.map_or_else(|| "-".to_owned(), |latency| format!("{:.2} ms", latency.as_secs_f64() * 1e3))
}
