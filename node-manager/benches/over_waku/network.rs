//! The node between the two sides.

use std::sync::Arc;
use std::time::Duration;

use node_manager::{Mode, Network};
use tokio::time::timeout;
use waku::store::archive::MemoryArchive;
use waku::{Config, FilterConfig, Keypair, LightpushConfig, Node, PeerList, Sharding, StoreConfig};

use crate::Failure;

/// No wait is longer; a measurement that needs it all has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What the archive of a service node keeps: messages, and bytes.
const KEPT: (u64, u64) = (10_000, 64 << 20);

/// A node that both sides reach: one that relays, or one that serves light clients alone.
pub(crate) async fn middle(mode: Mode) -> Result<Node, Failure> {
    let mut config = Config::new(Keypair::generate(), sharding()?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    if mode == Mode::Light {
        config.filter = Some(FilterConfig::default());
        config.lightpush = Some(LightpushConfig::default());
        config.store = Some(StoreConfig::new(Arc::new(MemoryArchive::new(KEPT.0, KEPT.1))));
        // It relays to nobody, and hands what it is given to its own clients.
        config.deliver_unsent = true;
    }
    Ok(Node::spawn(config).await?)
}

/// What `node-manager` has by default.
fn sharding() -> Result<Sharding, Failure> {
    Ok(Sharding::fixed(0, [0])?)
}

/// The way of a side to the node between.
pub(crate) fn to(middle: &Node, mode: Mode) -> Result<Network, Failure> {
    let (static_nodes, sharding) = (middle.listen_addresses(), sharding()?);
    Ok(Network { sharding, mode, static_nodes, listen_addresses: Vec::new(), keypair: None })
}

/// Waits until a side can be heard.
pub(crate) async fn connected(node: &Node, mode: Mode) -> Result<(), Failure> {
    let can_speak = |peers: &PeerList| {
        peers.connected.iter().any(|peer| match mode {
            Mode::Relay => !peer.topics.is_empty(),
            Mode::Light => !peer.protocols.is_empty(),
        })
    };
    in_time("a connection", async {
        node.peers().watch().wait_for(can_speak).await?;
        Ok(())
    })
    .await
}

/// Fails when something does not come.
pub(crate) async fn in_time<T>(
    what: &str,
    action: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(PATIENCE, action).await.map_err(|_| format!("{what} did not come in time"))?
}
