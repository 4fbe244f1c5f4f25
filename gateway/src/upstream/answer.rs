//! A service's answer, read as fast as it is passed on.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use thiserror::Error;
use tokio::task::JoinHandle;

use super::{CallError, Patience, SentBody};
use crate::policy::header::passes_to_app;

/// The head of an answer that may pass, and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: AnswerBody,
}

/// An answer's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// It is longer than the rule allows; the limit in bytes.
    #[error("the answer is longer than the {0} bytes that are passed on")]
    TooLong(u64),
    /// The service kept us waiting too long.
    #[error("the service stopped in the middle of its answer")]
    TimedOut,
    /// The connection ended before the body did.
    #[error("the service broke its answer off")]
    BrokenOff,
}

/// The task that moves a connection's bytes; aborted when this is dropped.
pub(super) struct Task {
    handle: JoinHandle<()>,
    /// Without it, the connection takes the request for given up.
    sender: Option<SendRequest<SentBody>>,
}

impl Task {
    pub(super) fn spawn<F>(connection: F) -> Self
    where
        F: Future<Output = Result<(), hyper::Error>> + Send + 'static,
    {
        let handle = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a service ended");
            }
        });
        Self { handle, sender: None }
    }

    pub(super) fn keep_sender(&mut self, sender: SendRequest<SentBody>) {
        self.sender = Some(sender);
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// The rest of an answer. Nothing is read from the service before it is asked for here, but for what sockets buffer.
pub(crate) struct AnswerBody {
    incoming: Incoming,
    patience: Patience,
    left: u64,
    most: u64,
    _task: Task,
}

impl Answer {
    pub(super) fn new(
        response: Response<Incoming>,
        task: Task,
        patience: Patience,
        most: u64,
    ) -> Result<Self, CallError> {
        let (head, incoming) = response.into_parts();
        if incoming.size_hint().lower() > most {
            return Err(CallError::TooLong(most));
        }
        let passing = head.headers.iter().filter(|(name, _)| passes_to_app(name.as_str()));
        let headers =
            passing.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        Ok(Self {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: AnswerBody { incoming, patience, left: most, most, _task: task },
        })
    }
}

impl AnswerBody {
    /// How many bytes are still to come, if the service said so.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next piece; nothing after the last. After an error there is nothing more.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let frame = match self.patience.wait(self.incoming.frame()).await {
                None => return Some(Err(BodyError::TimedOut)),
                Some(None) => return None,
                Some(Some(Err(_))) => return Some(Err(BodyError::BrokenOff)),
                Some(Some(Ok(frame))) => frame,
            };
            // Trailers are not passed on.
            let Ok(piece) = frame.into_data() else { continue };
            let Some(left) = self.left.checked_sub(piece.len() as u64) else {
                return Some(Err(BodyError::TooLong(self.most)));
            };
            self.left = left;
            if !piece.is_empty() {
                return Some(Ok(piece));
            }
        }
    }

    /// Waits as long for each piece as a service of events may be silent, and takes any number of bytes.
    pub(crate) fn endless(mut self, silence: std::time::Duration) -> Self {
        self.patience = Patience::new(silence);
        (self.left, self.most) = (u64::MAX, u64::MAX);
        self
    }

    /// Begins to wait anew.
    pub(crate) fn wait_anew(&mut self, silence: std::time::Duration) {
        self.patience = Patience::new(silence);
    }
}
