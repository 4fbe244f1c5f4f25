//! The tunnel to one peer, and the streams in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::oneshot;
use waku_noise_session::session::SessionId;
use waku_noise_session::time::Instant;
use waku_pairing::party::Sent;
use waku_tunnel::connection::{Connection, PacketId, Read, StreamError};
use waku_tunnel::request::{Code, Reason};
use waku_tunnel::stream::{Handle, Notice};

use super::{Act, Begun, Reply};

/// A peer's tunnel.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) session: Option<SessionId>,
    /// What may have to be said again.
    pub(super) packets: BTreeMap<PacketId, Sent>,
    lines: BTreeMap<Handle, Line>,
}

/// A stream that somebody holds.
struct Line {
    /// Whether this side asked.
    ours: bool,
    /// Whether the answer is complete.
    answered: bool,
    begun: Option<Begun>,
    outcome: Option<Result<(), Reason>>,
    /// Closed when it is over.
    over: Option<oneshot::Sender<()>>,
    begins: Option<Reply<Result<Begun, Reason>>>,
    reads: Option<Reply<Result<Option<Bytes>, Reason>>>,
    hears: Option<Reply<Result<Option<Notice>, Reason>>>,
    writes: Option<(Bytes, Reply<Result<(), StreamError>>)>,
}

impl Peer {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, session: None, packets: BTreeMap::new(), lines: BTreeMap::new() }
    }

    /// Somebody holds a stream from now on.
    pub(super) fn hold(&mut self, handle: Handle, ours: bool) -> oneshot::Receiver<()> {
        let (over, receiver) = oneshot::channel();
        let line = Line {
            ours,
            answered: false,
            begun: None,
            outcome: None,
            over: Some(over),
            begins: None,
            reads: None,
            hears: None,
            writes: None,
        };
        self.lines.insert(handle, line);
        receiver
    }

    /// Its holder has gone.
    pub(super) fn let_go(&mut self, handle: Handle) {
        let Some(line) = self.lines.remove(&handle) else { return };
        if line.ours {
            self.connection.cancel(handle);
        } else if !line.answered {
            // One with a key runs on without its stream, until somebody says what came of it.
            self.connection.reject(handle, Code::Failed);
        }
    }

    /// The answer to a request of ours has begun.
    pub(super) fn begun(&mut self, handle: Handle, begun: Begun) {
        if let Some(line) = self.lines.get_mut(&handle) {
            line.begun = Some(begun);
        }
    }

    /// A stream is over.
    pub(super) fn ended(&mut self, handle: Handle, outcome: Result<(), Reason>) {
        if let Some(line) = self.lines.get_mut(&handle) {
            line.outcome = Some(outcome);
            line.over = None;
        }
    }

    /// Does what a holder wants, at once or as soon as it can be done: then [`Self::go_on`] does it.
    pub(super) fn act(&mut self, now: Instant, handle: Handle, act: Act) {
        let connection = &mut self.connection;
        let Some(line) = self.lines.get_mut(&handle) else { return };
        match act {
            Act::Begin(reply) => line.begins = Some(reply),
            Act::Read(reply) => line.reads = Some(reply),
            Act::Hear(reply) => line.hears = Some(reply),
            Act::Write(bytes, reply) => line.writes = Some((bytes, reply)),
            Act::Finish(reply) => {
                let finished = connection.finish(handle);
                line.answered |= !line.ours && finished.is_ok();
                _ = reply.send(finished);
            }
            Act::Answer(answer, reply) => _ = reply.send(connection.answer(now, handle, answer)),
            Act::Notify(topic, event, reply) => _ = reply.send(connection.notify(handle, topic, event)),
            Act::Reject(code, reply) => {
                line.answered = true;
                connection.reject(handle, code);
                _ = reply.send(());
            }
        }
        self.go_on(now, handle);
    }

    /// Does what can be done by now.
    pub(super) fn go_on(&mut self, now: Instant, handle: Handle) {
        let connection = &mut self.connection;
        let Some(line) = self.lines.get_mut(&handle) else { return };
        line.go_on_writing(connection, now, handle);
        if (line.begun.is_some() || line.outcome.is_some())
            && let Some(reply) = line.begins.take()
        {
            let ended = || line.outcome.and_then(Result::err).unwrap_or(Reason::Closed);
            _ = reply.send(line.begun.take().ok_or_else(ended));
        }
        if let Some(reply) = line.reads.take_if(|reply| !reply.is_closed()) {
            match connection.read(handle) {
                Read::Bytes(bytes) => _ = reply.send(Ok(Some(bytes))),
                Read::Blocked => line.reads = Some(reply),
                Read::End => match line.outcome {
                    Some(Err(reason)) => _ = reply.send(Err(reason)),
                    Some(Ok(())) => _ = reply.send(Ok(None)),
                    None if !line.ours => _ = reply.send(Ok(None)),
                    // How it ended is told in a moment.
                    None => line.reads = Some(reply),
                },
            }
        }
        if let Some(reply) = line.hears.take_if(|reply| !reply.is_closed()) {
            match (connection.notice(handle), line.outcome) {
                (Some(notice), _) => _ = reply.send(Ok(Some(notice))),
                (None, Some(outcome)) => _ = reply.send(outcome.map(|()| None)),
                (None, None) => line.hears = Some(reply),
            }
        }
    }
}

impl Line {
    fn go_on_writing(&mut self, connection: &mut Connection, now: Instant, handle: Handle) {
        let Some((mut bytes, reply)) = self.writes.take() else { return };
        match connection.write(now, handle, &bytes) {
            Ok(taken) => {
                // What was taken is at most what was offered.
                let rest = bytes.split_off(taken.min(bytes.len()));
                if rest.is_empty() {
                    _ = reply.send(Ok(()));
                } else {
                    self.writes = Some((rest, reply));
                }
            }
            Err(error) => _ = reply.send(Err(error)),
        }
    }
}
