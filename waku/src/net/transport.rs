//! TCP and WebSocket, each with Noise, and Yamux or Mplex over it.

use libp2p::multiaddr::Protocol;
use libp2p::swarm::Config as SwarmConfig;
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, tcp, yamux};
use libp2p_mplex::Config as Mplex;
use std::time::Duration;
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

/// A swarm of `behaviour` with the node's identity.
///
/// js-waku speaks Mplex only and go-waku Yamux only, so both are offered.
pub(crate) async fn swarm(
    keypair: Keypair,
    behaviour: Behaviour,
) -> Result<Swarm<Behaviour>, TransportError> {
    let swarm = SwarmBuilder::with_existing_identity(keypair.into_libp2p())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, (yamux::Config::default, Mplex::new))?
        .with_dns()
        .map_err(TransportError::Dns)?
        .with_websocket(noise::Config::new, (yamux::Config::default, Mplex::new))
        .await
        .map_err(|error| TransportError::Dns(std::io::Error::other(error)))?
        .with_behaviour(|_| behaviour)
        .unwrap_or_else(|never| match never {})
        .with_swarm_config(swarm_config)
        .build();
    Ok(swarm)
}

fn swarm_config(config: SwarmConfig) -> SwarmConfig {
    config.with_idle_connection_timeout(IDLE_TIMEOUT)
}

/// Addresses with the peer id after them, as others dial them.
pub(crate) fn with_peer_id(addresses: &[Multiaddr], peer_id: PeerId) -> Vec<Multiaddr> {
    addresses.iter().map(|address| address.clone().with(Protocol::P2p(peer_id))).collect()
}
