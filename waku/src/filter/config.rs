//! What filter is told at start.

use std::time::Duration;

use crate::rate_limit::{Rate, RateLimit};

/// Subscribers a filter service node takes, as nwaku; go-waku takes 20.
pub const DEFAULT_MAX_SUBSCRIBERS: usize = 1000;
/// Criteria, that is content topics on a pubsub topic, of one subscriber, as nwaku and go-waku.
pub const DEFAULT_MAX_CRITERIA: usize = 1000;
/// How long a subscriber may be silent before its subscription ends, as nwaku and go-waku. The
/// specification recommends one minute.
pub const DEFAULT_SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// For how long pushes to a subscriber may fail before it is given up. go-waku's client takes twenty at once and resets the
/// rest of a burst, but is well a moment later.
pub const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// Service nodes of each pubsub topic (P2P-RELIABILITY).
pub const DEFAULT_SERVICE_PEERS: usize = 2;
/// Time between two pings of a service node (P2P-RELIABILITY), as js-waku.
pub const DEFAULT_FILTER_PING_INTERVAL: Duration = Duration::from_secs(60);

/// What a filter service node gives. It must relay.
#[derive(Debug, Clone)]
pub struct FilterConfig {
    /// How often it is asked; default 30 requests a minute for each peer, as nwaku.
    pub rate_limit: RateLimit,
    /// Subscribers taken; [`DEFAULT_MAX_SUBSCRIBERS`]. The node must accept as many connections
    /// ([`ConnectionLimits::total`](crate::ConnectionLimits::total)).
    pub max_subscribers: usize,
    /// Criteria of each subscriber; [`DEFAULT_MAX_CRITERIA`].
    pub max_criteria: usize,
    /// How long a subscriber may be silent; [`DEFAULT_SUBSCRIPTION_TIMEOUT`].
    pub subscription_timeout: Duration,
    /// For how long all pushes to a subscriber, three at least, may fail before its subscription ends;
    /// [`DEFAULT_GIVE_UP_AFTER`].
    pub give_up_after: Duration,
}

impl Default for FilterConfig {
    fn default() -> Self {
        let rate = Rate::each(30, Duration::from_secs(60));
        Self {
            rate_limit: RateLimit { total: None, per_peer: Some(rate) },
            max_subscribers: DEFAULT_MAX_SUBSCRIBERS,
            max_criteria: DEFAULT_MAX_CRITERIA,
            subscription_timeout: DEFAULT_SUBSCRIPTION_TIMEOUT,
            give_up_after: DEFAULT_GIVE_UP_AFTER,
        }
    }
}

/// How a node uses the filter service of others.
#[derive(Debug, Clone)]
pub struct FilterClientConfig {
    /// Service nodes of each pubsub topic; [`DEFAULT_SERVICE_PEERS`].
    pub service_peers: usize,
    /// Time between two pings of a service node; [`DEFAULT_FILTER_PING_INTERVAL`].
    pub ping_interval: Duration,
    /// Asks connected store nodes for what was missed while no service node was there, and delivers it, oldest
    /// first, between what comes meanwhile. Off by default.
    pub fill_gaps: bool,
}

impl Default for FilterClientConfig {
    fn default() -> Self {
        Self {
            service_peers: DEFAULT_SERVICE_PEERS,
            ping_interval: DEFAULT_FILTER_PING_INTERVAL,
            fill_gaps: false,
        }
    }
}
