//! Fetching from another store what was missed while this one was away (`--store-resume`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use futures::TryStreamExt as _;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use waku::store::archive::{Criteria, Query, Selection};
use waku::{Envelope, Multiaddr, Node, PeerList};

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

/// Fetches what came since the newest message here, or in the last six hours; `before` is when this node began to keep
/// messages itself, in Unix nanoseconds. Messages are kept whatever their age: nwaku's resume drops those older than
/// twenty seconds.
pub(crate) async fn resume(node: Node, store: Option<Multiaddr>, before: i64) {
    for attempt in 1..=TRIES {
        match fetch(&node, store.as_ref(), before).await {
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

async fn fetch(node: &Node, store: Option<&Multiaddr>, before: i64) -> anyhow::Result<usize> {
    let archive = node.store().archive().cloned().context("this node keeps no messages")?;
    let peer = match store {
        Some(address) => Some(node.peers().connect(address.clone()).await?),
        None => None,
    };
    if peer.is_none() {
        let is_somebody_there = |peers: &PeerList| !peers.connected.is_empty();
        let waited = timeout(FIND_WITHIN, node.peers().watch().wait_for(is_somebody_there)).await.is_ok();
        anyhow::ensure!(waited, "no peer is connected");
    }
    let stats = {
        let archive = archive.clone();
        spawn_blocking(move || archive.stats()).await??
    };
    let longest = i64::try_from(LONGEST.as_nanos()).unwrap_or(i64::MAX);
    // Messages of the same nanosecond may be missing.
    let start = stats.newest.unwrap_or(i64::MIN).max(before.saturating_sub(longest));
    let criteria = Criteria { time_start: Some(start), time_end: Some(before), ..Criteria::default() };
    let query = Query { limit: PAGE, ..Query::new(Selection::Content(criteria)) };
    let mut pages = match peer {
        Some(peer) => node.store().query(peer, query, MOST),
        None => node.store().query_any(query, MOST),
    };
    let mut count = 0;
    while let Some(page) = pages.try_next().await? {
        let found: Vec<Envelope> = page.entries.into_iter().filter_map(|entry| entry.envelope).collect();
        let archive = archive.clone();
        count += spawn_blocking(move || archive.insert(&found)).await??.new;
    }
    Ok(count)
}

/// Unix time in nanoseconds.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}
