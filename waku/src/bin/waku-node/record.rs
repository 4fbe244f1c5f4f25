//! What the node says of itself, and who hears it when that changes.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use waku::{Announcement, Capabilities, Keypair, PubsubTopic, RelayShards, Shard};

use crate::place::Place;
use crate::rest::About;

/// Makes node records, each newer than the one before, also over restarts.
#[derive(Debug)]
pub(crate) struct Recorder {
    keypair: Keypair,
    place: Place,
    cluster: u16,
    capabilities: Capabilities,
}

impl Recorder {
    pub(crate) fn new(keypair: Keypair, place: Place, cluster: u16, capabilities: Capabilities) -> Self {
        Self { keypair, place, cluster, capabilities }
    }

    /// What is to be said with the node on these topics.
    pub(crate) fn announcement<'a>(&self, topics: impl IntoIterator<Item = &'a PubsubTopic>) -> Announcement {
        let shards = topics.into_iter().filter_map(PubsubTopic::shard);
        let shards: Vec<u16> =
            shards.filter(|shard| shard.cluster() == self.cluster).map(Shard::index).collect();
        let shards = RelayShards::new(self.cluster, shards).ok();
        self.place.announcement(unix_millis(), shards, self.capabilities)
    }

    /// The same as it is shown.
    pub(crate) fn about(&self, announcement: &Announcement) -> About {
        let record = match announcement.sign(&self.keypair) {
            Ok(announced) => {
                for address in announced.no_room {
                    tracing::warn!(%address, "no room for this address in the node record");
                }
                announced.record.to_string()
            }
            Err(error) => {
                tracing::error!(%error, "there is no node record");
                String::new()
            }
        };
        About { addresses: self.place.announced_by(self.keypair.peer_id()), record }
    }
}

/// Passes on what is new in it.
pub(crate) fn show(view: &watch::Sender<About>, about: About) {
    view.send_if_modified(|shown| {
        let is_new = *shown != about;
        if is_new {
            tracing::info!(record = about.record, "node record");
            *shown = about;
        }
        is_new
    });
}

fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
