//! Who on this machine may use an endpoint. Web pages of others may not, whatever name they have made lead here.

use std::fmt;
use std::net::SocketAddr;

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

/// The shortest token that is not guessed.
const MIN_TOKEN: usize = 16;

/// What local programs have to show, as `Authorization: Bearer …`.
#[derive(Clone)]
pub struct LocalToken(Zeroizing<String>);

/// A token that would be guessed, or cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a token has at least {MIN_TOKEN} characters, all of them visible ASCII")]
pub struct WeakToken;

impl LocalToken {
    /// Takes a token.
    ///
    /// # Errors
    /// [`WeakToken`].
    pub fn new(token: Zeroizing<String>) -> Result<Self, WeakToken> {
        let fits = token.len() >= MIN_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(token)) } else { Err(WeakToken) }
    }
}

impl fmt::Debug for LocalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalToken(..)")
    }
}

/// Decides by a request's headers.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: Vec<String>,
    token: Option<LocalToken>,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// 421.
    #[error("this address answers to 127.0.0.1 and localhost, and to no other name")]
    Host,
    /// 403.
    #[error("web pages of others may not use this address")]
    Origin,
    /// 401.
    #[error("show the local token: `Authorization: Bearer …`")]
    Token,
}

impl Denied {
    /// The status that says so.
    pub fn status(self) -> u16 {
        match self {
            Self::Host => 421,
            Self::Origin => 403,
            Self::Token => 401,
        }
    }
}

impl Guard {
    /// The guard of a server at this address.
    pub fn new(address: SocketAddr, token: Option<LocalToken>) -> Self {
        let names = [address.ip().to_string(), "localhost".to_owned()];
        Self { hosts: names.into_iter().map(|name| format!("{name}:{}", address.port())).collect(), token }
    }

    /// Whether a request to this target, with these headers, may be answered.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, target: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = text(HOST.as_str()).unwrap_or_default();
        let is_here = |name: &str| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name));
        // A target may name a host of its own, as they do to proxies; and hosts may be named twice.
        let is_elsewhere = target.authority().is_some_and(|authority| !is_here(authority.as_str()));
        if !is_here(host) || is_elsewhere || headers.get_all(HOST).iter().count() > 1 {
            return Err(Denied::Host);
        }
        let is_own =
            |origin: &str| origin.strip_prefix("http://").is_some_and(|of| of.eq_ignore_ascii_case(host));
        if text(ORIGIN.as_str()).is_some_and(|origin| !is_own(origin))
            || text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"))
        {
            return Err(Denied::Origin);
        }
        let Some(LocalToken(token)) = &self.token else { return Ok(()) };
        let shown = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let is_shown = shown.is_some_and(|shown| bool::from(shown.as_bytes().ct_eq(token.as_bytes())));
        if is_shown { Ok(()) } else { Err(Denied::Token) }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn check(token: Option<&str>, headers: &[(&str, &str)]) -> Result<(), Denied> {
        let token = token.map(|token| LocalToken::new(Zeroizing::new(token.to_owned())).unwrap());
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let guard = Guard::new("127.0.0.1:5052".parse().unwrap(), token);
        guard.check(&Uri::from_static("/"), &headers.iter().map(header).collect())
    }

    #[test]
    fn names_that_were_made_to_lead_here_are_refused() {
        for host in ["127.0.0.1:5052", "localhost:5052", "LOCALHOST:5052"] {
            assert_eq!(check(None, &[("host", host)]), Ok(()));
        }
        for host in ["evil.example:5052", "127.0.0.1", "localhost:80", "127.0.0.1:5052.evil.example", ""] {
            assert_eq!(check(None, &[("host", host)]), Err(Denied::Host), "{host}");
        }
        assert_eq!(check(None, &[]), Err(Denied::Host));
        let mut twice = HeaderMap::new();
        twice.append(HOST, HeaderValue::from_static("127.0.0.1:5052"));
        let guard = Guard::new("127.0.0.1:5052".parse().unwrap(), None);
        let target = |text: &'static str| Uri::from_static(text);
        assert_eq!(guard.check(&target("http://localhost:5052/"), &twice), Ok(()));
        for elsewhere in ["http://evil.example/", "http://user@127.0.0.1:5052/", "evil.example:443"] {
            assert_eq!(guard.check(&target(elsewhere), &twice), Err(Denied::Host), "{elsewhere}");
        }
        twice.append(HOST, HeaderValue::from_static("127.0.0.1:5052"));
        assert_eq!(guard.check(&target("/"), &twice), Err(Denied::Host));
    }

    #[test]
    fn pages_of_others_are_refused() {
        let host = ("host", "127.0.0.1:5052");
        for origin in ["http://evil.example", "null", "https://127.0.0.1:5052", "http://localhost:5052"] {
            assert_eq!(check(None, &[host, ("origin", origin)]), Err(Denied::Origin), "{origin}");
        }
        assert_eq!(check(None, &[host, ("origin", "http://127.0.0.1:5052")]), Ok(()));
        for site in ["cross-site", "same-site"] {
            assert_eq!(check(None, &[host, ("sec-fetch-site", site)]), Err(Denied::Origin));
        }
        assert_eq!(check(None, &[host, ("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn a_token_has_to_be_shown_where_there_is_one() {
        let (host, token) = (("host", "127.0.0.1:5052"), "0123456789abcdef");
        assert_eq!(check(Some(token), &[host]), Err(Denied::Token));
        for shown in ["0123456789abcdef", "Bearer 0123456789abcdeF", "Bearer ", "Bearer 0123456789abcdef0"] {
            assert_eq!(check(Some(token), &[host, ("authorization", shown)]), Err(Denied::Token), "{shown}");
        }
        assert_eq!(check(Some(token), &[host, ("authorization", "Bearer 0123456789abcdef")]), Ok(()));
    }

    #[test]
    fn tokens_that_would_be_guessed_are_refused() {
        for token in ["", "0123456789abcde", "0123456789abcde f", "0123456789abcde\u{e9}"] {
            assert_eq!(LocalToken::new(Zeroizing::new(token.to_owned())).map(|_| ()), Err(WeakToken));
        }
    }
}
