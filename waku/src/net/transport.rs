//! TCP, WebSocket (with and without TLS) and circuits through relays, each with Noise, and Yamux or Mplex over
//! it; and QUIC, which has all of that in it.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::config::NameServerConfig;
use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::{SelectUpgrade, Version};
use libp2p::multiaddr::Protocol;
use libp2p::relay;
use libp2p::swarm::Config as SwarmConfig;
use libp2p::{Multiaddr, PeerId, Swarm, dns, noise, quic, tcp, websocket, yamux};
use thiserror::Error;

use super::behaviour::Behaviour;
use super::flow::Flows;
use super::services::Services;
use super::tls::TlsError;
use crate::Config;
use crate::metrics::Metrics;

/// How long a connection may be idle. Gossipsub keeps only mesh peers' connections in use, and nwaku keeps
/// all: the others, and peers that only use services, must not be closed under them. Pings find the dead
/// ones, and the connection limits bound the rest.
const IDLE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The transports could not be set up.
#[derive(Debug, Error)]
pub(crate) enum TransportError {
    #[error("the system's DNS configuration cannot be read: {0}")]
    Dns(std::io::Error),
    #[error("encryption cannot be set up: {0}")]
    Noise(#[from] noise::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Largest WebSocket message that is read, in bytes. Upstream takes 256 MiB, and its memory as soon as the
/// length is announced, before anybody is authenticated. Noise writes at most 64 KiB at a time.
const MAX_WEBSOCKET_MESSAGE: usize = 1024 * 1024;

/// How long a connection may take from its first packet to its muxer.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A swarm with the node's identity, transports and behaviours.
pub(crate) fn swarm(
    config: &Config,
    services: Services,
    metrics: &Metrics,
    flows: Flows,
) -> Result<Swarm<Behaviour>, TransportError> {
    let peer_id = config.keypair.peer_id();
    let (circuits, circuit_client) = relay::client::new(peer_id);
    let transport =
        transport(config, circuits)?.map(move |(peer, muxer), _| (peer, flows.watch(peer, muxer))).boxed();
    let behaviour = Behaviour::new(config, services, metrics, circuit_client);
    let config = SwarmConfig::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    Ok(Swarm::new(transport, behaviour, peer_id, config))
}

/// The transports, each connection authenticated and multiplexed.
///
/// js-waku speaks Mplex only and go-waku Yamux only, so both are offered.
fn transport(
    config: &Config,
    circuits: relay::client::Transport,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let keypair = &config.keypair.clone().into_libp2p();
    let noise = noise::Config::new(keypair)?;
    let name_servers = &config.name_servers;
    let muxers = SelectUpgrade::new(yamux::Config::default(), mplex());
    // It needs the names itself, for the certificates.
    let mut websocket = websocket::Config::new(named(tcp(), name_servers)?);
    websocket.set_max_data_size(MAX_WEBSOCKET_MESSAGE).set_tls_config(config.tls.config()?);
    let websocket = websocket
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(muxers.clone())
        .timeout(HANDSHAKE_WITHIN)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let plain = tcp()
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(muxers.clone())
        .timeout(HANDSHAKE_WITHIN)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(muxers)
        .timeout(HANDSHAKE_WITHIN)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic::Config::new(keypair));
    let quic = quic.map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    // Circuits first: their addresses begin with those of other transports. What looks names up last: it takes
    // every address for its own.
    let last = named(quic.or_transport(plain).map(|either, _| either.into_inner()), name_servers)?;
    let direct = websocket.or_transport(last).map(|either, _| either.into_inner());
    Ok(circuits.or_transport(direct).map(|either, _| either.into_inner()).boxed())
}

fn tcp() -> tcp::tokio::Transport {
    tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
}

/// A transport with names looked up, by the system's name servers unless there are others.
fn named<T>(transport: T, name_servers: &[IpAddr]) -> Result<dns::tokio::Transport<T>, TransportError> {
    if name_servers.is_empty() {
        return dns::tokio::Transport::system(transport).map_err(TransportError::Dns);
    }
    let servers = name_servers.iter().map(|ip| NameServerConfig::udp_and_tcp(*ip)).collect();
    let config = dns::ResolverConfig::from_parts(None, Vec::new(), servers);
    Ok(dns::tokio::Transport::custom(transport, config, dns::ResolverOpts::default()))
}

/// Mplex has no flow control: a peer may fill every stream's buffer with frames of 1 MiB, so that both are
/// kept small. A full buffer stops reading from that peer alone.
fn mplex() -> libp2p_mplex::Config {
    let mut config = libp2p_mplex::Config::new();
    config.set_max_num_streams(64).set_max_buffer_size(8);
    config
}

/// True for addresses these transports can dial: TCP over an IP address or a name, with or without
/// (secure) WebSocket, QUIC, either of them to a relay and through it (`…/p2p-circuit`), or a name that
/// stands for such addresses (`/dnsaddr/…`).
pub(crate) fn is_dialable(address: &Multiaddr) -> bool {
    let mut protocols = address.iter().peekable();
    match protocols.next() {
        Some(Protocol::Dnsaddr(_)) => return ends(protocols),
        Some(
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
        ) => {}
        _ => return false,
    }
    match protocols.next() {
        Some(Protocol::Tcp(_)) => {}
        Some(Protocol::Udp(_)) => {
            return matches!(protocols.next(), Some(Protocol::QuicV1)) && ends(protocols);
        }
        _ => return false,
    }
    let is_tls = protocols.next_if(|protocol| matches!(protocol, Protocol::Tls)).is_some();
    let websocket = protocols.next_if(|protocol| match protocol {
        Protocol::Ws(_) => true,
        Protocol::Wss(_) => !is_tls,
        _ => false,
    });
    (websocket.is_some() || !is_tls) && ends(protocols)
}

/// True when nothing is left of an address but a peer id, or a relay's and the way through it.
fn ends<'a>(mut protocols: impl Iterator<Item = Protocol<'a>>) -> bool {
    let is_peer = |part: Option<Protocol<'_>>| matches!(part, None | Some(Protocol::P2p(_)));
    match (protocols.next(), protocols.next()) {
        (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit)) => {
            is_peer(protocols.next()) && protocols.next().is_none()
        }
        (peer, None) => is_peer(peer),
        _ => false,
    }
}

/// Addresses with the peer id after them, as others dial them. Those at a relay have it already.
pub(crate) fn with_peer_id(addresses: &[Multiaddr], peer_id: PeerId) -> Vec<Multiaddr> {
    let whole = |address: &Multiaddr| address.clone().with_p2p(peer_id).unwrap_or_else(|address| address);
    addresses.iter().map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_and_websocket_addresses_can_be_dialled() {
        let peer = PeerId::random();
        for address in [
            "/ip4/192.0.2.1/tcp/60000",
            "/ip6/::1/tcp/60000/ws",
            "/dns4/node.example/tcp/443/wss",
            "/dns6/node.example/tcp/443/tls/ws",
            "/dns/node.example/tcp/60000",
            "/dnsaddr/node.example",
            "/ip4/192.0.2.1/udp/60000/quic-v1",
            "/dns4/node.example/udp/60000/quic-v1",
        ] {
            let address: Multiaddr = address.parse().unwrap();
            assert!(is_dialable(&address), "{address}");
            let address = address.with(Protocol::P2p(peer));
            assert!(is_dialable(&address), "{address}");
            assert!(is_dialable(&address.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(peer))));
        }
    }

    #[test]
    fn other_addresses_cannot_be_dialled() {
        for address in [
            "/ip4/192.0.2.1/udp/60000/quic",
            "/ip4/192.0.2.1/udp/60000",
            "/ip4/192.0.2.1/tcp/60000/quic-v1",
            "/ip4/192.0.2.1",
            "/tcp/60000",
            "/memory/1",
            "/ip4/192.0.2.1/tcp/60000/tls",
            "/ip4/192.0.2.1/tcp/60000/ws/http",
        ] {
            assert!(!is_dialable(&address.parse().unwrap()), "{address}");
        }
        let peer = PeerId::random();
        for rest in
            [format!("p2p-circuit/p2p/{peer}"), format!("p2p/{peer}/p2p-circuit/p2p/{peer}/p2p-circuit")]
        {
            assert!(!is_dialable(&format!("/ip4/192.0.2.1/tcp/60000/{rest}").parse().unwrap()), "{rest}");
        }
    }
}
