//! Writes the checked-in protobuf code anew: `cargo run -p waku-tests --bin generate`.
//!
//! A program and not a test, so that it runs while the crates it writes for do not compile.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use waku_tests::codegen;

fn main() -> Result<()> {
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the crate sits in the workspace")?;
    for name in codegen::CRATES {
        let path = codegen::generated_path(workspace, name);
        fs::write(&path, codegen::generate(workspace, name)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
