//! Where records are kept. Everything a party says rests on what it has kept before, so a store must not say "done"
//! before the bytes would survive a power cut.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{PairingId, PeerRecord, Tombstone};

/// One change to what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes a peer under its pairing's id.
    PutPeer(Box<PeerRecord>),
    /// Removes a peer.
    RemovePeer(PairingId),
    /// Writes a tombstone under its pairing's id.
    PutTombstone(Box<Tombstone>),
    /// Removes a tombstone.
    RemoveTombstone(PairingId),
}

impl Change {
    /// The pairing that changes.
    pub fn pairing(&self) -> PairingId {
        match self {
            Self::PutPeer(record) => record.id(),
            Self::PutTombstone(tombstone) => tombstone.id(),
            Self::RemovePeer(id) | Self::RemoveTombstone(id) => *id,
        }
    }
}

/// All that a store keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The peers.
    pub peers: BTreeMap<PairingId, PeerRecord>,
    /// Those that were unpaired.
    pub tombstones: BTreeMap<PairingId, Tombstone>,
}

impl Stored {
    /// Every pairing that something is kept of.
    pub fn pairings(&self) -> Vec<PairingId> {
        self.peers.keys().chain(self.tombstones.keys()).copied().collect()
    }

    /// Applies changes in memory.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::PutPeer(record) => _ = self.peers.insert(record.id(), (**record).clone()),
                Change::RemovePeer(id) => _ = self.peers.remove(id),
                Change::PutTombstone(tombstone) => {
                    _ = self.tombstones.insert(tombstone.id(), (**tombstone).clone())
                }
                Change::RemoveTombstone(id) => _ = self.tombstones.remove(id),
            }
        }
    }
}

/// A durable store of records.
pub trait PeerStore {
    /// Everything that was kept.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read, or not all of it: a store never drops what it cannot read.
    fn load(&mut self) -> Result<Stored, StoreError>;

    /// Makes all changes durable, or none of them.
    ///
    /// # Errors
    /// [`StoreError`] when they are not; the store is then as before.
    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError>;
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// Wraps a store's own error, or a text.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// A store that lives as long as the process: for tests, examples and parties that pair anew each time.
#[derive(Clone, Default)]
pub struct MemoryStore(pub Stored);

impl PeerStore for MemoryStore {
    fn load(&mut self) -> Result<Stored, StoreError> {
        Ok(self.0.clone())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.apply(changes);
        Ok(())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} peers)", self.0.peers.len())
    }
}
