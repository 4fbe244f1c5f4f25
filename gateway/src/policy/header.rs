//! Which headers pass, in either direction: those on two short lists. What carries credentials, names a host, frames a
//! body or belongs to one connection is on neither.

use super::refusal::Refusal;

/// Headers of requests that reach a service.
const FROM_APPS: [&str; 7] = [
    "accept",
    "accept-language",
    "content-type",
    "eth-consensus-version",
    "if-modified-since",
    "if-none-match",
    "user-agent",
];

/// Headers of answers that reach an app. `location` is missing so that nobody follows it.
const FROM_SERVICES: [&str; 11] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-type",
    "etag",
    "eth-consensus-block-value",
    "eth-consensus-version",
    "eth-execution-payload-blinded",
    "eth-execution-payload-value",
    "last-modified",
    "retry-after",
];

/// Most headers a request may bring.
pub const MAX_HEADERS: usize = 64;
/// Most bytes of their names and values.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

/// A header that may pass: a lower-case name and its value.
pub(crate) type Header = (&'static str, String);

/// The headers of a request that may pass. Others are left out, silently.
pub(super) fn from_app(headers: &[(String, String)]) -> Result<Vec<Header>, Refusal> {
    let bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if headers.len() > MAX_HEADERS || bytes > MAX_HEADER_BYTES {
        return Err(Refusal::HeadersTooLarge);
    }
    let mut passed: Vec<Header> = Vec::new();
    for (name, value) in headers {
        if !is_name(name) || !value.bytes().all(is_value) {
            return Err(Refusal::OddHeader);
        }
        let Some(known) = FROM_APPS.iter().find(|known| name.eq_ignore_ascii_case(known)) else { continue };
        if passed.iter().any(|(name, _)| name == known) {
            return Err(Refusal::OddHeader);
        }
        passed.push((known, value.trim_matches([' ', '\t']).to_owned()));
    }
    Ok(passed)
}

/// Whether a header of a request may pass, by its name in lower case. What may not need not be sent here.
pub fn passes_to_service(name: &str) -> bool {
    FROM_APPS.contains(&name)
}

/// Whether a header of an answer may pass.
pub(crate) fn passes_to_app(name: &str) -> bool {
    FROM_SERVICES.contains(&name)
}

/// A token of RFC 9110.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_value(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(headers: &[(&str, &str)]) -> Result<Vec<Header>, Refusal> {
        let owned: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        from_app(&owned)
    }

    #[test]
    fn only_listed_headers_pass() {
        let passed = filtered(&[
            ("Accept", "application/json "),
            ("Host", "evil.example"),
            ("Authorization", "Bearer x"),
            ("Cookie", "a=b"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive, accept"),
            ("Proxy-Authorization", "x"),
            ("Upgrade", "websocket"),
            ("TE", "trailers"),
            ("Expect", "100-continue"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("Range", "bytes=0-1"),
        ]);
        assert_eq!(passed, Ok(vec![("accept", "application/json".to_owned())]));
    }

    #[test]
    fn refuses_headers_that_could_be_more_than_one() {
        for (name, value) in [
            ("accept", "a\r\nhost: evil"),
            ("accept", "a\nb"),
            ("accept", "a\0"),
            ("accept", "é"),
            ("x\r\nhost", "a"),
            ("accept:", "a"),
            (" accept", "a"),
            ("", "a"),
        ] {
            assert_eq!(filtered(&[(name, value)]), Err(Refusal::OddHeader), "{name:?} {value:?}");
        }
        assert_eq!(filtered(&[("accept", "a"), ("Accept", "b")]), Err(Refusal::OddHeader));
    }

    #[test]
    fn refuses_more_headers_than_a_request_needs() {
        assert_eq!(filtered(&[("x", "y"); MAX_HEADERS + 1]), Err(Refusal::HeadersTooLarge));
        assert_eq!(filtered(&[("x", &"y".repeat(MAX_HEADER_BYTES))]), Err(Refusal::HeadersTooLarge));
    }

    #[test]
    fn cookies_and_redirects_do_not_reach_the_app() {
        for name in [
            "set-cookie",
            "location",
            "connection",
            "transfer-encoding",
            "content-length",
            "www-authenticate",
        ] {
            assert!(!passes_to_app(name), "{name}");
        }
        assert!(passes_to_app("content-type"));
    }
}
