//! Streams, as they are held by those who ask and those who answer. Dropping one gives it up.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use waku_pairing::record::PairingId;
use waku_tunnel::connection::{Incoming, NotifyError, StreamError};
use waku_tunnel::request::{Answer, Code, Header, Reason};
use waku_tunnel::stream::{Handle, Notice};

use super::{Act, AskError, Command, Opened};

/// A stream's holder.
struct Held {
    commands: mpsc::Sender<Command>,
    pairing: PairingId,
    handle: Handle,
    _alive: oneshot::Sender<()>,
    over: oneshot::Receiver<()>,
    /// What was asked for and not waited for to its end: giving up waiting loses nothing.
    reading: Option<oneshot::Receiver<Result<Option<Bytes>, Reason>>>,
    hearing: Option<oneshot::Receiver<Result<Option<Notice>, Reason>>>,
}

impl Held {
    fn new(commands: mpsc::Sender<Command>, pairing: PairingId, opened: Opened) -> Self {
        let Opened { handle, held, over } = opened;
        Self { commands, pairing, handle, _alive: held, over, reading: None, hearing: None }
    }

    async fn act(&self, act: Act) -> Option<()> {
        self.commands.send(Command::On(self.pairing, self.handle, act)).await.ok()
    }

    async fn ask<T>(&self, act: impl FnOnce(oneshot::Sender<T>) -> Act) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.act(act(reply)).await?;
        answer.await.ok()
    }

    async fn write(&self, bytes: Bytes) -> Result<(), StreamError> {
        self.ask(|reply| Act::Write(bytes, reply)).await.unwrap_or(Err(StreamError::Gone))
    }

    async fn finish(&self) -> Result<(), StreamError> {
        self.ask(Act::Finish).await.unwrap_or(Err(StreamError::Gone))
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Reason> {
        if self.reading.is_none() {
            let (reply, answer) = oneshot::channel();
            self.act(Act::Read(reply)).await.ok_or(Reason::Closed)?;
            self.reading = Some(answer);
        }
        let Some(answer) = &mut self.reading else { return Err(Reason::Closed) };
        let read = answer.await.unwrap_or(Err(Reason::Closed));
        self.reading = None;
        read
    }

    async fn hear(&mut self) -> Result<Option<Notice>, Reason> {
        if self.hearing.is_none() {
            let (reply, answer) = oneshot::channel();
            self.act(Act::Hear(reply)).await.ok_or(Reason::Closed)?;
            self.hearing = Some(answer);
        }
        let Some(answer) = &mut self.hearing else { return Err(Reason::Closed) };
        let heard = answer.await.unwrap_or(Err(Reason::Closed));
        self.hearing = None;
        heard
    }
}

/// A request of ours without an answer yet.
pub struct Asked(Held);

impl Asked {
    pub(super) fn new(commands: mpsc::Sender<Command>, pairing: PairingId, opened: Opened) -> Self {
        Self(Held::new(commands, pairing, opened))
    }

    /// Writes some of a body that is given by and by. Returns when there is room for more.
    ///
    /// # Errors
    /// [`StreamError`], when the request is over.
    pub async fn write(&self, bytes: Bytes) -> Result<(), StreamError> {
        self.0.write(bytes).await
    }

    /// The body is complete.
    ///
    /// # Errors
    /// [`StreamError`], when the request is over.
    pub async fn finish(&self) -> Result<(), StreamError> {
        self.0.finish().await
    }

    /// Waits for the beginning of the answer.
    ///
    /// # Errors
    /// [`AskError::Ended`] when there is none.
    pub async fn answer(self) -> Result<Exchange, AskError> {
        let begun = self.0.ask(Act::Begin).await.ok_or(AskError::Stopped)?;
        let (status, headers) = begun?;
        Ok(Exchange { status, headers, held: self.0 })
    }

    /// Writes a body piece by piece and waits for the beginning of the answer. It may come before the body has gone: then
    /// the rest is not wanted.
    ///
    /// # Errors
    /// What the pieces broke off with: the request is given up. Inside, [`AskError`] when there is no answer.
    pub async fn send<E>(
        self,
        pieces: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Result<Exchange, AskError>, E> {
        let (reply, begun) = oneshot::channel();
        if self.0.act(Act::Begin(reply)).await.is_none() {
            return Ok(Err(AskError::Stopped));
        }
        let mut begun = pin!(begun);
        let begun = tokio::select! {
            biased;
            begun = &mut begun => begun,
            written = self.write_all(pieces) => {
                written?;
                begun.await
            }
        };
        let begun = begun.map_err(|_| AskError::Stopped).and_then(|begun| Ok(begun?));
        Ok(begun.map(|(status, headers)| Exchange { status, headers, held: self.0 }))
    }

    async fn write_all<E>(&self, pieces: impl Stream<Item = Result<Bytes, E>>) -> Result<(), E> {
        let mut pieces = pin!(pieces);
        while let Some(piece) = pieces.next().await {
            if self.write(piece?).await.is_err() {
                // It is over: why is what the answer says.
                return Ok(());
            }
        }
        _ = self.finish().await;
        Ok(())
    }
}

/// A request of ours that is being answered.
pub struct Exchange {
    /// As in HTTP.
    pub status: u16,
    /// In their order.
    pub headers: Vec<Header>,
    held: Held,
}

impl Exchange {
    /// The next bytes of the answer; `None` after the last. Giving up waiting loses nothing.
    ///
    /// # Errors
    /// Why the answer broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Reason> {
        self.held.read().await
    }

    /// The next event of a subscription; `None` after the last. Giving up waiting loses nothing.
    ///
    /// # Errors
    /// Why the subscription ended.
    pub async fn event(&mut self) -> Result<Option<Notice>, Reason> {
        self.held.hear().await
    }

    /// All the rest of the answer, if it has at most so many bytes.
    ///
    /// # Errors
    /// Why it broke off; [`Reason::BadBody`] when it is longer.
    pub async fn read(mut self, most: usize) -> Result<Vec<u8>, Reason> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > most {
                return Err(Reason::BadBody);
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

/// A request of another side.
pub struct Requested {
    /// Whose.
    pub pairing: PairingId,
    /// What it wants.
    pub request: Incoming,
    /// To answer it with.
    pub stream: Served,
}

/// A request of another side, to be answered. Dropped without an answer, it has failed.
pub struct Served(Held);

impl Served {
    pub(super) fn new(commands: mpsc::Sender<Command>, pairing: PairingId, opened: Opened) -> Self {
        Self(Held::new(commands, pairing, opened))
    }

    /// The next bytes of its body; `None` after the last. Giving up waiting loses nothing.
    ///
    /// # Errors
    /// Why it broke off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Reason> {
        self.0.read().await
    }

    /// Begins the answer.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn answer(&self, answer: Answer) -> Result<(), StreamError> {
        self.0.ask(|reply| Act::Answer(answer, reply)).await.unwrap_or(Err(StreamError::Gone))
    }

    /// Writes some of the answer's body. Returns when there is room for more.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn write(&self, bytes: Bytes) -> Result<(), StreamError> {
        self.0.write(bytes).await
    }

    /// The answer is complete.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn finish(self) -> Result<(), StreamError> {
        self.0.finish().await
    }

    /// Tells a subscriber an event. Of those that wait under the same topic only the latest is told, if it wants that.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub async fn notify(&self, topic: u64, event: Bytes) -> Result<(), NotifyError> {
        self.0.ask(|reply| Act::Notify(topic, event, reply)).await.unwrap_or(Err(NotifyError::Gone))
    }

    /// Ends it without an answer, or within it.
    pub async fn reject(self, code: Code) {
        // Waited for: what is dropped before that has failed. A driver that has stopped has ended it already.
        _ = self.0.ask(|reply| Act::Reject(code, reply)).await;
    }

    /// Waits until it is over: nobody wants its answer any more, or has all of it.
    pub async fn over(&mut self) {
        _ = (&mut self.0.over).await;
    }
}

/// Without what it says.
impl fmt::Debug for Requested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requested").field("pairing", &self.pairing).finish_non_exhaustive()
    }
}

/// Without what it says.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("status", &self.status).finish_non_exhaustive()
    }
}
