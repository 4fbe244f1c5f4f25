//! A browser at one end, go-waku at the other, and our service node between them.

use std::path::Path;

use anyhow::{Result, ensure};
use waku::{FilterConfig, LightpushConfig, Node};

use super::relay::{arrives, same};
use super::{CLUSTER, address_for, content_topic, hears, message, next, relays, topic};
use crate::line::{Message, Op, Pushed, Start};
use crate::ours;
use crate::peer::{Implementation, Peer};

/// browser, lightpush, ours, relay, go-waku; and back: go-waku, relay, ours, filter, browser. The page is kept as a picture.
///
/// # Errors
/// With the step that did not hold.
pub async fn through_the_browser(
    browser: &dyn Implementation,
    relay: &dyn Implementation,
    screenshot: &Path,
) -> Result<()> {
    let mut config = ours::config(CLUSTER)?;
    config.filter = Some(FilterConfig::default());
    config.lightpush = Some(LightpushConfig::default());
    let node = Node::spawn(config).await?;
    let mut inbox = node.relay().subscribe(topic()).await?;
    let ours = node.local_peer_id();

    let mut far = Peer::start(relay, Start::relay(CLUSTER)).await?;
    far.connect(&address_for(&node, &far)?).await?;
    far.subscribe(&topic()).await?;
    relays(&node, far.id()?).await?;
    hears(&mut far, ours).await?;

    let mut page = Peer::start(browser, Start::light(CLUSTER)).await?;
    page.connect(&address_for(&node, &page)?).await?;
    let (peer, pubsub_topic) = (ours.to_string(), topic().to_string());
    let content_topics = vec![content_topic()?.to_string()];
    page.tell(Op::FilterSubscribe { peer: peer.clone(), pubsub_topic: pubsub_topic.clone(), content_topics })
        .await?;

    let there = message("from a page to a relay")?;
    let push = Op::Lightpush {
        peer,
        pubsub_topic: Some(pubsub_topic),
        message: Message::from(&there),
        version: None,
    };
    let pushed: Pushed = page.ask(push).await?;
    ensure!(pushed.accepted, "not accepted: {pushed:?}");
    same(&next(&mut inbox).await?, &there)?;
    arrives(&mut far, &there).await?;

    let back = message("from a relay to a page")?;
    far.publish(&topic(), &back).await?;
    same(&next(&mut inbox).await?, &back)?;
    arrives(&mut page, &back).await?;
    page.tell(Op::Screenshot { path: screenshot.display().to_string() }).await?;

    page.stop().await?;
    far.stop().await?;
    node.shutdown().await;
    Ok(())
}
