//! No flag without a test that sees what it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use waku_operator::command_line::table::{Status, flags};

/// Flags, and the tests that see what they do.
const FLAGS: &str = include_str!("../contract/flags.tsv");
/// Where these tests are, from the folder of this crate.
const FOLDERS: [&str; 3] = ["tests/waku_node", "src/bin/waku-node", "../operator/tests/command_line"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// The name of every test, and the files it is in.
fn tests() -> BTreeMap<String, Vec<String>> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut paths);
    }
    let mut tests: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for pair in lines.windows(2) {
            let is_test = pair[0].starts_with("#[test]") || pair[0].starts_with("#[tokio::test");
            let name = pair[1].trim_start_matches("async ").strip_prefix("fn ").filter(|_| is_test);
            if let Some((name, _)) = name.and_then(|rest| rest.split_once('(')) {
                tests.entry(name.to_owned()).or_default().push(text.clone());
            }
        }
    }
    tests
}

#[test]
fn every_flag_that_works_has_a_test_that_sees_what_it_does() {
    let tests = tests();
    let mut rows = BTreeMap::new();
    for line in FLAGS.lines().skip(1) {
        let (flag, names) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        assert!(rows.insert(flag, names).is_none(), "{flag} stands twice");
        for name in names.split(' ') {
            let files = tests.get(name).unwrap_or_else(|| panic!("{flag}: there is no test {name}"));
            assert!(files.iter().any(|text| text.contains(flag)), "{name} does not name --{flag}");
        }
    }
    let working: Vec<_> = flags().filter(|flag| flag.status == Status::Works).collect();
    assert!(working.len() > 60, "{}", working.len());
    for flag in &working {
        assert!(rows.remove(flag.name).is_some(), "no test sees what --{} does", flag.name);
    }
    assert!(rows.is_empty(), "no flags that work: {rows:?}");
}
