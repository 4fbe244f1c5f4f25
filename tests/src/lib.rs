//! Test harness and whole-stack tests of the workspace.

pub mod codegen;
