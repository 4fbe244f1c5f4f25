//! What every decoder of foreign bytes promises, as functions of arbitrary bytes. Each of [`TARGETS`] panics when a
//! promise is broken; that nothing else panics is a promise too.
//!
//! `cargo fuzz run <target>` in the folder above looks for bytes that break one, with the files below `seeds/` to start
//! from. A file that once broke one is kept there: the workspace's tests give every seed to its target.

pub mod code;
pub mod dns_tree;
pub mod enr;
pub mod frames;
pub mod framing;
pub mod gateway;
pub mod hello;
pub mod letters;
pub mod manager;
pub mod message;
pub mod payload;
pub mod payload_v1;
pub mod record;
mod script;
pub mod session;
pub mod store_query;
pub mod topics;
pub mod tunnel_frames;
pub mod wire;

/// A target: it takes anything, and panics when a promise is broken.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 18] = [
    ("code", code::run),
    ("dns_tree", dns_tree::run),
    ("enr", enr::run),
    ("frames", frames::run),
    ("framing", framing::run),
    ("gateway", gateway::run),
    ("hello", hello::run),
    ("letters", letters::run),
    ("manager", manager::run),
    ("message", message::run),
    ("payload", payload::run),
    ("payload_v1", payload_v1::run),
    ("record", record::run),
    ("session", session::run),
    ("store_query", store_query::run),
    ("topics", topics::run),
    ("tunnel_frames", tunnel_frames::run),
    ("wire", wire::run),
];
