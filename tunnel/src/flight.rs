//! Messages that were sent and are not acknowledged yet.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use waku_noise_session::time::Instant;

use crate::budget::Class;
use crate::frame::Ack;
use crate::request::StreamId;
use crate::rtt::Rtt;

/// Messages under way at once.
pub(crate) const MAX_PACKETS: usize = 32;
/// How often a message is sent before the store is asked for it.
pub(crate) const TRIES: u32 = 6;
/// So many later messages have to arrive for one to be taken for lost: fewer may just have overtaken it (RFC 9002, 6.1).
const OVERTAKEN: usize = 3;
/// How long the store's answer is waited for.
const ASKING: Duration = Duration::from_secs(30);
/// How long a message that is in a store is waited for: the other side may be away, and find it when it comes back.
const STORED: Duration = Duration::from_secs(10 * 60);

/// Names a message with frames that want to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(u64);

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Lead(StreamId),
    Data { stream: StreamId, range: Range<u64>, fin: bool },
    Credit(StreamId),
    Event { stream: StreamId, seq: u64 },
    Reset { stream: StreamId, code: u32, time: u64 },
    Close,
}

pub(crate) struct Packet {
    /// Its place in the session; known once it is sealed.
    index: Option<u64>,
    pub(crate) class: Class,
    pub(crate) items: Vec<Item>,
    /// Bytes of bodies in it.
    bytes: usize,
    /// Whether no store keeps it.
    ephemeral: bool,
    sent: Instant,
    tries: u32,
    /// When it was sent last, and how many of those sent after that have arrived.
    latest: Instant,
    overtaken: usize,
    due: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sent,
    Asking,
    Stored,
}

/// What is to be done about a message that is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    Repeat,
    AskStore,
    GiveUp,
}

#[derive(Default)]
pub(crate) struct Flight {
    packets: BTreeMap<PacketId, Packet>,
    next: u64,
    bytes: usize,
}

impl Flight {
    pub(crate) fn is_full(&self) -> bool {
        self.packets.len() >= MAX_PACKETS
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Bytes of bodies under way.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn send(
        &mut self,
        now: Instant,
        rtt: &Rtt,
        class: Class,
        items: Vec<Item>,
        ephemeral: bool,
    ) -> PacketId {
        let len = |item: &Item| match item {
            Item::Data { range, .. } => usize::try_from(range.end - range.start).unwrap_or(0),
            _ => 0,
        };
        let bytes = items.iter().map(len).sum();
        let id = PacketId(self.next);
        self.next += 1;
        self.bytes += bytes;
        let packet = Packet {
            index: None,
            class,
            items,
            bytes,
            ephemeral,
            sent: now,
            tries: 1,
            latest: now,
            overtaken: 0,
            due: now + rtt.wait(1),
            state: State::Sent,
        };
        self.packets.insert(id, packet);
        id
    }

    pub(crate) fn sealed(&mut self, id: PacketId, index: u64) {
        if let Some(packet) = self.packets.get_mut(&id) {
            packet.index = Some(index);
        }
    }

    pub(crate) fn remove(&mut self, id: PacketId) -> Option<Packet> {
        let packet = self.packets.remove(&id)?;
        self.bytes -= packet.bytes;
        Some(packet)
    }

    /// Takes everything out, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<(PacketId, Packet)> {
        self.bytes = 0;
        std::mem::take(&mut self.packets).into_iter().collect()
    }

    /// Takes out what has arrived.
    pub(crate) fn acked(&mut self, now: Instant, rtt: &mut Rtt, ack: &Ack) -> Vec<(PacketId, Packet)> {
        let is_acked =
            |index: u64| ack.received.iter().any(|(first, last)| (*first..=*last).contains(&index));
        let arrived: Vec<_> = self
            .packets
            .iter()
            .filter(|(_, packet)| packet.index.is_some_and(is_acked))
            .map(|(id, _)| *id)
            .collect();
        let arrived: Vec<_> = arrived.into_iter().filter_map(|id| Some((id, self.remove(id)?))).collect();
        // What was sent more than once tells no time: nobody knows which copy came.
        let newest =
            arrived.iter().find(|(_, packet)| packet.index == Some(ack.largest) && packet.tries == 1);
        if let Some((_, packet)) = newest {
            let delay = Duration::from_millis(ack.delay_ms.into());
            rtt.measure(now.saturating_since(packet.sent), delay);
        }
        self.hasten(now, rtt, &arrived);
        arrived
    }

    /// A message is repeated as soon as its acknowledgement takes longer than usual, where later ones have arrived: three of
    /// them, or one that was sent so much later. The last try is waited for, as ever.
    fn hasten(&mut self, now: Instant, rtt: &Rtt, arrived: &[(PacketId, Packet)]) {
        let Some(usual) = rtt.usual() else { return };
        for (id, packet) in self.packets.iter_mut().filter(|(_, packet)| packet.tries < TRIES) {
            let is_later = |(other, later): &&(PacketId, Packet)| (later.sent, *other) > (packet.latest, *id);
            let later: Vec<_> = arrived.iter().filter(is_later).collect();
            packet.overtaken += later.len();
            let is_late = later.iter().any(|(_, later)| later.sent > packet.latest + usual);
            if is_late || packet.overtaken >= OVERTAKEN {
                packet.due = packet.due.min(now.max(packet.latest + usual));
            }
        }
    }

    /// The messages that are due, with what is to be done about each.
    pub(crate) fn overdue(&self, now: Instant, has_store: bool) -> Vec<(PacketId, Class, Overdue)> {
        let due = self.packets.iter().filter(|(_, packet)| packet.due <= now);
        due.map(|(id, packet)| (*id, packet.class, packet.overdue(has_store))).collect()
    }

    /// When each is due, and its class if it is to be repeated then.
    pub(crate) fn deadlines(&self, has_store: bool) -> impl Iterator<Item = (Instant, Option<Class>)> {
        self.packets.values().map(move |packet| {
            let repeats = packet.overdue(has_store) == Overdue::Repeat;
            (packet.due, repeats.then_some(packet.class))
        })
    }

    pub(crate) fn items(&self, id: PacketId) -> &[Item] {
        self.packets.get(&id).map_or(&[], |packet| &packet.items)
    }

    pub(crate) fn repeated(&mut self, now: Instant, rtt: &Rtt, id: PacketId) {
        if let Some(packet) = self.packets.get_mut(&id) {
            packet.tries += 1;
            packet.latest = now;
            packet.overtaken = 0;
            packet.due = now + rtt.wait(packet.tries);
        }
    }

    pub(crate) fn asked(&mut self, now: Instant, id: PacketId) {
        if let Some(packet) = self.packets.get_mut(&id) {
            packet.state = State::Asking;
            packet.due = now + ASKING;
        }
    }

    /// The store's answer. What it does not have is due at once.
    pub(crate) fn store_answered(&mut self, now: Instant, id: PacketId, found: bool) {
        let asking = self.packets.get_mut(&id).filter(|packet| packet.state == State::Asking);
        if let Some(packet) = asking {
            packet.state = State::Stored;
            packet.due = if found { now + STORED } else { now };
        }
    }
}

impl Packet {
    fn overdue(&self, has_store: bool) -> Overdue {
        match self.state {
            State::Sent if self.tries < TRIES => Overdue::Repeat,
            State::Sent if has_store && !self.ephemeral => Overdue::AskStore,
            _ => Overdue::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn send(flight: &mut Flight, now: Instant, index: u64, ephemeral: bool) -> PacketId {
        let id = flight.send(now, &Rtt::default(), Class::Ack, vec![Item::Close], ephemeral);
        flight.sealed(id, index);
        id
    }

    /// What is done about the only message, with the second of each.
    fn story(flight: &mut Flight, has_store: bool, found: bool) -> Vec<(u64, Overdue)> {
        let mut story = Vec::new();
        for second in 0..2000 {
            for (id, _, overdue) in flight.overdue(at(second), has_store) {
                match overdue {
                    Overdue::Repeat => flight.repeated(at(second), &Rtt::default(), id),
                    Overdue::AskStore => {
                        flight.asked(at(second), id);
                        if second < 200 {
                            flight.store_answered(at(second + 1), id, found);
                        }
                    }
                    Overdue::GiveUp => drop(flight.remove(id)),
                }
                story.push((second, overdue));
            }
        }
        story
    }

    #[test]
    fn is_sent_six_times_then_looked_for_in_the_store_then_given_up() {
        let tries = [3, 6, 12, 24, 48].map(|second| (second, Overdue::Repeat));
        let mut flight = Flight::default();
        send(&mut flight, at(0), 7, false);
        let mut expected: Vec<_> = tries.into_iter().collect();
        expected.extend([(96, Overdue::AskStore), (97, Overdue::GiveUp)]);
        assert_eq!(story(&mut flight, true, false), expected);

        send(&mut flight, at(0), 7, false);
        expected.pop();
        expected.push((97 + 600, Overdue::GiveUp));
        assert_eq!(story(&mut flight, true, true), expected, "the other side may find it there");

        send(&mut flight, at(0), 7, true);
        expected.truncate(5);
        expected.push((96, Overdue::GiveUp));
        assert_eq!(story(&mut flight, true, true), expected, "no store has what is ephemeral");
    }

    /// Acknowledgements have taken a second each.
    fn measured() -> Rtt {
        let mut rtt = Rtt::default();
        (0..4).for_each(|_| rtt.measure(Duration::from_secs(1), Duration::ZERO));
        rtt
    }

    /// How long a message is waited for, in milliseconds, where those that were sent so much later arrive soon.
    fn waited_for(later: &[u64]) -> u64 {
        let (mut flight, mut rtt) = (Flight::default(), measured());
        let at = |millis: u64| Instant::from_origin(Duration::from_millis(millis));
        let id = send(&mut flight, at(0), 0, false);
        for (index, millis) in (1..).zip(later) {
            send(&mut flight, at(*millis), index, false);
        }
        let last = later.len() as u64;
        let ack = Ack { largest: last, received: vec![(1, last)], ..Ack::default() };
        assert_eq!(flight.acked(at(later[later.len() - 1] + 300), &mut rtt, &ack).len(), later.len());
        u64::try_from(flight.packets[&id].due.since_origin().as_millis()).unwrap()
    }

    #[test]
    fn what_later_ones_overtook_is_repeated_early() {
        assert_eq!(waited_for(&[0, 0]), 3000, "two may have overtaken it");
        assert!(
            (1500..2500).contains(&waited_for(&[0, 0, 0])),
            "three are a sign, but not before its usual time"
        );
        assert_eq!(waited_for(&[2500]), 2800, "one that was sent after its usual time is another");
    }

    #[test]
    fn what_was_sent_before_it_was_repeated_says_nothing_of_the_repetition() {
        let (mut flight, mut rtt) = (Flight::default(), measured());
        let id = send(&mut flight, at(10), 0, false);
        for index in 1..=4 {
            send(&mut flight, at(10), index, false);
        }
        flight.repeated(at(13), &rtt, id);
        let due = flight.packets[&id].due;
        let ack = Ack { largest: 4, received: vec![(1, 4)], ..Ack::default() };
        flight.acked(at(15), &mut rtt, &ack);
        assert_eq!(flight.packets[&id].due, due);
    }

    #[test]
    fn the_last_try_is_waited_for_whatever_arrives() {
        let (mut flight, mut rtt) = (Flight::default(), measured());
        let id = send(&mut flight, at(10), 0, false);
        (1..TRIES).for_each(|_| flight.repeated(at(10), &rtt, id));
        let due = flight.packets[&id].due;
        send(&mut flight, at(20), 1, false);
        let ack = Ack { largest: 1, received: vec![(1, 1)], ..Ack::default() };
        flight.acked(at(21), &mut rtt, &ack);
        assert_eq!(flight.packets[&id].due, due);
    }

    #[test]
    fn what_was_repeated_tells_no_time() {
        let (mut flight, mut rtt) = (Flight::default(), Rtt::default());
        let ack = |index| Ack { largest: index, received: vec![(index, index)], ..Ack::default() };
        let id = send(&mut flight, at(0), 0, false);
        flight.repeated(at(3), &rtt, id);
        assert_eq!(flight.acked(at(4), &mut rtt, &ack(0)).len(), 1);
        assert_eq!(rtt.smoothed(), None);
        send(&mut flight, at(10), 1, false);
        assert_eq!(flight.acked(at(11), &mut rtt, &ack(2)).len(), 0);
        assert_eq!(flight.acked(at(12), &mut rtt, &ack(1)).len(), 1);
        assert_eq!(rtt.smoothed(), Some(Duration::from_secs(2)));
        assert_eq!((flight.len(), flight.bytes()), (0, 0));
    }
}
