//! 66/WAKU2-METADATA between our nodes and with peers that do it in other ways, or badly.

use waku::peers::DisconnectReason;
use waku::{MetadataRefusal, Node, Sharding};

use super::raw_peer::{Metadata, Muxer, RawPeer, Seen};
use super::scene::{
    acquainted, address, disconnection, never, node, peers_until, pubsub_topic, sees_subscription,
};

#[tokio::test]
async fn nodes_of_different_clusters_part_and_both_know_why() {
    let a = node(|_| {}).await;
    let b = node(|config| {
        config.sharding = Sharding::fixed(1, [0]).unwrap();
        config.static_peers = vec![address(&a)];
        config.reconnect = never();
    })
    .await;
    let mismatch =
        |ours, theirs| DisconnectReason::Metadata(MetadataRefusal::ClusterMismatch { ours, theirs });
    assert_eq!(disconnection(&a, b.local_peer_id()).await, mismatch(0, 1));
    assert_eq!(disconnection(&b, a.local_peer_id()).await, mismatch(1, 0));
    assert_eq!((a.metrics().metadata_refused, b.metrics().metadata_refused), (1, 1));
}

#[tokio::test]
async fn nodes_of_one_cluster_tell_their_shards() {
    let a = node(|config| config.sharding = Sharding::fixed(0, [0, 3]).unwrap()).await;
    let b = node(|config| config.static_peers = vec![address(&a)]).await;
    acquainted(&a, &b).await;
    let peers = peers_until(&b, "metadata", |peers| peers.connected[0].cluster.is_some()).await;
    assert_eq!((peers.connected[0].cluster, &peers.connected[0].shards), (Some(0), &vec![0, 3]));
}

async fn dialled_by(node: &Node, metadata: Metadata) -> RawPeer {
    let peer = RawPeer::spawn(Muxer::Yamux, metadata);
    peer.dial(address(node)).await;
    peer
}

async fn refusal(metadata: Metadata) -> MetadataRefusal {
    let node = node(|_| {}).await;
    let mut peer = dialled_by(&node, metadata).await;
    let reason = disconnection(&node, peer.peer_id).await;
    peer.until("the end", |seen| matches!(seen, Seen::Disconnected).then_some(())).await;
    let DisconnectReason::Metadata(refusal) = reason else { panic!("{reason}") };
    refusal
}

#[tokio::test]
async fn a_peer_without_metadata_is_disconnected() {
    let refusal = refusal(Metadata::None).await;
    assert!(matches!(&refusal, MetadataRefusal::NoAnswer(_)), "{refusal}");
}

#[tokio::test]
async fn a_peer_that_does_not_name_its_cluster_is_disconnected() {
    assert_eq!(refusal(Metadata::Answer(vec![0x00])).await, MetadataRefusal::NoCluster);
}

#[tokio::test]
async fn a_peer_that_announces_too_long_an_answer_is_disconnected() {
    // 1025 bytes announced.
    let refusal = refusal(Metadata::Answer(vec![0x81, 0x08, 0x08, 0x00])).await;
    let MetadataRefusal::NoAnswer(why) = refusal else { panic!("{refusal}") };
    assert!(why.contains("1025 bytes") && why.contains("1024"), "{why}");
}

#[tokio::test]
async fn a_peer_that_answers_garbage_is_disconnected() {
    let refusal = refusal(Metadata::Answer(vec![0x01, 0xff])).await;
    assert!(matches!(&refusal, MetadataRefusal::NoAnswer(_)), "{refusal}");
}

#[tokio::test]
async fn answers_in_both_fields_and_ends_the_stream() {
    let node = node(|config| config.sharding = Sharding::fixed(0, [0, 3]).unwrap()).await;
    let mut peer = dialled_by(&node, Metadata::good()).await;
    peer.sees_subscription(node.local_peer_id()).await;
    peer.ask_metadata(node.local_peer_id(), Some(&[0x02, 0x08, 0x00])).await;
    // Cluster 0; shards 0 and 3 in field 2 unpacked and in field 3 packed. That it is seen at all shows
    // that the stream ended: the peer reads to the end, as js-waku does.
    let answer = peer.metadata_answer().await.unwrap();
    assert_eq!(answer, b"\x0a\x08\x00\x10\x00\x10\x03\x1a\x02\x00\x03");
}

#[tokio::test]
async fn silent_and_oversized_questions_harm_nobody() {
    let node = node(|_| {}).await;
    let mut peer = dialled_by(&node, Metadata::good()).await;
    peer.sees_subscription(node.local_peer_id()).await;
    // js-waku opens streams long before it uses them.
    for _ in 0..3 {
        peer.ask_metadata(node.local_peer_id(), None).await;
    }
    // 2^34 bytes announced: the stream is given up, without an answer.
    peer.ask_metadata(node.local_peer_id(), Some(&[0x80, 0x80, 0x80, 0x80, 0x40])).await;
    assert!(peer.metadata_answer().await.is_ok_and(|answer| answer.is_empty()));
    // And the next question is answered.
    peer.ask_metadata(node.local_peer_id(), Some(&[0x02, 0x08, 0x00])).await;
    assert!(!peer.metadata_answer().await.unwrap().is_empty());
    sees_subscription(&node, peer.peer_id, &pubsub_topic()).await;
}

#[tokio::test]
async fn a_peer_that_changes_its_cluster_is_answered_and_disconnected() {
    let node = node(|_| {}).await;
    let mut peer = dialled_by(&node, Metadata::good()).await;
    peers_until(&node, "metadata", |peers| peers.connected.iter().any(|peer| peer.cluster.is_some())).await;
    // Cluster 1 now.
    peer.ask_metadata(node.local_peer_id(), Some(&[0x02, 0x08, 0x01])).await;
    assert!(!peer.metadata_answer().await.unwrap().is_empty());
    let mismatch = MetadataRefusal::ClusterMismatch { ours: 0, theirs: 1 };
    assert_eq!(disconnection(&node, peer.peer_id).await, DisconnectReason::Metadata(mismatch));
}
