//! Text of strangers in a line.

use std::fmt::{self, Write};

/// Bytes of a value that are shown.
const MAX_BYTES: usize = 4096;

/// What begins a new line for some reader, moves the cursor, or turns the direction of what follows.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// As much of a value as is shown.
pub(super) fn cut(value: &str) -> (&str, &'static str) {
    if value.len() <= MAX_BYTES {
        return (value, "");
    }
    let shown = (0..=MAX_BYTES).rev().find_map(|end| value.get(..end));
    (shown.unwrap_or_default(), "…")
}

/// A writer that escapes what is harmful. With `quoted`, quotes and backslashes too: then it is the inside of a JSON string.
pub(super) struct Escaped<'a> {
    pub(super) out: &'a mut String,
    pub(super) quoted: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '"' | '\\' if self.quoted => self.out.extend(['\\', c]),
                '\n' => self.out.push_str(r"\n"),
                '\r' => self.out.push_str(r"\r"),
                '\t' => self.out.push_str(r"\t"),
                _ if is_harmful(c) => write!(self.out, "\\u{:04x}", u32::from(c))?,
                _ => self.out.push(c),
            }
        }
        Ok(())
    }
}

/// The message: escaped, but not quoted.
pub(super) fn bare(out: &mut String, text: &str) {
    let (shown, ellipsis) = cut(text);
    let _ = Escaped { out, quoted: false }.write_str(shown);
    out.push_str(ellipsis);
}

/// In quotes.
pub(super) fn quoted(out: &mut String, text: &str) {
    let (shown, ellipsis) = cut(text);
    out.push('"');
    let _ = Escaped { out, quoted: true }.write_str(shown);
    out.push_str(ellipsis);
    out.push('"');
}

/// In quotes where it could be taken for something else than one value.
pub(super) fn value(out: &mut String, text: &str) {
    let is_plain = |c: char| !(is_harmful(c) || c.is_whitespace() || matches!(c, '"' | '\\' | '='));
    if !text.is_empty() && text.len() <= MAX_BYTES && text.chars().all(is_plain) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}
