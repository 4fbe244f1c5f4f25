//! 66/WAKU2-METADATA: peers tell each other their cluster and shards.

use crate::wire::small;
use crate::{Wire, WireError, generated};

/// A request or a response; they have the same layout.
///
/// # Differences from the specification
/// The specification puts the shards into field 2. nwaku and go-waku read field 3, js-waku field 2: both
/// are written, and 3 is read before 2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Cluster of the sender; `None` when it did not say.
    pub cluster: Option<u16>,
    /// Shards of the sender. js-waku sends none; go-waku drops a relay node that sends none.
    pub shards: Vec<u16>,
}

impl Wire for Metadata {
    type Generated = generated::WakuMetadata;

    fn from_generated(generated: Self::Generated) -> Result<Self, WireError> {
        let shards = if generated.shards.is_empty() { generated.shards_deprecated } else { generated.shards };
        Ok(Self {
            cluster: generated.cluster_id.map(|cluster| small(cluster, "cluster_id")).transpose()?,
            shards: shards.into_iter().map(|shard| small(shard, "shards")).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Metadata> for generated::WakuMetadata {
    fn from(metadata: Metadata) -> Self {
        let shards: Vec<u32> = metadata.shards.into_iter().map(u32::from).collect();
        Self { cluster_id: metadata.cluster.map(u32::from), shards_deprecated: shards.clone(), shards }
    }
}
