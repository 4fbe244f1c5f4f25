//! One stream: what begins it, its body either way, and its events.

pub(crate) mod events;
pub(crate) mod receive;
pub(crate) mod send;

use waku_noise_session::time::Instant;

use crate::frame::Frame;
use crate::request::{Kind, Priority, StreamId};
use events::{Inbox, Outbox};
pub use events::{MAX_EVENT, MAX_WAITING, Notice};
use receive::Receive;
use send::Send;
pub use send::{LINGER, SEGMENT};

/// How far ahead of its reader a body may be at first, in bytes (spec: credit of a stream).
pub const WINDOW: u64 = 256 * 1024;
/// How far it may be once its reader has kept up: each time that one takes off what there was, the window is doubled.
pub const MAX_WINDOW: u64 = 1024 * 1024;
/// A subscriber that took so much off tells the other side that there is room.
const CREDIT_STEP: u64 = WINDOW / 2;

/// Names a stream for as long as this process lives: the other side's restart may use its number again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle {
    pub(crate) generation: u32,
    pub(crate) id: StreamId,
}

impl Handle {
    /// Its number on the wire.
    pub fn id(self) -> StreamId {
        self.id
    }
}

/// The frame that begins our half: `Open` or `Head`.
#[derive(Default)]
pub(crate) enum Lead {
    /// The caller has not given it yet.
    #[default]
    Unknown,
    /// To be sent, or sent and not acknowledged.
    Known { frame: Box<Frame>, pending: bool },
    /// The other side has it.
    Acked,
}

pub(crate) struct Stream {
    pub(crate) handle: Handle,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) lead: Lead,
    pub(crate) send: Send,
    pub(crate) receive: Receive,
    pub(crate) outbox: Option<Outbox>,
    pub(crate) inbox: Option<Inbox>,
    /// The session on which its beginning was first sent.
    pub(crate) first_sent: Option<u64>,
    /// Whether the other side's `Open` or `Head` is here and was handed out.
    pub(crate) met: bool,
    /// Whether the caller was told that there is something to read, and has not read yet.
    pub(crate) told_readable: bool,
    /// Whether the caller wanted to write more than there was room for.
    pub(crate) wants_room: bool,
    /// When it ends by itself: our deadline, or that nothing came of a request's body.
    pub(crate) deadline: Option<Instant>,
}

impl Stream {
    pub(crate) fn new(handle: Handle, kind: Kind, priority: Priority) -> Self {
        Self {
            handle,
            kind,
            priority,
            lead: Lead::Unknown,
            send: Send::default(),
            receive: Receive::default(),
            outbox: None,
            inbox: None,
            first_sent: None,
            met: false,
            told_readable: false,
            wants_room: false,
            deadline: None,
        }
    }

    pub(crate) fn set_lead(&mut self, frame: Frame) {
        self.lead = Lead::Known { frame: Box::new(frame), pending: true };
    }

    /// The beginning that is to be sent.
    pub(crate) fn pending_lead(&self) -> Option<&Frame> {
        match &self.lead {
            Lead::Known { frame, pending: true } => Some(frame),
            _ => None,
        }
    }

    /// The beginning was sent, or has to be sent again.
    pub(crate) fn mark_lead(&mut self, to_send: bool) {
        if let Lead::Known { pending, .. } = &mut self.lead {
            *pending = to_send;
        }
    }

    /// Nothing of it has arrived anywhere: it is sent from its beginning.
    pub(crate) fn start_over(&mut self) {
        self.mark_lead(true);
        self.send.start_over();
    }

    /// Whether our half may speak at all: its beginning is known.
    fn has_begun(&self) -> bool {
        !matches!(self.lead, Lead::Unknown)
    }

    /// From when on it has something that is worth a message of its own. `data_may_go` is whether bodies may, and `shares`
    /// whether what is short waits a little for others to share a message with.
    pub(crate) fn ripe_at(&self, now: Instant, data_may_go: bool, shares: bool) -> Option<Instant> {
        let credit = self.credit_is_due().then_some(now);
        if !self.has_begun() {
            return credit;
        }
        let body = self.send.ripe_at(now, shares);
        // A beginning waits for the first bytes of its body, but no longer than they would.
        let lead = self.pending_lead().map(|_| body.or(self.send.lingers_until()).unwrap_or(now));
        let data = body.filter(|_| data_may_go);
        let events = self.outbox.as_ref().and_then(Outbox::ripe_at).filter(|_| data_may_go);
        [credit, lead, data, events].into_iter().flatten().min()
    }

    pub(crate) fn credit_is_due(&self) -> bool {
        match &self.inbox {
            Some(inbox) => inbox.credit_is_due(),
            None => self.receive.credit_is_due(),
        }
    }

    /// The credit to tell. The body's window may grow by as many bytes as there is `room`.
    pub(crate) fn grant(&mut self, room: u64) -> u64 {
        match &mut self.inbox {
            Some(inbox) => inbox.grant(),
            None => self.receive.grant(room),
        }
    }

    /// The credit was told in a message that is lost.
    pub(crate) fn regrant(&mut self) {
        match &mut self.inbox {
            Some(inbox) => inbox.regrant(),
            None => self.receive.regrant(),
        }
    }

    /// The other side takes more. What is taken from the caller ahead of it may grow by as many bytes as there is `room`.
    pub(crate) fn credited(&mut self, limit: u64, room: u64) {
        match &mut self.outbox {
            Some(outbox) => outbox.credited(limit),
            None => self.send.credited(limit, room),
        }
    }

    /// Whether there is something for the caller to read.
    pub(crate) fn is_readable(&self) -> bool {
        match &self.inbox {
            Some(inbox) => inbox.is_ready() || self.receive.is_readable(),
            None => self.receive.is_readable(),
        }
    }

    /// Whether all that we say has arrived.
    pub(crate) fn is_said(&self) -> bool {
        matches!(self.lead, Lead::Acked) && self.send.is_done()
    }

    /// Bytes held for it.
    pub(crate) fn buffered(&self) -> usize {
        let events = self.outbox.as_ref().map_or(0, Outbox::buffered);
        self.send.buffered()
            + self.receive.buffered()
            + self.inbox.as_ref().map_or(0, Inbox::buffered)
            + events
    }
}
