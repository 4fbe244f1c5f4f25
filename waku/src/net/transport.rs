//! TCP and WebSocket, each with Noise, and Yamux or Mplex over it.

use std::time::Duration;

use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::{SelectUpgrade, Version};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::Config as SwarmConfig;
use libp2p::{Multiaddr, PeerId, Swarm, dns, identity, noise, tcp, websocket, yamux};
use thiserror::Error;

use super::behaviour::Behaviour;
use crate::Keypair;

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
}

/// Largest WebSocket message that is read, in bytes. Upstream takes 256 MiB, and its memory as soon as the
/// length is announced, before anybody is authenticated. Noise writes at most 64 KiB at a time.
const MAX_WEBSOCKET_MESSAGE: usize = 1024 * 1024;

/// How long a connection may take from its first packet to its muxer.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// A swarm of `behaviour` with the node's identity.
pub(crate) fn swarm(keypair: Keypair, behaviour: Behaviour) -> Result<Swarm<Behaviour>, TransportError> {
    let peer_id = keypair.peer_id();
    let transport = transport(&keypair.into_libp2p())?;
    let config = SwarmConfig::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    Ok(Swarm::new(transport, behaviour, peer_id, config))
}

/// The transports, each connection authenticated and multiplexed.
///
/// js-waku speaks Mplex only and go-waku Yamux only, so both are offered.
fn transport(keypair: &identity::Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, TransportError> {
    let noise = noise::Config::new(keypair)?;
    let muxers = SelectUpgrade::new(yamux::Config::default(), mplex());
    let mut websocket = websocket::Config::new(tcp()?);
    websocket.set_max_data_size(MAX_WEBSOCKET_MESSAGE);
    let websocket = websocket
        .upgrade(Version::V1Lazy)
        .authenticate(noise.clone())
        .multiplex(muxers.clone())
        .timeout(HANDSHAKE_WITHIN)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let plain = tcp()?
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(muxers)
        .timeout(HANDSHAKE_WITHIN)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(websocket.or_transport(plain).map(|either, _| either.into_inner()).boxed())
}

/// TCP with names looked up.
fn tcp() -> Result<dns::tokio::Transport<tcp::tokio::Transport>, TransportError> {
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true));
    dns::tokio::Transport::system(tcp).map_err(TransportError::Dns)
}

/// Mplex has no flow control: a peer may fill every stream's buffer with frames of 1 MiB, so that both are
/// kept small. A full buffer stops reading from that peer alone.
fn mplex() -> libp2p_mplex::Config {
    let mut config = libp2p_mplex::Config::new();
    config.set_max_num_streams(64).set_max_buffer_size(8);
    config
}

/// True for addresses these transports can dial: TCP over an IP address or a name, with or without
/// (secure) WebSocket, or a name that stands for such addresses (`/dnsaddr/…`).
pub(crate) fn is_dialable(address: &Multiaddr) -> bool {
    let mut protocols = address.iter().peekable();
    match protocols.next() {
        Some(Protocol::Dnsaddr(_)) => return ends(protocols),
        Some(
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
        ) => {}
        _ => return false,
    }
    if !matches!(protocols.next(), Some(Protocol::Tcp(_))) {
        return false;
    }
    let is_tls = protocols.next_if(|protocol| matches!(protocol, Protocol::Tls)).is_some();
    let websocket = protocols.next_if(|protocol| match protocol {
        Protocol::Ws(_) => true,
        Protocol::Wss(_) => !is_tls,
        _ => false,
    });
    (websocket.is_some() || !is_tls) && ends(protocols)
}

/// True when nothing but a peer id is left of an address.
fn ends<'a>(mut protocols: impl Iterator<Item = Protocol<'a>>) -> bool {
    matches!((protocols.next(), protocols.next()), (None | Some(Protocol::P2p(_)), None))
}

/// Addresses with the peer id after them, as others dial them.
pub(crate) fn with_peer_id(addresses: &[Multiaddr], peer_id: PeerId) -> Vec<Multiaddr> {
    addresses.iter().map(|address| address.clone().with(Protocol::P2p(peer_id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_and_websocket_addresses_can_be_dialled() {
        let peer = Keypair::generate().peer_id();
        for address in [
            "/ip4/192.0.2.1/tcp/60000",
            "/ip6/::1/tcp/60000/ws",
            "/dns4/node.example/tcp/443/wss",
            "/dns6/node.example/tcp/443/tls/ws",
            "/dns/node.example/tcp/60000",
            "/dnsaddr/node.example",
        ] {
            let address: Multiaddr = address.parse().unwrap();
            assert!(is_dialable(&address), "{address}");
            assert!(is_dialable(&address.clone().with(Protocol::P2p(peer))), "{address}/p2p");
        }
    }

    #[test]
    fn other_addresses_cannot_be_dialled() {
        let peer = Keypair::generate().peer_id();
        for address in [
            "/ip4/192.0.2.1/udp/60000/quic-v1",
            "/ip4/192.0.2.1",
            "/tcp/60000",
            "/memory/1",
            "/ip4/192.0.2.1/tcp/60000/tls",
            "/ip4/192.0.2.1/tcp/60000/ws/http",
        ] {
            assert!(!is_dialable(&address.parse().unwrap()), "{address}");
        }
        let relayed = format!("/ip4/192.0.2.1/tcp/60000/p2p/{peer}/p2p-circuit/p2p/{peer}");
        assert!(!is_dialable(&relayed.parse().unwrap()), "{relayed}");
    }
}
