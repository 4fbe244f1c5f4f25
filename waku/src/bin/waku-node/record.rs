//! What the node says of itself, and who hears it when that changes.

use tokio::sync::watch;
use waku::{Announcement, Capabilities, Fields, Keypair, PubsubTopic, RelayShards, Shard, unix_nanos};

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
        let seq = u64::try_from(unix_nanos() / 1_000_000).unwrap_or_default();
        self.place.announcement(seq, shards, self.capabilities)
    }

    /// The same for discovery, which signs the record itself.
    pub(crate) fn fields(&self, announcement: &Announcement) -> Fields {
        announcement.fields(self.keypair.peer_id()).0
    }

    /// The same as it is shown.
    pub(crate) fn about(&self, announcement: &Announcement) -> About {
        let record = match announcement.sign(&self.keypair) {
            Ok(announced) => {
                for address in announced.no_room {
                    tracing::warn!(%address, "no room for this address in the node record");
                }
                for address in announced.unsupported {
                    tracing::warn!(%address, "no node record can have an address of this kind");
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
