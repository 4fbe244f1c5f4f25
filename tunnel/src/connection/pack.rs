//! Which frames go together into the next message.

use waku_noise_session::time::Instant;

use super::{Connection, Event, SESSION_WINDOW, Transmit};
use crate::budget::{Budget, Class};
use crate::flight::{Item, Overdue};
use crate::frame::{Data, Envelope, Event as EventFrame, Frame, MAX_FRAMES};
use crate::request::Priority;
use crate::stream::receive::Receive;
use crate::stream::send::SEGMENT;

/// The longest message: a full segment, its frame, an acknowledgement and a few small frames beside it.
pub const MAX_PACKED: usize = SEGMENT + 4 * 1024;
/// What a frame of data or of an event adds to its bytes, and the two epochs to an envelope.
const FRAME_OVERHEAD: usize = 48;
const EPOCHS: usize = 18;

/// A message that is being put together.
struct Cargo {
    room: usize,
    frames: Vec<Frame>,
    items: Vec<Item>,
    /// Whether a store should keep it.
    lasting: bool,
    /// Bytes of bodies in it.
    bytes: usize,
}

impl Cargo {
    /// Takes a frame in, if there is room for it.
    fn push(&mut self, frame: Frame, item: Item) -> bool {
        let len = frame.encoded_len();
        let fits = len <= self.room && self.frames.len() < MAX_FRAMES;
        if fits {
            self.room -= len;
            self.frames.push(frame);
            self.items.push(item);
        }
        fits
    }

    /// How many bytes of a body or of an event it can take.
    fn room(&self) -> usize {
        if self.frames.len() < MAX_FRAMES { self.room.saturating_sub(FRAME_OVERHEAD) } else { 0 }
    }
}

impl Connection {
    /// The next thing to do with messages, as far as the budget goes; to be called until there is none.
    pub fn poll_transmit(&mut self, now: Instant, budget: &mut Budget) -> Option<Transmit> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        self.session?;
        for (id, class, overdue) in self.flight.overdue(now, self.config.has_store) {
            let is_stale = self.flight.items(id).iter().all(|item| self.is_stale(item));
            if overdue == Overdue::Repeat && !is_stale && budget.take(now, class) {
                self.flight.repeated(now, &self.rtt, id);
                self.counters.repeated += 1;
                return Some(Transmit::Repeat(id));
            }
        }
        self.start_queued(now);
        let ripe = self.wishes(now).filter(|(at, _)| *at <= now);
        let class = ripe.map(|(_, class)| class).min()?;
        if budget.ready_at(class) > now {
            return None;
        }
        let transmit = self.pack(now, class)?;
        budget.spend(now, 1);
        Some(transmit)
    }

    /// When there will be reason for a message, and of which class.
    pub(super) fn wishes(&self, now: Instant) -> impl Iterator<Item = (Instant, Class)> {
        let ack = self.arrivals.due().map(|at| (at, Class::Ack));
        let may_send = !self.flight.is_full();
        let command = Class::Of(Priority::Command);
        let words = (self.closing || !self.resets.is_empty()).then_some((now, command));
        let data_may_go = self.data_may_go(0);
        // The first goes at once. Those that come while it is under way are likely not to be the last.
        let shares = self.flight.len() > 0;
        let streams = self.streams.values().filter_map(move |stream| {
            Some((stream.ripe_at(now, data_may_go, shares)?, Class::Of(stream.priority)))
        });
        ack.into_iter().chain(words.into_iter().chain(streams).filter(move |_| may_send))
    }

    fn data_may_go(&self, packed: usize) -> bool {
        self.flight.bytes() + packed < self.peer_window.min(SESSION_WINDOW as usize)
    }

    fn pack(&mut self, now: Instant, class: Class) -> Option<Transmit> {
        let ack = self.arrivals.ack(now, self.window());
        let room = MAX_PACKED - EPOCHS - ack.as_ref().map_or(0, crate::frame::Ack::encoded_len);
        let mut cargo = Cargo { room, frames: Vec::new(), items: Vec::new(), lasting: false, bytes: 0 };
        if !self.flight.is_full() {
            self.load_words(&mut cargo);
            self.load_streams(now, &mut cargo);
        }
        if cargo.frames.is_empty() && ack.is_none() {
            return None;
        }
        self.arrivals.said();
        self.counters.sent += 1;
        let Cargo { frames, items, lasting, .. } = cargo;
        let packet = if items.is_empty() {
            self.counters.bare_acks += 1;
            None
        } else {
            Some(self.flight.send(now, &self.rtt, class, items, !lasting))
        };
        let (epoch, to) = (self.config.epoch, self.peer.unwrap_or(0));
        let plaintext = Envelope { frames, ack, epoch, to }.encode();
        Some(Transmit::Send { packet, plaintext, ephemeral: !lasting })
    }

    /// What is about whole streams.
    fn load_words(&mut self, cargo: &mut Cargo) {
        if self.closing && cargo.push(Frame::Close, Item::Close) {
            self.closing = false;
            cargo.lasting = true;
        }
        while let Some(&(stream, code, time)) = self.resets.front()
            && cargo.push(Frame::Reset { stream, code, time }, Item::Reset { stream, code, time })
        {
            self.resets.pop_front();
            cargo.lasting = true;
        }
    }

    /// What is of streams: the more urgent first, and among equals the one after the one that was served last.
    fn load_streams(&mut self, now: Instant, cargo: &mut Cargo) {
        let mut order: Vec<_> = self
            .streams
            .iter()
            .map(|(id, stream)| (stream.priority, self.served.is_some_and(|served| *id <= served), *id))
            .collect();
        order.sort_unstable();
        let mut room_to_grow = self.room_to_grow(|stream| stream.receive.grown());
        for (priority, _, id) in order {
            let before = cargo.frames.len();
            let data_may_go = self.data_may_go(cargo.bytes);
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if let Some(frame) = stream.pending_lead().cloned()
                && cargo.push(frame, Item::Lead(id))
            {
                stream.mark_lead(false);
                stream.first_sent = stream.first_sent.or(self.session);
                stream.send.begin_sent();
            }
            if stream.credit_is_due() && cargo.room() > 0 {
                let before = stream.receive.grown();
                let limit = stream.grant(room_to_grow);
                room_to_grow -= stream.receive.grown() - before;
                cargo.push(Frame::Credit { stream: id, limit }, Item::Credit(id));
            }
            let has_begun = !matches!(stream.lead, crate::stream::Lead::Unknown);
            if has_begun && stream.pending_lead().is_none() && data_may_go {
                Self::load_events(now, stream, cargo);
                // What is taken has to fit.
                while cargo.room() > 0
                    && let Some(part) = stream.send.take(now, cargo.room())
                {
                    let len = part.bytes.len();
                    let range = part.offset..part.offset + len as u64;
                    let (bytes, fin) = (part.bytes, part.fin);
                    let data = Frame::Data(Data { stream: id, offset: part.offset, bytes, fin });
                    cargo.push(data, Item::Data { stream: id, range, fin });
                    cargo.bytes += len;
                }
            }
            if cargo.frames.len() > before {
                self.served = Some(id);
                cargo.lasting |= priority != Priority::Telemetry;
            }
        }
    }

    fn load_events(now: Instant, stream: &mut crate::stream::Stream, cargo: &mut Cargo) {
        let id = stream.handle.id;
        let Some(outbox) = &mut stream.outbox else { return };
        let mut any = false;
        while cargo.room() > 0
            && let Some((seq, notice)) = outbox.take(now, cargo.room())
        {
            let event = EventFrame { stream: id, seq, bytes: notice.bytes, missed: notice.missed };
            cargo.push(Frame::Event(event), Item::Event { stream: id, seq });
            any = true;
        }
        if any {
            outbox.batch_ends(now);
        }
    }

    /// What the other side may send before we have read more; never less than a segment, or it would stop for good.
    fn window(&self) -> u32 {
        let held: usize = self.streams.values().map(|stream| Receive::buffered(&stream.receive)).sum();
        let held = u32::try_from(held).unwrap_or(u32::MAX);
        SESSION_WINDOW.saturating_sub(held).max(u32::try_from(SEGMENT).unwrap_or(u32::MAX))
    }

    /// Gives requests that wait their turn.
    fn start_queued(&mut self, now: Instant) {
        while self.active() < super::MAX_ACTIVE
            && let Some(queued) = self.queue.pop()
        {
            let handle = queued.handle;
            let is_streamed = self.start(now, queued);
            if is_streamed {
                self.events.push_back(Event::Writable(handle));
            }
        }
    }
}
