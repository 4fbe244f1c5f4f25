//! The keys of one direction, renewed every 1,024 messages by Noise's REKEY. Which key a message has follows from its
//! index alone, so renewal survives loss and reordering.

use std::collections::BTreeMap;

use crate::cipher_state::CipherKey;

/// Messages under one key.
const EPOCH_LEN: u64 = 1024;

pub(super) struct KeyChain {
    rekey: bool,
    /// Epoch to key; always with one at or below every epoch that may still be asked for.
    keys: BTreeMap<u64, CipherKey>,
}

impl KeyChain {
    pub(super) fn new(key: CipherKey, rekey: bool) -> Self {
        Self { rekey, keys: BTreeMap::from([(0, key)]) }
    }

    /// The key of the message with this index. Nothing is kept: the index comes from a nametag that anyone may have
    /// copied.
    pub(super) fn key_for(&self, index: u64) -> CipherKey {
        let epoch = self.epoch_of(index);
        let nearest = self.keys.range(..=epoch).next_back();
        let (known, key) = nearest.expect("the key of the lowest index that may still come is never erased");
        (*known..epoch).fold(key.clone(), |key, _| key.rekey())
    }

    /// Keeps the key of a message that proved authentic and erases those of messages before `lowest`, which are no
    /// longer expected.
    pub(super) fn advance(&mut self, index: u64, key: CipherKey, lowest: u64) {
        self.keys.insert(self.epoch_of(index), key);
        let oldest = self.epoch_of(lowest);
        let key = self.key_for(lowest);
        self.keys.entry(oldest).or_insert(key);
        self.keys.retain(|epoch, _| *epoch >= oldest);
    }

    fn epoch_of(&self, index: u64) -> u64 {
        if self.rekey { index / EPOCH_LEN } else { 0 }
    }
}
