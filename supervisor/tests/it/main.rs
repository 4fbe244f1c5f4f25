//! Supervisors with real processes, and with a systemd that is played.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bench;
mod fake_systemd;
mod orders;
mod output;
mod processes;
mod units;
