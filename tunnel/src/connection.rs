//! A tunnel: everything between the layer that has requests and the sessions that carry messages.
//!
//! # What a message goes through
//!
//! ```text
//!            poll_transmit            sealed            an ack names its index
//!  (frames) ───────────────► packed ─────────► in flight ───────────────────────► arrived
//!                              │ seal_failed      │   ▲
//!                              ▼                  │   │ no ack in time, or of later ones only: Repeat, six tries in all
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
mod due;
mod output;
mod pack;
mod queue;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use waku_noise_session::time::{Instant, Now, UnixTime};

use crate::arrivals::Arrivals;
use crate::budget::{Budget, Class};
pub use crate::flight::PacketId;
use crate::flight::{Flight, Item, Packet};
use crate::frame::{DecodeError, Envelope, Frame};
use crate::once::{Change, Once, Record};
use crate::ranges::Ranges;
use crate::request::{Code, Reason, StreamId};
use crate::rtt::Rtt;
use crate::stream::send::SEGMENT;
use crate::stream::{Handle, Lead, Stream};
pub use client::{MAX_ACTIVE, OpenError};
pub use output::{Config, Counters, Event, Incoming, Read, StreamError, Transmit};
pub use pack::MAX_PACKED;
use queue::Queue;
pub use queue::{MAX_QUEUED, MAX_QUEUED_BYTES};
use server::{After, Running};
pub use server::{IDLE, MAX_INCOMING, MAX_RUNNING, NotifyError};

/// Bytes of bodies that may come before earlier ones are acknowledged or read.
pub const SESSION_WINDOW: u32 = 1024 * 1024;
/// By how many bytes the windows of a peer's streams may have grown, together: what it can have this side hold of bodies is
/// this, and [`WINDOW`] for each of [`MAX_ACTIVE`] and [`MAX_INCOMING`] streams. As much again for those that are sent.
///
/// [`WINDOW`]: crate::stream::WINDOW
pub const MAX_GROWTH: u64 = 4 * 1024 * 1024;
/// Resets that wait to be sent; of more the oldest is dropped and counted.
const MAX_RESETS: usize = 1024;

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

    /// By how much windows may still grow, where `grown` is by how much one has.
    fn room_to_grow(&self, grown: impl Fn(&Stream) -> u64) -> u64 {
        MAX_GROWTH.saturating_sub(self.streams.values().map(grown).sum())
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
            if is_current && envelope.frames.iter().any(is_ours) {
                self.arrivals.misdirected(now.instant);
            }
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
                Item::Data { range, fin, .. } => stream.send.acked(range, fin),
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
            self.tell_writable(id);
        }
    }

    /// Tells a caller that wanted to write more than there was room for that there is some.
    fn tell_writable(&mut self, id: StreamId) {
        let stream = self.streams.get_mut(&id);
        if let Some(stream) = stream.filter(|stream| stream.wants_room && stream.send.room() > 0) {
            stream.wants_room = false;
            self.events.push_back(Event::Writable(stream.handle));
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
