//! The REST API against its contract.
//!
//! `contract/answers.tsv` has a row for every success, error, rule and trap of nwaku's API. A row belongs to a scene, a set
//! of nodes started once against which its rows run in their order; or to a scenario, a test that names it with
//! [`coverage::covers`]; or it says why it cannot be provoked. `coverage` fails for every row that is none of these.

mod coverage;
mod network;
mod pattern;
mod scene;
mod table;

mod admin;
mod cache;
mod connection;
mod faults;
mod filter;
mod lightpush;
mod relay;
mod sharding;
mod store;
mod unanswered;
