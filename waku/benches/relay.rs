//! Relay between two nodes on loopback: messages a second, latency and loss.
//!
//! The publisher takes [`PublishError::Busy`] for what it is and tries the message again, so whatever does
//! not arrive is a loss of the node. Run with `cargo bench -p waku --bench relay`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use waku::{
    Config, ContentTopic, Delivery, Keypair, Node, PeerList, PublishError, Relay, RelaySubscription,
    Sharding, WakuMessage,
};

const PAYLOAD_LEN: usize = 1400;
/// Silence after which the rest is lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

struct Run {
    name: &'static str,
    messages: usize,
    /// Messages on their way at a time.
    window: usize,
}

const RUNS: [Run; 3] = [
    Run { name: "one at a time", messages: 2_000, window: 1 },
    Run { name: "256 on their way", messages: 20_000, window: 256 },
    Run { name: "as fast as it goes", messages: 20_000, window: 20_000 },
];

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench())
}

async fn bench() -> Result<(), Box<dyn Error>> {
    println!("relay of messages with {PAYLOAD_LEN} B of payload between two nodes on loopback\n");
    println!(
        "{:<20} {:>10} {:>8} {:>9} {:>9} {:>6} {:>6}",
        "", "messages/s", "MB/s", "p50", "p99", "lost", "busy"
    );
    for run in RUNS {
        measure(&run).await?;
    }
    Ok(())
}

async fn measure(run: &Run) -> Result<(), Box<dyn Error>> {
    let receiver = node(run.messages, |_| {}).await?;
    let publisher = node(run.messages, |config| config.static_peers = receiver.listen_addresses()).await?;
    let topic: ContentTopic = "/bench/1/relay/proto".parse()?;
    let inbox = receiver.relay().subscribe(topic.clone()).await?;
    let is_ready = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
    publisher.peers().watch().wait_for(is_ready).await?;

    let (window, start) = (Arc::new(Semaphore::new(run.window)), Instant::now());
    let reading = tokio::spawn(read(inbox, run.messages, Arc::clone(&window), start));
    publish(&publisher.relay(), &topic, run.messages, &window, start).await?;
    let (mut latencies, end) = reading.await?;

    latencies.sort_unstable();
    let percentile = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100);
    let seconds = (end - start).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
    let (count, bytes) = (latencies.len() as f64, (latencies.len() * PAYLOAD_LEN) as f64);
    println!(
        "{:<20} {:>10.0} {:>8.1} {:>9} {:>9} {:>6} {:>6}",
        run.name,
        count / seconds,
        bytes / 1e6 / seconds,
        show(percentile(50)),
        show(percentile(99)),
        run.messages - latencies.len(),
        publisher.metrics().relay_publish_busy,
    );
    publisher.shutdown().await;
    receiver.shutdown().await;
    Ok(())
}

async fn node(queue_len: usize, change: impl FnOnce(&mut Config)) -> Result<Node, Box<dyn Error>> {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(0, [0])?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    // What the reader itself is too slow for is not what is measured.
    config.subscription_queue_len = queue_len;
    change(&mut config);
    Ok(Node::spawn(config).await?)
}

/// Publishes messages whose timestamp is the time since `start`.
async fn publish(
    relay: &Relay,
    topic: &ContentTopic,
    messages: usize,
    window: &Semaphore,
    start: Instant,
) -> Result<(), Box<dyn Error>> {
    for number in 0..messages {
        window.acquire().await?.forget();
        let mut payload = vec![0x5a; PAYLOAD_LEN - size_of::<usize>()];
        payload.extend_from_slice(&number.to_be_bytes());
        let message = WakuMessage::new(topic, payload, i64::try_from(start.elapsed().as_nanos())?);
        while let Err(error) = relay.publish(message.clone()).await {
            if error != PublishError::Busy {
                return Err(error.into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// Reads until all messages have come or no more do; their latencies, and when the last came.
async fn read(
    mut inbox: RelaySubscription,
    messages: usize,
    window: Arc<Semaphore>,
    start: Instant,
) -> (Vec<Duration>, Instant) {
    let (mut latencies, mut end) = (Vec::with_capacity(messages), start);
    while latencies.len() < messages {
        let Ok(Some(delivery)) = timeout(GIVE_UP_AFTER, inbox.recv()).await else {
            break;
        };
        if let Delivery::Message(envelope) = delivery {
            end = Instant::now();
            let sent = envelope.message().timestamp.and_then(|nanos| u64::try_from(nanos).ok());
            latencies.push((end - start).saturating_sub(Duration::from_nanos(sent.unwrap_or_default())));
            window.add_permits(1);
        }
    }
    (latencies, end)
}

fn show(latency: Option<&Duration>) -> String {
    latency.map_or_else(|| "-".to_owned(), |latency| format!("{:.2} ms", latency.as_secs_f64() * 1e3))
}
