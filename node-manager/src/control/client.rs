//! A command's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;

use super::notice::Notice;
use super::protocol::{Answer, Request, Response};
use super::{MAX_RESPONSE, SOCKET_NAME};
use crate::failure::Failure;

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
        let (answer, _) = self.ask(request).await.map_err(gone)?;
        answer.into()
    }

    /// What happens from now on.
    pub(super) async fn watch(&self) -> Result<RemoteWatch, Failure> {
        let (answer, stream) = self.ask(&Request::Watch).await.map_err(gone)?;
        Result::from(answer)?;
        Ok(RemoteWatch(stream.lines()))
    }

    async fn ask(&self, request: &Request) -> io::Result<(Answer, BufReader<UnixStream>)> {
        let mut stream = UnixStream::connect(&self.path).await?;
        let mut line = zeroize::Zeroizing::new(serde_json::to_vec(request)?);
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut reader = BufReader::new(stream);
        let mut answer = Vec::new();
        (&mut reader).take(MAX_RESPONSE).read_until(b'\n', &mut answer).await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((serde_json::from_slice(&answer)?, reader))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn gone(error: io::Error) -> Failure {
    Failure::other(format!("the daemon does not answer any more: {error}"))
        .hint("what was under way is taken up when it runs again; `node-manager status` shows how far it is")
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
