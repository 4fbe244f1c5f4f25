//! Making a node record.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use waku_discovery::{Fields, FieldsError};
use waku_proto::enr::{Capabilities, RelayShards};

use super::{NodeRecord, tcp_address};
use crate::{Keypair, Multiaddr, PeerId};

/// What a node tells others of itself.
#[derive(Debug, Clone, Default)]
pub struct Announcement {
    /// Greater than in every record of the same key before; else nobody takes it for news.
    pub seq: u64,
    /// Where the node can be reached over IPv4.
    pub ip4: Option<Ipv4Addr>,
    /// Where the node can be reached over IPv6.
    pub ip6: Option<Ipv6Addr>,
    /// Its TCP port.
    pub tcp4: Option<u16>,
    /// Its TCP port over IPv6, if it is another.
    pub tcp6: Option<u16>,
    /// Its UDP port for discovery.
    pub udp4: Option<u16>,
    /// Its UDP port for discovery over IPv6.
    pub udp6: Option<u16>,
    /// Addresses that need more than an IP address and a port, the most useful first: names, WebSocket, QUIC, relays.
    pub multiaddrs: Vec<Multiaddr>,
    /// The shards it is on.
    pub shards: Option<RelayShards>,
    /// What it does. A record without any is not a Waku node's.
    pub capabilities: Capabilities,
}

/// A record, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The record.
    pub record: NodeRecord,
    /// Addresses of kinds that no record has: go-waku and js-waku cannot read records with protocols they do not know.
    pub unsupported: Vec<Multiaddr>,
    /// Addresses that did not fit.
    pub no_room: Vec<Multiaddr>,
}

impl Announcement {
    /// Signs the record.
    ///
    /// Of the addresses as many are in it as fit, in their order, but WebSocket without TLS last: who speaks that can dial
    /// TCP too. A node's own `/p2p/…` is left off, and an address that IP address and port say already.
    ///
    /// # Errors
    /// When the record is too long without any of `multiaddrs`.
    pub fn sign(&self, keypair: &Keypair) -> Result<Announced, FieldsError> {
        let (fields, unsupported) = self.fields(keypair.peer_id());
        let (record, left_out) = fields.sign(self.seq, &keypair.signing_key())?;
        let no_room = left_out.iter().filter_map(|address| Multiaddr::try_from(address.to_vec()).ok());
        Ok(Announced { record: record.into(), unsupported, no_room: no_room.collect() })
    }

    /// The fields that [`sign`](Self::sign) signs, for discovery, which keeps the record of this node itself; and the
    /// addresses that cannot be in a record.
    pub fn fields(&self, peer: PeerId) -> (Fields, Vec<Multiaddr>) {
        let sockets = [
            self.ip4.zip(self.tcp4).map(SocketAddr::from),
            self.ip6.zip(self.tcp6.or(self.tcp4)).map(SocketAddr::from),
        ];
        let said = sockets.into_iter().flatten().map(tcp_address);
        let said: Vec<_> = said.filter_map(|address| address.with_p2p(peer).ok()).collect();

        let (mut listed, mut unsupported) = (Vec::new(), Vec::new());
        for address in &self.multiaddrs {
            // With the id of another peer it is not this node's address.
            match address.clone().with_p2p(peer) {
                Ok(address) if said.contains(&address) => {}
                Ok(mut full) if is_supported(&full) => {
                    full.pop();
                    listed.push(full);
                }
                _ => unsupported.push(address.clone()),
            }
        }
        listed.sort_by_key(is_plain_websocket);
        let fields = Fields {
            ip4: self.ip4,
            ip6: self.ip6,
            tcp4: self.tcp4,
            tcp6: self.tcp6,
            udp4: self.udp4,
            udp6: self.udp6,
            multiaddrs: listed.iter().map(|address| address.to_vec().into()).collect(),
            shards: self.shards.clone(),
            capabilities: self.capabilities,
        };
        (fields, unsupported)
    }
}

/// Whether every Waku node can read the address, which ends in `/p2p/…`.
fn is_supported(address: &Multiaddr) -> bool {
    match protocols(address).as_slice() {
        [relay @ .., "p2p", "p2p-circuit", "p2p"] | [relay @ .., "p2p"] => is_direct(relay),
        _ => false,
    }
}

fn is_direct(protocols: &[&str]) -> bool {
    let [host, transport @ ..] = protocols else { return false };
    matches!(*host, "ip4" | "ip6" | "dns" | "dns4" | "dns6" | "dnsaddr")
        && matches!(transport, ["tcp"] | ["tcp", "ws" | "wss"] | ["tcp", "tls", "ws"] | ["udp", "quic-v1"])
}

fn is_plain_websocket(address: &Multiaddr) -> bool {
    matches!(protocols(address).as_slice(), [_, "tcp", "ws"])
}

fn protocols(address: &Multiaddr) -> Vec<&'static str> {
    address.protocol_stack().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_RECORD_LEN;

    const RELAY: &str = "16Uiu2HAmNaeL4p3WEYzC9mgXBmBWSgWjPHRvatZTXnp8Jgv3iKsb";

    fn keypair() -> Keypair {
        Keypair::from_secret([0x11; 32]).unwrap()
    }

    fn parsed(addresses: &[&str]) -> Vec<Multiaddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn sign(addresses: &[&str]) -> Announced {
        let announcement = Announcement { multiaddrs: parsed(addresses), ..Announcement::default() };
        announcement.sign(&keypair()).unwrap()
    }

    /// The addresses to dial, without `/p2p/…`.
    fn said(announced: &Announced) -> Vec<Multiaddr> {
        let mut addresses = announced.record.addresses();
        for address in &mut addresses {
            address.pop();
        }
        addresses
    }

    #[test]
    fn what_is_announced_is_read() {
        let announcement = Announcement {
            seq: u64::MAX,
            ip4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            ip6: Some("2001:db8::1".parse().unwrap()),
            tcp4: Some(60000),
            tcp6: Some(60001),
            udp4: Some(9000),
            udp6: Some(9001),
            multiaddrs: parsed(&["/dns4/example.org/tcp/443/wss"]),
            shards: Some(RelayShards::new(16, [32, 64]).unwrap()),
            capabilities: Capabilities::RELAY.with(Capabilities::STORE),
        };
        let Announced { record, unsupported, no_room } = announcement.sign(&keypair()).unwrap();
        assert_eq!((unsupported, no_room), (vec![], vec![]));
        assert_eq!(NodeRecord::decode(&record.encode()).as_ref(), Ok(&record));
        assert_eq!(record.peer_id(), keypair().peer_id());
        assert_eq!(record.seq(), u64::MAX);
        assert_eq!(record.tcp4(), "192.0.2.1:60000".parse().ok());
        assert_eq!(record.udp4(), "192.0.2.1:9000".parse().ok());
        assert_eq!(record.tcp6(), "[2001:db8::1]:60001".parse().ok());
        assert_eq!(record.udp6(), "[2001:db8::1]:9001".parse().ok());
        assert_eq!(record.capabilities(), announcement.capabilities);
        assert_eq!(record.shards(), announcement.shards);
        let peer = keypair().peer_id();
        let addresses = [
            format!("/dns4/example.org/tcp/443/wss/p2p/{peer}"),
            format!("/ip4/192.0.2.1/tcp/60000/p2p/{peer}"),
            format!("/ip6/2001:db8::1/tcp/60001/p2p/{peer}"),
        ];
        assert_eq!(record.addresses(), addresses.map(|address| address.parse().unwrap()));
    }

    #[test]
    fn only_addresses_that_every_waku_node_can_read_are_in_the_record() {
        let supported = [
            "/dns4/example.org/tcp/443/wss",
            "/dns6/example.org/tcp/443/tls/ws",
            "/dns/example.org/udp/443/quic-v1",
            "/ip4/192.0.2.1/tcp/80",
            "/ip4/192.0.2.1/tcp/80/ws",
        ];
        let announced = sign(&supported);
        assert_eq!(said(&announced), parsed(&supported));
        assert_eq!(announced.unsupported, []);

        let unsupported = [
            "/ip4/192.0.2.1/udp/443/quic-v1/webtransport",
            "/ip4/192.0.2.1/udp/443/quic",
            "/ip4/192.0.2.1/udp/443/webrtc-direct",
            "/ip4/192.0.2.1/tcp/80/http",
            "/ip4/192.0.2.1/tcp/80/x-parity-ws/%2fpath",
            "/ip4/192.0.2.1",
            "/memory/1",
            "/unix/socket",
        ];
        let announced = sign(&unsupported);
        assert_eq!(announced.record.addresses(), []);
        assert_eq!(announced.unsupported, parsed(&unsupported));
    }

    #[test]
    fn the_own_peer_id_is_left_off_and_another_peers_address_out() {
        let peer = keypair().peer_id();
        let (own, foreign) =
            (format!("/dns4/example.org/tcp/1/p2p/{peer}"), format!("/dns4/example.org/tcp/2/p2p/{RELAY}"));
        let announced = sign(&[&own, &foreign]);
        assert_eq!(said(&announced), parsed(&["/dns4/example.org/tcp/1"]));
        assert_eq!(announced.unsupported, parsed(&[&foreign]));
        assert_eq!(announced.record.encode().len(), sign(&["/dns4/example.org/tcp/1"]).record.encode().len());
    }

    #[test]
    fn a_relays_peer_id_stays() {
        let circuit = format!("/dns4/example.org/tcp/1/p2p/{RELAY}/p2p-circuit");
        let with_peer = format!("{circuit}/p2p/{}", keypair().peer_id());
        for address in [&circuit, &with_peer] {
            assert_eq!(said(&sign(&[address])), parsed(&[&circuit]));
        }
    }

    #[test]
    fn what_ip_address_and_port_say_is_not_said_twice() {
        let announcement = Announcement {
            ip4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            tcp4: Some(60000),
            ..Announcement::default()
        };
        let without = announcement.sign(&keypair()).unwrap().record.encode().len();
        let multiaddrs = parsed(&["/ip4/192.0.2.1/tcp/60000"]);
        let announced = Announcement { multiaddrs, ..announcement }.sign(&keypair()).unwrap();
        assert_eq!(announced.record.encode().len(), without);
        assert_eq!((announced.unsupported, announced.no_room), (vec![], vec![]));
    }

    #[test]
    fn plain_websocket_is_left_out_first_and_then_the_last_that_do_not_fit() {
        let host = "a-name-so-long-that-only-two-of-it-fit-into-a-record.example.org";
        let [ws, tcp, wss, quic] = ["tcp/1/ws", "tcp/2", "tcp/3/wss", "udp/4/quic-v1"]
            .map(|transport| format!("/dns4/{host}/{transport}"));

        let announced = sign(&[&ws, &tcp, &wss]);
        assert_eq!(said(&announced), parsed(&[&tcp, &wss]));
        assert_eq!(announced.no_room, parsed(&[&ws]));

        let announced = sign(&[&ws, &wss, &tcp, &quic, "/dns4/b.org/tcp/5"]);
        assert_eq!(said(&announced), parsed(&[&wss, &tcp, "/dns4/b.org/tcp/5"]));
        assert_eq!(announced.no_room, parsed(&[&quic, &ws]));
        assert!((250..=MAX_RECORD_LEN).contains(&announced.record.encode().len()));
    }
}
