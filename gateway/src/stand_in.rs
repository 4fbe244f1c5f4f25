//! A beacon node with a keymanager, metrics and an execution client, on one port: what tests and demonstrations ask in
//! the place of Nimbus. Its head moves; it keeps no chain and checks nothing but the token.
//!
//! `POST /stand-in/{mood}` makes it misbehave, see [`Mood`]; `POST /stand-in/{peers,behind,missed}/{number}` sets a figure.

mod answer;
mod chain;
mod mood;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use chain::Chain;
pub use mood::Mood;

/// Requests that are remembered.
const MAX_SEEN: usize = 1000;
/// Longest body, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Connections at a time.
const MAX_CONNECTIONS: usize = 256;

/// How a stand-in is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 for any that is free.
    pub address: SocketAddr,
    /// Time between two heads. The clock can be judged by it from a second on.
    pub slot: Duration,
    /// What the keymanager wants as bearer token.
    pub token: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            slot: Duration::from_secs(12),
            token: "stand-in-token".to_owned(),
        }
    }
}

/// A request that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// A stand-in at work, until it is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    node: Arc<Node>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Node {
    chain: Chain,
    token: String,
    figures: Mutex<Figures>,
    mood: watch::Sender<Mood>,
    seen: watch::Sender<Vec<Seen>>,
    sent: AtomicU64,
}

#[derive(Debug)]
struct Figures {
    peers: u64,
    behind: u64,
    missed: u64,
    graffiti: String,
    keys: Vec<String>,
}

type Body = BoxBody<Bytes, io::Error>;

impl StandIn {
    /// Listens, and answers from then on.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address).await?;
        let address = listener.local_addr()?;
        let figures =
            Figures { peers: 150, behind: 0, missed: 0, graffiti: "stand-in".to_owned(), keys: Vec::new() };
        let node = Arc::new(Node {
            chain: Chain::new(options.slot),
            token: options.token,
            figures: Mutex::new(figures),
            mood: watch::Sender::new(Mood::Calm),
            seen: watch::Sender::new(Vec::new()),
            sent: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&node)));
        Ok(Self { address, node, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes it behave otherwise. Streams that are open end.
    pub fn set_mood(&self, mood: Mood) {
        self.node.mood.send_replace(mood);
    }

    /// Sets how many peers the node has.
    pub fn set_peers(&self, peers: u64) {
        self.node.figures().peers = peers;
    }

    /// Sets how many slots the node is behind.
    pub fn set_behind(&self, slots: u64) {
        self.node.figures().behind = slots;
    }

    /// The requests that came in, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.node.seen.borrow().clone()
    }

    /// Returns when as many requests have come in.
    pub async fn saw(&self, count: usize) {
        let mut seen = self.node.seen.subscribe();
        _ = seen.wait_for(|seen| seen.len() >= count).await;
    }

    /// Bytes of endless bodies that were handed to sockets.
    pub fn sent(&self) -> u64 {
        self.node.sent.load(Ordering::Relaxed)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, node: Arc<Node>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else { continue };
        let node = Arc::clone(&node);
        connections.spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&node), request));
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection of the stand-in ended");
            }
        });
    }
}

async fn handle(node: Arc<Node>, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let seen = Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers.iter().map(|(name, found)| (name.to_string(), value(found))).collect(),
        body,
    };
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    if let Some(wish) = path.strip_prefix("/stand-in/") {
        return Ok(answer::wish(&node, wish));
    }
    node.seen.send_modify(|all| {
        if all.len() < MAX_SEEN {
            all.push(seen.clone());
        }
    });
    let mood = *node.mood.borrow();
    match mood.answer(&node).await {
        Some(answer) => answer,
        None => Ok(answer::answer(&node, &seen, path, query)),
    }
}
