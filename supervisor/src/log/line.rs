//! Lines: where they end, where they are cut, and what in them is shown as an escape.

use std::fmt::Write as _;

use serde::Serialize;

use crate::status::now;

/// Most bytes of a line as it was written; the rest is left out.
const MAX_LINE: usize = 8 * 1024;
/// What stands where a line was cut.
const CUT: &str = " […]";

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When it was written, in milliseconds of Unix time.
    pub at: u64,
    /// Who wrote it, and where.
    pub source: Source,
    /// The line without its end. Control characters are escaped, as `\u{1b}`; what was longer than 8 KiB is cut and
    /// ends in ` […]`.
    pub text: String,
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The service's standard output.
    Out,
    /// The service's standard error.
    Err,
    /// The supervisor: what became of the service.
    Supervisor,
    /// The journal of systemd.
    Journal,
}

impl Source {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Supervisor => "supervisor",
            Self::Journal => "journal",
        }
    }

    pub(super) fn of_word(word: &str) -> Option<Self> {
        [Self::Out, Self::Err, Self::Supervisor, Self::Journal]
            .into_iter()
            .find(|source| source.word() == word)
    }
}

/// Takes a stream of bytes apart into lines.
pub(crate) struct Splitter {
    source: Source,
    line: Vec<u8>,
    is_cut: bool,
}

impl Splitter {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, line: Vec::new(), is_cut: false }
    }

    /// The lines that these bytes complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.add(line);
            lines.push(self.take());
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.add(bytes);
        lines
    }

    /// What stands after the last end of a line.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.line.len();
        self.is_cut |= bytes.len() > room;
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    fn take(&mut self) -> Line {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let mut text = clean(line);
        if self.is_cut {
            text.push_str(CUT);
        }
        self.line.clear();
        self.is_cut = false;
        Line { at: now(), source: self.source, text }
    }
}

/// Text that is safe to show: cut to 8 KiB, with U+FFFD for what is no UTF-8, and control characters escaped, those too
/// that turn the direction of writing. Doing so twice changes nothing more.
pub(crate) fn clean(bytes: &[u8]) -> String {
    let kept = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let text = String::from_utf8_lossy(kept);
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if (c.is_control() && c != '\t') || turns {
            // Writing to a string does not fail.
            _ = write!(clean, "\\u{{{:x}}}", u32::from(c));
        } else {
            clean.push(c);
        }
    }
    if bytes.len() > kept.len() {
        clean.push_str(CUT);
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::new(Source::Out);
        let mut lines: Vec<_> = pieces.iter().flat_map(|piece| splitter.feed(piece)).collect();
        lines.extend(splitter.finish());
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_end_where_they_end_however_they_arrive() {
        assert_eq!(texts(&[b"one\ntw", b"o\r\n\nthr", b"ee"]), ["one", "two", "", "three"]);
        assert_eq!(texts(&[b""]), [""; 0]);
    }

    #[test]
    fn a_huge_line_is_cut_and_the_next_one_is_whole() {
        let huge = vec![b'x'; 3 * MAX_LINE];
        let found = texts(&[&huge, &huge, b"\nnext\n"]);
        assert_eq!(found, ["x".repeat(MAX_LINE) + CUT, "next".to_owned()]);
        assert_eq!(texts(&[&vec![b'x'; MAX_LINE], b"\n"]), ["x".repeat(MAX_LINE)]);
    }

    #[test]
    fn what_would_move_a_cursor_or_turn_the_writing_is_escaped() {
        let text = "a\tb\u{1b}[2J\r\u{202e}c\\ä".as_bytes();
        assert_eq!(clean(text), "a\tb\\u{1b}[2J\\u{d}\\u{202e}c\\ä");
        assert_eq!(clean(b"\xff\x00"), "\u{fffd}\\u{0}");
    }

    proptest! {
        #[test]
        fn any_bytes_become_text_that_is_clean(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = clean(&bytes);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\t'));
            prop_assert_eq!(clean(text.as_bytes()), text);
        }

        #[test]
        fn pieces_do_not_matter(bytes in "[ab\n\r]{0,60}", at in 0..60usize) {
            let (first, second) = bytes.as_bytes().split_at(at.min(bytes.len()));
            prop_assert_eq!(texts(&[first, second]), texts(&[bytes.as_bytes()]));
        }
    }
}
