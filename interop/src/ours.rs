//! The baseline: our own node in the foreign peer's place.

use anyhow::{Context, Result};
use waku::{
    Config, Delivery, Keypair, Multiaddr, Node, PubsubTopic, RelaySubscription, Sharding, WakuMessage,
};

use crate::ForeignPeer;

/// Our node, driven through the trait that foreign peers are driven through.
pub struct Ours {
    node: Node,
    subscription: Option<RelaySubscription>,
}

impl Ours {
    /// Starts a node on loopback, in a cluster.
    ///
    /// # Errors
    /// When the node does not start.
    pub async fn start(cluster: u16) -> Result<Self> {
        Ok(Self { node: spawn(cluster, &[]).await?, subscription: None })
    }
}

/// A node of ours on loopback, connected to others.
///
/// # Errors
/// When the node does not start.
pub async fn spawn(cluster: u16, static_peers: &[Multiaddr]) -> Result<Node> {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(cluster, [0])?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    config.static_peers = static_peers.to_vec();
    Ok(Node::spawn(config).await?)
}

impl ForeignPeer for Ours {
    fn name(&self) -> String {
        waku::DEFAULT_AGENT.to_owned()
    }

    fn address(&self) -> Multiaddr {
        self.node.listen_addresses().into_iter().next().expect("it was started with one address")
    }

    async fn subscribe(&mut self, topic: &PubsubTopic) -> Result<()> {
        self.subscription = Some(self.node.relay().subscribe(topic.clone()).await?);
        Ok(())
    }

    async fn publish(&mut self, topic: &PubsubTopic, message: WakuMessage) -> Result<()> {
        self.node.relay().publish_to(topic.clone(), message).await?;
        Ok(())
    }

    async fn next_message(&mut self) -> Result<WakuMessage> {
        let subscription = self.subscription.as_mut().context("not subscribed yet")?;
        match subscription.recv().await.context("the node stopped")? {
            Delivery::Message(envelope) => Ok(envelope.message().clone()),
            Delivery::Missed(count) => anyhow::bail!("{count} messages were missed"),
        }
    }
}
