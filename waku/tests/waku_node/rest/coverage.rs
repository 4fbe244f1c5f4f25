//! Whether the tests are about the whole contract, and about nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::process::Process;

use super::scene::SCENES;
use super::table::{self, Endpoint};

/// Says that a scenario holds what these rows promise.
pub(super) fn covers(ids: &[&str]) {
    let rows = table::answers();
    for id in ids {
        let row = rows.iter().find(|row| row.id == *id).unwrap_or_else(|| panic!("there is no row {id}"));
        assert_eq!(row.scene, "scenario", "{id}");
    }
}

/// What the scenarios' sources hand to [`covers`].
fn covered_by_scenarios() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/waku_node/rest");
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let source = fs::read_to_string(entry.unwrap().path()).unwrap();
        // In two parts, so that this line is none of them.
        for call in source.split(concat!("    covers", "(&[")).skip(1) {
            let (list, _) = call.split_once("])").unwrap();
            ids.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    ids
}

/// Whether a request's path is an endpoint's.
fn is_at(endpoint: &Endpoint, path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (template, path): (Vec<_>, Vec<_>) = (endpoint.path.split('/').collect(), path.split('/').collect());
    let fits = |(part, given): (&&str, &&str)| part.starts_with('{') || part == given;
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

#[test]
fn every_row_has_a_test() {
    let (scenarios, unprovoked) = (covered_by_scenarios(), table::unprovoked());
    let mut seen = BTreeSet::new();
    let mut untested = Vec::new();
    for row in table::answers() {
        assert!(seen.insert(row.id), "two rows are called {}", row.id);
        let is_tested = match row.scene {
            "scenario" => scenarios.contains(row.id),
            "unprovoked" => unprovoked.iter().any(|known| known.id == row.id),
            scene => SCENES.contains(&scene),
        };
        if !is_tested {
            untested.push(row.id);
        }
    }
    assert_eq!(untested, Vec::<&str>::new(), "rows without a scene, a scenario or a reason");
    let unknown: Vec<_> = scenarios.iter().filter(|id| !seen.contains(id.as_str())).collect();
    assert!(unknown.is_empty(), "scenarios name rows that are not there: {unknown:?}");
}

#[test]
fn every_scene_has_rows() {
    let rows = table::answers();
    let empty: Vec<_> = SCENES.iter().filter(|scene| !rows.iter().any(|row| row.scene == **scene)).collect();
    assert!(empty.is_empty(), "{empty:?}");
}

#[test]
fn what_cannot_be_provoked_is_said_with_its_reason_and_is_little() {
    let (rows, unprovoked) = (table::answers(), table::unprovoked());
    for known in &unprovoked {
        let row = rows.iter().find(|row| row.id == known.id);
        assert_eq!(row.map(|row| row.scene), Some("unprovoked"), "{}", known.id);
        assert!(known.why.len() > 20, "{} wants a reason", known.id);
    }
    assert_eq!(unprovoked.len(), 8, "a row more or less that is not tested");
}

#[test]
fn every_difference_from_nwaku_is_a_tested_row_with_a_reason() {
    let rows = table::answers();
    for difference in table::differences() {
        let row = rows.iter().find(|row| row.id == difference.id);
        let row = row.unwrap_or_else(|| panic!("there is no row {}", difference.id));
        assert_ne!(row.scene, "unprovoked", "{}", difference.id);
        for cell in [difference.theirs, difference.ours, difference.why] {
            assert!(!cell.is_empty(), "{difference:?}");
        }
    }
}

#[test]
fn every_endpoint_is_seen_to_succeed() {
    let rows = table::answers();
    for endpoint in table::endpoints() {
        assert!(!endpoint.group.is_empty() && !endpoint.summary.is_empty(), "{endpoint:?}");
        let succeeds = rows.iter().any(|row| {
            let is_tested = row.scene != "unprovoked" && row.status.starts_with('2');
            is_tested && row.method == endpoint.method && is_at(&endpoint, row.path)
        });
        assert!(succeeds, "no row has {} {} succeed", endpoint.method, endpoint.path);
    }
}

#[test]
fn the_description_of_the_api_has_every_endpoint_and_no_other() {
    let node = Process::start(&[]);
    let description = node.get("/openapi.json").json();
    let methods = |(path, item): (&String, &serde_json::Value)| {
        let methods = item.as_object().unwrap().keys().map(|name| name.to_ascii_uppercase());
        let known = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];
        let methods = methods.filter(|name| known.contains(&name.as_str()));
        methods.map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    let described: BTreeSet<_> = description["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    let contracted: BTreeSet<_> = table::endpoints()
        .iter()
        .map(|endpoint| (endpoint.method.to_owned(), endpoint.path.to_owned()))
        .collect();
    assert_eq!(described, contracted);
    assert_eq!(contracted.len(), 40);
    let page = node.get("/docs");
    assert!(page.status == 200 && page.body.contains("/relay/v1/messages/{pubsubTopic}"), "{page:?}");
}
