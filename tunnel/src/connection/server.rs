//! Requests of the other side, and what runs at most once.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use waku_noise_session::time::{Instant, Now, UnixTime};

use super::client::headers_fit;
use super::{Connection, Event, Incoming, StreamError, millis};
use crate::frame::{Encoding, Frame, Head, Open};
use crate::once::{Change, Kept, Known, MAX_KEPT, Outcome};
use crate::request::{Answer, Code, Key, Kind, Priority, Reason, StreamId, changes_something};
use crate::stream::events::{MAX_EVENT, Outbox};
use crate::stream::{Handle, Lead, Stream};

/// Streams of the other side at once. It has fewer under way ([`super::MAX_ACTIVE`]), but learns that one is over before
/// this side knows that its answer has arrived.
pub const MAX_INCOMING: usize = 96;
/// Requests with keys that run at once, those included whose streams are over.
pub const MAX_RUNNING: usize = 128;
/// A request whose body stands still for so long is over.
pub const IDLE: Duration = Duration::from_secs(30 * 60);

/// A request with a key that was handed out, and its answer so far.
pub(crate) struct Running {
    key: Key,
    head: Option<Answer>,
    body: BytesMut,
    /// Whether the answer is longer than one that is kept.
    too_long: bool,
}

impl Running {
    pub(crate) fn buffered(&self) -> usize {
        self.body.len()
    }
}

/// What follows once something is on disk.
pub(crate) enum After {
    /// A request is handed out.
    Begin(Handle, Box<Incoming>),
    /// An answer is sent to whoever waits for it.
    Answer(Vec<Handle>, Outcome),
    Nothing,
}

/// Why an event was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// The stream is over, or no subscription.
    #[error("there is no such subscription")]
    Gone,
    /// It is longer than an event may be.
    #[error("an event has at most {MAX_EVENT} bytes")]
    TooLong,
}

impl Connection {
    pub(super) fn accept_open(&mut self, now: Now, open: Open) {
        let id = open.stream;
        if self.config.side.opens(id) || !self.note_begun(id) {
            return;
        }
        if !self.streams.contains_key(&id) && self.incoming() >= MAX_INCOMING {
            return self.push_reset(id, Code::Busy.into(), 0);
        }
        let handle = Handle { generation: self.generation, id };
        let stream =
            self.streams.entry(id).or_insert_with(|| Stream::new(handle, open.kind, Priority::Command));
        stream.kind = open.kind;
        stream.receive.set_encoding(open.encoding);
        stream.deadline = (!stream.receive.is_here()).then(|| now.instant + IDLE);
        if open.kind == Kind::Subscribe {
            stream.outbox = Some(Outbox::new(open.pace));
            stream.deadline = None;
        }
        let key = open.key.filter(|_| open.kind != Kind::Subscribe);
        if key.is_none() && changes_something(open.kind, &open.method) {
            return self.refuse(id, Code::KeyMissing, 0);
        }
        let request = Incoming {
            kind: open.kind,
            method: open.method,
            path: open.path,
            headers: open.headers,
            key,
            body_len: open.body_len,
            pace: open.pace,
        };
        // What ran in its time is answered at any time, so the key comes first.
        // A clock here that was behind and is put right must not make the record old: its sender's counts too.
        let not_after = open.not_after.map(|millis| UnixTime::from_epoch(Duration::from_millis(millis)));
        let begun = Now { unix: not_after.map_or(now.unix, |not_after| now.unix.max(not_after)), ..now };
        let known = key.map(|key| self.once.begin(begun, key, &request.method, &request.path, handle));
        let is_late = open
            .not_after
            .is_some_and(|not_after| millis(now.unix) >= not_after.saturating_add(self.skew_millis()));
        match (known, is_late) {
            (None, false) => self.hand_out(handle, request),
            (Some(Known::New(_)), false) if self.running.len() + self.saves.len() >= MAX_RUNNING => {
                key.map(|key| self.once.undo(key));
                self.refuse(id, Code::Busy, 0);
            }
            (Some(Known::New(change)), false) => {
                self.save(vec![change], After::Begin(handle, Box::new(request)));
            }
            (None, true) => self.refuse(id, Code::Expired, millis(now.unix)),
            (Some(Known::New(_)), true) => {
                key.map(|key| self.once.undo(key));
                self.refuse(id, Code::Expired, millis(now.unix));
            }
            (Some(Known::Runs), _) => {}
            (Some(Known::Done(outcome)), _) => self.send_kept(now.instant, handle, &outcome),
            (Some(Known::Indeterminate), _) => self.refuse(id, Code::Indeterminate, 0),
            (Some(Known::Reused), _) => self.refuse(id, Code::KeyReused, 0),
            (Some(Known::Full), _) => self.refuse(id, Code::Busy, 0),
        }
    }

    fn skew_millis(&self) -> u64 {
        u64::try_from(self.config.clock_skew.as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends a stream that the caller does not know of, or no longer.
    fn refuse(&mut self, id: StreamId, code: Code, time: u64) {
        self.end(id, Err(Reason::Reset { code, time: None }));
        self.push_reset(id, code.into(), time);
    }

    fn hand_out(&mut self, handle: Handle, request: Incoming) {
        let Ok(stream) = self.stream(handle) else { return };
        stream.met = true;
        if stream.receive.is_here() {
            stream.deadline = None;
        }
        self.events.push_back(Event::Requested { stream: handle, request });
        self.tell_readable(handle.id);
    }

    /// What [`Event::Save`] asked for is durable, or could not be made so.
    pub fn saved(&mut self, now: Instant, ticket: u64, durable: bool) {
        self.counters.saves_failed += u64::from(!durable);
        match self.saves.remove(&ticket) {
            Some(After::Begin(handle, request)) => self.begun(handle, *request, durable),
            // That it was begun is on disk: after a restart it is not run again, whatever became of this.
            Some(After::Answer(waiting, outcome)) => {
                for handle in waiting {
                    self.send_kept(now, handle, &outcome);
                }
            }
            Some(After::Nothing) | None => {}
        }
    }

    fn begun(&mut self, handle: Handle, request: Incoming, durable: bool) {
        let Some(key) = request.key else { return };
        if durable && self.stream(handle).is_ok() {
            let running = Running { key, head: None, body: BytesMut::new(), too_long: false };
            self.running.insert(handle, running);
            return self.hand_out(handle, request);
        }
        // Nothing was done.
        self.undo(key, handle, Code::Busy);
    }

    fn undo(&mut self, key: Key, first: Handle, code: Code) {
        for handle in self.once.undo(key).into_iter().chain([first]) {
            if self.stream(handle).is_ok() {
                self.refuse(handle.id, code, 0);
            }
        }
        self.save(vec![Change::Remove(key)], After::Nothing);
    }

    /// Begins the answer to a request; its body follows with [`Connection::write`] and [`Connection::finish`].
    ///
    /// # Errors
    /// [`StreamError`]. A request with a key can be answered although its stream is over: the answer is kept.
    pub fn answer(&mut self, now: Instant, stream: Handle, answer: Answer) -> Result<(), StreamError> {
        if !(100..600).contains(&answer.status) || !headers_fit(&answer.headers) {
            return Err(StreamError::Invalid);
        }
        if let Some(running) = self.running.get_mut(&stream) {
            if running.head.is_some() {
                return Err(StreamError::OutOfTurn);
            }
            running.head = Some(answer);
            return Ok(());
        }
        let side = self.config.side;
        let stream = self.stream(stream)?;
        if side.opens(stream.handle.id) || !stream.met || !matches!(stream.lead, Lead::Unknown) {
            return Err(StreamError::OutOfTurn);
        }
        begin_answer(now, stream, answer);
        Ok(())
    }

    /// The same, with all of its body.
    ///
    /// # Errors
    /// [`StreamError`]; [`StreamError::Invalid`] also for a body longer than there is room for at once.
    pub fn answer_whole(
        &mut self,
        now: Instant,
        stream: Handle,
        answer: Answer,
        body: &[u8],
    ) -> Result<(), StreamError> {
        self.answer(now, stream, answer)?;
        if self.write(now, stream, body)? < body.len() {
            self.reject(stream, Code::Failed);
            return Err(StreamError::Invalid);
        }
        self.finish(stream)
    }

    /// Ends a request of the other side without an answer, or within it. With [`Code::Refused`] and [`Code::Busy`] nothing
    /// was done, and it may be sent again; after any other code a request with a key is never run again.
    pub fn reject(&mut self, stream: Handle, code: Code) {
        if let Some(running) = self.running.remove(&stream) {
            if matches!(code, Code::Refused | Code::Busy) {
                return self.undo(running.key, stream, code);
            }
            for waiting in self.once.leave(running.key) {
                if self.stream(waiting).is_ok() {
                    self.refuse(waiting.id, Code::Indeterminate, 0);
                }
            }
        }
        if !self.config.side.opens(stream.id) && self.stream(stream).is_ok() {
            self.refuse(stream.id, code, 0);
        }
    }

    pub(super) fn write_kept(&mut self, stream: Handle, bytes: &[u8]) -> Option<Result<usize, StreamError>> {
        let running = self.running.get_mut(&stream)?;
        if running.head.is_none() {
            return Some(Err(StreamError::OutOfTurn));
        }
        running.too_long |= running.body.len() + bytes.len() > MAX_KEPT;
        if running.too_long {
            running.body = BytesMut::new();
        } else {
            running.body.extend_from_slice(bytes);
        }
        Some(Ok(bytes.len()))
    }

    /// The answer to a request with a key is complete: it goes to disk before it is sent.
    pub(super) fn finish_kept(&mut self, stream: Handle) -> bool {
        let Some(running) = self.running.remove(&stream) else { return false };
        let ran = running.head.as_ref().is_none_or(|head| head.ran);
        let outcome = match running.head {
            Some(head) if !running.too_long => Outcome::Answer(Kept {
                status: head.status,
                headers: head.headers,
                body: running.body.freeze(),
                compress: head.compress,
            }),
            _ => Outcome::Lost,
        };
        let changed = if ran {
            self.once.done(running.key, outcome.clone())
        } else {
            Some((vec![Change::Remove(running.key)], self.once.undo(running.key)))
        };
        if let Some((changes, waiting)) = changed {
            self.save(changes, After::Answer(waiting.into_iter().chain([stream]).collect(), outcome));
        }
        true
    }

    fn send_kept(&mut self, now: Instant, handle: Handle, outcome: &Outcome) {
        let Ok(stream) = self.stream(handle) else { return };
        let Outcome::Answer(kept) = outcome else { return self.refuse(handle.id, Code::AnswerLost, 0) };
        let Kept { status, headers, body, compress } = kept.clone();
        begin_answer(now, stream, Answer { headers, compress, ..Answer::new(status) });
        stream.deadline = None;
        stream.send.write(now, &body);
        stream.send.finish();
    }

    /// Tells an event to a subscriber. Where its pace wants that, one that waits on the same `topic` is left out.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub fn notify(&mut self, stream: Handle, topic: u64, bytes: Bytes) -> Result<(), NotifyError> {
        if bytes.len() > MAX_EVENT {
            return Err(NotifyError::TooLong);
        }
        let stream = self.stream(stream).map_err(|_| NotifyError::Gone)?;
        stream.outbox.as_mut().ok_or(NotifyError::Gone)?.push(topic, bytes);
        Ok(())
    }
}

fn begin_answer(now: Instant, stream: &mut Stream, answer: Answer) {
    let encoding = if answer.compress { Encoding::Zstd } else { Encoding::Identity };
    stream.priority = answer.priority;
    stream.send.set_encoding(encoding);
    stream.send.begin(now);
    let Answer { status, headers, .. } = answer;
    stream.set_lead(Frame::Head(Head { stream: stream.handle.id, status, headers, encoding }));
}
