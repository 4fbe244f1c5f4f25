//! The rules of the house (ARCHITECTURE.md) as tests. Each failure names the file, the line and what to do.

#![allow(clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod cores;
mod dependencies;
mod documents;
mod fuzzing;
mod source;
mod style;
mod workspace;

/// Fails with everything that breaks a rule, one a line.
#[track_caller]
fn assert_none(what_to_do: &str, broken: &[String]) {
    let mut broken = broken.to_vec();
    broken.dedup();
    assert!(broken.is_empty(), "{what_to_do}:\n  {}", broken.join("\n  "));
}
