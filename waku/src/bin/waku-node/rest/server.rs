//! HTTP on a socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf, join};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections served at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// Longest head of a request that is served in any case, in bytes. One that is longer by [`SIP`] or more is answered
/// with 431, and so is every address that is too long for HTTP.
const MAX_HEAD: usize = 60 * 1024;
/// Most bytes read at a time: a head that has come as a whole is not measured any more.
const SIP: usize = 4 * 1024;
/// How long a head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How much of a request that was refused before its end is read all the same, and for how long: a socket closed on
/// unread bytes takes the answer with it.
const LINGER: (u64, Duration) = (64 << 20, Duration::from_secs(5));
/// How long requests under way may take at shutdown.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// Pause after the system could not accept a connection, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server at work.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Server {
    /// Listens, and serves from then on.
    pub(crate) async fn start(address: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let server = Self {
            address: listener.local_addr()?,
            stop: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        tokio::spawn(accept(listener, router, server.stop.clone(), server.connections.clone()));
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and returns when those under way are answered, or have taken too long.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.connections.close();
        if timeout(STOP_WITHIN, self.connections.wait()).await.is_err() {
            tracing::warn!(open = self.connections.len(), "HTTP requests were not answered in time");
        }
    }
}

async fn accept(listener: TcpListener, router: Router, stop: CancellationToken, connections: TaskTracker) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place.expect("the semaphore is never closed"), listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let serving = serve(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%error, "HTTP connection ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no HTTP connection accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, router: Router, stop: CancellationToken) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(join(Sips(reader), writer)), TowerToHyperService::new(router));
    let outcome = tokio::select! {
        outcome = &mut connection => outcome,
        () = stop.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "HTTP request not served");
    }
    let (Sips(mut reader), writer) = connection.into_parts().io.into_inner().into_inner();
    // Says that nothing more comes.
    drop(writer);
    if stop.is_cancelled() {
        return Ok(());
    }
    let (most, within) = LINGER;
    let mut left = most;
    let drain = async {
        let mut buffer = vec![0; 16 * 1024];
        while left > 0 {
            match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read as u64),
            }
        }
    };
    _ = timeout(within, drain).await;
    Ok(())
}

/// Reads a little at a time.
struct Sips(OwnedReadHalf);

impl AsyncRead for Sips {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = SIP.min(buffer.remaining());
        let mut sip = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.0).poll_read(context, &mut sip))?;
        let read = sip.filled().len();
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}
