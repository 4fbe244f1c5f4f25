//! A command's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::notice::Notice;
use super::protocol::{Answer, Request, Response};
use super::{MAX_REQUEST, MAX_RESPONSE, SOCKET_NAME};
use crate::failure::{Failure, Kind};

/// How long a daemon may think about a request, beyond what it was asked to wait for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that can be reached.
pub(crate) struct Client {
    path: PathBuf,
}

impl Client {
    /// The daemon of a data directory, if one answers there.
    pub(super) async fn find(data_dir: &Path) -> Option<Self> {
        let path = data_dir.join(SOCKET_NAME);
        UnixStream::connect(&path).await.ok()?;
        Some(Self { path })
    }

    /// Has a request carried out.
    pub(super) async fn call(&self, request: &Request) -> Result<Response, Failure> {
        let (answer, _) = self.ask(request).await?;
        answer.into()
    }

    /// What happens from now on.
    pub(super) async fn watch(&self) -> Result<RemoteWatch, Failure> {
        let (answer, stream) = self.ask(&Request::Watch).await?;
        Result::from(answer)?;
        Ok(RemoteWatch(stream.lines()))
    }

    async fn ask(&self, request: &Request) -> Result<(Answer, BufReader<UnixStream>), Failure> {
        let mut line =
            Zeroizing::new(serde_json::to_vec(request).expect("plain data can be written as JSON"));
        line.push(b'\n');
        if line.len() > MAX_REQUEST {
            return Err(Failure::usage("no name or code is that long"));
        }
        let patience = PATIENCE.saturating_add(request.waits_for());
        let asked = timeout(patience, self.send(&line)).await.map_err(|_| {
            Failure::new(Kind::Timeout, format!("the daemon does not answer within {} s", patience.as_secs()))
                .hint("its log may say why")
        })?;
        asked.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => {
                Failure::other(format!("the daemon's answer makes no sense to this command: {error}"))
                    .hint("it may be of another version: restart it")
            }
            _ => Failure::other(format!("the daemon does not answer any more: {error}"))
                .hint("`node-manager status` shows what came of it"),
        })
    }

    async fn send(&self, line: &[u8]) -> io::Result<(Answer, BufReader<UnixStream>)> {
        let mut stream = UnixStream::connect(&self.path).await?;
        stream.write_all(line).await?;
        let mut reader = BufReader::new(stream);
        let mut answer = Vec::new();
        (&mut reader).take(MAX_RESPONSE).read_until(b'\n', &mut answer).await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((serde_json::from_slice(&answer)?, reader))
    }
}

/// What happens in a daemon.
pub(crate) struct RemoteWatch(Lines<BufReader<UnixStream>>);

impl RemoteWatch {
    /// The next notice; `None` when the daemon has gone.
    pub(super) async fn next(&mut self) -> Option<Notice> {
        loop {
            let line = self.0.next_line().await.ok()??;
            // A notice of a later version is none of ours.
            if let Ok(notice) = serde_json::from_str(&line) {
                return Some(notice);
            }
        }
    }
}
