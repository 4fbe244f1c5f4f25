//! Metrics in the text format of Prometheus: the selected series, and nothing around them.

use crate::policy::Glob;

/// Longest line, in bytes. What is longer is left out.
const MAX_LINE: usize = 16 * 1024;
/// Most bytes that are kept.
const MAX_KEPT: usize = 256 * 1024;

/// One sample: a line of the format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'l> {
    /// The name of the series.
    pub name: &'l str,
    /// Its labels with the braces around them, or nothing.
    pub labels: &'l str,
    /// Its value as it is written.
    pub text: &'l str,
    /// Its value.
    pub value: f64,
}

impl<'l> Sample<'l> {
    /// Reads a line; nothing when it is a comment, empty or odd. A timestamp at its end is left out.
    pub fn parse(line: &'l str) -> Option<Self> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let line = line.trim();
        let (name, rest) = line.split_at(line.find(|c| !is_name(c))?);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (labels, rest) = if rest.starts_with('{') { rest.split_at(labels(rest)?) } else { ("", rest) };
        let mut words = rest.split_ascii_whitespace();
        let text = words.next()?;
        let value = text.parse().ok()?;
        let is_timestamp = words.next().is_none_or(|time| time.parse::<i64>().is_ok());
        (is_timestamp && words.next().is_none()).then_some(Self { name, labels, text, value })
    }
}

/// The length of `{name="value",…}`. Braces and commas may stand in values.
fn labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The selected series of a text that comes in piece by piece. Holds a line and what is kept.
#[derive(Debug)]
pub struct Selection {
    listed: Vec<Glob>,
    wanted: Vec<Glob>,
    line: Vec<u8>,
    too_long: bool,
    kept: String,
    full: bool,
}

impl Selection {
    /// Keeps what one of `listed` names; where anything is `wanted`, only that of it.
    pub fn new(listed: Vec<Glob>, wanted: Vec<Glob>) -> Self {
        Self { listed, wanted, line: Vec::new(), too_long: false, kept: String::new(), full: false }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, is_end) = match piece.strip_suffix(b"\n") {
                Some(piece) => (piece, true),
                None => (piece, false),
            };
            if self.line.len() + piece.len() > MAX_LINE {
                self.too_long = true;
                self.line.clear();
            } else if !self.too_long {
                self.line.extend_from_slice(piece);
            }
            if is_end {
                self.end_line();
            }
        }
    }

    /// What was kept, a line for each sample; nothing when it would be more than 256 KiB.
    pub fn finish(mut self) -> Option<String> {
        self.end_line();
        (!self.full).then_some(self.kept)
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            return;
        }
        let Some(sample) = std::str::from_utf8(&line).ok().and_then(Sample::parse) else { return };
        let names = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(sample.name));
        if !names(&self.listed) || !(self.wanted.is_empty() || names(&self.wanted)) {
            return;
        }
        let parts = [sample.name, sample.labels, " ", sample.text, "\n"];
        if self.kept.len() + parts.iter().map(|part| part.len()).sum::<usize>() > MAX_KEPT {
            self.full = true;
        } else {
            self.kept.extend(parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP beacon_slot Latest slot\n# TYPE beacon_slot gauge\nbeacon_slot 12345.0 1700000000000\n\
        libp2p_peers 42.0\nsecret_thing 1\n\
        validator_monitor_balance_gwei{validator=\"a},b\\\" 1\"} 32000000000.0\nnext_proposal_wait +Inf\nodd\nodd{ 1\n";

    fn globs(names: &[&str]) -> Vec<Glob> {
        names.iter().map(|name| Glob::parse(name).unwrap()).collect()
    }

    fn select(listed: &[&str], wanted: &[&str], text: &str) -> Option<String> {
        let mut selection = Selection::new(globs(listed), globs(wanted));
        text.as_bytes().chunks(7).for_each(|piece| selection.push(piece));
        selection.finish()
    }

    #[test]
    fn keeps_selected_samples_without_comments_and_timestamps() {
        let listed = ["beacon_slot", "validator_monitor_*", "next_*", "odd"];
        let expected = "beacon_slot 12345.0\nvalidator_monitor_balance_gwei{validator=\"a},b\\\" 1\"} 32000000000.0\n\
            next_proposal_wait +Inf\n";
        assert_eq!(select(&listed, &[], TEXT).as_deref(), Some(expected));
    }

    #[test]
    fn what_is_wanted_is_never_more_than_what_is_listed() {
        assert_eq!(select(&["beacon_slot", "next_*"], &["*"], TEXT).unwrap().lines().count(), 2);
        assert_eq!(select(&["beacon_slot"], &["secret_*"], TEXT).as_deref(), Some(""));
        assert_eq!(select(&["*"], &["libp2p_peers"], TEXT).as_deref(), Some("libp2p_peers 42.0\n"));
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(select(&["a"], &[], "a 1").as_deref(), Some("a 1\n"));
    }

    #[test]
    fn a_line_without_end_is_not_kept_in_memory() {
        let mut selection = Selection::new(globs(&["*"]), Vec::new());
        for _ in 0..1000 {
            selection.push(&[b'a'; 4096]);
            assert!(selection.line.len() <= MAX_LINE);
        }
        selection.push(b"\nb 1\n");
        assert_eq!(selection.finish().as_deref(), Some("b 1\n"));
    }

    #[test]
    fn too_many_samples_are_no_answer() {
        assert_eq!(select(&["*"], &[], &"a{b=\"cccccccccccccccccccc\"} 1\n".repeat(10_000)), None);
    }

    #[test]
    fn odd_lines_are_no_samples() {
        for line in
            ["", "#", "a", "a b", "1a 1", "{a=\"b\"} 1", "a{b=\"c} 1", "a 1 x", "a 1 2 3", "é 1", "a\u{a0}1"]
        {
            assert_eq!(Sample::parse(line), None, "{line}");
        }
    }
}
