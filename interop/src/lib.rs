//! Our node against Waku implementations we did not write.
//!
//! An [`Implementation`](peer::Implementation) is one of them, started and driven by us; a [`scenario`] is something both
//! must be able to do together; the [`matrix`] is what came of it. A new implementation is one file that implements the
//! trait, a new proof one function.
//!
//! [`ours`] plays the foreign peer too, which shows that the scenarios themselves hold.

pub mod gowaku;
pub mod install;
pub mod jswaku;
pub mod line;
pub mod logs;
pub mod matrix;
pub mod nwaku;
pub mod ours;
pub mod peer;
mod process;
pub mod scenario;
