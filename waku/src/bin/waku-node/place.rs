//! Where the node listens, and where others are told to dial it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use anyhow::Context as _;
use waku::{Announcement, Capabilities, Multiaddr, PeerId, RelayShards};
use waku_operator::command_line::Options;

use crate::plan::external_ip;

/// Never asked anything: the system only says which of its addresses it would ask from.
const ANYWHERE: (&str, &str) = ("192.0.2.1:9", "[2001:db8::1]:9");

/// Addresses and ports.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    listen: IpAddr,
    tcp: u16,
    websocket: Option<(u16, bool)>,
    quic: Option<u16>,
    discovery: Option<u16>,
    /// Where the node is seen from outside.
    ip: IpAddr,
    /// Whether that was given, not guessed.
    is_known: bool,
    name: Option<String>,
    external: Vec<Multiaddr>,
    only_external: bool,
}

impl Place {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let addresses = &options.addresses;
        let known = external_ip(options);
        let external = addresses
            .external
            .iter()
            .map(|text| text.parse().ok().with_context(|| format!("Invalid multiaddress provided: {text}")));
        let name = addresses.dns4_domain_name.clone();
        if let Some(name) = name.as_deref().filter(|name| !is_domain_name(name)) {
            anyhow::bail!("--dns4-domain-name={name}: it must be a domain name like node.example.org");
        }
        Ok(Self {
            listen: addresses.listen_address,
            tcp: addresses.tcp_port,
            websocket: options
                .websocket
                .as_ref()
                .map(|websocket| (websocket.port, websocket.certificate.is_some())),
            quic: options.quic_port,
            discovery: options.discovery.discv5.as_ref().map(|discv5| discv5.port),
            ip: known.unwrap_or_else(|| seen_as(addresses.listen_address)),
            is_known: known.is_some(),
            name,
            external: external.collect::<anyhow::Result<_>>()?,
            only_external: addresses.only_external,
        })
    }

    /// What to listen on, TCP first.
    pub(crate) fn listen_addresses(&self) -> Vec<Multiaddr> {
        let host = format!("/{}/{}", kind(self.listen), self.listen);
        let mut addresses = vec![parsed(&format!("{host}/tcp/{}", self.tcp))];
        let websocket = |(port, is_secure)| {
            let kind = if is_secure { "tls/ws" } else { "ws" };
            parsed(&format!("{host}/tcp/{port}/{kind}"))
        };
        addresses.extend(self.websocket.map(websocket));
        addresses.extend(self.quic.map(|port| parsed(&format!("{host}/udp/{port}/quic-v1"))));
        addresses
    }

    /// Where others can dial the node, TCP first, without `/p2p/…`.
    pub(crate) fn announced(&self) -> Vec<Multiaddr> {
        if self.only_external {
            return self.external.clone();
        }
        let host = match &self.name {
            Some(name) => format!("/dns4/{name}"),
            None => format!("/{}/{}", kind(self.ip), self.ip),
        };
        let mut addresses = vec![format!("{host}/tcp/{}", self.tcp)];
        addresses.extend(
            self.websocket.map(|(port, is_secure)| {
                format!("{host}/tcp/{port}/{}", if is_secure { "wss" } else { "ws" })
            }),
        );
        addresses.extend(self.quic.map(|port| format!("{host}/udp/{port}/quic-v1")));
        let addresses = addresses.iter().map(|address| parsed(address));
        addresses.chain(self.external.iter().cloned()).collect()
    }

    /// What peers are told instead of the addresses the node listens on; nothing when those will do.
    pub(crate) fn told(&self) -> Vec<Multiaddr> {
        let is_told = self.is_known || self.name.is_some() || !self.external.is_empty();
        if is_told { self.announced() } else { Vec::new() }
    }

    pub(crate) fn announced_by(&self, peer: PeerId) -> Vec<Multiaddr> {
        let whole = |address: Multiaddr| address.with_p2p(peer).unwrap_or_else(|address| address);
        self.announced().into_iter().map(whole).collect()
    }

    /// What the node record says.
    pub(crate) fn announcement(
        &self,
        seq: u64,
        shards: Option<RelayShards>,
        capabilities: Capabilities,
    ) -> Announcement {
        let (ip4, ip6) = match self.ip {
            IpAddr::V4(ip) => (Some(ip), None),
            IpAddr::V6(ip) => (None, Some(ip)),
        };
        let port = |is_there: bool, port| is_there.then_some(port);
        Announcement {
            seq,
            ip4,
            ip6,
            tcp4: port(ip4.is_some(), self.tcp),
            tcp6: port(ip6.is_some(), self.tcp),
            udp4: self.discovery.filter(|_| ip4.is_some()),
            udp6: self.discovery.filter(|_| ip6.is_some()),
            multiaddrs: self.announced(),
            shards,
            capabilities,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.listen, self.tcp)
    }
}

fn kind(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "ip4" } else { "ip6" }
}

fn is_domain_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

fn parsed(address: &str) -> Multiaddr {
    address.parse().expect("a host that was checked and a port make a multiaddress")
}

/// The address of this machine that others see, as far as it can be known without asking anybody.
fn seen_as(listen: IpAddr) -> IpAddr {
    if !listen.is_unspecified() {
        return listen;
    }
    let primary = |bind: IpAddr, anywhere| {
        let socket = UdpSocket::bind((bind, 0)).ok()?;
        socket.connect(anywhere).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    if listen.is_ipv4() {
        primary(Ipv4Addr::UNSPECIFIED.into(), ANYWHERE.0).unwrap_or(Ipv4Addr::LOCALHOST.into())
    } else {
        primary(Ipv6Addr::UNSPECIFIED.into(), ANYWHERE.1).unwrap_or(Ipv6Addr::LOCALHOST.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels_with_dots_between() {
        let long = format!("{}.org", "a".repeat(63));
        for name in ["node.example.org", "node", "node.example.", "_a-1.example", &long] {
            assert!(is_domain_name(name), "{name}");
        }
        let too_long = ["a".repeat(64), ["a"; 128].join(".")];
        for name in
            ["", ".", "a..b", ".a", "no/name", "no name", "n\u{f6}.example", &too_long[0], &too_long[1]]
        {
            assert!(!is_domain_name(name), "{name}");
        }
    }
}
