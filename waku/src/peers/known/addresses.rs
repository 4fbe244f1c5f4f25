//! Which addresses of a peer are worth dialling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::net::transport::is_dialable;
use crate::peers::peer_id_of;

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Host,
    Site,
    World,
}

/// The address without the peer id at its end; `None` when nobody can be dialled there.
pub(crate) fn plain(address: &Multiaddr) -> Option<Multiaddr> {
    let has_port = address.iter().all(|part| !matches!(part, Protocol::Tcp(0) | Protocol::Udp(0)));
    let is_somewhere = ip_of(address).is_none_or(|ip| !ip.is_unspecified() && !ip.is_multicast());
    let mut plain = address.clone();
    if peer_id_of(address).is_some() {
        plain.pop();
    }
    (is_dialable(&plain) && has_port && is_somewhere).then_some(plain)
}

/// Of the addresses a peer names, for itself or for others, those that reach as far as the address it speaks
/// from: a peer out there, as one is of which no address is known, has no business with addresses on this
/// machine or in this network.
pub(crate) fn within_reach<'a>(
    addresses: impl IntoIterator<Item = &'a Multiaddr> + 'a,
    speaker: Option<&Multiaddr>,
) -> impl Iterator<Item = &'a Multiaddr> + 'a {
    let needed = speaker.map_or(Scope::World, scope);
    addresses.into_iter().filter(move |address| scope(address) >= needed)
}

/// The IP address in an address, of the relay if it leads through one; `None` when it is a name.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|protocol| match protocol {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

/// The IP address of the node itself that is dialled; `None` when it is a name or behind a relay.
pub(crate) fn own_ip_of(address: &Multiaddr) -> Option<IpAddr> {
    let is_relayed = address.iter().any(|part| part == Protocol::P2pCircuit);
    ip_of(address).filter(|_| !is_relayed)
}

fn scope(address: &Multiaddr) -> Scope {
    match ip_of(address) {
        None => Scope::World,
        Some(IpAddr::V4(ip)) => scope_of_ip4(ip),
        Some(IpAddr::V6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => scope_of_ip4(ip),
            None => scope_of_ip6(ip),
        },
    }
}

fn scope_of_ip4(ip: Ipv4Addr) -> Scope {
    // 100.64.0.0/10 is what providers put between their customers (RFC 6598).
    let is_shared = matches!(ip.octets(), [100, 64..=127, _, _]);
    if ip.is_loopback() || ip.is_unspecified() {
        Scope::Host
    } else if ip.is_private() || ip.is_link_local() || is_shared {
        Scope::Site
    } else {
        Scope::World
    }
}

fn scope_of_ip6(ip: Ipv6Addr) -> Scope {
    if ip.is_loopback() || ip.is_unspecified() {
        Scope::Host
    } else if ip.is_unique_local() || ip.is_unicast_link_local() {
        Scope::Site
    } else {
        Scope::World
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Multiaddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_peer_id_is_taken_off_what_can_be_dialled() {
        let peer = libp2p::PeerId::random();
        let address = parse("/ip4/192.0.2.1/tcp/1/ws");
        assert_eq!(plain(&address.clone().with(Protocol::P2p(peer))), Some(address.clone()));
        assert_eq!(plain(&address), Some(address));
    }

    #[test]
    fn the_relay_of_an_address_stays() {
        let (relay, peer) = (libp2p::PeerId::random(), libp2p::PeerId::random());
        let address = parse(&format!("/ip4/192.0.2.1/tcp/1/p2p/{relay}/p2p-circuit"));
        assert_eq!(plain(&address.clone().with(Protocol::P2p(peer))), Some(address.clone()));
        assert_eq!((own_ip_of(&address), ip_of(&address).is_some()), (None, true));
    }

    #[test]
    fn nobody_is_at_no_port_or_no_host() {
        for address in [
            "/ip4/192.0.2.1/udp/0/quic-v1",
            "/ip4/192.0.2.1/tcp/0",
            "/ip4/0.0.0.0/tcp/1",
            "/ip6/::/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/memory/1",
        ] {
            assert_eq!(plain(&parse(address)), None, "{address}");
        }
    }

    #[test]
    fn a_peer_names_only_addresses_that_reach_as_far_as_its_own() {
        let host = ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip6/::ffff:127.0.0.1/tcp/1"].map(parse);
        let site =
            ["/ip4/10.0.0.1/tcp/1", "/ip4/100.64.0.1/tcp/1", "/ip6/fd00::1/tcp/1", "/ip6/fe80::1/tcp/1"]
                .map(parse);
        let world = ["/ip4/192.0.3.1/tcp/1", "/ip6/2001:db9::1/tcp/1", "/dns4/node.example/tcp/1"].map(parse);
        let all: Vec<_> = host.iter().chain(&site).chain(&world).collect();
        let count = |speaker: &str| within_reach(all.iter().copied(), Some(&parse(speaker))).count();
        assert_eq!(count("/ip4/127.0.0.1/tcp/5"), 10);
        assert_eq!(count("/ip4/192.168.1.1/tcp/5"), 7);
        assert_eq!(count("/ip4/192.0.3.9/tcp/5"), 3);
        assert_eq!(within_reach(all.iter().copied(), None).count(), 3);
    }
}
