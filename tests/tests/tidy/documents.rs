//! What the documents promise is there.

use std::fs;
use std::path::Path;

use crate::assert_none;
use crate::workspace::{crates, manifest, read, root};

const SPEC_TABLE: &str = "| Spec | Status | Where |";

/// A row of the README's table of specifications.
struct Row {
    line: usize,
    spec: String,
    status: String,
    places: Vec<String>,
}

fn spec_rows() -> Vec<Row> {
    let readme = read("README.md");
    let lines = readme.lines().enumerate().skip_while(|(_, line)| line.trim() != SPEC_TABLE);
    let rows = lines.skip(2).take_while(|(_, line)| line.starts_with('|'));
    let rows: Vec<_> = rows
        .map(|(at, line)| {
            let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
            let mut next = || cells.next().unwrap_or_default();
            let (spec, status, place) = (next(), next(), next());
            Row { line: at + 1, spec, status, places: quoted(&place) }
        })
        .collect();
    assert!(!rows.is_empty(), "README.md: add the table of specifications, `{SPEC_TABLE}`");
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether a path from the root, or a module such as `waku_proto::message`, exists.
fn exists(place: &str) -> bool {
    let is_there = |path: &str| root().join(path).exists();
    let Some((package, module)) = place.split_once("::") else { return is_there(place) };
    let of_package = |folder: &String| {
        manifest(folder)["package"]["name"].as_str().map(|name| name.replace('-', "_")).as_deref()
            == Some(package)
    };
    let module = module.replace("::", "/");
    crates().iter().filter(|folder| of_package(folder)).any(|folder| {
        is_there(&format!("{folder}/src/{module}.rs")) || is_there(&format!("{folder}/src/{module}"))
    })
}

#[test]
fn specifications_marked_as_done_are_where_the_readme_says() {
    let done: Vec<_> = spec_rows().into_iter().filter(|row| row.status.starts_with("done")).collect();
    assert!(!done.is_empty(), "README.md: no specification is marked `done`");
    let mut broken = Vec::new();
    for Row { line, spec, places, .. } in done {
        if places.is_empty() {
            broken.push(format!("README.md:{line}: {spec} names no place"));
        }
        let missing = places.iter().filter(|place| !exists(place));
        broken.extend(missing.map(|place| format!("README.md:{line}: {spec} is not in `{place}`")));
    }
    assert_none(
        "name in backticks the file, from the root, or the module, such as `waku_proto::message`",
        &broken,
    );
}

#[test]
fn the_changelog_has_a_place_for_what_is_not_released() {
    let changelog = read("CHANGELOG.md");
    let is_heading = |line: &str| matches!(line.trim_end(), "## Unreleased" | "## [Unreleased]");
    assert!(changelog.lines().any(is_heading), "CHANGELOG.md: add the section `## Unreleased`");
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("docs/adr")).expect("docs/adr holds the decisions") {
        let name = entry.expect("a folder can be read to its end").file_name();
        names.push(name.into_string().expect("our file names are plain ASCII"));
    }
    names.sort();
    assert!(!names.is_empty(), "docs/adr: write down at least one decision");
    let mut broken = Vec::new();
    for (number, name) in (1..).zip(&names) {
        if !(name.starts_with(&format!("{number:04}-")) && is_markdown(name)) {
            broken.push(format!("docs/adr/{name}: expected {number:04}-title.md here"));
        }
    }
    assert_none("number decisions 0001, 0002, …", &broken);
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = document.rsplit_once('/').map_or(".", |(folder, _)| folder);
        for (at, line) in read(&document).lines().enumerate() {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
            let paths = local.map(|target| target.split('#').next().unwrap_or_default());
            let missing = paths.filter(|path| !root().join(folder).join(path).exists());
            broken.extend(missing.map(|path| format!("{document}:{}: {path}", at + 1)));
        }
    }
    assert_none("mend the link", &broken);
}

fn is_markdown(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}

/// Every Markdown file at the root and below docs/.
fn documents() -> Vec<String> {
    let mut documents = Vec::new();
    for folder in [".", "docs", "docs/adr"] {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
            let name = entry.expect("a folder can be read to its end").file_name();
            let name = name.into_string().expect("our file names are plain ASCII");
            if is_markdown(&name) {
                documents.push(format!("{folder}/{name}").trim_start_matches("./").to_owned());
            }
        }
    }
    documents
}
