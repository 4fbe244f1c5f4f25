//! Looking at the host and the node every minute: a day of samples, and alerts.
//!
//! What is decided from samples ([`Alerts`], [`History`], [`ClockEstimate`]) has no clock and no I/O; [`Watch`] is the
//! task around it.

mod alert;
mod clock;
mod codec;
mod file;
mod history;
mod host;
mod node;
mod rules;
mod sample;
mod task;

pub use alert::{Alert, Alerts, Change, Kind, Thresholds};
pub use clock::ClockEstimate;
pub use codec::DecodeError;
pub use file::{HistoryError, HistoryFile};
pub use history::{DAY, History};
pub use sample::{Column, Sample};
pub use task::{News, Watch, WatchConfig};
