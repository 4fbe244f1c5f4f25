//! Flags, the environment and files: what they do, and what is said when they are wrong.

mod addresses;
mod consumers;
mod errors;
mod every_flag;
mod identity;
mod peers;
mod services;
mod shards;
mod sources;
