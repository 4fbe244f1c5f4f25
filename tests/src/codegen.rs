//! Regenerates the checked-in protobuf code from the `.proto` files, without protoc.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

const HEADER: &str = "// Generated from the .proto files; change those and run\n\
     // `cargo run -p waku-tests --bin generate`.\n";

/// The crates with protobuf: `{crate}/protos/*.proto` becomes `{crate}/src/generated.rs`.
pub const CRATES: [&str; 3] = ["proto", "pairing", "tunnel"];

/// Where a crate's generated source lives.
pub fn generated_path(workspace: &Path, name: &str) -> PathBuf {
    workspace.join(name).join("src/generated.rs")
}

/// The source prost makes of every `.proto` file of a crate, the same on every run.
///
/// # Errors
/// When the files cannot be read or do not compile, or belong to more than one protobuf package.
pub fn generate(workspace: &Path, name: &str) -> Result<String> {
    let protos = workspace.join(name).join("protos");
    let files = proto_files(&protos).with_context(|| format!("cannot list {}", protos.display()))?;
    let descriptors = protox::compile(files, [&protos]).context("the .proto files do not compile")?;

    let out = tempfile::tempdir().context("no temporary directory")?;
    let mut config = prost_build::Config::new();
    match name {
        // Payloads are shared, not copied.
        "proto" => _ = config.bytes(["."]),
        // What is carried is nobody's to print.
        "tunnel" => _ = config.bytes(["."]).skip_debug(["."]),
        _ => hide_secrets(&mut config),
    }
    config.out_dir(out.path()).compile_fds(descriptors)?;

    let written: Vec<_> = fs::read_dir(out.path())?.collect::<io::Result<_>>()?;
    let [package] = written.as_slice() else {
        bail!("expected a single protobuf package, got {}", written.len());
    };
    Ok(format!("{HEADER}{}", fs::read_to_string(package.path())?))
}

/// What holds keys is zeroized on drop and is not printed.
fn hide_secrets(config: &mut prost_build::Config) {
    let secret = [".status.nodemanager.v1.AppExchange", ".status.nodemanager.v1.ManagerExchange"];
    config.skip_debug(secret);
    for message in secret {
        config.message_attribute(message, "#[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]");
    }
    // Names and digests, which are no secret.
    config.field_attribute(".status.nodemanager.v1.AppExchange.attempts", "#[zeroize(skip)]");
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
