//! The tasks that answer lightpush requests.

use std::sync::Weak;

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::protocol::{LightpushProtocol, LightpushV2Protocol};
use super::server::{self, Outcome, Push, Refusal};
use crate::clock::unix_nanos;
use crate::net::exchange::Inbound;
use crate::node::Shared;
use crate::{PeerId, Relay};

/// Requests of one version that are worked on at a time. What they wait for is the validator's verdict.
const AT_A_TIME: usize = 16;

/// Answers requests of version 3 until the node has stopped, without keeping it from that.
pub(crate) async fn serve(node: Weak<Shared>, mut inbox: mpsc::Receiver<Inbound<LightpushProtocol>>) {
    let node = &node;
    let requests = stream::poll_fn(|context| inbox.poll_recv(context));
    let answer = |Inbound { peer, request, reply }: Inbound<LightpushProtocol>| async move {
        let (request_id, push) = server::read(request);
        if let Some(outcome) = publish(node, peer, push).await {
            reply.send(server::answer(request_id, outcome), None);
        }
    };
    requests.for_each_concurrent(AT_A_TIME, answer).await;
}

/// Answers requests of version 2 until the node has stopped, without keeping it from that.
pub(crate) async fn serve_v2(node: Weak<Shared>, mut inbox: mpsc::Receiver<Inbound<LightpushV2Protocol>>) {
    let node = &node;
    let requests = stream::poll_fn(|context| inbox.poll_recv(context));
    let answer = |Inbound { peer, request, reply }: Inbound<LightpushV2Protocol>| async move {
        let (request_id, push) = server::read_v2(request);
        if let Some(outcome) = publish(node, peer, push).await {
            reply.send(server::answer_v2(request_id, outcome), None);
        }
    };
    requests.for_each_concurrent(AT_A_TIME, answer).await;
}

/// Publishes for a client; `None` when the node is gone.
async fn publish(node: &Weak<Shared>, peer: PeerId, push: Result<Push, Refusal>) -> Option<Outcome> {
    let node = node.upgrade()?;
    let metrics = node.metrics();
    let admitted = push.and_then(|push| {
        let topics = node.topics.borrow();
        server::admit(push, &node.sharding, &topics, unix_nanos())
    });
    let outcome = match admitted {
        Ok((topic, message)) => Relay { node }.publish_to(topic, message).await.map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    let outcome = match outcome {
        Ok(receipt) => {
            metrics.lightpush_published.increment();
            // Published is to one at least; the list of peers may lag behind.
            Ok(receipt.peers.max(1))
        }
        Err(refusal) => {
            metrics.lightpush_refused.increment();
            tracing::debug!(%peer, status = %refusal.status, reason = refusal.reason, "message of a client not published");
            Err(refusal)
        }
    };
    Some(outcome)
}
