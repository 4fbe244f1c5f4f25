//! A filter service node with a thousand subscribers on loopback: messages a second, latency, loss, memory and
//! processor time.
//!
//! The service node has a process of its own, so that its memory can be told from that of its clients. These
//! are a thousand light nodes in one process, which also publishes. Run with
//! `cargo bench -p waku --bench filter`.

use std::error::Error;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};
use waku::{
    Config, ConnectionLimits, ContentTopic, Delivery, FilterConfig, FilterSubscription, Keypair, Multiaddr,
    Node, PeerList, PublishError, Relay, Sharding, WakuMessage,
};

const SUBSCRIBERS: usize = 1000;
const PAYLOAD_LEN: usize = 1024;
/// Clients that connect at a time.
const CONNECTING: usize = 50;
/// Silence after which the rest is lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

struct Run {
    name: &'static str,
    messages: usize,
    /// Messages on their way at a time.
    window: usize,
}

const RUNS: [Run; 3] = [
    Run { name: "one at a time", messages: 100, window: 1 },
    Run { name: "16 on their way", messages: 500, window: 16 },
    Run { name: "128 on their way", messages: 500, window: 128 },
];

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if std::env::args().any(|argument| argument == "--serve") {
        runtime.block_on(serve())
    } else {
        runtime.block_on(bench())
    }
}

/// The service node: tells its address, and its memory whenever a line comes.
async fn serve() -> Result<(), Box<dyn Error>> {
    let mut config = config()?;
    config.limits = ConnectionLimits { total: 3000, ..ConnectionLimits::default() };
    config.filter = Some(FilterConfig::default());
    let node = Node::spawn(config).await?;
    let address = node.listen_addresses().into_iter().next().ok_or("no address")?;
    println!("{address}");
    let mut lines = spawn_lines();
    while lines.recv().await.is_some() {
        let metrics = node.metrics();
        println!(
            "{} {} {} {} {}",
            resident()?,
            processor_time()?.as_millis(),
            metrics.filter_pushes_sent,
            metrics.filter_pushes_failed,
            metrics.filter_pushes_dropped + metrics.filter_messages_overflowed,
        );
    }
    Ok(())
}

/// The lines that come in, read on a thread of their own.
fn spawn_lines() -> tokio::sync::mpsc::Receiver<String> {
    let (sender, lines) = tokio::sync::mpsc::channel(1);
    spawn_blocking(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Memory that this process has resident, in bytes.
fn resident() -> Result<usize, Box<dyn Error>> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4096)
}

/// Processor time that this process has taken.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may have anything in it: the fields from the third on.
    let fields = stat.rsplit_once(')').ok_or("no name")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    Ok(Duration::from_millis(10 * ticks.sum::<Result<u64, _>>()?))
}

/// The service node's process.
struct Server {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What the service node says of itself.
struct Report {
    resident: usize,
    /// Processor time in milliseconds.
    worked: usize,
    sent: usize,
    failed: usize,
    dropped: usize,
}

impl Server {
    fn spawn() -> Result<(Self, Multiaddr), Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take().ok_or("no stdin")?;
        let output = BufReader::new(process.stdout.take().ok_or("no stdout")?);
        let mut server = Self { process, input, output };
        let address = server.line()?.parse()?;
        Ok((server, address))
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn report(&mut self) -> Result<Report, Box<dyn Error>> {
        writeln!(self.input)?;
        let line = self.line()?;
        let numbers: Vec<usize> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        match numbers[..] {
            [resident, worked, sent, failed, dropped] => {
                Ok(Report { resident, worked, sent, failed, dropped })
            }
            _ => Err("the service node is gone".into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

async fn bench() -> Result<(), Box<dyn Error>> {
    let (mut server, address) = Server::spawn()?;
    let mut config = config()?;
    config.static_peers = vec![address.clone()];
    let publisher = Node::spawn(config).await?;
    let is_ready = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
    publisher.peers().watch().wait_for(is_ready).await?;
    let before = server.report()?.resident;

    let start = Instant::now();
    let (clients, mut inboxes) = subscribe(&address).await?;
    let took = start.elapsed();
    let after = server.report()?.resident;
    println!("filter: {PAYLOAD_LEN} B of payload to {SUBSCRIBERS} subscribers on loopback");
    println!("{SUBSCRIBERS} clients connected and subscribed in {:.1} s", took.as_secs_f64());
    println!("service node: {}, {} for each subscriber", mega(after), kilo((after - before) / SUBSCRIBERS));

    let topic = topic()?;
    // Until each subscriber has shown how it takes its frames.
    let (warm_up, mut rounds) = (Instant::now(), 0);
    while warm_up.elapsed() < Duration::from_secs(7) {
        let run = Run { name: "", messages: 1, window: 1 };
        let outcome = measure(&publisher.relay(), &topic, &run, inboxes).await?;
        (inboxes, rounds) = (outcome.inboxes, rounds + 1);
    }
    println!("{rounds} messages before the measurement\n");
    println!(
        "{:<18} {:>10} {:>9} {:>10} {:>10} {:>6} {:>16}",
        "", "messages/s", "pushes/s", "p50", "p99", "lost", "processor/push"
    );
    for run in RUNS {
        let before = server.report()?;
        let outcome = measure(&publisher.relay(), &topic, &run, inboxes).await?;
        let after = server.report()?;
        outcome.show(&run, 1000 * (after.worked - before.worked) / (after.sent - before.sent).max(1));
        inboxes = outcome.inboxes;
    }
    let Report { resident, sent, failed, dropped, .. } = server.report()?;
    println!("\nservice node: {}, {sent} pushes sent, {failed} failed, {dropped} dropped", mega(resident));
    drop(clients);
    Ok(())
}

fn config() -> Result<Config, Box<dyn Error>> {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(0, [0])?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    Ok(config)
}

fn topic() -> Result<ContentTopic, Box<dyn Error>> {
    Ok("/bench/1/filter/proto".parse()?)
}

/// The clients, each with a subscription that the service node has confirmed.
async fn subscribe(address: &Multiaddr) -> Result<(Vec<Node>, Vec<FilterSubscription>), Box<dyn Error>> {
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let one = async || -> Result<(Node, FilterSubscription), Box<dyn Error>> {
        let _place = connecting.acquire().await?;
        let mut config = config()?;
        config.listen_addresses.clear();
        config.relay = false;
        config.filter_client.service_peers = 1;
        config.static_peers = vec![address.clone()];
        let node = Node::spawn(config).await?;
        let inbox = node.filter().subscribe([topic()?]).await?;
        inbox.service_peers().wait_for(|count| *count == 1).await?;
        Ok((node, inbox))
    };
    Ok(try_join_all((0..SUBSCRIBERS).map(|_| one())).await?.into_iter().unzip())
}

/// What a run has come to.
struct Outcome {
    inboxes: Vec<FilterSubscription>,
    latencies: Vec<Duration>,
    took: Duration,
    messages: usize,
}

impl Outcome {
    /// Shows it, with the service node's processor time for each push, in microseconds.
    fn show(&self, run: &Run, worked: usize) {
        let percentile = |percent: usize| {
            let latency = self.latencies.get(self.latencies.len().saturating_sub(1) * percent / 100);
            latency.map_or_else(|| "-".to_owned(), |latency| format!("{:.1} ms", latency.as_secs_f64() * 1e3))
        };
        #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
        let rate = |count: usize| count as f64 / self.took.as_secs_f64();
        println!(
            "{:<18} {:>10.0} {:>9.0} {:>10} {:>10} {:>6} {worked:>13} µs",
            run.name,
            rate(self.messages),
            rate(self.latencies.len()),
            percentile(50),
            percentile(99),
            self.messages * SUBSCRIBERS - self.latencies.len(),
        );
    }
}

/// Publishes messages, so many on their way at a time, until every subscriber has them or no more come.
async fn measure(
    relay: &Relay,
    topic: &ContentTopic,
    run: &Run,
    inboxes: Vec<FilterSubscription>,
) -> Result<Outcome, Box<dyn Error>> {
    let (start, messages) = (Instant::now(), run.messages);
    // A place for each subscriber of each message on its way.
    let places = Arc::new(Semaphore::new(run.window * SUBSCRIBERS));
    let reading: Vec<JoinHandle<_>> = inboxes
        .into_iter()
        .map(|inbox| tokio::spawn(read(inbox, messages, start, Arc::clone(&places))))
        .collect();
    for number in 0..messages {
        places.acquire_many(u32::try_from(SUBSCRIBERS)?).await?.forget();
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
    let (mut inboxes, mut latencies, mut end) = (Vec::new(), Vec::new(), start);
    for read in reading {
        let (inbox, own, last) = read.await?;
        inboxes.push(inbox);
        latencies.extend(own);
        end = end.max(last);
    }
    latencies.sort_unstable();
    Ok(Outcome { inboxes, latencies, took: end - start, messages })
}

/// Reads until all messages have come or no more do; their latencies, and when the last came.
async fn read(
    mut inbox: FilterSubscription,
    messages: usize,
    start: Instant,
    places: Arc<Semaphore>,
) -> (FilterSubscription, Vec<Duration>, Instant) {
    let (mut latencies, mut end) = (Vec::with_capacity(messages), start);
    while latencies.len() < messages {
        let Ok(Some(delivery)) = timeout(GIVE_UP_AFTER, inbox.recv()).await else {
            break;
        };
        if let Delivery::Message(envelope) = delivery {
            end = Instant::now();
            let sent = envelope.message().timestamp.and_then(|nanos| u64::try_from(nanos).ok());
            latencies.push((end - start).saturating_sub(Duration::from_nanos(sent.unwrap_or_default())));
            places.add_permits(1);
        }
    }
    (inbox, latencies, end)
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
fn mega(bytes: usize) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "no process has 2^52 bytes")]
fn kilo(bytes: usize) -> String {
    format!("{:.0} kB", bytes as f64 / 1e3)
}
