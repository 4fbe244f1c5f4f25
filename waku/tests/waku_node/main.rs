//! The `waku-node` binary, run as an operator runs it: started with flags, used through REST, stopped by signals.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod process;

mod http;
mod life;
mod rest;
