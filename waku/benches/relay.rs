//! Relay throughput.
fn main() {}
