//! What the scenarios need of an implementation.

use std::future::Future;

use anyhow::Result;
use waku::{Multiaddr, PubsubTopic, WakuMessage};

/// A node of some implementation, running, with relay on. It is stopped when it is dropped.
pub trait ForeignPeer: Send {
    /// Implementation and version, as the matrix names them.
    fn name(&self) -> String;

    /// Where our node can reach it, with its peer id.
    fn address(&self) -> Multiaddr;

    /// Relays a pubsub topic from now on, and keeps what comes for [`Self::next_message`].
    ///
    /// # Errors
    /// When the peer refuses or is gone.
    fn subscribe(&mut self, topic: &PubsubTopic) -> impl Future<Output = Result<()>> + Send;

    /// Publishes a message of its own on a pubsub topic.
    ///
    /// # Errors
    /// When the peer refuses or is gone.
    fn publish(
        &mut self,
        topic: &PubsubTopic,
        message: WakuMessage,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The next message that came on a topic subscribed to.
    ///
    /// # Errors
    /// When the peer is gone.
    fn next_message(&mut self) -> impl Future<Output = Result<WakuMessage>> + Send;
}
