//! What a party needs of a network: a handful of functions that never wait. Nothing here names a runtime.

use std::task::{Context, Poll};

use waku_noise_session::time::{Instant, Now};
use waku_proto::{ContentTopic, WakuMessage};

/// A way to publish and receive Waku messages by content topic, and a clock.
///
/// Requests are taken at once and carried out in the background, in the order they were made. A message may be lost,
/// doubled or overtaken; parties expect that. A channel bounds what it queues and counts what it drops.
pub trait Channel {
    /// Receive on a content topic from now on.
    fn subscribe(&mut self, topic: ContentTopic);

    /// Receive on it no more.
    fn unsubscribe(&mut self, topic: ContentTopic);

    /// Publish a message on its content topic.
    fn publish(&mut self, message: WakuMessage);

    /// The next thing that happened.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent>;

    /// What time it is.
    fn now(&self) -> Now;

    /// Ready at the deadline. Each call replaces the deadline of the one before; `None` is never ready.
    fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()>;
}

/// What happened on a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelEvent {
    /// A message came.
    Message(WakuMessage),
    /// There is somebody to publish to, and there was not before.
    Up,
    /// The channel is gone for good.
    Closed,
}
