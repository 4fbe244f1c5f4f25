//! Requests between this side and everybody it is paired with, over the sessions that its party keeps.
//!
//! One task, the driver, has a [`Connection`](waku_tunnel::connection::Connection) for each pairing. [`Tunnels`] makes
//! requests through it; requests of the other sides come out as [`Requested`]. A tunnel outlives its sessions: a request
//! waits while there is none, and goes on over the next.

mod driver;
mod held;
mod journal;
mod peer;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use waku_pairing::record::PairingId;
use waku_tunnel::connection::{Counters, NotifyError, OpenError, StreamError};
use waku_tunnel::request::{Answer, Code, Header, Reason, Request};
use waku_tunnel::stream::{Handle, Notice};

pub(crate) use driver::{Driver, Parts};
pub use held::{Asked, Exchange, Requested, Served};
pub use journal::{Journal, JournalError};

/// Commands that wait for the driver; whoever gives more waits.
const COMMANDS: usize = 256;

/// A way to the tunnels. Cheap to clone.
#[derive(Clone)]
pub struct Tunnels {
    commands: mpsc::Sender<Command>,
}

impl Tunnels {
    /// Makes a request, and gives it up when what is returned is dropped.
    ///
    /// # Errors
    /// [`AskError`]; nothing was sent then.
    pub async fn open(&self, pairing: PairingId, request: Request) -> Result<Asked, AskError> {
        let (reply, answer) = oneshot::channel();
        let open = Command::Open(pairing, Box::new(request), reply);
        self.commands.send(open).await.map_err(|_| AskError::Stopped)?;
        let opened = answer.await.map_err(|_| AskError::Stopped)??;
        Ok(Asked::new(self.commands.clone(), pairing, opened))
    }

    /// Makes a request whose body is whole, and waits for the beginning of its answer.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, pairing: PairingId, request: Request) -> Result<Exchange, AskError> {
        self.open(pairing, request).await?.answer().await
    }

    /// What was counted for a pairing; `None` when nothing was ever said to it or by it.
    pub async fn figures(&self, pairing: PairingId) -> Option<Figures> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Figures(pairing, reply)).await.ok()?;
        answer.await.ok().flatten()
    }

    /// Ends every stream and tells the other sides.
    pub(crate) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            // A driver that has ended has nothing open.
            _ = closed.await;
        }
    }
}

/// What was counted for a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages.
    pub counters: Counters,
    /// The measured round trip.
    pub round_trip: Option<std::time::Duration>,
    /// Bytes held for bodies, events, waiting requests and kept answers.
    pub buffered: usize,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AskError {
    /// There is no such pairing, or it does not stand yet.
    #[error("there is no such pairing")]
    UnknownPeer,
    /// It was not taken.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It was ended.
    #[error("{0}")]
    Ended(#[from] Reason),
    /// It cannot be written to now.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The service has stopped.
    #[error("the service has stopped")]
    Stopped,
}

type Reply<T> = oneshot::Sender<T>;
type Begun = (u16, Vec<Header>);

enum Command {
    Open(PairingId, Box<Request>, Reply<Result<Opened, AskError>>),
    On(PairingId, Handle, Act),
    Figures(PairingId, Reply<Option<Figures>>),
    Close(Reply<()>),
}

/// What the holder of a stream wants.
enum Act {
    Begin(Reply<Result<Begun, Reason>>),
    Read(Reply<Result<Option<Bytes>, Reason>>),
    Hear(Reply<Result<Option<Notice>, Reason>>),
    Write(Bytes, Reply<Result<(), StreamError>>),
    Finish(Reply<Result<(), StreamError>>),
    Answer(Answer, Reply<Result<(), StreamError>>),
    Notify(u64, Bytes, Reply<Result<(), NotifyError>>),
    Reject(Code, Reply<()>),
}

/// A stream, for whoever holds it.
struct Opened {
    handle: Handle,
    /// Dropped by the holder when it wants no more.
    held: oneshot::Sender<()>,
    /// Closed by the driver when the stream is over.
    over: oneshot::Receiver<()>,
}
