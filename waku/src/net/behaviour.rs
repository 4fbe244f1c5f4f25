//! Everything mounted on the swarm.

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{identify, ping, relay};

use super::nat;
use super::services::Services;
use crate::metrics::Metrics;
use crate::relay::behaviour::{Gossipsub, gossipsub};
use crate::{Config, metadata, peers};

/// The protocol family told through identify, as nwaku tells it.
const PROTOCOL_VERSION: &str = "ipfs/0.1.0";

/// The behaviours, in the order in which they may refuse a connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Connections in all and per peer.
    pub(crate) limits: connection_limits::Behaviour,
    /// Static peers, and connections per IP address.
    pub(crate) peers: peers::behaviour::Behaviour,
    /// 66/WAKU2-METADATA.
    pub(crate) metadata: metadata::behaviour::Behaviour,
    /// Who a peer is and what it speaks.
    pub(crate) identify: identify::Behaviour,
    /// Whether a peer is still there.
    pub(crate) ping: ping::Behaviour,
    /// 11/WAKU2-RELAY, if the node relays.
    pub(crate) gossipsub: Toggle<Gossipsub>,
    /// Filter, lightpush, store and peer exchange.
    pub(crate) services: Services,
    /// Circuits, AutoNAT and hole punching.
    pub(crate) nat: nat::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(
        config: &Config,
        services: Services,
        metrics: &Metrics,
        circuit: relay::client::Behaviour,
    ) -> Self {
        let limits = ConnectionLimits::default()
            .with_max_established(Some(config.limits.total))
            .with_max_pending_incoming(Some(config.limits.total))
            .with_max_established_per_peer(Some(config.limits.per_peer));
        let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), config.keypair.public())
            .with_agent_version(config.agent.clone())
            .with_hide_listen_addrs(!config.announced.is_empty());
        let ping = ping::Config::new().with_interval(config.ping_interval);
        Self {
            limits: connection_limits::Behaviour::new(limits),
            peers: peers::behaviour::Behaviour::new(config.reconnect.clone(), config.limits.per_ip),
            metadata: metadata::behaviour::Behaviour::new(
                config.sharding.cluster(),
                metrics.metadata_requests_failed.clone(),
            ),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping),
            gossipsub: config.relay.then(|| gossipsub(config.max_rpc_size)).into(),
            services,
            nat: nat::Behaviour::new(config.keypair.peer_id(), &config.nat, circuit),
        }
    }
}
