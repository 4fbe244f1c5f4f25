//! `waku-node` as an operator has it: start, memory, and what its REST API takes.
//!
//! Two nodes on loopback, the second a relay peer of the first; 50 clients ask the first over connections that they
//! keep, each again when it has its answer. Messages have 1,000 bytes of payload; the archive is a file (redb).
//!
//! Run with `cargo bench -p waku --features cli --bench operate [-- REQUESTS]`.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Requests of each kind unless another number is given.
const REQUESTS: usize = 20_000;
/// Clients at a time.
const CLIENTS: usize = 50;
/// Starts that are measured.
const STARTS: usize = 10;
/// Bytes of payload.
const PAYLOAD_LEN: usize = 1000;
/// The publishing path.
const PUBLISH: &str = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F99%2F0";

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    // Cargo adds options of its own.
    let argument = std::env::args().skip(1).find(|text| !text.starts_with("--"));
    let requests = argument.map_or(Ok(REQUESTS), |text| text.parse())?;
    let program = env!("CARGO_BIN_EXE_waku-node");
    println!("binary: {:.1} MiB", mib(fs::metadata(program)?.len()));

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let node = Node::start(&[]).await?;
        starts.push(begin.elapsed());
        drop(node);
    }
    starts.sort();
    println!("start to ready: median {:.0} ms, most {:.0} ms", ms(at(&starts, 0.5)), ms(at(&starts, 1.0)));

    let one = Node::start(&[]).await?;
    let info = text(&request(&mut one.connect().await?, "GET", "/info", "").await?)?;
    let address = info.split('"').find(|part| part.contains("/tcp/")).ok_or("no address")?.to_owned();
    println!("memory, idle: {:.1} MiB", mib(one.memory()?));
    let other = Node::start(&[&format!("--staticnode={address}")]).await?;
    one.wait_for_peer().await?;

    println!(
        "\n{:<38} {:>10} {:>9} {:>9}",
        format!("{CLIENTS} clients, {requests} requests"),
        "requests/s",
        "p50",
        "p99"
    );
    one.load("publish, one relay peer", requests, |number| {
        let payload = vec![u8::try_from(number % 251).unwrap_or_default(); PAYLOAD_LEN];
        let payload = BASE64.encode(&payload);
        let message =
            format!(r#"{{"payload":"{payload}","contentTopic":"/bench/1/{}/proto"}}"#, number % 100);
        ("POST", PUBLISH.to_owned(), message)
    })
    .await?;
    for (what, size, more) in [
        ("page of 20", 20, ""),
        ("page of 100", 100, ""),
        ("page of 100 of a content topic", 100, "&contentTopics=%2Fbench%2F1%2F7%2Fproto"),
        ("page of 100, hashes only", 100, "&includeData=false"),
        ("an unused content topic", 100, "&contentTopics=%2Fnobody%2F1%2Fuses%2Fit"),
    ] {
        let data = if more.contains("includeData") { "" } else { "&includeData=true" };
        let path = format!("/store/v3/messages?pageSize={size}{more}{data}");
        one.load(what, requests / 4, move |_| ("GET", path.clone(), String::new())).await?;
    }
    one.load("/health", requests, |_| ("GET", "/health".to_owned(), String::new())).await?;
    println!("\nmemory, after all that: {:.1} MiB", mib(one.memory()?));
    drop(other);
    Ok(())
}

/// A node as a process, in a folder of its own.
struct Node {
    child: Child,
    rest: u16,
    _folder: tempfile::TempDir,
}

impl Node {
    /// Returns when it answers that it is ready.
    async fn start(flags: &[&str]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let [rest, tcp] = free_ports()?;
        let child = command(folder.path(), rest, tcp).args(flags).spawn()?;
        let node = Self { child, rest, _folder: folder };
        node.until(|body| body.contains("\"READY\""), "/health").await?;
        Ok(node)
    }

    async fn wait_for_peer(&self) -> Outcome<()> {
        self.until(|body| body.contains("\"Relay\":\"READY\""), "/health").await
    }

    async fn until(&self, is_so: impl Fn(&str) -> bool, path: &str) -> Outcome<()> {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Ok(mut connection) = self.connect().await
                && let Ok(body) = request(&mut connection, "GET", path, "").await
                && is_so(&text(&body)?)
            {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err("the node does not get ready".into())
    }

    async fn connect(&self) -> Outcome<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.rest)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Resident memory in bytes.
    fn memory(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Sends requests from all clients at once and prints what they saw.
    async fn load(
        &self,
        what: &str,
        requests: usize,
        make: impl Fn(usize) -> (&'static str, String, String) + Send + Sync + 'static,
    ) -> Outcome<()> {
        let (next, make) = (Arc::new(AtomicUsize::new(0)), Arc::new(make));
        let begin = Instant::now();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let (mut connection, next, make) = (self.connect().await?, Arc::clone(&next), Arc::clone(&make));
            clients.push(tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        return Ok::<_, Box<dyn Error + Send + Sync>>(times);
                    }
                    let (method, path, body) = make(number);
                    let asked = Instant::now();
                    request(&mut connection, method, &path, &body).await?;
                    times.push(asked.elapsed());
                }
            }));
        }
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        let elapsed = begin.elapsed();
        times.sort();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = times.len() as f64 / elapsed.as_secs_f64();
        println!("{what:<38} {rate:>10.0} {:>6.1} ms {:>6.1} ms", ms(at(&times, 0.5)), ms(at(&times, 0.99)));
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path, rest: u16, tcp: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-node"));
    command
        .args([
            "--listen-address=127.0.0.1",
            "--cluster-id=99",
            "--shard=0",
            "--store",
            "--filter",
            "--lightpush",
        ])
        .args(["--rest", "--rest-admin", "--log-level=WARN"])
        .args([format!("--rest-port={rest}"), format!("--tcp-port={tcp}")])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn free_ports<const N: usize>() -> Outcome<[u16; N]> {
    let listeners =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
    let ports = ports.collect::<Result<Vec<_>, std::io::Error>>()?;
    ports.try_into().map_err(|_| "as many ports as listeners".into())
}

/// One request on a kept connection; the body of its answer, which must be 200.
async fn request(connection: &mut TcpStream, method: &str, path: &str, body: &str) -> Outcome<Vec<u8>> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
    let (mut answer, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = connection.read(&mut buffer).await?;
        if read == 0 {
            return Err("the connection was closed".into());
        }
        answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let (head, rest) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).ok_or("no length")?;
        if rest.len() >= length.parse::<usize>()? {
            let is_ok = head.starts_with("http/1.1 200 ");
            return if is_ok { Ok(rest.to_vec()) } else { Err(text(&answer)?.into()) };
        }
    }
}

fn text(bytes: &[u8]) -> Outcome<String> {
    Ok(String::from_utf8(bytes.to_vec())?)
}

/// The value below which this part of all sorted ones lies.
fn at(sorted: &[Duration], part: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index of a list that is not that long"
    )]
    let index = (sorted.len() as f64 * part) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "a size to be read by people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
