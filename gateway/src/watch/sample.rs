//! One look at the host and the node.

/// What is measured. The order is that of the encoding: new ones go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Busy share of all processors since the sample before, in percent.
    Cpu,
    /// Memory that is not available, in percent.
    Memory,
    /// Load average of a minute, in tenths.
    Load,
    /// Free space on the watched disk, in MiB.
    DiskFree,
    /// How far the host's clock is ahead of the network's, in milliseconds; see [`ClockEstimate`](super::ClockEstimate).
    ClockOffset,
    /// Slots that the node is behind.
    SyncDistance,
    /// Connected peers of the node.
    Peers,
    /// The slot of the newest block.
    HeadSlot,
    /// The last finalized epoch.
    FinalizedEpoch,
    /// Missed attestations of the node's validators, counted since it started.
    Missed,
    /// A bit for each service of the configuration, in its order: 1 when it does not answer. At most 32.
    Down,
}

impl Column {
    /// Its name, where figures are shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Load => "load",
            Self::DiskFree => "disk_free",
            Self::ClockOffset => "clock_offset",
            Self::SyncDistance => "sync_distance",
            Self::Peers => "peers",
            Self::HeadSlot => "head_slot",
            Self::FinalizedEpoch => "finalized_epoch",
            Self::Missed => "missed",
            Self::Down => "down",
        }
    }

    /// All, in the order of the encoding.
    pub const ALL: [Self; 11] = [
        Self::Cpu,
        Self::Memory,
        Self::Load,
        Self::DiskFree,
        Self::ClockOffset,
        Self::SyncDistance,
        Self::Peers,
        Self::HeadSlot,
        Self::FinalizedEpoch,
        Self::Missed,
        Self::Down,
    ];
}

/// Largest value, either way: what any number in JSON can carry exactly.
pub(super) const MAX_VALUE: i64 = 1 << 53;

/// A sample. What could not be measured is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When, in minutes since 1970.
    pub minute: u64,
    values: [Option<i64>; Column::ALL.len()],
}

impl Sample {
    /// A sample without values.
    pub fn new(minute: u64) -> Self {
        Self { minute, values: [None; Column::ALL.len()] }
    }

    /// A value.
    pub fn get(&self, column: Column) -> Option<i64> {
        self.values.get(column as usize).copied().flatten()
    }

    /// Notes a value; what is out of range is cut.
    pub fn set(&mut self, column: Column, value: Option<i64>) {
        if let Some(place) = self.values.get_mut(column as usize) {
            *place = value.map(|value| value.clamp(-MAX_VALUE, MAX_VALUE));
        }
    }
}
