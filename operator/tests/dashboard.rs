//! The dashboard asks for what a node exports.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;

use serde_json::Value;
use waku_operator::metrics::sample_names;

const DASHBOARD: &str = include_str!("../dashboard/waku-node.json");

/// Functions, operators and keywords of the query language, as far as the dashboard uses them.
const LANGUAGE: [&str; 8] = ["avg", "by", "histogram_quantile", "label_values", "max", "rate", "sum", "time"];

/// Every string under the key `expr` or `query`.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(query) if key == "expr" || key == "query" => found.push(query.clone()),
                    other => queries(other, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// What is left of a query without what stands in quotes, braces and brackets, after `by`, and as a label's name.
fn outside(query: &str) -> String {
    let (mut out, mut in_quotes, mut depth) = (String::new(), false, 0);
    for c in query.chars() {
        match c {
            '"' => in_quotes = !in_quotes,
            '{' | '[' if !in_quotes => depth += 1,
            '}' | ']' if !in_quotes => depth -= 1,
            _ if in_quotes || depth > 0 => {}
            _ => out.push(c),
        }
    }
    assert_eq!((in_quotes, depth), (false, 0), "{query}");
    out
}

/// The words of a query that are neither numbers nor labels.
fn names(query: &str) -> BTreeSet<String> {
    let mut text = outside(query);
    while let Some(at) = text.find(" by (") {
        let end = at + text[at..].find(')').unwrap();
        text.replace_range(at..=end, " ");
    }
    if let Some(inside) = text.strip_prefix("label_values(") {
        text = inside.split(',').next().unwrap().to_owned();
    }
    let words =
        text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).filter(|word| !word.is_empty());
    words.filter(|word| word.parse::<f64>().is_err() && !LANGUAGE.contains(word)).map(str::to_owned).collect()
}

fn all_queries() -> Vec<String> {
    let mut found = Vec::new();
    queries(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    // The variable for the data source is a kind of source, and no query.
    found.retain(|query| query != "prometheus");
    found
}

#[test]
fn the_tokenizer_finds_metrics_alone() {
    let query = "histogram_quantile(0.99, sum by (le, service) (rate(a_bucket{job=\"$job\",x=~\"b{c\"}[5m]))) / max(d_total) by (e)";
    assert_eq!(names(query), ["a_bucket", "d_total"].map(str::to_owned).into());
    assert_eq!(
        names("label_values(libp2p_peers{job=\"$job\"}, instance)"),
        ["libp2p_peers".to_owned()].into()
    );
    assert_eq!(names("time() - misspelt"), ["misspelt".to_owned()].into());
}

#[test]
fn every_metric_of_the_dashboard_is_exported() {
    let exported: BTreeSet<_> = sample_names().collect();
    let queries = all_queries();
    assert!(queries.len() > 40, "{}", queries.len());
    for query in queries {
        let names = names(&query);
        assert!(!names.is_empty(), "{query}");
        let unknown: Vec<_> = names.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {query}");
    }
}

#[test]
fn every_panel_asks_for_the_chosen_job_alone() {
    for query in all_queries().iter().filter(|query| !query.starts_with("label_values(")) {
        let selectors = query.matches('{').count();
        assert!(selectors > 0 && query.matches("{job=\"$job\",").count() == selectors, "{query}");
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{} at {cell:?}", panel["title"]);
        }
    }
}
