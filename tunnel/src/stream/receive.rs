//! The receiving half of a body: parts in any order become bytes in order, each once.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{MAX_WINDOW, WINDOW};
use crate::body::{BadBody, Decoder};
use crate::frame::Encoding;

/// Parts that wait for those before them.
const MAX_PARTS: usize = 512;

/// The other side sent what it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a body's parts break the rules")]
pub(crate) struct Violation;

pub(crate) struct Receive {
    /// What waits, by offset; no two overlap.
    parts: BTreeMap<u64, Bytes>,
    parts_len: usize,
    /// Everything before was handed to the decoder.
    next: u64,
    end: Option<u64>,
    /// How far ahead of its reader it may be.
    window: u64,
    /// Up to where the other side may send, as far as it was told.
    limit: u64,
    regrant: bool,
    /// Known once the stream's beginning is here.
    decoder: Option<Decoder>,
}

impl Default for Receive {
    fn default() -> Self {
        Self {
            parts: BTreeMap::new(),
            parts_len: 0,
            next: 0,
            end: None,
            window: WINDOW,
            limit: WINDOW,
            regrant: false,
            decoder: None,
        }
    }
}

impl Receive {
    /// How the body is encoded; nothing is read before that is known.
    pub(crate) fn set_encoding(&mut self, encoding: Encoding) {
        self.decoder = Some(Decoder::new(encoding));
        self.fill();
    }

    /// Takes a part in. What came before is passed over.
    pub(crate) fn accept(&mut self, offset: u64, bytes: &Bytes, fin: bool) -> Result<(), Violation> {
        let end = offset.saturating_add(bytes.len() as u64);
        let known_end = self.end.unwrap_or(u64::MAX);
        let beyond_parts = self.parts.last_key_value().map_or(0, |(at, part)| at + part.len() as u64);
        if end > self.limit.min(known_end)
            || (fin && (end < known_end && self.end.is_some() || end < beyond_parts.max(self.next)))
        {
            return Err(Violation);
        }
        if fin {
            self.end = Some(end);
        }
        let mut at = offset.max(self.next);
        while at < end {
            let before = self.parts.range(..=at).next_back().map(|(start, part)| start + part.len() as u64);
            if let Some(covered) = before.filter(|covered| *covered > at) {
                at = covered;
                continue;
            }
            let gap_end = self.parts.range(at..).next().map_or(end, |(start, _)| end.min(*start));
            let slice = usize::try_from(at - offset).ok().zip(usize::try_from(gap_end - offset).ok());
            let part = slice.and_then(|(from, to)| bytes.get(from..to)).ok_or(Violation)?;
            if self.parts.len() >= MAX_PARTS {
                return Err(Violation);
            }
            // A copy of its own, so that a small part does not keep a whole message in memory.
            self.parts_len += part.len();
            self.parts.insert(at, Bytes::copy_from_slice(part));
            at = gap_end;
        }
        self.fill();
        Ok(())
    }

    /// Hands the decoder what it needs for something to be read.
    fn fill(&mut self) {
        let Some(decoder) = &mut self.decoder else { return };
        while !decoder.is_ready()
            && let Some(part) = self.parts.remove(&self.next)
        {
            self.next += part.len() as u64;
            self.parts_len -= part.len();
            decoder.push(part);
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decoder::is_ready) || self.is_at_end()
    }

    fn is_at_end(&self) -> bool {
        self.decoder.as_ref().is_some_and(|decoder| self.end == Some(self.next) && !decoder.is_ready())
    }

    /// Whether all of the body has come, read or not.
    pub(crate) fn is_here(&self) -> bool {
        self.end.is_some_and(|end| self.next + self.parts_len as u64 == end)
    }

    /// The next bytes; `None` when they have not come, or there are none any more ([`Self::is_over`]).
    pub(crate) fn read(&mut self) -> Result<Option<Bytes>, BadBody> {
        let Some(decoder) = &mut self.decoder else { return Ok(None) };
        let next = decoder.read()?;
        self.fill();
        Ok(next)
    }

    /// Whether all of it was read.
    ///
    /// # Errors
    /// [`BadBody`] when it ends within a piece.
    pub(crate) fn is_over(&self) -> Result<bool, BadBody> {
        let over = self.is_at_end();
        match &self.decoder {
            Some(decoder) if over && decoder.waiting() > 0 => Err(BadBody),
            _ => Ok(over),
        }
    }

    pub(crate) fn credit_is_due(&self) -> bool {
        let wanted = self.end.is_none();
        wanted && (self.regrant || self.half_was_read())
    }

    fn half_was_read(&self) -> bool {
        self.next + self.window / 2 >= self.limit
    }

    /// The credit to tell. The window of a reader that keeps up is doubled, where there is `room`.
    pub(crate) fn grant(&mut self, room: u64) -> u64 {
        self.regrant = false;
        if self.half_was_read() && !self.is_readable() {
            self.window += room.min(self.window).min(MAX_WINDOW - self.window);
        }
        self.limit = self.limit.max(self.next + self.window);
        self.limit
    }

    /// By how much its window has grown.
    pub(crate) fn grown(&self) -> u64 {
        self.window - WINDOW
    }

    pub(crate) fn regrant(&mut self) {
        self.regrant = true;
    }

    pub(crate) fn buffered(&self) -> usize {
        self.parts_len + self.decoder.as_ref().map_or(0, Decoder::waiting)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn plain() -> Receive {
        let mut receive = Receive::default();
        receive.set_encoding(Encoding::Identity);
        receive
    }

    fn read_all(receive: &mut Receive) -> Vec<u8> {
        std::iter::from_fn(|| receive.read().unwrap()).flatten().collect()
    }

    #[test]
    fn parts_in_any_order_and_number_make_the_body() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut below = |limit: usize| rng.next_u32() as usize % limit;
            let body: Vec<u8> = (0..=255).cycle().take(below(2000) + 1).collect();
            let (mut receive, mut read) = (plain(), Vec::new());
            while !receive.is_over().unwrap() {
                let from = below(body.len() + 1);
                let to = (from + below(400)).min(body.len());
                let part = Bytes::copy_from_slice(&body[from..to]);
                receive.accept(from as u64, &part, to == body.len()).unwrap();
                if below(3) == 0 || receive.is_here() {
                    read.extend(read_all(&mut receive));
                }
            }
            assert!(read == body, "seed {seed}");
            assert_eq!(receive.buffered(), 0);
        }
    }

    #[test]
    fn nothing_is_read_before_the_encoding_is_known() {
        let mut receive = Receive::default();
        receive.accept(0, &Bytes::from_static(b"early"), true).unwrap();
        assert!(!receive.is_readable() && receive.read().unwrap().is_none());
        receive.set_encoding(Encoding::Identity);
        assert_eq!(read_all(&mut receive), b"early");
        assert!(receive.is_over().unwrap());
    }

    #[test]
    fn refuses_more_than_it_gave_credit_for() {
        let mut receive = plain();
        let full = Bytes::from(vec![0; usize::try_from(WINDOW).unwrap()]);
        assert_eq!(receive.accept(1, &full, false), Err(Violation));
        assert_eq!(receive.accept(0, &full, false), Ok(()));
        assert_eq!(receive.accept(WINDOW, &Bytes::from_static(b"a"), false), Err(Violation));
    }

    #[test]
    fn gives_credit_for_what_was_read() {
        let mut receive = plain();
        let half = Bytes::from(vec![0; usize::try_from(WINDOW / 2).unwrap()]);
        receive.accept(0, &half, false).unwrap();
        receive.accept(WINDOW / 2, &half, false).unwrap();
        assert_eq!(read_all(&mut receive).len() as u64, WINDOW);
        assert!(receive.credit_is_due());
        assert_eq!(receive.grant(0), 2 * WINDOW);
        assert!(!receive.credit_is_due());
        receive.regrant();
        assert!(receive.credit_is_due());
        assert_eq!(receive.grant(u64::MAX), 2 * WINDOW);
        receive.regrant();
        receive.accept(WINDOW, &Bytes::new(), true).unwrap();
        assert!(!receive.credit_is_due(), "there is nothing left to come");
    }

    #[test]
    fn the_window_of_a_reader_that_keeps_up_grows() {
        const QUARTER: u64 = WINDOW / 4;
        let part = Bytes::from(vec![0; usize::try_from(QUARTER).unwrap()]);
        let (mut receive, mut at, mut windows) = (plain(), 0, Vec::new());
        while at < 8 * MAX_WINDOW {
            receive.accept(at, &part, false).unwrap();
            at += QUARTER;
            assert_eq!(read_all(&mut receive).len() as u64, QUARTER);
            if receive.credit_is_due() {
                windows.push(receive.grant(3 * WINDOW - receive.grown()) - at);
            }
        }
        windows.dedup();
        assert_eq!(windows, [2 * WINDOW, MAX_WINDOW], "twice as much each time, but no more than it may");
        assert_eq!(receive.grown(), 3 * WINDOW);
    }

    #[test]
    fn the_window_of_a_reader_that_lags_or_has_no_room_does_not_grow() {
        for (reads, room) in [(1, u64::MAX), (2, 0)] {
            let mut receive = plain();
            let half = Bytes::from(vec![0; usize::try_from(WINDOW / 2).unwrap()]);
            receive.accept(0, &half, false).unwrap();
            receive.accept(WINDOW / 2, &half, false).unwrap();
            for _ in 0..reads {
                receive.read().unwrap();
            }
            assert!(receive.credit_is_due() && receive.is_readable() == (reads == 1));
            receive.grant(room);
            assert_eq!(receive.grown(), 0);
        }
    }

    #[test]
    fn refuses_an_end_that_moves() {
        let mut receive = plain();
        receive.accept(0, &Bytes::from_static(b"abc"), true).unwrap();
        assert_eq!(receive.accept(0, &Bytes::from_static(b"abcd"), false), Err(Violation));
        assert_eq!(receive.accept(0, &Bytes::from_static(b"ab"), true), Err(Violation));
        assert_eq!(receive.accept(0, &Bytes::from_static(b"abc"), true), Ok(()));
        let mut receive = plain();
        receive.accept(4, &Bytes::from_static(b"e"), false).unwrap();
        assert_eq!(receive.accept(0, &Bytes::from_static(b"abc"), true), Err(Violation));
    }

    #[test]
    fn parts_that_wait_are_bounded() {
        let mut receive = plain();
        let byte = Bytes::from_static(b"a");
        let accepted = (1..9999).take_while(|n| receive.accept(2 * n, &byte, false).is_ok()).count();
        assert_eq!(accepted, MAX_PARTS);
    }

    #[test]
    fn a_body_that_ends_within_a_piece_is_bad() {
        let mut receive = Receive::default();
        receive.set_encoding(Encoding::Zstd);
        receive.accept(0, &Bytes::from_static(&[9, 0, 0, 0, 1, 2]), true).unwrap();
        assert_eq!(receive.read(), Ok(None));
        assert_eq!(receive.is_over(), Err(BadBody));
    }
}
