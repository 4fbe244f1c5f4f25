//! A chain that is nothing but its clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Slots before the start: the chain is not new.
const PAST: u32 = 320;
/// Slots of an epoch.
pub(super) const EPOCH: u64 = 32;

#[derive(Debug, Clone, Copy)]
pub(super) struct Chain {
    genesis: Duration,
    slot: Duration,
}

impl Chain {
    pub(super) fn new(slot: Duration) -> Self {
        let slot = slot.max(Duration::from_millis(1));
        // At a whole second, for the API tells no less.
        let genesis = now().saturating_sub(slot * PAST);
        Self { genesis: Duration::from_secs(genesis.as_secs()), slot }
    }

    pub(super) fn genesis(&self) -> u64 {
        self.genesis.as_secs()
    }

    pub(super) fn seconds_per_slot(&self) -> u64 {
        self.slot.as_secs().max(1)
    }

    pub(super) fn slot(&self) -> u64 {
        u64::try_from(now().saturating_sub(self.genesis).as_nanos() / self.slot.as_nanos())
            .unwrap_or_default()
    }

    /// How long until the slot after this one begins.
    pub(super) fn until_next(&self) -> Duration {
        let into = now().saturating_sub(self.genesis).as_nanos() % self.slot.as_nanos();
        self.slot.saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or_default()))
    }

    pub(super) fn finalized(slot: u64) -> u64 {
        (slot / EPOCH).saturating_sub(2)
    }

    /// A root that is as good as any.
    pub(super) fn root(slot: u64) -> String {
        format!("0x{slot:064x}")
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
