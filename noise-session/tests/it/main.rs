//! The crate's promises, tested from outside.

mod oracles;
mod support;
mod vectors;
