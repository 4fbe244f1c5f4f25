//! The last lines, in memory.

use std::collections::VecDeque;

use super::MAX_LINES;
use super::line::Line;

/// Most bytes of text that are kept of one service.
const MAX_BYTES: usize = 1024 * 1024;

/// The last lines, as many as there is room for.
#[derive(Default)]
pub(super) struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Ring {
    pub(super) fn extend(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            self.bytes += line.text.len();
            self.lines.push_back(line);
            while self.lines.len() > MAX_LINES || self.bytes > MAX_BYTES {
                self.bytes -= self.lines.pop_front().map_or(0, |line| line.text.len());
            }
        }
    }

    /// The last ones, oldest first.
    pub(super) fn last(&self, lines: usize) -> Vec<Line> {
        let before = self.lines.len().saturating_sub(lines);
        self.lines.iter().skip(before).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Source;

    fn line(text: String) -> Line {
        Line { at: 0, source: Source::Out, text }
    }

    #[test]
    fn the_last_lines_are_kept_by_number() {
        let mut ring = Ring::default();
        ring.extend((0..MAX_LINES + 5).map(|number| line(number.to_string())));
        let all = ring.last(usize::MAX);
        assert_eq!((all.len(), all[0].text.as_str()), (MAX_LINES, "5"));
        let texts: Vec<_> = ring.last(2).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["1003", "1004"]);
        assert!(ring.last(0).is_empty());
    }

    #[test]
    fn the_last_lines_are_kept_by_size() {
        let mut ring = Ring::default();
        ring.extend((0..MAX_LINES).map(|_| line("x".repeat(8192))));
        assert_eq!(ring.lines.len(), MAX_BYTES / 8192);
        assert_eq!(ring.bytes, MAX_BYTES);
        ring.extend([line("x".repeat(MAX_BYTES + 1))]);
        assert_eq!((ring.lines.len(), ring.bytes), (0, 0));
    }
}
