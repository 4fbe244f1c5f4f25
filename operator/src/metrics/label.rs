//! Label values: cut, cleaned, escaped.

use std::fmt::Write as _;

/// What counts together beyond the bound of a family.
pub(super) const OTHER: &str = "other";

/// Bytes of a value. The longest of our own, a multiaddr with a name in DNS, has some 270.
const MAX_BYTES: usize = 320;

/// A value as it is kept: at most 320 bytes of it, and nothing in it that some reader takes for the end of a line, but the
/// newline, for which the format has an escape.
pub(super) fn clean(value: &str) -> String {
    let keep = |c: char| c == '\n' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    let kept = value.char_indices().take_while(|(start, c)| start + c.len_utf8() <= MAX_BYTES);
    kept.map(|(_, c)| if keep(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// `{name="value",…}`, or nothing where there is no label.
pub(super) fn text(names: &[String], values: &[String]) -> String {
    let mut out = String::new();
    for (name, value) in names.iter().zip(values) {
        out.push(if out.is_empty() { '{' } else { ',' });
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let _ = write!(out, "{name}=\"{value}\"");
    }
    if !out.is_empty() {
        out.push('}');
    }
    out
}
