//! What time brings about.

use waku_noise_session::time::Now;

use super::server::After;
use super::{Connection, Event, Transmit};
use crate::flight::PacketId;
use crate::flight::{Item, Overdue};
use crate::request::{Code, Reason};
use crate::stream::Stream;

impl Connection {
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
    pub(super) fn is_stale(&self, item: &Item) -> bool {
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
}
