//! A tunnel: everything between the layer that has requests and the sessions that carry messages.
//!
//! # What a message goes through
//!
//! ```text
//!            poll_transmit            sealed            an ack names its index
//!  (frames) ───────────────► packed ─────────► in flight ───────────────────────► arrived
//!                              │ seal_failed      │   ▲
//!                              ▼                  │   │ not acknowledged in time: Repeat, five tries in all
//!                        packed anew              ├───┘
//!                              ▲                  │ not even then: AskStore
//!            a new session:    │                  ├──────────────► found: waited for, ten minutes more
//!            sent as new ──────┴──────────────────┤
//!            plaintext                            └──────────────► not found: its streams end, unreachable
//! ```
//!
//! # What a request goes through
//!
//! ```text
//!  open ──► queued ──► active ──► Answered ──► Readable… ──► Ended(Ok)
//!              │          │           │            │
//!              └──────────┴───────────┴────────────┴───────► Ended(Err(reason))
//!
//!  Open ──► Save(begun) ──► Requested ──► answer, write, finish ──► Save(answer) ──► sent ──► Ended
//!   │  with a key only         │
//!   │                          └► reject
//!   └► answered from memory, or reset: late, busy, not allowed
//! ```

mod client;
mod deliver;
mod pack;
mod queue;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use waku_noise_session::time::{Instant, Now, UnixTime};

use crate::arrivals::Arrivals;
use crate::budget::{Budget, Class};
pub use crate::flight::PacketId;
use crate::flight::{Flight, Item, Overdue, Packet};
use crate::frame::{DecodeError, Envelope, Frame};
use crate::once::{Change, Once, Record};
use crate::ranges::Ranges;
use crate::request::{Code, Header, Key, Kind, Pace, Reason, Side, StreamId};
use crate::rtt::Rtt;
use crate::stream::send::SEGMENT;
use crate::stream::{Handle, Lead, Stream};
pub use client::{MAX_ACTIVE, OpenError};
pub use pack::MAX_PACKED;
use queue::Queue;
pub use queue::{MAX_QUEUED, MAX_QUEUED_BYTES};
use server::{After, Running};
pub use server::{IDLE, MAX_INCOMING, NotifyError};

/// Bytes of bodies that may come before earlier ones are acknowledged or read.
pub const SESSION_WINDOW: u32 = 1024 * 1024;
/// Resets that wait to be sent; of more the oldest is dropped and counted.
const MAX_RESETS: usize = 1024;

/// What a tunnel is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Which side this is.
    pub side: Side,
    /// Random for each process, not zero: how the other side sees that this one began anew.
    pub epoch: u64,
    /// Whether a store can be asked for lost messages.
    pub has_store: bool,
    /// How far the two clocks may be apart, for what comes too late.
    pub clock_skew: Duration,
}

impl Config {
    /// With a store, and clocks as far apart as stores let them be: 20 seconds.
    pub fn new(side: Side, epoch: u64) -> Self {
        Self { side, epoch, has_store: true, clock_skew: Duration::from_secs(20) }
    }
}

/// What the caller has to do with messages.
#[derive(Clone, PartialEq, Eq)]
pub enum Transmit {
    /// Seal this on the current session and publish it, then call [`Connection::sealed`], or else
    /// [`Connection::seal_failed`].
    Send {
        /// Its name, where it is to arrive: keep its ciphertext. Without one it is never repeated.
        packet: Option<PacketId>,
        /// What to seal.
        plaintext: Vec<u8>,
        /// Whether no store need keep it.
        ephemeral: bool,
    },
    /// Publish the same ciphertext again, with another timestamp.
    Repeat(PacketId),
    /// Look the message up in a store by its hash, and call [`Connection::store_answered`].
    AskStore(PacketId),
    /// Its ciphertext is needed no more.
    Forget(PacketId),
}

/// What happened.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The answer to a request of ours has begun.
    Answered {
        /// Which.
        stream: Handle,
        /// As in HTTP.
        status: u16,
        /// In their order.
        headers: Vec<Header>,
    },
    /// Call [`Connection::read`], or [`Connection::notice`], until there is nothing more.
    Readable(Handle),
    /// There is room to write again.
    Writable(Handle),
    /// A request of the other side, to be answered or rejected.
    Requested {
        /// Which.
        stream: Handle,
        /// What it wants.
        request: Incoming,
    },
    /// A stream is over, once for each that was opened or requested: complete, or for a reason.
    Ended {
        /// Which.
        stream: Handle,
        /// How.
        outcome: Result<(), Reason>,
    },
    /// Make these durable, all or none, in the order of such events; then call [`Connection::saved`].
    Save {
        /// Names it.
        ticket: u64,
        /// What to change, among this peer's.
        changes: Vec<Change>,
    },
    /// The other side said that it closes; its streams have ended.
    Closed,
}

/// A request of the other side.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// What it is.
    pub kind: Kind,
    /// Such as `GET`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// In their order.
    pub headers: Vec<Header>,
    /// With one it is not handed out a second time.
    pub key: Option<Key>,
    /// How long the body is, where that is known.
    pub body_len: Option<u64>,
    /// Of a subscription.
    pub pace: Pace,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages made, without repetitions.
    pub sent: u64,
    /// Of those: acknowledgements alone.
    pub bare_acks: u64,
    /// Messages sent again.
    pub repeated: u64,
    /// Messages given up.
    pub given_up: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Messages for another process, or from an earlier one.
    pub stale: u64,
    /// Resets dropped because too many waited.
    pub resets_dropped: u64,
    /// Saves that failed.
    pub saves_failed: u64,
}

/// What reading gives.
#[derive(Clone, PartialEq, Eq)]
pub enum Read {
    /// The next bytes.
    Bytes(Bytes),
    /// There are none yet; [`Event::Readable`] tells when.
    Blocked,
    /// There are none any more.
    End,
}

/// A stream cannot be written to, or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It has ended, or is unknown.
    #[error("the stream is over")]
    Gone,
    /// It was finished, or its answer was not begun, or begun twice.
    #[error("the stream does not wait for that")]
    OutOfTurn,
    /// A status or headers that cannot be sent.
    #[error("the head is not valid")]
    Invalid,
}

/// The tunnel to one peer, for as long as the process lives.
pub struct Connection {
    config: Config,
    /// The other side's process.
    peer: Option<u64>,
    /// Counts the other side's processes.
    generation: u32,
    session: Option<u64>,
    arrivals: Arrivals,
    flight: Flight,
    rtt: Rtt,
    peer_window: usize,
    streams: BTreeMap<StreamId, Stream>,
    /// The stream that was served last among its equals.
    served: Option<StreamId>,
    next_stream: u32,
    queue: Queue,
    /// Which of their streams were begun, by their place.
    begun: Ranges,
    once: Once,
    /// Their requests with keys that run, whether or not their streams live.
    running: BTreeMap<Handle, Running>,
    saves: BTreeMap<u64, After>,
    next_save: u64,
    resets: VecDeque<(StreamId, u32, u64)>,
    closing: bool,
    outputs: VecDeque<Transmit>,
    events: VecDeque<Event>,
    counters: Counters,
}

impl Connection {
    /// A tunnel without a session. `stored` is what was saved for this peer.
    pub fn new(config: Config, now: Now, stored: Vec<Record>) -> Self {
        let (once, old) = Once::new(now, stored);
        let mut connection = Self {
            config,
            peer: None,
            generation: 0,
            session: None,
            arrivals: Arrivals::default(),
            flight: Flight::default(),
            rtt: Rtt::default(),
            peer_window: SESSION_WINDOW as usize,
            streams: BTreeMap::new(),
            served: None,
            next_stream: 0,
            queue: Queue::default(),
            begun: Ranges::default(),
            once,
            running: BTreeMap::new(),
            saves: BTreeMap::new(),
            next_save: 0,
            resets: VecDeque::new(),
            closing: false,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
        };
        if !old.is_empty() {
            connection.save(old, After::Nothing);
        }
        connection
    }

    /// There is a new session to send on; `session` is any number that tells it from others. What was not acknowledged
    /// is sent again on it.
    pub fn connected(&mut self, session: u64) {
        if self.session != Some(session) {
            self.take_back_flight();
            self.session = Some(session);
            self.arrivals = Arrivals::default();
            self.peer_window = SESSION_WINDOW as usize;
        }
    }

    /// There is no session to send on. Streams wait for the next one.
    pub fn disconnected(&mut self) {
        self.take_back_flight();
        self.session = None;
    }

    fn take_back_flight(&mut self) {
        for (id, packet) in self.flight.drain() {
            self.outputs.push_back(Transmit::Forget(id));
            self.take_back(packet);
        }
        self.outputs.retain(|output| !matches!(output, Transmit::AskStore(_)));
    }

    fn take_back(&mut self, packet: Packet) {
        for item in packet.items {
            match item {
                Item::Lead(id) => self.with_stream(id, |stream| stream.mark_lead(true)),
                Item::Data { stream, range, fin } => {
                    self.with_stream(stream, |stream| stream.send.lost(range, fin));
                }
                Item::Credit(id) => self.with_stream(id, Stream::regrant),
                Item::Event { stream, seq } => self.with_stream(stream, |stream| {
                    if let Some(outbox) = &mut stream.outbox {
                        outbox.lost(seq);
                    }
                }),
                Item::Reset { stream, code, time } => self.push_reset(stream, code, time),
                Item::Close => self.closing = true,
            }
        }
    }

    fn with_stream(&mut self, id: StreamId, act: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(&id) {
            act(stream);
        }
    }

    /// A message that [`Transmit::Send`] asked for was sealed under this index, and is on its way.
    pub fn sealed(&mut self, packet: PacketId, index: u64) {
        self.flight.sealed(packet, index);
    }

    /// It could not be sealed: what it said is said another time.
    pub fn seal_failed(&mut self, packet: PacketId) {
        if let Some(packet) = self.flight.remove(packet) {
            self.take_back(packet);
        }
    }

    /// What the store says about a message. Found, it is waited for a while longer.
    pub fn store_answered(&mut self, now: Now, packet: PacketId, found: bool) {
        self.flight.store_answered(now.instant, packet, found);
        self.handle_timeout(now);
    }

    /// A message that the current session dropped because it had it already: the acknowledgement was lost.
    pub fn handle_repeated(&mut self, now: Instant, session: u64, index: u64) {
        if self.session == Some(session) {
            self.arrivals.repeated(now, index);
        }
    }

    /// A message that was opened on a session, the current one or an earlier. All of them are to be handed in, the
    /// pairing's too, each once.
    ///
    /// # Errors
    /// [`DecodeError`]; the message is then neither acted on nor acknowledged.
    pub fn handle_plaintext(
        &mut self,
        now: Now,
        session: u64,
        index: u64,
        plaintext: &[u8],
    ) -> Result<(), DecodeError> {
        let envelope = Envelope::decode(plaintext).inspect_err(|_| self.counters.malformed += 1)?;
        let is_current = self.session == Some(session);
        let is_ours = |frame: &Frame| !matches!(frame, Frame::Ping(_) | Frame::Pong(_) | Frame::Control(_));
        if is_current {
            self.arrivals.arrived(now.instant, index, envelope.frames.iter().any(is_ours));
        }
        if envelope.epoch == 0 {
            return Ok(());
        }
        if self.peer != Some(envelope.epoch) {
            if !is_current {
                self.counters.stale += 1;
                return Ok(());
            }
            if self.peer.replace(envelope.epoch).is_some() {
                self.peer_restarted();
            }
        }
        if is_current && let Some(ack) = &envelope.ack {
            self.peer_window = (ack.window as usize).max(SEGMENT);
            for (id, packet) in self.flight.acked(now.instant, &mut self.rtt, ack) {
                self.outputs.push_back(Transmit::Forget(id));
                self.arrived(packet);
            }
        }
        if envelope.to != 0 && envelope.to != self.config.epoch {
            self.counters.stale += 1;
            return Ok(());
        }
        for frame in envelope.frames {
            self.deliver(now, frame);
        }
        Ok(())
    }

    /// The other side's process is another one: it knows nothing of any stream. What was first sent on this session was
    /// for the earlier process and did nothing; it is sent anew.
    fn peer_restarted(&mut self) {
        for (id, _) in self.flight.drain() {
            self.outputs.push_back(Transmit::Forget(id));
        }
        self.resets.clear();
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            let never_arrived = |stream: &Stream| stream.first_sent.is_none_or(|at| Some(at) == self.session);
            match self.streams.get_mut(&id) {
                Some(stream) if self.config.side.opens(id) && never_arrived(stream) => stream.start_over(),
                _ => self.end(id, Err(Reason::Restarted)),
            }
        }
        self.generation = self.generation.wrapping_add(1);
        self.begun = Ranges::default();
    }

    /// A message of ours has arrived.
    fn arrived(&mut self, packet: Packet) {
        for item in packet.items {
            let (Item::Lead(id) | Item::Data { stream: id, .. } | Item::Event { stream: id, .. }) = item
            else {
                continue;
            };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            match item {
                Item::Data { range, fin, .. } => {
                    if stream.send.acked(range, fin) && stream.send.room() > 0 && stream.wants_room {
                        stream.wants_room = false;
                        self.events.push_back(Event::Writable(stream.handle));
                    }
                }
                Item::Event { seq, .. } => {
                    if let Some(outbox) = &mut stream.outbox {
                        outbox.acked(seq);
                    }
                }
                _ => stream.lead = Lead::Acked,
            }
            if stream.is_said() && !self.config.side.opens(id) {
                self.end(id, Ok(()));
            }
        }
    }

    /// Takes a stream out; the caller learns it if it knew of it.
    fn end(&mut self, id: StreamId, outcome: Result<(), Reason>) {
        let Some(stream) = self.streams.remove(&id) else { return };
        if self.config.side.opens(id) || stream.met {
            self.events.push_back(Event::Ended { stream: stream.handle, outcome });
        }
    }

    /// The same, and the other side is told.
    fn break_off(&mut self, id: StreamId, reason: Reason, code: Code) {
        self.end(id, Err(reason));
        self.push_reset(id, code.into(), 0);
    }

    fn push_reset(&mut self, id: StreamId, code: u32, time: u64) {
        if self.resets.len() >= MAX_RESETS {
            self.resets.pop_front();
            self.counters.resets_dropped += 1;
        }
        self.resets.push_back((id, code, time));
    }

    fn save(&mut self, changes: Vec<Change>, after: After) {
        let ticket = self.next_save;
        self.next_save += 1;
        self.saves.insert(ticket, after);
        self.events.push_back(Event::Save { ticket, changes });
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        for (id, _, overdue) in self.flight.overdue(now.instant, self.config.has_store) {
            let is_stale = self.flight.items(id).iter().all(|item| self.is_stale(item));
            match overdue {
                _ if is_stale => self.forget(id),
                // Repeated when the budget allows.
                Overdue::Repeat => {}
                Overdue::AskStore => {
                    self.flight.asked(now.instant, id);
                    self.outputs.push_back(Transmit::AskStore(id));
                }
                Overdue::GiveUp => self.give_up(id),
            }
        }
        let over = |stream: &&Stream| stream.deadline.is_some_and(|at| at <= now.instant);
        for id in self.streams.values().filter(over).map(|stream| stream.handle.id).collect::<Vec<_>>() {
            if self.config.side.opens(id) {
                self.break_off(id, Reason::Timeout, Code::Cancelled);
            } else {
                self.break_off(id, Reason::Timeout, Code::Idle);
            }
        }
        while let Some(queued) = self.queue.pop_expired(now.instant) {
            let outcome = Err(Reason::Timeout);
            self.events.push_back(Event::Ended { stream: queued.handle, outcome });
        }
        let forgotten = self.once.forget(now.instant);
        if !forgotten.is_empty() {
            self.save(forgotten, After::Nothing);
        }
    }

    /// Whether nobody waits for it to arrive any more.
    fn is_stale(&self, item: &Item) -> bool {
        match item {
            Item::Lead(id)
            | Item::Credit(id)
            | Item::Data { stream: id, .. }
            | Item::Event { stream: id, .. } => !self.streams.contains_key(id),
            Item::Reset { .. } | Item::Close => false,
        }
    }

    fn forget(&mut self, id: PacketId) {
        if self.flight.remove(id).is_some() {
            self.outputs.push_back(Transmit::Forget(id));
        }
    }

    /// The other side did not get it, and will not: what depends on it has failed.
    fn give_up(&mut self, id: PacketId) {
        let Some(packet) = self.flight.remove(id) else { return };
        self.outputs.push_back(Transmit::Forget(id));
        self.counters.given_up += 1;
        for item in packet.items {
            let (Item::Lead(id)
            | Item::Credit(id)
            | Item::Data { stream: id, .. }
            | Item::Event { stream: id, .. }) = item
            else {
                continue;
            };
            if self.streams.contains_key(&id) {
                let code = if self.config.side.opens(id) { Code::Cancelled } else { Code::Failed };
                self.break_off(id, Reason::Unreachable, code);
            }
        }
    }

    /// When to call [`Self::handle_timeout`] and [`Self::poll_transmit`] next. Ask it after
    /// [`Self::poll_transmit`] had nothing more to do.
    pub fn poll_timeout(&self, now: Instant, budget: &Budget) -> Option<Instant> {
        let streams = self.streams.values().filter_map(|stream| stream.deadline);
        let fixed = streams.chain(self.queue.deadline()).chain(self.once.next_forgotten());
        let sending = self.session.is_some().then(|| self.next_transmit(now, budget)).flatten();
        fixed.chain(sending).min()
    }

    fn next_transmit(&self, now: Instant, budget: &Budget) -> Option<Instant> {
        let when =
            |at: Instant, class: Option<Class>| class.map_or(at, |class| at.max(budget.ready_at(class)));
        let repeats = self.flight.deadlines(self.config.has_store).map(|(at, class)| when(at, class));
        let fresh = self.wishes(now).map(|(at, class)| when(at, Some(class)));
        repeats.chain(fresh).min()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Everything ends: the other side is told, and [`Event::Ended`] comes for every stream.
    pub fn close(&mut self) {
        self.closing = true;
        self.end_all();
    }

    fn end_all(&mut self) {
        for queued in self.queue.drain() {
            self.events.push_back(Event::Ended { stream: queued.handle, outcome: Err(Reason::Closed) });
        }
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.end(id, Err(Reason::Closed));
        }
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The measured round trip.
    pub fn round_trip(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// Bytes held for bodies, events, requests that wait, and answers that are kept.
    pub fn buffered(&self) -> usize {
        let streams: usize = self.streams.values().map(Stream::buffered).sum();
        let running: usize = self.running.values().map(Running::buffered).sum();
        streams + running + self.queue.bytes() + self.once.buffered()
    }

    /// Messages that are under way.
    pub fn in_flight(&self) -> usize {
        self.flight.len()
    }
}

/// Unix milliseconds.
fn millis(time: UnixTime) -> u64 {
    time.as_nanos() / 1_000_000
}
