//! Where a service listens: on this machine, and nowhere else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

use super::target::Path;

/// The address of a service, as `http://127.0.0.1:5052`, perhaps with a path before all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    authority: String,
    addresses: Vec<SocketAddr>,
    prefix: String,
}

/// An address that is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    /// Another scheme, or none.
    #[error("the address has to begin with http://: services on this machine are called without TLS")]
    Scheme,
    /// `user:password@`.
    #[error("the address names a user: put the token into a file and name it with token_file")]
    User,
    /// Another machine, or all addresses of this one.
    #[error("the address is not on this machine: only 127.0.0.0/8, [::1] and localhost are called")]
    NotLoopback,
    /// No port, or none from 1 to 65535.
    #[error("the address has no port")]
    Port,
    /// A query, a fragment, or an odd path.
    #[error("the address has something odd after the port")]
    Path,
}

impl BaseUrl {
    /// Reads an address. `localhost` is 127.0.0.1 and then `::1`, whatever a resolver says.
    ///
    /// # Errors
    /// When it is not plain HTTP to this very machine.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let rest = text.strip_prefix("http://").ok_or(BaseUrlError::Scheme)?;
        let at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        if authority.contains('@') {
            return Err(BaseUrlError::User);
        }
        let prefix = match path {
            "" | "/" => String::new(),
            path => Path::parse(path).map_err(|_| BaseUrlError::Path)?.as_str().to_owned(),
        };
        let (host, port) = authority.rsplit_once(':').ok_or(BaseUrlError::Port)?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port =
            port.parse::<u16>().ok().filter(|port| is_number && *port > 0).ok_or(BaseUrlError::Port)?;
        let hosts = match host {
            "localhost" => vec![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)],
            host => vec![loopback(host).ok_or(BaseUrlError::NotLoopback)?],
        };
        let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
        Ok(Self { authority: format!("{host}:{port}"), addresses, prefix })
    }

    /// Host and port, as in the header `host`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Where to connect to: the first that accepts.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What stands before every path; empty or `/…` without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

fn loopback(host: &str) -> Option<IpAddr> {
    let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => IpAddr::V6(host.parse().ok()?),
        None => IpAddr::V4(host.parse().ok()?),
    };
    address.is_loopback().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_addresses_of_this_machine() {
        let base = BaseUrl::parse("http://127.0.0.1:5052").unwrap();
        assert_eq!((base.authority(), base.prefix()), ("127.0.0.1:5052", ""));
        assert_eq!(base.addresses(), ["127.0.0.1:5052".parse().unwrap()]);
        assert_eq!(BaseUrl::parse("http://[::1]:80/").unwrap().to_string(), "http://[::1]:80");
        assert_eq!(BaseUrl::parse("http://127.8.9.1:80/api").unwrap().prefix(), "/api");
        let localhost = BaseUrl::parse("http://localhost:5052").unwrap();
        assert_eq!(localhost.addresses(), ["127.0.0.1:5052".parse().unwrap(), "[::1]:5052".parse().unwrap()]);
    }

    #[test]
    fn refuses_every_other_machine_and_every_odd_spelling_of_this_one() {
        use BaseUrlError as E;
        for (text, error) in [
            ("https://127.0.0.1:5052", E::Scheme),
            ("127.0.0.1:5052", E::Scheme),
            ("HTTP://127.0.0.1:1", E::Scheme),
            ("http://u:p@127.0.0.1:5052", E::User),
            ("http://127.0.0.1@evil.example:80", E::User),
            ("http://0.0.0.0:5052", E::NotLoopback),
            ("http://10.0.0.1:5052", E::NotLoopback),
            ("http://169.254.169.254:80", E::NotLoopback),
            ("http://[::]:5052", E::NotLoopback),
            ("http://[::ffff:127.0.0.1]:5052", E::NotLoopback),
            ("http://::1:5052", E::NotLoopback),
            ("http://127.1:5052", E::NotLoopback),
            ("http://0177.0.0.1:5052", E::NotLoopback),
            ("http://2130706433:5052", E::NotLoopback),
            ("http://localhost.evil.example:80", E::NotLoopback),
            ("http://LOCALHOST:80", E::NotLoopback),
            ("http://127.0.0.1", E::Port),
            ("http://127.0.0.1:0", E::Port),
            ("http://127.0.0.1:+80", E::Port),
            ("http://127.0.0.1:65536", E::Port),
            ("http://127.0.0.1:80?x", E::Port),
            ("http://127.0.0.1:80/a/..", E::Path),
            ("http://127.0.0.1:80/a?b", E::Path),
            ("http://127.0.0.1:80/a/", E::Path),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(error), "{text}");
        }
    }
}
