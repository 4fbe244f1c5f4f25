//! The daemon's end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use node_manager::Service;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::access::Watch;
use super::protocol::{Answer, Request};
use super::room::Room;
use super::serve::serve;
use super::{MAX_REQUEST, SOCKET_NAME};
use crate::failure::{Failure, Kind};

/// Connections at one time; more wait.
const MAX_CONNECTIONS: usize = 32;
/// How long a connection may take to ask for something.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// The control socket, open. Its file is removed when this is dropped.
pub(crate) struct Server {
    path: PathBuf,
    listener: UnixListener,
}

impl Server {
    /// Opens the socket. The vault next to it is open, so whatever is left there was left by a process that is gone.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join(SOCKET_NAME);
        let failed = |error: io::Error| {
            let message = format!("cannot open the control socket {}: {error}", path.display());
            let failure = Failure::new(Kind::Vault, message);
            if error.kind() == io::ErrorKind::InvalidInput {
                failure.hint("its whole path may have about 100 characters: use a shorter --data-dir")
            } else {
                failure
            }
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { path, listener })
    }

    /// Serves until the future is dropped.
    pub(crate) async fn run(&self, room: &Arc<Room>) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let room = Arc::clone(room);
                    tokio::spawn(async move {
                        if let Err(error) = converse(&room, stream).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a control connection");
                    // Out of file descriptors, for instance: trying again at once would only spin.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it is gone already, all the better.
        _ = fs::remove_file(&self.path);
    }
}

async fn converse(room: &Room, mut stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(MAX_REQUEST));
    let mut reader = BufReader::new(read);
    let mut first = (&mut reader).take(MAX_REQUEST as u64);
    if timeout(REQUEST_PATIENCE, first.read_until(b'\n', &mut line)).await?? == 0 {
        // Somebody looked whether a daemon is there.
        return Ok(());
    }
    let request: Request = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(error) => {
            let failure = Failure::usage(format!("the daemon does not understand the request: {error}"))
                .hint("it may be of another version: restart it");
            return answer(&mut write, Answer::Failed(failure)).await;
        }
    };
    if matches!(request, Request::Watch) {
        return watch(&room.service, reader, &mut write).await;
    }
    let may_take_long = !request.waits_for().is_zero();
    let answered = tokio::select! {
        answered = serve(room, request) => answered,
        // Whoever asked has gone: the connection is for others to use.
        () = closed(reader), if may_take_long => return Ok(()),
    };
    answer(&mut write, answered.into()).await
}

async fn closed(mut reader: impl AsyncReadExt + Unpin) {
    let mut rest = [0; 64];
    while reader.read(&mut rest).await.is_ok_and(|len| len > 0) {}
}

async fn answer(write: &mut (impl AsyncWriteExt + Unpin), answer: Answer) -> io::Result<()> {
    write_line(write, &answer).await
}

/// Tells what happens until the other end closes the connection.
async fn watch(
    service: &Service,
    reader: impl AsyncReadExt + Unpin,
    write: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<()> {
    let mut watch = Watch::local(service);
    write_line(write, &Answer::Ok(super::Response::Done)).await?;
    let mut closed = pin!(closed(reader));
    loop {
        tokio::select! {
            notice = watch.next() => match notice {
                Some(notice) => write_line(write, &notice).await?,
                None => return Ok(()),
            },
            () = &mut closed => return Ok(()),
        }
    }
}

async fn write_line(
    write: &mut (impl AsyncWriteExt + Unpin),
    value: &impl serde::Serialize,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    write.write_all(&line).await
}
