//! The sending half of a body: what was written and is not acknowledged yet, by offset.

use std::ops::Range;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use waku_noise_session::time::Instant;

use super::{MAX_WINDOW, WINDOW};
use crate::body::Encoder;
use crate::frame::Encoding;
use crate::ranges::Ranges;

/// The most bytes of a body in one message.
pub const SEGMENT: usize = 120 * 1024;
/// How long a part that does not fill a message waits for more.
pub const LINGER: Duration = Duration::from_millis(100);

// A part that credit cuts short is not sent: the other side has so much to read by then that it will give more.
const _: () = assert!(WINDOW / 2 <= WINDOW - SEGMENT as u64, "a body would stop for good");

pub(crate) struct Send {
    encoder: Encoder,
    /// From `base` on.
    buffer: BytesMut,
    /// Everything before has arrived.
    base: u64,
    acked: Ranges,
    /// What is to be sent, for the first time or again.
    pending: Ranges,
    /// Whether some of it was sent before.
    resends: bool,
    /// The most that the other side takes.
    credit: u64,
    /// How much is taken from the caller ahead of the other side's acknowledgements, beside a segment.
    window: u64,
    /// When the first byte came that waits for more.
    since: Option<Instant>,
    fin: Fin,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Fin {
    #[default]
    Open,
    Pending,
    Sent,
    Acked,
}

impl Default for Send {
    fn default() -> Self {
        Self {
            encoder: Encoder::default(),
            buffer: BytesMut::new(),
            base: 0,
            acked: Ranges::default(),
            pending: Ranges::default(),
            resends: false,
            credit: WINDOW,
            window: WINDOW,
            since: None,
            fin: Fin::default(),
        }
    }
}

/// A part to send.
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
    pub(crate) fin: bool,
}

impl Send {
    pub(crate) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoder = Encoder::new(encoding);
    }

    /// How many bytes the caller may write: a window, and the next segment, so that none is sent that is short only because
    /// the caller was not asked for more.
    pub(crate) fn room(&self) -> usize {
        let most = usize::try_from(self.window).unwrap_or(usize::MAX).saturating_add(SEGMENT);
        if self.fin == Fin::Open { most.saturating_sub(self.buffered()) } else { 0 }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.buffer.len() + self.encoder.waiting()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.fin == Fin::Open
    }

    /// Whether the end was said and all of it has arrived.
    pub(crate) fn is_done(&self) -> bool {
        self.fin == Fin::Acked && self.buffer.is_empty()
    }

    fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    pub(crate) fn write(&mut self, now: Instant, bytes: &[u8]) {
        let before = self.end();
        self.encoder.write(bytes, &mut self.buffer);
        self.pending.insert(before..self.end());
        if !bytes.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// The stream begins: its beginning waits a little for what follows.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// The stream's beginning was sent, with or without something of the body.
    pub(crate) fn begin_sent(&mut self) {
        if self.pending.is_empty() && self.encoder.waiting() == 0 {
            self.since = None;
        }
    }

    pub(crate) fn finish(&mut self) {
        if self.fin == Fin::Open {
            self.flush();
            self.fin = Fin::Pending;
        }
    }

    fn flush(&mut self) {
        let before = self.end();
        self.encoder.flush(&mut self.buffer);
        self.pending.insert(before..self.end());
    }

    /// The other side takes more. Where there is `room`, as much more is taken from the caller ahead of it.
    pub(crate) fn credited(&mut self, limit: u64, room: u64) {
        self.credit = self.credit.max(limit);
        let wanted = self.credit.saturating_sub(self.base).min(MAX_WINDOW);
        self.window += wanted.saturating_sub(self.window).min(room);
    }

    /// By how much the window has grown.
    pub(crate) fn grown(&self) -> u64 {
        self.window - WINDOW
    }

    /// The next bytes that may be sent.
    fn sendable(&self) -> Option<Range<u64>> {
        let first = self.pending.first()?;
        let allowed = first.start..first.end.min(self.credit);
        let is_cut = allowed.end < first.end;
        let too_short = is_cut && allowed.end.saturating_sub(allowed.start) < SEGMENT as u64;
        (!allowed.is_empty() && !too_short).then_some(allowed)
    }

    fn fin_is_sendable(&self) -> bool {
        self.fin == Fin::Pending && self.pending.is_empty()
    }

    /// When what waits for more has waited long enough.
    pub(crate) fn lingers_until(&self) -> Option<Instant> {
        self.since.map(|since| since + LINGER)
    }

    /// From when on there is something worth a message. `shares` is whether what is short and complete waits for others
    /// to share one with, too.
    pub(crate) fn ripe_at(&self, now: Instant, shares: bool) -> Option<Instant> {
        let lingers_until = self.lingers_until().filter(|_| shares).unwrap_or(now);
        if self.fin_is_sendable() {
            return Some(lingers_until);
        }
        let sendable = self.sendable();
        if sendable.is_none() && self.encoder.waiting() == 0 {
            return None;
        }
        let len = sendable.map_or(0, |range| range.end - range.start);
        if len >= SEGMENT as u64 || (len > 0 && self.resends) {
            return Some(now);
        }
        if len > 0 && self.fin != Fin::Open {
            return Some(lingers_until);
        }
        self.lingers_until()
    }

    /// The next part, of at most `room` bytes.
    pub(crate) fn take(&mut self, now: Instant, room: usize) -> Option<Part> {
        if self.lingers_until().is_some_and(|until| until <= now) {
            self.flush();
        }
        let Some(range) = self.sendable() else {
            let fin = self.fin_is_sendable();
            self.fin = if fin { Fin::Sent } else { self.fin };
            return fin.then(|| Part { offset: self.end(), bytes: Bytes::new(), fin });
        };
        let len = usize::try_from(range.end - range.start).map_or(SEGMENT, |len| len.min(SEGMENT));
        // A sliver at the end of a message is not worth its frame.
        if room < len.min(1024) {
            return None;
        }
        let len = len.min(room);
        let range = range.start..range.start + len as u64;
        let at = usize::try_from(range.start - self.base).ok()?;
        let bytes = Bytes::copy_from_slice(self.buffer.get(at..at + len)?);
        self.pending.remove(&range);
        if self.pending.is_empty() {
            self.resends = false;
            if self.encoder.waiting() == 0 {
                self.since = None;
            }
        }
        let fin = self.fin != Fin::Open && range.end == self.end();
        if fin && self.fin == Fin::Pending {
            self.fin = Fin::Sent;
        }
        Some(Part { offset: range.start, bytes, fin })
    }

    /// A part has arrived.
    pub(crate) fn acked(&mut self, range: Range<u64>, fin: bool) {
        if fin {
            self.fin = Fin::Acked;
        }
        self.pending.remove(&range);
        self.acked.insert(range);
        let Some(first) = self.acked.first().filter(|first| first.start <= self.base) else { return };
        let arrived = usize::try_from(first.end.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.buffer.advance(arrived.min(self.buffer.len()));
        self.base = self.base.max(first.end);
    }

    /// All of it has to be sent again, of which nothing has arrived.
    pub(crate) fn start_over(&mut self) {
        self.lost(self.base..self.end(), true);
    }

    /// A part has to be sent again.
    pub(crate) fn lost(&mut self, range: Range<u64>, fin: bool) {
        if fin && self.fin == Fin::Sent {
            self.fin = Fin::Pending;
        }
        self.pending.insert(range.start.max(self.base)..range.end);
        for arrived in self.acked.descending().collect::<Vec<_>>() {
            self.pending.remove(&arrived);
        }
        self.resends = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn small_parts_wait_for_more_but_not_long() {
        let mut send = Send::default();
        assert_eq!(send.ripe_at(at(0), false), None);
        send.write(at(10), b"a");
        send.write(at(50), b"b");
        assert_eq!(send.ripe_at(at(50), false), Some(at(110)));
        let part = send.take(at(110), SEGMENT).unwrap();
        assert_eq!((part.offset, &part.bytes[..], part.fin), (0, &b"ab"[..], false));
        assert_eq!(send.ripe_at(at(200), false), None);
        send.write(at(200), b"c");
        send.finish();
        assert_eq!(send.ripe_at(at(200), false), Some(at(200)), "the end waits for nothing");
        assert_eq!(send.ripe_at(at(200), true), Some(at(300)), "but for others to go with");
        let part = send.take(at(200), SEGMENT).unwrap();
        assert_eq!((part.offset, &part.bytes[..], part.fin), (2, &b"c"[..], true));
    }

    #[test]
    fn bodies_go_in_full_segments_as_far_as_credit_goes() {
        let mut send = Send::default();
        send.write(at(0), &vec![1; 600 * 1024]);
        send.finish();
        let mut lens = Vec::new();
        while let Some(part) = send.take(at(0), usize::MAX) {
            lens.push(part.bytes.len());
        }
        assert_eq!(lens, [SEGMENT, SEGMENT], "16 KiB more would be a message for little");
        assert_eq!(send.ripe_at(at(0), false), None);
        send.credited(2 * SEGMENT as u64 + WINDOW, 0);
        send.credited(0, 0);
        while let Some(part) = send.take(at(0), usize::MAX) {
            lens.push(part.bytes.len());
        }
        assert_eq!(lens, [SEGMENT; 4]);
        send.credited(u64::MAX, 0);
        let last = send.take(at(0), usize::MAX).unwrap();
        assert!(last.fin && last.bytes.len() == 600 * 1024 - 4 * SEGMENT);
    }

    #[test]
    fn what_is_lost_is_sent_again_and_what_arrived_is_not() {
        let mut send = Send::default();
        send.write(at(0), &(0..100).collect::<Vec<u8>>());
        send.finish();
        assert!(send.take(at(0), 2000).unwrap().fin);
        send.acked(20..40, false);
        assert_eq!(send.buffered(), 100);
        send.lost(0..100, true);
        assert_eq!(send.ripe_at(at(0), false), Some(at(0)));
        let parts: Vec<_> = std::iter::from_fn(|| send.take(at(0), 2000)).collect();
        assert_eq!(
            parts.iter().map(|part| (part.offset, part.bytes.len(), part.fin)).collect::<Vec<_>>(),
            [(0, 20, false), (40, 60, true)]
        );
        assert!(parts[1].bytes[0] == 40);
        send.acked(0..20, false);
        assert_eq!(send.buffered(), 60);
        assert!(!send.is_done());
        send.acked(40..100, true);
        assert!(send.is_done());
    }

    #[test]
    fn an_empty_body_is_its_end() {
        let mut send = Send::default();
        send.finish();
        let part = send.take(at(0), 100).unwrap();
        assert!(part.fin && part.bytes.is_empty());
        assert!(send.take(at(0), 100).is_none());
        send.lost(0..0, true);
        assert!(send.take(at(0), 100).unwrap().fin);
        send.acked(0..0, true);
        assert!(send.is_done());
    }

    #[test]
    fn takes_no_more_ahead_than_there_is_room_for() {
        let mut send = Send::default();
        let room = send.room();
        send.write(at(0), &vec![0; room]);
        assert_eq!(send.room(), 0);
        let part = send.take(at(0), SEGMENT).unwrap();
        send.acked(0..part.bytes.len() as u64, false);
        assert_eq!(send.room(), part.bytes.len());
    }

    #[test]
    fn takes_as_much_ahead_as_the_other_side_does() {
        let mut send = Send::default();
        let room = send.room() as u64;
        send.credited(2 * WINDOW, 1000);
        assert_eq!((send.room() as u64, send.grown()), (room + 1000, 1000));
        send.credited(2 * WINDOW, u64::MAX);
        assert_eq!(send.room() as u64, room + WINDOW);
        send.credited(u64::MAX, u64::MAX);
        assert_eq!(send.room() as u64, MAX_WINDOW + SEGMENT as u64, "but not as much as it likes");
    }
}
