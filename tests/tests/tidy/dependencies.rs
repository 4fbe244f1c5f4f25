//! Who depends on whom (ARCHITECTURE.md).

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::assert_none;
use crate::workspace::{FUZZ, crates, manifest};

/// Every crate, and which of our crates it may name in its manifest, tests and examples included.
const MAY_USE: [(&str, &[&str]); 15] = [
    ("proto", &[]),
    ("noise-session", &[]),
    ("pairing", &["noise-session", "proto"]),
    ("payload", &[]),
    ("tunnel", &["noise-session", "proto"]),
    ("archive", &["proto"]),
    ("discovery", &["proto"]),
    ("operator", &[]),
    ("gateway", &[]),
    ("supervisor", &[]),
    ("waku", &["archive", "discovery", "operator", "proto"]),
    ("node-manager", &["gateway", "noise-session", "pairing", "proto", "supervisor", "tunnel", "waku"]),
    (
        "tests",
        &[
            "archive",
            "discovery",
            "gateway",
            "node-manager",
            "noise-session",
            "pairing",
            "payload",
            "proto",
            "tunnel",
            "waku",
        ],
    ),
    ("interop", &["discovery", "node-manager", "noise-session", "pairing", "payload", "waku"]),
    (FUZZ, &["archive", "discovery", "gateway", "noise-session", "pairing", "payload", "proto", "tunnel"]),
];

/// The dependencies of a manifest by section, those for one platform only included.
pub(crate) fn dependencies(manifest: &Table) -> Vec<(String, Table)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, table)| table.as_table()).chain([manifest]);
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .flat_map(|table| sections.iter().filter_map(|name| Some((*name, table.get(*name)?.as_table()?))))
        .map(|(name, section)| (name.to_owned(), section.clone()))
        .collect()
}

#[test]
fn crates_depend_only_on_those_below_them() {
    let folders = crates();
    let package = |folder: &String| manifest(folder)["package"]["name"].as_str().unwrap().to_owned();
    let ours: BTreeMap<_, _> = folders.iter().map(|folder| (package(folder), folder)).collect();
    let mut broken = Vec::new();
    for folder in &folders {
        let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| known == folder) else {
            broken.push(format!("{folder}/Cargo.toml: a new crate; say in {} what it may use", file!()));
            continue;
        };
        for (section, names) in dependencies(&manifest(folder)) {
            let used = names.keys().filter_map(|name| ours.get(name));
            let wrong = used.filter(|used| !may_use.contains(&used.as_str()));
            broken.extend(wrong.map(|used| format!("{folder}/Cargo.toml: [{section}] names {used}")));
        }
    }
    assert_none("move what is needed to a crate below both, or hand it in from above", &broken);
}

#[test]
fn every_crate_has_the_workspace_lints_which_forbid_unsafe_code() {
    let lints = manifest(".");
    let unsafe_code = &lints["workspace"]["lints"]["rust"]["unsafe_code"];
    assert_eq!(unsafe_code.as_str(), Some("forbid"), "Cargo.toml: [workspace.lints.rust]");
    let takes_them = |folder: &String| {
        let manifest = manifest(folder);
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        lints == Some(true)
    };
    let without = crates().into_iter().filter(|folder| folder != FUZZ && !takes_them(folder));
    let broken: Vec<_> = without.map(|folder| format!("{folder}/Cargo.toml")).collect();
    assert_none("add `[lints]` with `workspace = true`", &broken);
}
