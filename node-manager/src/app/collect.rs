//! Fetching what hosts wrote while this side was away.

use std::time::{Duration, SystemTime};

use thiserror::Error;
use tokio::time::sleep;
use waku::{Node, PeerList};
use waku_noise_session::time::UnixTime;
use waku_pairing::endpoint::Handle as Party;

use crate::channel::{History, HistoryError};

/// How far back: as long as letters are good.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Topics that a store is asked for at a time.
const TOPICS: usize = 10;
/// The pause after a failure, and the longest that it grows to.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Asks stores whenever this side is back on the network, for as long as the node runs.
pub(super) async fn collect(party: Party, history: History, node: Node) {
    let mut peers = node.peers().watch();
    let mut since = now() - LONGEST;
    let mut pause = PAUSE.0;
    loop {
        if peers.wait_for(is_connected).await.is_err() {
            return;
        }
        let begun = now();
        match collect_once(&party, &history, since).await {
            Ok(()) => {
                (since, pause) = (begun, PAUSE.0);
                // What is written from now on comes by itself, until the network goes.
                if peers.wait_for(|peers| !is_connected(peers)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "what hosts wrote meanwhile was not fetched");
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
}

fn is_connected(peers: &PeerList) -> bool {
    !peers.connected.is_empty()
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[derive(Debug, Error)]
enum Problem {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the service has stopped")]
    Stopped,
}

async fn collect_once(party: &Party, history: &History, since: Duration) -> Result<(), Problem> {
    let since = UnixTime::from_epoch(since);
    let topics = party.letter_topics(since).await.map_err(|_| Problem::Stopped)?;
    let topics: Vec<_> = topics.into_iter().map(|(_, topic)| topic).collect();
    for topics in topics.chunks(TOPICS) {
        let mut from = since;
        loop {
            let fetched = history.fetch(topics.iter().cloned(), from).await?;
            let last = fetched.messages.last().and_then(|message| message.timestamp);
            for message in fetched.messages {
                party.hand_in(message).await.map_err(|_| Problem::Stopped)?;
            }
            // Without a later time the same would be asked again.
            let next = last.and_then(|last| u64::try_from(last).ok()).map(Duration::from_nanos);
            match next.map(UnixTime::from_epoch).filter(|next| !fetched.is_all && *next > from) {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(())
}
