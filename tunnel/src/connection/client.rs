//! Requests of ours.

use waku_noise_session::time::{Instant, Now};

use super::queue::{Queued, size};
use super::{Connection, Event, MAX_QUEUED, MAX_QUEUED_BYTES, Read, StreamError, millis};
use crate::frame::{Encoding, Frame, MAX_HEADER_BYTES, MAX_HEADERS, MAX_METHOD, MAX_PATH, Open};
use crate::request::{Body, Code, Header, Kind, MAX_WHOLE, Reason, Request, changes_something};
use crate::stream::events::{Inbox, Notice};
use crate::stream::{Handle, Stream};

/// Requests that are under way at once; the others wait.
pub const MAX_ACTIVE: usize = 32;

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too many wait already.
    #[error("{MAX_QUEUED} requests wait already, or {MAX_QUEUED_BYTES} bytes of them")]
    Full,
    /// It changes something and has no key.
    #[error("a request that changes something needs an idempotency key")]
    KeyMissing,
    /// Its method, path, headers or whole body are too long.
    #[error("{0} too long")]
    TooLong(&'static str),
    /// This process has opened as many streams as can be named.
    #[error("no stream is left")]
    Exhausted,
}

impl Connection {
    /// Makes a request. It is sent when its turn comes and there is a session.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing is sent, and no [`Event::Ended`] comes.
    pub fn open(&mut self, now: Now, request: Request) -> Result<Handle, OpenError> {
        check(&request)?;
        let sending: usize = self.streams.values().map(|stream| stream.send.buffered()).sum();
        let bytes = self.queue.bytes() + sending + size(&request);
        if self.queue.len() >= MAX_QUEUED || bytes > MAX_QUEUED_BYTES {
            return Err(OpenError::Full);
        }
        let id = self.config.side.stream(self.next_stream).ok_or(OpenError::Exhausted)?;
        self.next_stream += 1;
        let handle = Handle { generation: self.generation, id };
        let deadline = request.timeout.map(|timeout| now.instant + timeout);
        self.queue.push(Queued { handle, request, deadline });
        Ok(handle)
    }

    pub(super) fn active(&self) -> usize {
        self.streams.keys().filter(|id| self.config.side.opens(**id)).count()
    }

    /// Puts a request that waited on the wire. Returns whether its body is still to be written.
    pub(super) fn start(&mut self, now: Instant, queued: Queued) -> bool {
        let Queued { handle, request, deadline } = queued;
        let mut stream = Stream::new(handle, request.kind, request.priority);
        stream.deadline = deadline;
        let has_body = request.body != Body::Empty;
        let encoding = if request.compress && has_body { Encoding::Zstd } else { Encoding::Identity };
        stream.send.set_encoding(encoding);
        if request.kind == Kind::Subscribe {
            stream.inbox = Some(Inbox::default());
        }
        let (body_len, is_streamed) = match &request.body {
            Body::Empty => (None, false),
            Body::Whole(bytes) => (Some(bytes.len() as u64), false),
            Body::Streamed(len) => (*len, true),
        };
        stream.set_lead(Frame::Open(Open {
            stream: handle.id,
            kind: request.kind,
            method: request.method,
            path: request.path,
            headers: request.headers,
            key: request.key,
            not_after: request.not_after.map(millis),
            body_len,
            encoding,
            pace: request.pace,
        }));
        if let Body::Whole(bytes) = &request.body {
            stream.send.write(now, bytes);
        }
        if !is_streamed {
            stream.send.finish();
        }
        stream.send.begin(now);
        self.streams.insert(handle.id, stream);
        is_streamed
    }

    /// Writes some of a body, and returns how much was taken: [`Event::Writable`] tells when there is room for more, the
    /// first time once the request has its turn.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn write(&mut self, now: Instant, stream: Handle, bytes: &[u8]) -> Result<usize, StreamError> {
        if self.queue.contains(stream) {
            return Ok(0);
        }
        if let Some(written) = self.write_kept(stream, bytes) {
            return written;
        }
        let stream = self.stream(stream)?;
        if !stream.send.is_open() || matches!(stream.lead, crate::stream::Lead::Unknown) {
            return Err(StreamError::OutOfTurn);
        }
        let taken = stream.send.room().min(bytes.len());
        stream.wants_room |= taken < bytes.len();
        stream.send.write(now, bytes.get(..taken).unwrap_or_default());
        Ok(taken)
    }

    /// The body is complete. What was not taken by [`Self::write`] is not part of it.
    ///
    /// # Errors
    /// [`StreamError`]; a request that waits for its turn is out of turn.
    pub fn finish(&mut self, stream: Handle) -> Result<(), StreamError> {
        if self.finish_kept(stream) {
            return Ok(());
        }
        if self.queue.contains(stream) {
            return Err(StreamError::OutOfTurn);
        }
        let stream = self.stream(stream)?;
        if !stream.send.is_open() || matches!(stream.lead, crate::stream::Lead::Unknown) {
            return Err(StreamError::OutOfTurn);
        }
        stream.send.finish();
        Ok(())
    }

    /// A request of ours is wanted no more; the other side is told.
    pub fn cancel(&mut self, stream: Handle) {
        if let Some(queued) = self.queue.contains(stream).then(|| self.queue.remove(stream.id)).flatten() {
            let outcome = Err(Reason::Cancelled);
            self.events.push_back(Event::Ended { stream: queued.handle, outcome });
        } else if self.config.side.opens(stream.id) && self.stream(stream).is_ok() {
            self.break_off(stream.id, Reason::Cancelled, Code::Cancelled);
        }
    }

    /// The next bytes of the other side's body. With the last of an answer [`Event::Ended`] comes.
    pub fn read(&mut self, stream: Handle) -> Read {
        let id = stream.id;
        let Ok(stream) = self.stream(stream) else { return Read::End };
        let read = stream.receive.read();
        let over = stream.receive.is_over();
        match (read, over) {
            (Ok(Some(bytes)), Ok(over)) => {
                if over && self.config.side.opens(id) {
                    self.end(id, Ok(()));
                }
                Read::Bytes(bytes)
            }
            (Ok(None), Ok(true)) => Read::End,
            (Ok(None), Ok(false)) => {
                stream.told_readable = false;
                Read::Blocked
            }
            (Err(_), _) | (_, Err(_)) => {
                self.break_off(id, Reason::BadBody, Code::BadBody);
                Read::End
            }
        }
    }

    /// The next event of a subscription of ours.
    pub fn notice(&mut self, stream: Handle) -> Option<Notice> {
        let stream = self.stream(stream).ok()?;
        let notice = stream.inbox.as_mut()?.read();
        if notice.is_none() {
            stream.told_readable = false;
        }
        notice
    }

    pub(super) fn stream(&mut self, handle: Handle) -> Result<&mut Stream, StreamError> {
        self.streams.get_mut(&handle.id).filter(|stream| stream.handle == handle).ok_or(StreamError::Gone)
    }
}

fn check(request: &Request) -> Result<(), OpenError> {
    if request.key.is_none() && changes_something(request.kind, &request.method) {
        return Err(OpenError::KeyMissing);
    }
    if request.method.len() > MAX_METHOD {
        return Err(OpenError::TooLong("the method is"));
    }
    if request.path.len() > MAX_PATH {
        return Err(OpenError::TooLong("the path is"));
    }
    if !headers_fit(&request.headers) {
        return Err(OpenError::TooLong("the headers are"));
    }
    match &request.body {
        Body::Whole(bytes) if bytes.len() > MAX_WHOLE => Err(OpenError::TooLong("the body is")),
        _ => Ok(()),
    }
}

/// Whether headers can be sent.
pub(super) fn headers_fit(headers: &[Header]) -> bool {
    let bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    headers.len() <= MAX_HEADERS && bytes <= MAX_HEADER_BYTES
}
