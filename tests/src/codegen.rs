//! Regenerates `proto/src/generated.rs` from `proto/protos/*.proto` without protoc.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, ensure};

const HEADER: &str = "// Generated from proto/protos; change those and run\n\
     // `UPDATE_GENERATED=1 cargo test -p waku-tests --test generated_code`.\n";

/// Where the generated source lives.
pub fn generated_path(workspace: &Path) -> PathBuf {
    workspace.join("proto/src/generated.rs")
}

/// The source prost makes of every `.proto` file under `proto/protos`, the same on every run.
///
/// # Errors
/// When the files cannot be read or do not compile.
pub fn generate(workspace: &Path) -> Result<String> {
    let protos = workspace.join("proto/protos");
    let files = proto_files(&protos).with_context(|| format!("cannot list {}", protos.display()))?;
    let descriptors = protox::compile(files, [&protos]).context("the .proto files do not compile")?;

    let out = tempfile::tempdir().context("no temporary directory")?;
    prost_build::Config::new().bytes(["."]).out_dir(out.path()).compile_fds(descriptors)?;

    let written: Vec<_> = fs::read_dir(out.path())?.collect::<io::Result<_>>()?;
    ensure!(written.len() == 1, "expected the single package `waku`, got {} files", written.len());
    Ok(format!("{HEADER}{}", fs::read_to_string(out.path().join("waku.rs"))?))
}

fn proto_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
