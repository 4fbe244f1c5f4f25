//! The body of a request, on its way from the app.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use thiserror::Error;
use tokio::sync::mpsc;

use super::Patience;

/// How long an app may let its body rest before the request is given up: a message may have to come from a store.
const APP_WITHIN: Duration = Duration::from_secs(600);

/// The body of a request.
#[derive(Debug, Default)]
pub enum RequestBody {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// What an [`Upload`] sends.
    Streamed(Incoming),
}

/// The end of a body at which it is read.
#[derive(Debug)]
pub struct Incoming(mpsc::Receiver<Option<Bytes>>);

/// The end of a body at which it comes in. Dropping it before [`finish`](Self::finish) breaks the request off.
#[derive(Debug)]
pub struct Upload(mpsc::Sender<Option<Bytes>>);

/// The request is over; nobody reads its body any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nobody reads the body of this request any more")]
pub struct AppGone;

/// A body that is sent piece by piece: `pieces` may be under way, then [`Upload::send`] waits.
pub fn upload(pieces: usize) -> (Upload, RequestBody) {
    let (sender, receiver) = mpsc::channel(pieces.max(1));
    (Upload(sender), RequestBody::Streamed(Incoming(receiver)))
}

impl Upload {
    /// Sends a piece, when there is room for it.
    ///
    /// # Errors
    /// When the request is over.
    pub async fn send(&self, piece: Bytes) -> Result<(), AppGone> {
        self.0.send(Some(piece)).await.map_err(|_| AppGone)
    }

    /// Says that this was all.
    ///
    /// # Errors
    /// When the request is over.
    pub async fn finish(self) -> Result<(), AppGone> {
        self.0.send(None).await.map_err(|_| AppGone)
    }
}

/// A body that did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum UploadError {
    #[error("the body is longer than the {0} bytes this path takes")]
    TooLong(u64),
    #[error("the body broke off")]
    BrokenOff,
    #[error("the body did not come in time")]
    TooSlow,
}

impl RequestBody {
    /// Waits for the whole body.
    pub(crate) async fn gather(self, most: u64) -> Result<Bytes, UploadError> {
        let too_long = UploadError::TooLong(most);
        let mut incoming = match self {
            Self::Empty => return Ok(Bytes::new()),
            Self::Whole(bytes) if bytes.len() as u64 > most => return Err(too_long),
            Self::Whole(bytes) => return Ok(bytes),
            Self::Streamed(incoming) => incoming.0,
        };
        let mut whole = BytesMut::new();
        loop {
            let mut patience = Patience::new(APP_WITHIN);
            match patience.wait(incoming.recv()).await.ok_or(UploadError::TooSlow)? {
                Some(Some(piece)) if (whole.len() + piece.len()) as u64 > most => return Err(too_long),
                Some(Some(piece)) => whole.extend_from_slice(&piece),
                Some(None) => return Ok(whole.freeze()),
                None => return Err(UploadError::BrokenOff),
            }
        }
    }
}

/// A body that is passed on while it comes in.
pub(crate) struct Uploading {
    incoming: mpsc::Receiver<Option<Bytes>>,
    left: u64,
    most: u64,
    ended: bool,
    progress: Progress,
}

/// How far a body has come.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Moved>);

#[derive(Default)]
struct Moved {
    pieces: AtomicU64,
    starved: AtomicBool,
    failure: OnceLock<UploadError>,
}

impl Progress {
    /// Grows with every piece.
    pub(super) fn moved(&self) -> u64 {
        self.0.pieces.load(Ordering::Relaxed)
    }

    /// Whether the service waits for the app's next piece.
    pub(super) fn is_starved(&self) -> bool {
        self.0.starved.load(Ordering::Relaxed)
    }

    /// Why the body did not come to its end, if so.
    pub(super) fn failure(&self) -> Option<UploadError> {
        self.0.failure.get().copied()
    }
}

impl Uploading {
    pub(crate) fn new(incoming: Incoming, most: u64) -> Self {
        Self { incoming: incoming.0, left: most, most, ended: false, progress: Progress::default() }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for Uploading {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = self.incoming.poll_recv(context);
        self.progress.0.starved.store(piece.is_pending(), Ordering::Relaxed);
        let piece = ready!(piece);
        self.progress.0.pieces.fetch_add(1, Ordering::Relaxed);
        let error = match piece {
            Some(Some(piece)) => match self.left.checked_sub(piece.len() as u64) {
                Some(left) => {
                    self.left = left;
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                None => UploadError::TooLong(self.most),
            },
            Some(None) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            None => UploadError::BrokenOff,
        };
        self.ended = true;
        _ = self.progress.0.failure.set(error);
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_only_when_its_end_was_said() {
        let (sender, body) = upload(4);
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        sender.send(Bytes::from_static(b"c")).await.unwrap();
        sender.finish().await.unwrap();
        assert_eq!(body.gather(3).await, Ok(Bytes::from_static(b"abc")));

        let (sender, body) = upload(4);
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        drop(sender);
        assert_eq!(body.gather(3).await.map(|_| ()), Err(UploadError::BrokenOff));
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_not_kept() {
        let (sender, body) = upload(4);
        sender.send(Bytes::from_static(b"ab")).await.unwrap();
        sender.send(Bytes::from_static(b"cd")).await.unwrap();
        assert_eq!(body.gather(3).await.map(|_| ()), Err(UploadError::TooLong(3)));
        assert_eq!(sender.send(Bytes::new()).await, Err(AppGone));
        let whole = RequestBody::Whole(Bytes::from_static(b"abcd"));
        assert_eq!(whole.gather(3).await.map(|_| ()), Err(UploadError::TooLong(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_rests_for_ever_is_given_up() {
        let (_sender, body) = upload(1);
        assert_eq!(body.gather(3).await.map(|_| ()), Err(UploadError::TooSlow));
    }

    #[tokio::test]
    async fn a_streamed_body_ends_with_an_error_when_it_is_too_long_or_breaks_off() {
        for (pieces, error) in [(2, UploadError::TooLong(3)), (1, UploadError::BrokenOff)] {
            let (sender, body) = upload(4);
            for _ in 0..pieces {
                sender.send(Bytes::from_static(b"ab")).await.unwrap();
            }
            drop(sender);
            let RequestBody::Streamed(incoming) = body else { unreachable!("an upload is streamed") };
            let uploading = Uploading::new(incoming, 3);
            assert_eq!(uploading.collect().await.map(|_| ()), Err(error));
        }
    }
}
