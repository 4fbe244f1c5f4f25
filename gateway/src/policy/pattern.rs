//! Patterns of paths and of names.

use std::fmt;

use thiserror::Error;

use super::target::{MAX_PATH, Path};

/// Longest text that stands for `{…}` in a pattern, in bytes: a public key has 98.
const MAX_SEGMENT: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// One segment, whatever it is.
    One,
}

/// The shape of paths, as `/eth/v1/validator/{pubkey}/graffiti`: `{…}` is any one segment, and `**` at the end is any
/// number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
    open: bool,
}

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no pattern of a path: `/` before segments of letters, digits and `-._~,`, `{{name}}` for any one, `**` at the end for any number"
)]
pub struct PatternError(pub String);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When no path could be like that.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError(text.to_owned());
        if text.len() > MAX_PATH {
            return Err(PatternError(text.chars().take(64).collect()));
        }
        let (rest, open) = match text.strip_suffix("/**") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut parts = Vec::new();
        if open && rest.is_empty() || text == "/" {
            return Ok(Self { text: text.to_owned(), parts, open });
        }
        for segment in rest.strip_prefix('/').ok_or_else(wrong)?.split('/') {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            parts.push(match name {
                Some(name)
                    if !name.is_empty()
                        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') =>
                {
                    Part::One
                }
                None if Path::parse(&format!("/{segment}")).is_ok() && !segment.is_empty() => {
                    Part::Literal(segment.to_owned())
                }
                _ => return Err(wrong()),
            });
        }
        Ok(Self { text: text.to_owned(), parts, open })
    }

    /// Whether a path is like that.
    pub fn matches(&self, path: &Path) -> bool {
        let mut segments = path.segments();
        let all = self.parts.iter().all(|part| match (part, segments.next()) {
            (Part::Literal(literal), Some(segment)) => literal == segment,
            (Part::One, Some(segment)) => segment.len() <= MAX_SEGMENT,
            (_, None) => false,
        });
        all && (self.open || segments.next().is_none())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name with `*` for any number of characters, as `validator_monitor_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Reads a pattern of letters, digits, `_`, `:` and `*`; nothing when it has anything else, is empty or longer than
    /// 128 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"_:*".contains(&byte);
        let fits = !text.is_empty() && text.len() <= 128;
        (fits && text.bytes().all(is_accepted)).then(|| Self(text.to_owned()))
    }

    /// Whether a name is like that, in time proportional to the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut p, mut n) = (0, 0);
        // Where to go on when what followed the last star did not fit.
        let mut again = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    again = Some((p + 1, n));
                    p += 1;
                }
                Some(byte) if name.get(n) == Some(byte) => (p, n) = (p + 1, n + 1),
                _ => {
                    let Some((after_star, from)) = again else { return false };
                    again = Some((after_star, from + 1));
                    (p, n) = (after_star, from + 1);
                }
            }
        }
        pattern.iter().skip(p).all(|byte| *byte == b'*')
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(&Path::parse(path).unwrap())
    }

    #[test]
    fn a_pattern_matches_whole_paths_segment_by_segment() {
        assert!(matches("/eth/v1/node/version", "/eth/v1/node/version"));
        assert!(!matches("/eth/v1/node/version", "/eth/v1/node/version/x"));
        assert!(!matches("/eth/v1/node/version", "/eth/v1/node"));
        assert!(!matches("/eth/v1/node/version", "/eth/v1/node/versions"));
        assert!(matches("/a/{id}/c", "/a/b/c"));
        assert!(!matches("/a/{id}/c", "/a/c"));
        assert!(matches("/", "/"));
        assert!(!matches("/", "/a"));
    }

    #[test]
    fn two_stars_at_the_end_match_any_number_of_segments() {
        for path in ["/", "/a", "/a/b/c"] {
            assert!(matches("/**", path));
        }
        assert!(matches("/a/**", "/a") && matches("/a/**", "/a/b/c"));
        assert!(!matches("/a/**", "/b/a"));
    }

    #[test]
    fn a_placeholder_has_a_limit() {
        assert!(matches("/{id}", &format!("/{}", "a".repeat(128))));
        assert!(!matches("/{id}", &format!("/{}", "a".repeat(129))));
    }

    #[test]
    fn refuses_patterns_that_no_path_could_match() {
        for text in
            ["", "a", "//", "/a/", "/a//b", "/../a", "/a/**/b", "/{}", "/{A}", "/a b", "/%2e", "/{a", "/a*"]
        {
            assert_eq!(Pattern::parse(text), Err(PatternError(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn globs_match_names() {
        let glob = |text| Glob::parse(text).unwrap();
        assert!(glob("beacon_slot").matches("beacon_slot"));
        assert!(!glob("beacon_slot").matches("beacon_slot_x"));
        assert!(glob("validator_monitor_*").matches("validator_monitor_balance_gwei"));
        assert!(glob("*_miss*_total").matches("a_miss_b_miss_c_total"));
        assert!(!glob("*_miss*_total").matches("a_miss_b"));
        assert!(glob("*").matches(""));
        assert!(!glob(&"*a".repeat(60)).matches(&"a".repeat(40)));
        assert_eq!(Glob::parse("a{b}"), None);
    }
}
