//! Fetching from another store what was missed while this one was away (`--store-resume`).

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use waku::store::archive::{Archive, Criteria, MAX_TIMESTAMP_DISTANCE, Query, Selection};
use waku::{Envelope, Multiaddr, Node, PeerList, unix_nanos};
use waku_operator::command_line::Options;

/// How far back is asked at most, as in nwaku.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// Messages that are asked for on a page.
const PAGE: usize = 100;
/// Most messages that are fetched.
const MOST: usize = 1_000_000;
/// Tries, and the pause between two.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(30);
/// How long a store is waited for.
const FIND_WITHIN: Duration = Duration::from_secs(60);

/// What is to be fetched.
pub(crate) struct Resume {
    archive: Arc<dyn Archive>,
    store: Option<Multiaddr>,
    /// Unix time in nanoseconds.
    start: i64,
}

impl Resume {
    /// Looks up what the archive has; to be done before the node adds to it.
    pub(crate) async fn new(options: &Options, archive: Arc<dyn Archive>) -> anyhow::Result<Self> {
        let stats = {
            let archive = Arc::clone(&archive);
            spawn_blocking(move || archive.stats()).await??
        };
        let store = options.services.store.as_deref().and_then(|address| address.parse().ok());
        Ok(Self { archive, store, start: start(stats.newest, unix_nanos()) })
    }

    /// Fetches it. Messages are kept whatever their age: nwaku's resume drops those older than twenty seconds.
    pub(crate) async fn run(self, node: Node) {
        for attempt in 1..=TRIES {
            match self.fetch(&node).await {
                Ok(count) => {
                    tracing::info!(count, "messages that were missed were fetched from a store");
                    return;
                }
                Err(error) => {
                    tracing::warn!(attempt, error = format!("{error:#}"), "missed messages were not fetched")
                }
            }
            if attempt < TRIES {
                sleep(PAUSE).await;
            }
        }
    }

    async fn fetch(&self, node: &Node) -> anyhow::Result<usize> {
        let peer = match &self.store {
            Some(address) => Some(node.peers().connect(address.clone()).await?),
            None => None,
        };
        if peer.is_none() {
            let is_somebody_there = |peers: &PeerList| !peers.connected.is_empty();
            let waited = timeout(FIND_WITHIN, node.peers().watch().wait_for(is_somebody_there)).await.is_ok();
            anyhow::ensure!(waited, "no peer is connected");
        }
        // What was sent before the connection stood was missed too.
        let end = unix_nanos().saturating_add_unsigned(MAX_TIMESTAMP_DISTANCE);
        let criteria = Criteria { time_start: Some(self.start), time_end: Some(end), ..Criteria::default() };
        let query = Query { limit: PAGE, ..Query::new(Selection::Content(criteria)) };
        let mut pages = match peer {
            Some(peer) => node.store().query(peer, query, MOST),
            None => node.store().query_any(query, MOST),
        };
        let mut count = 0;
        while let Some(page) = pages.try_next().await? {
            let found: Vec<Envelope> = page.entries.into_iter().filter_map(|entry| entry.envelope).collect();
            let archive = Arc::clone(&self.archive);
            count += spawn_blocking(move || archive.insert(&found)).await??.new;
        }
        Ok(count)
    }
}

/// From when messages may have been missed. Senders' clocks differ, and the archive takes timestamps that are
/// [`MAX_TIMESTAMP_DISTANCE`] from its own: the newest may have come from a clock that was ahead, when one that is behind
/// could still send.
fn start(newest: Option<i64>, now: i64) -> i64 {
    let longest = i64::try_from(LONGEST.as_nanos()).unwrap_or(i64::MAX);
    let start = newest.map(|newest| newest.min(now).saturating_sub_unsigned(2 * MAX_TIMESTAMP_DISTANCE));
    start.unwrap_or(i64::MIN).max(now.saturating_sub(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clocks_may_differ_by_is_asked_for_again() {
        const SECOND: i64 = 1_000_000_000;
        let now = 1_700_000_000 * SECOND;
        assert_eq!(start(Some(now - 100 * SECOND), now), now - 140 * SECOND);
        // From a clock that was ahead.
        assert_eq!(start(Some(now + 15 * SECOND), now), now - 40 * SECOND);
        let six_hours_ago = now - 6 * 60 * 60 * SECOND;
        for newest in [None, Some(0), Some(six_hours_ago + SECOND)] {
            assert_eq!(start(newest, now), six_hours_ago);
        }
    }
}
