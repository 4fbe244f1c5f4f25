//! What a node counts. Plain counters; what to do with them is for the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters, and a snapshot with the same fields.
macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)+) => {
        /// The live counters, shared by all parts of a node.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics {
            $(pub(crate) $field: Counter,)+
        }

        impl Metrics {
            pub(crate) fn snapshot(&self) -> MetricsSnapshot {
                MetricsSnapshot { $($field: self.$field.get(),)+ }
            }
        }

        /// The counters at one moment, since the node's start.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct MetricsSnapshot {
            $($(#[$doc])* pub $field: u64,)+
        }

        impl MetricsSnapshot {
            /// Every counter with its name.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($name, self.$field),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Messages received from peers and found valid: `waku_relay_received_total`.
    relay_received = "waku_relay_received_total",
    /// Messages found invalid, their senders scored down: `waku_relay_rejected_total`.
    relay_rejected = "waku_relay_rejected_total",
    /// Messages not relayed, without blame: `waku_relay_ignored_total`.
    relay_ignored = "waku_relay_ignored_total",
    /// Of the ignored, those the busy validator had no room for: `waku_relay_validation_overflow_total`.
    relay_validation_overflow = "waku_relay_validation_overflow_total",
    /// Messages published: `waku_relay_published_total`.
    relay_published = "waku_relay_published_total",
    /// Publishes refused because all send queues were full: `waku_relay_publish_busy_total`.
    relay_publish_busy = "waku_relay_publish_busy_total",
    /// Messages dropped because one peer was too slow to take them: `waku_relay_send_dropped_total`.
    relay_send_dropped = "waku_relay_send_dropped_total",
    /// Microseconds in which nothing was taken in, for peers were slow to take what had been:
    /// `waku_relay_waited_micros_total`.
    relay_waited_micros = "waku_relay_waited_micros_total",
    /// Messages a subscription's reader missed: `waku_relay_reader_missed_total`.
    relay_reader_missed = "waku_relay_reader_missed_total",
    /// Bytes read from streams with peers: `waku_stream_bytes_received_total`.
    stream_bytes_received = "waku_stream_bytes_received_total",
    /// Bytes written to streams with peers: `waku_stream_bytes_sent_total`.
    stream_bytes_sent = "waku_stream_bytes_sent_total",
    /// Connections opened: `waku_connections_opened_total`.
    connections_opened = "waku_connections_opened_total",
    /// Inbound connections refused or failed before they were open: `waku_connections_refused_total`.
    connections_refused = "waku_connections_refused_total",
    /// Of these, those that this node dialled: `waku_dials_succeeded_total`.
    dials_succeeded = "waku_dials_succeeded_total",
    /// Dials that failed: `waku_dials_failed_total`.
    dials_failed = "waku_dials_failed_total",
    /// Peers disconnected over their metadata: `waku_metadata_refused_total`.
    metadata_refused = "waku_metadata_refused_total",
    /// Streams for metadata that brought no sound request or took no answer: `waku_metadata_requests_failed_total`.
    metadata_requests_failed = "waku_metadata_requests_failed_total",
    /// Peers disconnected over their score: `waku_peers_graylisted_total`.
    peers_graylisted = "waku_peers_graylisted_total",
    /// Known peers dialled: `waku_peers_dialled_total`.
    peers_dialled = "waku_peers_dialled_total",
    /// Peers disconnected to keep to the shares of the connections: `waku_peers_parted_total`.
    peers_parted = "waku_peers_parted_total",
    /// Known peers that made room for others: `waku_peers_evicted_total`.
    peers_evicted = "waku_peers_evicted_total",
    /// Known peers forgotten because they never answer: `waku_peers_forgotten_total`.
    peers_forgotten = "waku_peers_forgotten_total",
    /// Times the known peers could not be written to disk: `waku_peer_store_failed_total`.
    peer_store_failed = "waku_peer_store_failed_total",
    /// Node records given to peers that asked for peers: `waku_peer_exchange_given_total`.
    peer_exchange_given = "waku_peer_exchange_given_total",
    /// What peers gave as node records and was none: `waku_peer_exchange_invalid_total`.
    peer_exchange_invalid = "waku_peer_exchange_invalid_total",
    /// Requests that came for filter: `waku_filter_requests_total`.
    filter_requests = "waku_filter_requests_total",
    /// Of these, those over the rate limit: `waku_filter_requests_limited_total`.
    filter_requests_limited = "waku_filter_requests_limited_total",
    /// Of these, those the full inbox had no room for: `waku_filter_requests_overflowed_total`.
    filter_requests_overflowed = "waku_filter_requests_overflowed_total",
    /// Streams for filter that brought no request or took no answer: `waku_filter_requests_failed_total`.
    filter_requests_failed = "waku_filter_requests_failed_total",
    /// Requests for filter that made no sense or asked for too much: `waku_filter_requests_refused_total`.
    filter_requests_refused = "waku_filter_requests_refused_total",
    /// Subscribers the filter service has taken: `waku_filter_subscribers_added_total`.
    filter_subscribers_added = "waku_filter_subscribers_added_total",
    /// Subscribers that have unsubscribed from everything: `waku_filter_subscribers_left_total`.
    filter_subscribers_left = "waku_filter_subscribers_left_total",
    /// Subscribers that were silent for too long: `waku_filter_subscribers_expired_total`.
    filter_subscribers_expired = "waku_filter_subscribers_expired_total",
    /// Subscribers given up over pushes that failed: `waku_filter_subscribers_failed_total`.
    filter_subscribers_failed = "waku_filter_subscribers_failed_total",
    /// Subscribers that were not connected and made room for others: `waku_filter_subscribers_displaced_total`.
    filter_subscribers_displaced = "waku_filter_subscribers_displaced_total",
    /// Messages the busy filter service had no room for: `waku_filter_messages_overflowed_total`.
    filter_messages_overflowed = "waku_filter_messages_overflowed_total",
    /// Messages pushed to a subscriber: `waku_filter_pushes_sent_total`.
    filter_pushes_sent = "waku_filter_pushes_sent_total",
    /// Pushes a subscriber did not take, or not in time: `waku_filter_pushes_failed_total`.
    filter_pushes_failed = "waku_filter_pushes_failed_total",
    /// Pushes dropped because too many waited for the subscriber: `waku_filter_pushes_dropped_total`.
    filter_pushes_dropped = "waku_filter_pushes_dropped_total",
    /// Pushes to subscribers that were not connected: `waku_filter_pushes_unreachable_total`.
    filter_pushes_unreachable = "waku_filter_pushes_unreachable_total",
    /// Messages that came by filter and were wanted: `waku_filter_received_total`.
    filter_received = "waku_filter_received_total",
    /// Of these, those another service node had pushed already: `waku_filter_received_again_total`.
    filter_received_again = "waku_filter_received_again_total",
    /// Pushes from peers or of topics that were not asked for: `waku_filter_received_unwanted_total`.
    filter_received_unwanted = "waku_filter_received_unwanted_total",
    /// Pushes that were no sound message: `waku_filter_received_invalid_total`.
    filter_received_invalid = "waku_filter_received_invalid_total",
    /// Messages a filter subscription's reader missed: `waku_filter_reader_missed_total`.
    filter_reader_missed = "waku_filter_reader_missed_total",
    /// Messages that store nodes had for gaps of filter subscriptions: `waku_filter_filled_total`.
    filter_filled = "waku_filter_filled_total",
    /// Push streams refused or closed because a peer had too many: `waku_filter_push_streams_crowded_total`.
    filter_push_streams_crowded = "waku_filter_push_streams_crowded_total",
    /// Requests that came for lightpush: `waku_lightpush_requests_total`.
    lightpush_requests = "waku_lightpush_requests_total",
    /// Of these, those over the rate limit: `waku_lightpush_requests_limited_total`.
    lightpush_requests_limited = "waku_lightpush_requests_limited_total",
    /// Of these, those the full inbox had no room for: `waku_lightpush_requests_overflowed_total`.
    lightpush_requests_overflowed = "waku_lightpush_requests_overflowed_total",
    /// Streams for lightpush that brought no request or took no answer: `waku_lightpush_requests_failed_total`.
    lightpush_requests_failed = "waku_lightpush_requests_failed_total",
    /// Messages published for clients of lightpush: `waku_lightpush_published_total`.
    lightpush_published = "waku_lightpush_published_total",
    /// Messages of clients of lightpush not published: `waku_lightpush_refused_total`.
    lightpush_refused = "waku_lightpush_refused_total",
    /// Requests that came for store: `waku_store_requests_total`.
    store_requests = "waku_store_requests_total",
    /// Of these, those over the rate limit: `waku_store_requests_limited_total`.
    store_requests_limited = "waku_store_requests_limited_total",
    /// Of these, those the full inbox had no room for: `waku_store_requests_overflowed_total`.
    store_requests_overflowed = "waku_store_requests_overflowed_total",
    /// Streams for store that brought no request or took no answer: `waku_store_requests_failed_total`.
    store_requests_failed = "waku_store_requests_failed_total",
    /// Messages sent in answers to queries: `waku_store_messages_sent_total`.
    store_messages_sent = "waku_store_messages_sent_total",
    /// Queries answered with an error: `waku_store_refused_total`.
    store_refused = "waku_store_refused_total",
    /// Of these, those the archive failed at: `waku_store_archive_errors_total`.
    store_archive_errors = "waku_store_archive_errors_total",
    /// Messages of other stores left out, false or not asked for: `waku_store_messages_refused_total`.
    store_messages_refused = "waku_store_messages_refused_total",
    /// Requests that came for peer exchange: `waku_peer_exchange_requests_total`.
    peer_exchange_requests = "waku_peer_exchange_requests_total",
    /// Of these, those over the rate limit: `waku_peer_exchange_requests_limited_total`.
    peer_exchange_requests_limited = "waku_peer_exchange_requests_limited_total",
    /// Of these, those the full inbox had no room for: `waku_peer_exchange_requests_overflowed_total`.
    peer_exchange_requests_overflowed = "waku_peer_exchange_requests_overflowed_total",
    /// Streams for peer exchange that brought no request or took no answer: `waku_peer_exchange_requests_failed_total`.
    peer_exchange_requests_failed = "waku_peer_exchange_requests_failed_total",
    /// Messages kept in the archive: `waku_archive_inserted_total`.
    archive_inserted = "waku_archive_inserted_total",
    /// Messages that the archive had already: `waku_archive_duplicates_total`.
    archive_duplicates = "waku_archive_duplicates_total",
    /// Messages not kept because they are ephemeral: `waku_archive_refused_ephemeral_total`.
    archive_refused_ephemeral = "waku_archive_refused_ephemeral_total",
    /// Messages not kept because of their timestamp: `waku_archive_refused_timestamp_total`.
    archive_refused_timestamp = "waku_archive_refused_timestamp_total",
    /// Messages not kept because the archive was behind: `waku_archive_dropped_total`.
    archive_dropped = "waku_archive_dropped_total",
    /// Batches that the archive failed to take, each attempt counted: `waku_archive_insert_errors_total`.
    archive_insert_errors = "waku_archive_insert_errors_total",
    /// Messages deleted by the retention policy: `waku_archive_retention_deleted_total`.
    archive_retention_deleted = "waku_archive_retention_deleted_total",
    /// Deletions that failed: `waku_archive_retention_errors_total`.
    archive_retention_errors = "waku_archive_retention_errors_total",
}

impl Metrics {
    pub(crate) fn filter_exchange(&self) -> ExchangeMetrics {
        ExchangeMetrics {
            requests: self.filter_requests.clone(),
            limited: self.filter_requests_limited.clone(),
            overflowed: self.filter_requests_overflowed.clone(),
            failed: self.filter_requests_failed.clone(),
        }
    }

    pub(crate) fn filter_push(&self) -> PushMetrics {
        PushMetrics {
            sent: self.filter_pushes_sent.clone(),
            failed: self.filter_pushes_failed.clone(),
            dropped: self.filter_pushes_dropped.clone(),
            unwanted: self.filter_received_unwanted.clone(),
            invalid: self.filter_received_invalid.clone(),
            crowded: self.filter_push_streams_crowded.clone(),
        }
    }

    pub(crate) fn lightpush_exchange(&self) -> ExchangeMetrics {
        ExchangeMetrics {
            requests: self.lightpush_requests.clone(),
            limited: self.lightpush_requests_limited.clone(),
            overflowed: self.lightpush_requests_overflowed.clone(),
            failed: self.lightpush_requests_failed.clone(),
        }
    }

    pub(crate) fn store_exchange(&self) -> ExchangeMetrics {
        ExchangeMetrics {
            requests: self.store_requests.clone(),
            limited: self.store_requests_limited.clone(),
            overflowed: self.store_requests_overflowed.clone(),
            failed: self.store_requests_failed.clone(),
        }
    }

    pub(crate) fn peer_exchange_exchange(&self) -> ExchangeMetrics {
        ExchangeMetrics {
            requests: self.peer_exchange_requests.clone(),
            limited: self.peer_exchange_requests_limited.clone(),
            overflowed: self.peer_exchange_requests_overflowed.clone(),
            failed: self.peer_exchange_requests_failed.clone(),
        }
    }
}

/// What a protocol that is served counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExchangeMetrics {
    /// Requests that came.
    pub(crate) requests: Counter,
    /// Requests refused over the rate limit.
    pub(crate) limited: Counter,
    /// Requests the full inbox had no room for.
    pub(crate) overflowed: Counter,
    /// Inbound streams that brought no request, or took no answer.
    pub(crate) failed: Counter,
}

/// What is counted about pushes.
#[derive(Debug, Clone, Default)]
pub(crate) struct PushMetrics {
    /// Frames written to a stream.
    pub(crate) sent: Counter,
    /// Frames a peer did not take, or not in time.
    pub(crate) failed: Counter,
    /// Frames a peer's full lane had no room for.
    pub(crate) dropped: Counter,
    /// Pushes that came from peers they are not wanted from.
    pub(crate) unwanted: Counter,
    /// Streams closed over bytes that are no push.
    pub(crate) invalid: Counter,
    /// Inbound streams refused or closed because a peer has too many.
    pub(crate) crowded: Counter,
}

/// A number that only grows. A clone counts on the same number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn increment(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_what_was_counted() {
        let metrics = Metrics::default();
        metrics.relay_received.increment();
        metrics.relay_reader_missed.add(7);
        let counted: Vec<_> = metrics.snapshot().named().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("waku_relay_received_total", 1), ("waku_relay_reader_missed_total", 7)]);
    }
}
