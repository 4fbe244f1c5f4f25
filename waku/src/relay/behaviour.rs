//! Gossipsub as 11/WAKU2-RELAY and the deployed nodes have it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use libp2p::gossipsub::{
    Behaviour, Config, ConfigBuilder, IdentTopic, IdentityTransform, MaxCountSubscriptionFilter, Message,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams,
    TopicSubscriptionFilter, ValidationMode, Version,
};
use waku_proto::{GossipId, PubsubTopic, protocol_id};

/// The relay protocol.
pub(crate) type Gossipsub = Behaviour<IdentityTransform, MaxCountSubscriptionFilter<PubsubTopicsOnly>>;

/// Passes over peers' subscriptions to anything but pubsub topics: gossipsub keeps the topics of every peer,
/// and one may have as many bytes as an RPC.
#[derive(Debug)]
pub(crate) struct PubsubTopicsOnly;

impl TopicSubscriptionFilter for PubsubTopicsOnly {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic.as_str().parse::<PubsubTopic>().is_ok()
    }
}

/// Peers whose score falls below this are disconnected, as nwaku and go-waku do.
pub(crate) const GRAYLIST_THRESHOLD: f64 = -10_000.0;
/// Peers whose score falls below this get no publishes of ours.
pub(crate) const PUBLISH_THRESHOLD: f64 = -1000.0;

/// Topics a peer may subscribe to: two clusters full of shards.
const MAX_TOPICS_PER_PEER: usize = 2048;
/// Messages queued for one peer. Long before it is full, the router stops taking in more.
pub(crate) const SEND_QUEUE_LEN: usize = 2048;
/// How long a message may wait in that queue. Upstream's 5 s and 1 s drop the rest of a burst of large
/// messages on a slow line.
const SEND_QUEUE_TIME: Duration = Duration::from_secs(10);
/// Least size of gossipsub's read limit, in bytes. It is compared with everything read so far, not with one
/// RPC, so that a limit near the largest RPC refuses bursts of valid messages.
const MIN_READ_LIMIT: usize = 256 * 1024;
/// What the read limit must leave above the largest RPC, in bytes.
const READ_AHEAD: usize = 64 * 1024;
/// Largest control part of an RPC, in bytes: nwaku announces up to 5000 message ids of 32 bytes.
const MAX_CONTROL_SIZE: usize = 256 * 1024;

/// Message ids announced or asked for in one RPC. nwaku's 5000 would make an RPC larger than it reads; it
/// splits such a one, gossipsub here does not.
const MAX_IDS_SENT: usize = 4096;

/// A behaviour for RPCs of at most `max_rpc_size` bytes.
pub(crate) fn gossipsub(max_rpc_size: usize) -> Gossipsub {
    let filter = MaxCountSubscriptionFilter {
        filter: PubsubTopicsOnly,
        max_subscribed_topics: MAX_TOPICS_PER_PEER,
        max_subscriptions_per_request: MAX_TOPICS_PER_PEER,
    };
    let mut gossipsub =
        Gossipsub::new_with_subscription_filter(MessageAuthenticity::Anonymous, config(max_rpc_size), filter)
            .expect("anonymous authenticity goes with anonymous validation");
    gossipsub
        .with_peer_score(score_params(), score_thresholds())
        .expect("the score parameters are constants that a test checks");
    gossipsub
}

/// The parameters of 29/WAKU2-CONFIG as nwaku and go-waku set them.
fn config(max_rpc_size: usize) -> Config {
    ConfigBuilder::default()
        .protocol_id(protocol_id::RELAY, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &Message| MessageId::from(GossipId::of(&message.data).as_bytes().as_slice()))
        .max_transmit_size(MIN_READ_LIMIT.max(max_rpc_size + READ_AHEAD))
        .max_control_message_size(MAX_CONTROL_SIZE)
        .max_control_messages_sent(MAX_IDS_SENT)
        .max_ihave_messages_heartbeat(10)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(8)
        .mesh_outbound_min(3)
        .retain_scores(6)
        .gossip_lazy(6)
        .gossip_factor(0.25)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_secs(1))
        .history_length(6)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(120))
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(5))
        .fanout_ttl(Duration::from_secs(60))
        .flood_publish(true)
        .connection_handler_queue_len(SEND_QUEUE_LEN)
        .publish_queue_duration(SEND_QUEUE_TIME)
        .forward_queue_duration(SEND_QUEUE_TIME)
        .build()
        .expect("the gossipsub parameters are constants that a test checks")
}

fn score_params() -> PeerScoreParams {
    PeerScoreParams {
        // No cap on the sum over topics.
        topic_score_cap: 0.0,
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: -50.0,
        ip_colocation_factor_threshold: 5.0,
        // Many nodes of one machine meet on loopback; that is no attack.
        ip_colocation_factor_whitelist: HashSet::from([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_decay: 0.986,
        decay_interval: Duration::from_secs(12),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(10 * 60),
        // nwaku and go-waku do not score slow peers.
        slow_peer_weight: 0.0,
        ..PeerScoreParams::default()
    }
}

fn score_thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: PUBLISH_THRESHOLD,
        graylist_threshold: GRAYLIST_THRESHOLD,
        // No peer exchange through gossipsub and no opportunistic grafting.
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 0.0,
    }
}

/// The weights every topic has; to be set with the subscription.
pub(crate) fn topic_score_params() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 10.0,
        first_message_deliveries_weight: 1.0,
        first_message_deliveries_decay: 0.5,
        first_message_deliveries_cap: 10.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: 0.5,
        ..TopicScoreParams::default()
    }
}

/// The gossipsub topic of a pubsub topic: its text, unhashed.
pub(crate) fn gossip_topic(topic: &PubsubTopic) -> IdentTopic {
    IdentTopic::new(topic.as_str())
}

/// The name gossipsub knows a pubsub topic by.
pub(crate) fn topic_hash(topic: &PubsubTopic) -> TopicHash {
    TopicHash::from_raw(topic.as_str())
}

#[cfg(test)]
mod tests {
    use waku_proto::relay::MAX_RPC_SIZE;

    use super::*;

    #[test]
    fn the_parameters_are_valid() {
        let mut gossipsub = gossipsub(150 * 1024);
        let topic = gossip_topic(&"/waku/2/rs/0/0".parse().unwrap());
        assert!(gossipsub.subscribe(&topic).unwrap());
        gossipsub.set_topic_params(topic, topic_score_params()).unwrap();
        assert_eq!(score_params().validate(), Ok(()));
        assert_eq!(topic_score_params().validate(), Ok(()));
    }

    #[test]
    fn the_read_limit_leaves_room_above_the_largest_rpc() {
        assert_eq!(config(150 * 1024).max_transmit_size(), 256 * 1024);
        assert_eq!(config(1024 * 1024).max_transmit_size(), (1024 + 64) * 1024);
    }

    #[test]
    fn as_many_message_ids_as_are_announced_fit_what_nwaku_reads() {
        // An id has 32 bytes and two before them; the topic and the frames around all take less than 1 KiB.
        let announcement = config(MAX_RPC_SIZE).max_control_messages_sent() * 34 + 1024;
        assert!(announcement <= MAX_RPC_SIZE, "{announcement}");
    }

    #[test]
    fn peers_topics_are_pubsub_topics_of_a_bounded_length() {
        let is_kept = |topic: &str| PubsubTopicsOnly.can_subscribe(&TopicHash::from_raw(topic));
        assert!(is_kept("/waku/2/rs/0/0") && is_kept("/waku/2/default-waku/proto"));
        assert!(!is_kept("/other/topic") && !is_kept(&format!("/waku/2/{}", "n".repeat(100_000))));
    }

    #[test]
    fn the_message_id_is_the_hash_of_the_data() {
        let message = Message {
            source: None,
            data: b"Hello, world!".to_vec(),
            sequence_number: None,
            topic: TopicHash::from_raw("/waku/2/rs/0/0"),
        };
        let id = config(150 * 1024).message_id(&message);
        // Published by nwaku's tests.
        assert_eq!(id.to_string(), "315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3");
    }
}
