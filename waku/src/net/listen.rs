//! Opening the listeners, before the driver takes the swarm.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use libp2p::Multiaddr;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use thiserror::Error;
use tokio::time::timeout;

use super::driver::Driver;
use super::tls::Tls;

/// An address bound to no interface at all never becomes ready.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// An address that cannot be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another socket listens there.
    #[error("cannot listen on {address}: the port is in use")]
    InUse {
        /// The address.
        address: Multiaddr,
    },
    /// Neither `/ip4|ip6/…/tcp/…`, nor that with `/ws` or `/tls/ws`, nor `/ip4|ip6/…/udp/…/quic-v1`.
    #[error(
        "cannot listen on {address}: only TCP, WebSocket (/ws, /tls/ws) and QUIC (/udp/…/quic-v1) over an IP \
         address are supported"
    )]
    Unsupported {
        /// The address.
        address: Multiaddr,
    },
    /// Secure WebSocket without a certificate.
    #[error("cannot listen on {address}: secure WebSocket needs a certificate and its key")]
    NoCertificate {
        /// The address.
        address: Multiaddr,
    },
    /// The system refuses, for example an address of another machine.
    #[error("cannot listen on {address}: {error}")]
    Io {
        /// The address.
        address: Multiaddr,
        /// What the system says.
        error: io::Error,
    },
    /// No interface has such an address.
    #[error("cannot listen on {address}: no interface came up for it")]
    NoInterface {
        /// The address.
        address: Multiaddr,
    },
}

impl Driver {
    /// Listens on all addresses and returns when each is ready. Other events are handled meanwhile.
    pub(crate) async fn listen(&mut self, addresses: &[Multiaddr], tls: &Tls) -> Result<(), ListenError> {
        for address in addresses {
            let is_tls = address.iter().any(|part| matches!(part, Protocol::Tls | Protocol::Wss(_)));
            if is_tls && !tls.has_certificate() {
                return Err(ListenError::NoCertificate { address: address.clone() });
            }
            probe(address)?;
            let id = self.swarm.listen_on(address.clone()).map_err(|error| listen_error(address, error))?;
            self.listeners.push(id);
            match timeout(READY_WITHIN, self.ready(id)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(ListenError::Io { address: address.clone(), error }),
                Err(_) => return Err(ListenError::NoInterface { address: address.clone() }),
            }
        }
        Ok(())
    }

    /// Tells peers these addresses of the node.
    pub(crate) fn announce(&mut self, addresses: &[Multiaddr]) {
        for address in addresses {
            self.swarm.add_external_address(address.clone());
        }
    }

    async fn ready(&mut self, id: ListenerId) -> io::Result<()> {
        loop {
            match self.swarm.select_next_some().await {
                SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } if listener_id == id => {
                    return Err(error);
                }
                event => {
                    let is_ready =
                        matches!(event, SwarmEvent::NewListenAddr { listener_id, .. } if listener_id == id);
                    self.on_swarm_event(event);
                    if is_ready {
                        self.take_ready_events();
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A listener on all interfaces has an address for each of them.
    fn take_ready_events(&mut self) {
        while let Some(event) = self.swarm.select_next_some().now_or_never() {
            self.on_swarm_event(event);
        }
    }
}

/// Fails when the port is taken. libp2p binds with `SO_REUSEPORT`, so that the system would let two nodes of
/// one user share a port, and each would get a part of the connections.
fn probe(address: &Multiaddr) -> Result<(), ListenError> {
    let Some((socket, transport)) = socket_address(address) else {
        return Err(ListenError::Unsupported { address: address.clone() });
    };
    if socket.port() == 0 {
        return Ok(());
    }
    let probed = probed(socket);
    let bound = match transport {
        Transport::Tcp => TcpListener::bind(probed).map(drop),
        Transport::Quic => UdpSocket::bind(probed).map(drop),
    };
    match bound {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(ListenError::InUse { address: address.clone() })
        }
        // What else is wrong shows when libp2p listens.
        _ => Ok(()),
    }
}

/// Where to look whether a port is taken. libp2p listens on all IPv6 addresses without the IPv4 ones, but
/// the standard library on both, so that a listener on the same port of IPv4 would be in the way.
fn probed(socket: SocketAddr) -> SocketAddr {
    if socket.ip() == Ipv6Addr::UNSPECIFIED {
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), socket.port())
    } else {
        socket
    }
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// TCP, and WebSocket over it.
    Tcp,
    /// QUIC, over UDP.
    Quic,
}

/// The socket of `/ip4|ip6/…/tcp/…[/ws|/wss|/tls/ws]` or `/ip4|ip6/…/udp/…/quic-v1`.
fn socket_address(address: &Multiaddr) -> Option<(SocketAddr, Transport)> {
    let mut protocols = address.iter();
    let ip: IpAddr = match protocols.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let port = protocols.next()?;
    let rest = [protocols.next(), protocols.next(), protocols.next()];
    match (port, rest) {
        (
            Protocol::Tcp(port),
            [None | Some(Protocol::Ws(_) | Protocol::Wss(_)), None, None]
            | [Some(Protocol::Tls), Some(Protocol::Ws(_)), None],
        ) => Some((SocketAddr::new(ip, port), Transport::Tcp)),
        (Protocol::Udp(port), [Some(Protocol::QuicV1), None, None]) => {
            Some((SocketAddr::new(ip, port), Transport::Quic))
        }
        _ => None,
    }
}

fn listen_error(address: &Multiaddr, error: TransportError<io::Error>) -> ListenError {
    let address = address.clone();
    match error {
        TransportError::MultiaddrNotSupported(_) => ListenError::Unsupported { address },
        TransportError::Other(error) if error.kind() == io::ErrorKind::AddrInUse => {
            ListenError::InUse { address }
        }
        TransportError::Other(error) => ListenError::Io { address, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_websocket_and_quic_over_ip_are_supported() {
        for address in [
            "/ip4/127.0.0.1/tcp/0",
            "/ip6/::1/tcp/0",
            "/ip4/127.0.0.1/tcp/0/ws",
            "/ip4/127.0.0.1/tcp/0/tls/ws",
            "/ip4/127.0.0.1/tcp/0/wss",
            "/ip6/::1/udp/0/quic-v1",
        ] {
            assert!(probe(&address.parse().unwrap()).is_ok(), "{address}");
        }
        for address in [
            "/dns4/localhost/tcp/0",
            "/ip4/127.0.0.1/udp/0",
            "/ip4/127.0.0.1/tcp/0/tls",
            "/ip4/127.0.0.1/tcp/0/quic-v1",
            "/ip4/127.0.0.1",
            "/memory/1",
        ] {
            let error = probe(&address.parse().unwrap()).unwrap_err();
            assert!(matches!(error, ListenError::Unsupported { .. }), "{address}: {error}");
        }
    }

    #[test]
    fn a_port_in_use_is_seen_although_libp2p_would_share_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: Multiaddr =
            format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port()).parse().unwrap();
        assert!(matches!(probe(&address), Err(ListenError::InUse { address: named }) if named == address));
        drop(taken);
        assert!(probe(&address).is_ok());
    }

    #[test]
    fn a_quic_port_is_one_of_udp() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let quic = probe(&format!("/ip4/127.0.0.1/udp/{port}/quic-v1").parse().unwrap());
        assert!(matches!(quic, Err(ListenError::InUse { .. })), "{quic:?}");
    }

    #[test]
    fn a_port_of_all_ipv6_addresses_is_not_taken_by_one_of_ipv4() {
        let on_port = |port: u16| format!("/ip6/::/tcp/{port}").parse::<Multiaddr>().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(probe(&on_port(taken.local_addr().unwrap().port())).is_ok());
        let taken = TcpListener::bind("[::1]:0").unwrap();
        let error = probe(&on_port(taken.local_addr().unwrap().port())).unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    }
}
