//! The crates of the workspace, their manifests and their source.

use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::source::Source;

/// Where the fuzz targets live: a workspace of their own.
pub(crate) const FUZZ: &str = "tests/fuzz";

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate sits in the workspace").to_owned()
}

/// Reads a file by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// The workspace's members as folders, and the fuzz targets.
pub(crate) fn crates() -> Vec<String> {
    let root = manifest(".");
    let members = root["workspace"]["members"].as_array().expect("the members are a list");
    let folders = members.iter().map(|member| member.as_str().expect("a member is a folder").to_owned());
    folders.chain([FUZZ.to_owned()]).collect()
}

/// A crate's Cargo.toml.
pub(crate) fn manifest(folder: &str) -> Table {
    let path = format!("{folder}/Cargo.toml");
    read(&path).parse().unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of every crate, in order.
pub(crate) fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in crates() {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    paths.dedup();
    let mut sources: Vec<_> = paths.iter().map(|path| Source::new(path, &read(path))).collect();
    let test_modules: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        source.is_test |= test_modules.contains(&source.path);
    }
    sources
}

fn walk(folder: &Path, paths: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder can be read to its end").path();
        let is_built =
            ["target", "corpus", "artifacts", "node_modules"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_built {
            walk(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root()).expect("the walk began in the workspace");
            paths.push(relative.to_str().expect("our paths are plain ASCII").replace('\\', "/"));
        }
    }
}
