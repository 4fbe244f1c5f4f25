//! What both compute by themselves, and must compute alike.

use anyhow::{Result, ensure};
use waku::proto::EncodedMessage;
use waku::{ContentTopic, Sharding};

use super::relay::awkward_messages;
use super::{CLUSTER, Scene, topic};
use crate::line::{Hash, Message, Op, Start, Topic, hex};
use crate::peer::Peer;

/// The deterministic hash of 14/WAKU2-MESSAGE, of messages with and without each field. Implementations do not agree on
/// messages without timestamp, which nobody publishes.
pub(super) async fn hashes(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    for message in awkward_messages()?.into_iter().filter(|message| message.timestamp.is_some()) {
        let question = Op::Hash { pubsub_topic: topic().to_string(), message: Message::from(&message) };
        let theirs: Hash = peer.ask(question).await?;
        let ours = hex(EncodedMessage::encode(message.clone()).hash(&topic()));
        ensure!(theirs.hash == ours, "{} of theirs, {ours} of ours, for {message:?}", theirs.hash);
    }
    peer.stop().await
}

/// The shards of content topics by autosharding.
pub(super) async fn shards(scene: &Scene<'_>) -> Result<()> {
    let mut peer = Peer::start(scene.foreign, Start::light(CLUSTER)).await?;
    // go-waku knows autosharding in this cluster alone.
    let (cluster, shards_in_cluster) = (1, 8);
    let sharding = Sharding::auto(cluster, shards_in_cluster)?;
    let numbered = (0..20).map(|number| format!("/app-{number}/{number}/topic/proto"));
    let others = ["/toychat/2/huilong/proto", "/0/statusim/1/community/cbor", "/my-app/v1.2/a b/json"];
    for name in numbered.chain(others.map(str::to_owned)) {
        let content_topic: ContentTopic = name.parse()?;
        let question = Op::Shard { content_topic: name.clone(), cluster, shards_in_cluster };
        let theirs: Topic = peer.ask(question).await?;
        let ours = sharding.pubsub_topic(&content_topic)?.to_string();
        ensure!(theirs.pubsub_topic == ours, "{name}: {} of theirs, {ours} of ours", theirs.pubsub_topic);
    }
    peer.stop().await
}
