//! What tools that know nwaku expect of an idle node's metrics.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use waku_operator::metrics::{Registry, sample_names};

/// Names of samples that are there and 0 on an idle node.
const ZERO: &str = "
    mix_pool_size libp2p_peers
    libp2p_failed_upgrades_incoming_total libp2p_failed_upgrades_outgoing_total
    libp2p_total_dial_attempts_total libp2p_successful_dials_total libp2p_failed_dials_total
    libp2p_rendezvous_register_total libp2p_rendezvous_discover_total
    libp2p_rendezvous_registered libp2p_rendezvous_namespaces
    waku_rln_messages_total_total waku_rln_spam_messages_total_total waku_rln_proof_verification_total_total
    waku_rln_number_registered_memberships waku_rln_proof_verification_duration_seconds
    waku_rln_proof_generation_duration_seconds waku_rln_instance_creation_duration_seconds
    waku_rln_membership_insertion_duration_seconds waku_rln_membership_credentials_import_duration_seconds
    waku_rln_remaining_proofs_per_epoch waku_rln_total_generated_proofs
    libp2p_pubsub_sig_verify_success_total libp2p_pubsub_sig_verify_failure_total
    libp2p_pubsub_disconnects_over_non_priority_queue_limit_total
    libp2p_pubsub_peers libp2p_pubsub_unsubscriptions_total
    libp2p_pubsub_validation_success_total libp2p_pubsub_validation_failure_total libp2p_pubsub_validation_ignore_total
    libp2p_pubsub_broadcast_iwant_total libp2p_pubsub_received_iwant_total
    libp2p_gossipsub_cache_window_size
    libp2p_gossipsub_peers_per_topic_mesh{topic=\"other\"}
    libp2p_gossipsub_peers_per_topic_fanout{topic=\"other\"}
    libp2p_gossipsub_peers_per_topic_gossipsub{topic=\"other\"}
    libp2p_gossipsub_low_peers_topics libp2p_gossipsub_healthy_peers_topics
    libp2p_gossipsub_failed_publish_total libp2p_gossipsub_invalid_topic_subscription_total
    libp2p_gossipsub_duplicate_during_validation_total libp2p_gossipsub_idontwant_saved_messages_total
    libp2p_gossipsub_imreceiving_saved_messages_total
    libp2p_gossipsub_duplicate_total libp2p_gossipsub_received_total
    presto_server_missing_requests_count presto_server_invalid_requests_count
    waku_archive_messages{type=\"stored\"} waku_peer_store_size waku_total_unique_peers
    waku_store_queries_total total_messages_cached waku_filter_subscriptions rendezvousPeerFoundTotal_total
    discovery_session_lru_cache_hits_total discovery_session_lru_cache_misses_total
    discovery_session_decrypt_failures_total discovery_unsolicited_messages_total discovery_enr_auto_update_total
    waku_px_peers_received_unknown waku_px_peers_received_total waku_px_peers_sent_total
    waku_lightpush_peers waku_filter_peers waku_store_peers waku_px_peers
    waku_dnsdisc_discovered postgres_payload_size_bytes
    waku_legacy_store_queries_total";

/// Histograms that are there and 0 on an idle node, with their `le`.
const ZERO_HISTOGRAMS: [(&str, &str); 8] = [
    ("waku_archive_insert_duration_seconds", SECONDS),
    ("waku_archive_query_duration_seconds", SECONDS),
    ("waku_legacy_archive_insert_duration_seconds", SECONDS),
    ("waku_legacy_archive_query_duration_seconds", SECONDS),
    (
        "waku_filter_handle_message_duration_seconds",
        "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 15.0 20.0 30.0 +Inf",
    ),
    ("reconciliation_roundtrips", "1.0 2.0 3.0 5.0 8.0 13.0 +Inf"),
    ("reconciliation_differences", "0.0 10.0 50.0 100.0 500.0 1000.0 5000.0 +Inf"),
    (
        "waku_histogram_message_size",
        "0.0 1.0 3.0 5.0 15.0 50.0 75.0 100.0 125.0 150.0 500.0 700.0 1000.0 +Inf",
    ),
];

const SECONDS: &str = "0.005 0.01 0.025 0.05 0.075 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 +Inf";

/// Names that tools and dashboards ask for beside those at 0, as far as this node is to have them.
const ASKED_FOR: &str = "
    libp2p_pubsub_topics libp2p_pubsub_subscriptions_total waku_histogram_message_size_count waku_node_messages_total
    waku_service_peers libp2p_open_streams libp2p_network_bytes_total libp2p_autonat_reachability_confidence
    waku_rln_invalid_messages_total_total waku_rln_valid_messages_total_total
    waku_relay_network_bytes_total waku_relay_total_msg_bytes_per_shard waku_relay_max_msg_bytes_per_shard
    waku_relay_avg_msg_bytes_per_shard waku_archive_messages_per_shard waku_archive_errors_total waku_peers_errors_total
    waku_connected_peers waku_connected_peers_per_shard waku_connected_peers_per_agent waku_streams_peers
    waku_store_errors_total waku_store_time_seconds waku_relay_fleet_store_msg_size_bytes waku_relay_fleet_store_msg_count
    waku_service_requests_total waku_service_network_bytes_total waku_service_requests_limit
    total_bytes_exchanged_total total_transfer_messages_exchanged_total
    waku_filter_errors_total waku_filter_requests_total waku_filter_request_duration_seconds_bucket
    waku_lightpush_errors_total waku_lightpush_messages_total waku_lightpush_v3_errors_total
    waku_lightpush_v3_messages_total routing_table_nodes waku_discv5_discovered_per_shard waku_px_errors_total
    waku_version waku_node_errors_total query_time_secs query_count_total
    nim_gc_mem_bytes nim_gc_mem_occupied_bytes
    process_virtual_memory_bytes process_resident_memory_bytes process_start_time_seconds process_cpu_seconds_total
    process_max_fds process_open_fds";

/// Every sample with its labels, of a registry in which nothing was counted.
fn idle() -> BTreeMap<String, String> {
    let text = Registry::new(UNIX_EPOCH + Duration::from_secs(1_795_233_799)).render();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn zero_list() -> Vec<String> {
    let histograms = ZERO_HISTOGRAMS.iter().flat_map(|(name, bounds)| {
        let buckets = bounds.split(' ').map(move |le| format!("{name}_bucket{{le=\"{le}\"}}"));
        buckets.chain(["_sum", "_count"].map(|ending| format!("{name}{ending}")))
    });
    ZERO.split_whitespace().map(str::to_owned).chain(histograms).collect()
}

#[test]
fn an_idle_node_shows_the_whole_zero_list_at_zero() {
    let samples = idle();
    let expected = zero_list();
    assert_eq!(expected.len(), 192);
    let wrong: Vec<_> =
        expected.iter().filter(|name| samples.get(*name).map(String::as_str) != Some("0.0")).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn an_idle_node_shows_nothing_else_at_zero() {
    let zero = zero_list();
    let others = idle().into_iter().filter(|(name, _)| !zero.contains(name));
    let wrong: Vec<_> = others.filter(|(_, value)| value.parse::<f64>().unwrap() <= 0.0).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_tools_ask_for_has_a_name_here() {
    let known: Vec<_> = sample_names().collect();
    let unknown: Vec<_> =
        ASKED_FOR.split_whitespace().filter(|name| !known.iter().any(|one| one == name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
