//! What an app wrote after the method: a path and a query, taken apart, and nothing else.
//!
//! A path or a query that two programs could read in two ways is refused rather than repaired: no percent-encoding and
//! no dot segments in paths, one level of percent-encoding in queries, ASCII alone.

use std::fmt::Write as _;

use thiserror::Error;

/// Longest target, in bytes: room for some eighty validators' keys in a query.
pub const MAX_TARGET: usize = 8 * 1024;
/// Longest path, in bytes.
pub const MAX_PATH: usize = 1024;
/// Most parameters in a query.
pub const MAX_PARAMETERS: usize = 64;

/// A target that is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// The target or its path is too long.
    #[error("the path is longer than is accepted")]
    TooLong,
    /// No path from the root: empty, a URL with scheme and host, or an authority.
    #[error("the target is not a path that begins with a single `/`")]
    NotAPath,
    /// `.` for a segment, or `..` anywhere.
    #[error("the path has `.` or `..`")]
    Dots,
    /// `//`, or `/` at the end.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A character outside letters, digits and `-._~,`.
    #[error(
        "the path has a character that is not accepted: letters, digits and `-._~,` are, encoded ones are not"
    )]
    PathCharacter,
    /// The query has characters that do not belong there, or is encoded badly or twice.
    #[error("the query has a character or an encoding that is not accepted")]
    QueryCharacter,
    /// `&&`, `=x`, or a name outside letters, digits and `-._`.
    #[error("the query has a parameter without a plain name")]
    ParameterName,
    /// More parameters than [`MAX_PARAMETERS`].
    #[error("the query has too many parameters")]
    TooManyParameters,
}

/// A path: `/`, or segments of letters, digits and `-._~,`, none empty, none `.` and none with `..` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// Checks a path, `/` included.
    ///
    /// # Errors
    /// What makes it odd.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > MAX_PATH {
            return Err(TargetError::TooLong);
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(TargetError::NotAPath) };
        if rest.starts_with('/') {
            return Err(TargetError::NotAPath);
        }
        if rest.is_empty() {
            return Ok(Self(text.to_owned()));
        }
        for segment in rest.split('/') {
            if segment.is_empty() {
                return Err(TargetError::EmptySegment);
            }
            if !segment.bytes().all(is_plain) {
                return Err(TargetError::PathCharacter);
            }
            if segment == "." || segment.contains("..") {
                return Err(TargetError::Dots);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments; `/` has none.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// What follows `mount`; nothing when the path is not below it. An empty mount has every path below it.
    pub(crate) fn below(&self, mount: &str) -> Option<Self> {
        match self.0.strip_prefix(mount)? {
            "" => Some(Self("/".to_owned())),
            rest if rest.starts_with('/') => Some(Self(rest.to_owned())),
            _ => None,
        }
    }
}

/// The parameters of a query in their order, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Self, TargetError> {
        let mut parameters = Vec::new();
        for pair in text.split('&') {
            if parameters.len() == MAX_PARAMETERS {
                return Err(TargetError::TooManyParameters);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_name) {
                return Err(TargetError::ParameterName);
            }
            parameters.push((name.to_owned(), decode(value).ok_or(TargetError::QueryCharacter)?));
        }
        Ok(Self(parameters))
    }

    /// Names and decoded values.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What a parameter that may be repeated or hold a list says: its values, split at commas.
    pub(crate) fn list<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        let values = self.parameters().filter(move |(known, _)| *known == name);
        values.flat_map(|(_, value)| value.split(',')).filter(|value| !value.is_empty())
    }

    /// The query in the one form in which it is passed on, `?` included; empty without parameters.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        for (at, (name, value)) in self.0.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            for byte in value.bytes() {
                if is_plain(byte) {
                    text.push(char::from(byte));
                } else {
                    write!(text, "%{byte:02X}").expect("writing into a string cannot fail");
                }
            }
        }
        text
    }
}

/// A path and a query, both checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path.
    pub path: Path,
    /// The query.
    pub query: Query,
}

impl Target {
    /// Takes apart what an app wrote.
    ///
    /// # Errors
    /// What makes it odd. Nothing is decoded or normalised first, so that nothing can hide behind it.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > MAX_TARGET {
            return Err(TargetError::TooLong);
        }
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Query::parse(query)?),
            None => (text, Query::default()),
        };
        Ok(Self { path: Path::parse(path)?, query })
    }
}

/// Stands for itself in a path and in a query.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte)
}

/// Decodes a value once. What is still encoded afterwards, and what is no printable ASCII, is not accepted.
fn decode(value: &str) -> Option<String> {
    let mut decoded = String::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' => b' ',
            plain if is_plain(plain) || b":/@!$'()*;=?[]|".contains(&plain) => plain,
            _ => return None,
        };
        if byte == b'%' || !(b' '..=b'~').contains(&byte) {
            return None;
        }
        decoded.push(char::from(byte));
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_of_the_beacon_api_pass() {
        let target =
            Target::parse("/eth/v1/beacon/states/head/validators?id=0xab%2C12&status=active").unwrap();
        assert_eq!(target.path.as_str(), "/eth/v1/beacon/states/head/validators");
        assert_eq!(target.query.canonical(), "?id=0xab,12&status=active");
        assert_eq!(target.query.list("id").collect::<Vec<_>>(), ["0xab", "12"]);
        assert_eq!(Target::parse("/").unwrap().path.segments().count(), 0);
    }

    #[test]
    fn refuses_every_way_to_leave_a_path() {
        use TargetError as E;
        for (text, error) in [
            ("", E::NotAPath),
            ("eth/v1", E::NotAPath),
            ("http://127.0.0.1:5052/eth", E::NotAPath),
            ("//evil.example/eth", E::NotAPath),
            ("*", E::NotAPath),
            ("@evil.example/", E::NotAPath),
            (":80/", E::NotAPath),
            ("/a/../b", E::Dots),
            ("/a/./b", E::Dots),
            ("/a/.../b", E::Dots),
            ("/..", E::Dots),
            ("/a..", E::Dots),
            ("/a//b", E::EmptySegment),
            ("/a/", E::EmptySegment),
            ("/a/%2e%2e/b", E::PathCharacter),
            ("/a%2Fb", E::PathCharacter),
            ("/a%252e%252e/b", E::PathCharacter),
            ("/a\\..\\b", E::PathCharacter),
            ("/a@b", E::PathCharacter),
            ("/a\0", E::PathCharacter),
            ("/a\r\nHost: x", E::PathCharacter),
            ("/a b", E::PathCharacter),
            ("/a;b=c", E::PathCharacter),
            ("/a#b", E::PathCharacter),
            ("/\u{ff0e}\u{ff0e}/b", E::PathCharacter),
            ("/a?b=c#d", E::QueryCharacter),
            ("/a?b=%00", E::QueryCharacter),
            ("/a?b=%0d%0aHost:x", E::QueryCharacter),
            ("/a?b=%252e", E::QueryCharacter),
            ("/a?b=%2", E::QueryCharacter),
            ("/a?b=%zz", E::QueryCharacter),
            ("/a?b=é", E::QueryCharacter),
            ("/a?b=%C3%A9", E::QueryCharacter),
            ("/a?b=c d", E::QueryCharacter),
            ("/a?", E::ParameterName),
            ("/a?=x", E::ParameterName),
            ("/a?b&&c", E::ParameterName),
            ("/a?b%3d=x", E::ParameterName),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_too_long_before_looking_at_it() {
        assert_eq!(Target::parse(&"\0".repeat(MAX_TARGET + 1)), Err(TargetError::TooLong));
        assert_eq!(Target::parse(&format!("/{}", "a".repeat(MAX_PATH))), Err(TargetError::TooLong));
        assert!(Target::parse(&format!("/{}", "a".repeat(MAX_PATH - 1))).is_ok());
        let many = vec!["a=1"; MAX_PARAMETERS + 1].join("&");
        assert_eq!(Target::parse(&format!("/a?{many}")), Err(TargetError::TooManyParameters));
    }

    #[test]
    fn a_mount_ends_where_a_segment_ends() {
        let path = |text| Path::parse(text).unwrap();
        assert_eq!(path("/execution").below("/execution"), Some(path("/")));
        assert_eq!(path("/execution/a").below("/execution"), Some(path("/a")));
        assert_eq!(path("/executioner").below("/execution"), None);
        assert_eq!(path("/a/b").below(""), Some(path("/a/b")));
    }
}
