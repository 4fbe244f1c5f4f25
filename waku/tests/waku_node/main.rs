//! The `waku-node` binary, run as an operator runs it: started with flags, used through REST, stopped by signals.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod network;
mod process;

mod archive;
mod command_line;
mod discovery;
mod http;
mod life;
mod logs;
mod metrics;
mod rest;
