//! Which web pages may use the API (CORS).

use axum::http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::reply::html;

/// Patterns of origins, with `*` for any text and `?` for any character. Without a pattern everybody may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origins(Vec<String>);

/// What an answer says of the origin that asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Nothing: nobody asked, or nothing is restricted.
    Silent,
    Everybody,
    This(HeaderValue),
}

impl Origins {
    pub(crate) fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self(patterns.into_iter().map(|pattern| pattern.to_ascii_lowercase()).collect())
    }

    /// Whether a request may be answered, or the answer it gets instead.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Allowed, Box<Response>> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next().filter(|_| !self.0.is_empty()) else {
            return Ok(Allowed::Silent);
        };
        if origins.next().is_some() {
            let reason = "Only a single Origin header must be specified";
            return Err(Box::new(html(StatusCode::BAD_REQUEST, reason)));
        }
        if self.0.iter().any(|pattern| pattern == "*") {
            return Ok(Allowed::Everybody);
        }
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let is_allowed = rest.is_some_and(|rest| {
            let fits = |pattern: &String| matches(pattern, &text) || matches(pattern, rest);
            self.0.iter().any(fits)
        });
        if is_allowed {
            Ok(Allowed::This(origin.clone()))
        } else {
            Err(Box::new(html(StatusCode::FORBIDDEN, "Origin not allowed")))
        }
    }
}

impl Allowed {
    pub(super) fn tell(self, response: &mut Response) {
        let origin = match self {
            Self::Silent => return,
            Self::Everybody => HeaderValue::from_static("*"),
            Self::This(origin) => {
                response.headers_mut().insert(VARY, HeaderValue::from_static("Origin"));
                origin
            }
        };
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let headers = HeaderValue::from_static("Content-Type");
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
    }
}

/// Whether a text fits a pattern of `*` and `?`. In time of length times length at most.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Which beginnings of the text fit the pattern so far.
    let mut fits = vec![false; text.len() + 1];
    if let Some(empty) = fits.first_mut() {
        *empty = true;
    }
    for part in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut before = false;
        for (end, fitting) in fits.iter().enumerate() {
            let character = end.checked_sub(1).and_then(|last| text.get(last));
            let one = end.checked_sub(1).and_then(|end| fits.get(end)).is_some_and(|fits| *fits);
            let now = match part {
                '*' => before || *fitting,
                '?' => one,
                part => one && character == Some(&part),
            };
            if let Some(slot) = next.get_mut(end) {
                *slot = now;
            }
            before = now;
        }
        fits = next;
    }
    fits.last().is_some_and(|fits| *fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], origin: &str) -> Result<Allowed, Box<Response>> {
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().unwrap());
        Origins::new(patterns.iter().map(ToString::to_string)).check(&headers)
    }

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("localhost:*", "localhost:3000", true),
            ("localhost:*", "xlocalhost:3000", false),
            ("*.example", "a.b.example", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*", "bab", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn an_origin_is_let_in_by_its_pattern_with_or_without_scheme() {
        let allowed = |origin: &'static str| Allowed::This(HeaderValue::from_static(origin));
        assert_eq!(check(&["localhost:*"], "http://LOCALHOST:1").unwrap(), allowed("http://LOCALHOST:1"));
        assert_eq!(check(&["https://a.example"], "https://a.example").unwrap(), allowed("https://a.example"));
        assert_eq!(check(&["*"], "null").unwrap(), Allowed::Everybody);
        for (pattern, origin) in [
            ("https://a.example", "http://a.example"),
            ("localhost:*", "localhost:1"),
            ("localhost:*", "null"),
            ("a.example", "https://b.example"),
        ] {
            assert_eq!(check(&[pattern], origin).unwrap_err().status(), StatusCode::FORBIDDEN, "{origin}");
        }
    }

    #[test]
    fn two_origins_are_one_too_many_and_without_patterns_none_matters() {
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("http://a"));
        headers.append(ORIGIN, HeaderValue::from_static("http://b"));
        let refused = Origins::new(["*".to_owned()]).check(&headers).unwrap_err();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        assert_eq!(Origins::default().check(&headers).unwrap(), Allowed::Silent);
    }
}
