//! 12/WAKU2-FILTER.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use waku::{Config, FilterConfig, FilterRequestError, Node, RelaySubscription, WakuMessage};

use super::relay::same;
use super::{CLUSTER, Pair, Scene, behind, content_topics, eventually, hears, message, now, read, topic};
use crate::line::{Op, Start, Via};
use crate::ours;
use crate::peer::{Failure, Peer};

/// Messages of a burst to a foreign client: go-waku's takes no more at once.
const MANY_SERVED: u32 = 20;
/// Messages of a burst to our client.
const MANY_ASKED: u32 = 200;

/// Our service node, on the shard, and a foreign client.
async fn service(scene: &Scene<'_>, filter: FilterConfig) -> Result<Pair> {
    let mut config = ours::config(CLUSTER)?;
    config.filter = Some(filter);
    Pair::start(scene, config, Start::light(CLUSTER)).await
}

/// A relay of ours that publishes to a service node.
struct Publisher {
    node: Node,
    /// Of all relays on the shard: who lets go of it leaves the shard.
    inboxes: Vec<RelaySubscription>,
}

impl Publisher {
    /// To our service node.
    async fn to_ours(service: &Node) -> Result<Self> {
        let at_ours = service.relay().subscribe(topic()).await?;
        let address = service.listen_addresses().into_iter().next().context("our node does not listen")?;
        let (node, inbox) = behind(address, service.local_peer_id()).await?;
        Ok(Self { node, inboxes: vec![at_ours, inbox] })
    }

    /// To a foreign one.
    async fn to_theirs(peer: &mut Peer) -> Result<Self> {
        peer.subscribe(&topic()).await?;
        let (node, inbox) = behind(peer.address()?, peer.id()?).await?;
        hears(peer, node.local_peer_id()).await?;
        Ok(Self { node, inboxes: vec![inbox] })
    }

    async fn publish(&self, message: &WakuMessage) -> Result<()> {
        self.node.relay().publish_to(topic(), message.clone()).await?;
        Ok(())
    }

    async fn end(self) {
        drop(self.inboxes);
        self.node.shutdown().await;
    }
}

/// Our light client and a foreign service node, to which a relay of ours publishes.
async fn client(scene: &Scene<'_>) -> Result<(Pair, Publisher)> {
    let config = Config { relay: false, ..ours::config(CLUSTER)? };
    let start = Start { filter: true, ..Start::relay(CLUSTER) };
    let mut pair = Pair::start(scene, config, start).await?;
    let publisher = Publisher::to_theirs(&mut pair.peer).await?;
    Ok((pair, publisher))
}

/// A subscription by a foreign client, from its first ping, which is refused, to its last, which is too.
pub(super) async fn served(scene: &Scene<'_>) -> Result<()> {
    let mut pair = service(scene, FilterConfig::default()).await?;
    let publisher = Publisher::to_ours(&pair.node).await?;
    let (peer, topics) = (pair.ours(), content_topics(3)?);
    let on = |index: usize, text: &'static str| -> Result<WakuMessage> {
        Ok(WakuMessage::new(topics.get(index).context("there are three")?, text, now()?))
    };
    let names: Vec<_> = topics.iter().map(ToString::to_string).collect();
    let [first, second, _] = &names[..] else { bail!("three topics were asked for") };

    refused(pair.peer.tell(Op::FilterPing { peer: peer.clone() }).await, "a ping without subscription")?;
    let subscribe = |content_topics| Op::FilterSubscribe {
        peer: peer.clone(),
        pubsub_topic: topic().to_string(),
        content_topics,
    };
    pair.peer.tell(subscribe(vec![first.clone(), second.clone()])).await?;
    pair.peer.tell(Op::FilterPing { peer: peer.clone() }).await?;
    for (index, text) in [(2, "not asked for"), (0, "the first topic"), (1, "the second topic")] {
        let message = on(index, text)?;
        publisher.publish(&message).await?;
        if index != 2 {
            pushed(&mut pair.peer, &message).await?;
        }
    }

    let unsubscribe = Op::FilterUnsubscribe {
        peer: peer.clone(),
        pubsub_topic: topic().to_string(),
        content_topics: vec![first.clone()],
    };
    pair.peer.tell(unsubscribe).await?;
    // js-waku does not wait for the answer.
    let service = pair.node.filter();
    eventually("the unsubscription does not come", async || {
        let subscribers = service.subscribers().await?;
        Ok(subscribers.iter().all(|subscriber| subscriber.criteria.len() == 1))
    })
    .await?;
    publisher.publish(&on(0, "no longer asked for")?).await?;
    let wanted = on(1, "still asked for")?;
    publisher.publish(&wanted).await?;
    pushed(&mut pair.peer, &wanted).await?;

    pair.peer.tell(Op::FilterUnsubscribeAll { peer: peer.clone() }).await?;
    refused(pair.peer.tell(Op::FilterPing { peer }).await, "a ping after the last unsubscription")?;
    publisher.end().await;
    pair.end().await
}

/// Many messages, pushed as fast as they come.
pub(super) async fn many_pushes_served(scene: &Scene<'_>) -> Result<()> {
    let mut pair = service(scene, FilterConfig::default()).await?;
    let publisher = Publisher::to_ours(&pair.node).await?;
    let (peer, content_topics) = (pair.ours(), vec![super::content_topic()?.to_string()]);
    let pubsub_topic = topic().to_string();
    pair.peer.tell(Op::FilterSubscribe { peer, pubsub_topic, content_topics }).await?;
    let messages: Vec<_> =
        (0..MANY_SERVED).map(|number| message(format!("number {number}"))).collect::<Result<_>>()?;
    for message in &messages {
        publisher.publish(message).await?;
    }
    let mut came = Vec::new();
    while came.len() < messages.len() {
        came.push(pair.peer.arrival().await?.message.payload);
    }
    // A stream for each push may end in another order.
    came.sort();
    let mut sent: Vec<_> = messages.iter().map(|message| message.payload.clone()).collect();
    sent.sort();
    ensure!(came == sent, "other messages came than were sent");
    publisher.end().await;
    pair.end().await
}

/// A foreign client that is silent for too long is forgotten, and told so when it asks.
pub(super) async fn expiry_served(scene: &Scene<'_>) -> Result<()> {
    let filter = FilterConfig { subscription_timeout: Duration::from_secs(2), ..FilterConfig::default() };
    let mut pair = service(scene, filter).await?;
    let (peer, content_topics) = (pair.ours(), vec![super::content_topic()?.to_string()]);
    let pubsub_topic = topic().to_string();
    pair.peer.tell(Op::FilterSubscribe { peer: peer.clone(), pubsub_topic, content_topics }).await?;
    let service = pair.node.filter();
    eventually("the subscriber is not forgotten", async || Ok(service.subscribers().await?.is_empty()))
        .await?;
    refused(pair.peer.tell(Op::FilterPing { peer }).await, "a ping after the subscription expired")?;
    pair.end().await
}

/// A subscription by our client, from its first ping, which is refused, to its last, which is too.
pub(super) async fn asked(scene: &Scene<'_>) -> Result<()> {
    let (pair, publisher) = client(scene).await?;
    let (service, mut inbox) = (pair.node.filter().at(pair.peer.id()?), pair.node.filter().inbox().await?);
    not_found(service.ping().await, "a ping without subscription")?;
    let topics = content_topics(2)?;
    let [first, second] = &topics[..] else { bail!("two topics were asked for") };
    service.subscribe(topic(), [first.clone(), second.clone()]).await?;
    service.ping().await?;
    for content_topic in [first, second] {
        let message = WakuMessage::new(content_topic, "pushed", now()?);
        publisher.publish(&message).await?;
        same(&read(inbox.recv()).await?, &message)?;
    }
    service.unsubscribe(topic(), [first.clone()]).await?;
    publisher.publish(&WakuMessage::new(first, "no longer asked for", now()?)).await?;
    let wanted = WakuMessage::new(second, "still asked for", now()?);
    publisher.publish(&wanted).await?;
    same(&read(inbox.recv()).await?, &wanted)?;
    service.unsubscribe_all().await?;
    not_found(service.ping().await, "a ping after the last unsubscription")?;
    publisher.end().await;
    pair.end().await
}

/// Many messages, pushed by a foreign service node as fast as it can.
pub(super) async fn many_pushes_asked(scene: &Scene<'_>) -> Result<()> {
    let (pair, publisher) = client(scene).await?;
    let (service, mut inbox) = (pair.node.filter().at(pair.peer.id()?), pair.node.filter().inbox().await?);
    service.subscribe(topic(), [super::content_topic()?]).await?;
    let (mut sent, mut came) = (Vec::new(), Vec::new());
    for number in 0..MANY_ASKED {
        let message = message(format!("number {number}"))?;
        publisher.publish(&message).await?;
        sent.push(message.payload);
    }
    while came.len() < sent.len() {
        came.push(read(inbox.recv()).await?.payload);
    }
    came.sort();
    sent.sort();
    ensure!(came == sent, "other messages came than were sent");
    publisher.end().await;
    pair.end().await
}

async fn pushed(peer: &mut Peer, message: &WakuMessage) -> Result<()> {
    let arrival = peer.arrival().await?;
    ensure!(arrival.via == Via::Filter, "it came by {:?}", arrival.via);
    ensure!(arrival.pubsub_topic == topic().to_string(), "it came on {}", arrival.pubsub_topic);
    same(&arrival.message, message)
}

/// The foreign client told that it was refused.
fn refused(outcome: Result<()>, what: &str) -> Result<()> {
    match outcome {
        Ok(()) => bail!("{what} was answered as if it were well"),
        Err(error) => match error.downcast_ref::<Failure>() {
            Some(Failure::Refused(reason)) => {
                ensure!(reason.contains("404"), "{what} was refused without the status 404: {reason}");
                Ok(())
            }
            _ => Err(error),
        },
    }
}

fn not_found(outcome: Result<(), FilterRequestError>, what: &str) -> Result<()> {
    match outcome {
        Err(FilterRequestError::Refused { status, .. }) if status.code() == 404 => Ok(()),
        outcome => bail!("{what}: {outcome:?} instead of status 404"),
    }
}
