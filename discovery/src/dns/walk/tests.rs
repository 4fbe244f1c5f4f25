use std::collections::BTreeMap;

use enr::Enr;
use k256::ecdsa::SigningKey;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::dns::{Content, Tree};

const DOMAIN: &str = "nodes.example.org";

fn key(secret: u8) -> SigningKey {
    SigningKey::from_slice(&[secret; 32]).unwrap()
}

fn node(secret: u8, seq: u64) -> Record {
    let enr = Enr::builder().seq(seq).build(&key(secret)).unwrap();
    Record::decode(&alloy_rlp::encode(enr)).unwrap()
}

fn nodes(count: u8) -> Vec<Record> {
    (1..=count).map(|secret| node(secret, 1)).collect()
}

fn content(seq: u64, count: u8) -> Content {
    Content { seq, records: nodes(count), max_children: 3, ..Content::default() }
}

/// A list at [`DOMAIN`].
fn tree(content: &Content) -> Tree {
    Tree::sign(&key(100), DOMAIN, content).unwrap()
}

/// Every name of some lists.
fn zone(trees: &[&Tree]) -> BTreeMap<String, String> {
    let entries = trees.iter().flat_map(|tree| tree.entries());
    entries.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn walk(url: &TreeUrl, limits: Limits, seqs: Seqs, zone: &BTreeMap<String, String>, seed: u64) -> Findings {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut walk = Walk::new(url.clone(), limits, seqs);
    while let Some(question) = walk.next(&mut rng) {
        let texts: Vec<_> = zone.get(question.name()).into_iter().map(String::as_str).collect();
        let _ = walk.answer(question, texts);
    }
    walk.into_findings()
}

fn walk_all(tree: &Tree, zone: &BTreeMap<String, String>) -> Findings {
    walk(tree.url(), Limits::default(), Seqs::default(), zone, 1)
}

/// Which nodes they are, each with its sequence number: no two signatures are the same.
fn who(records: &[Record]) -> Vec<([u8; 32], u64)> {
    let mut who: Vec<_> = records.iter().map(|record| (record.node_id(), record.seq())).collect();
    who.sort_unstable();
    who
}

fn problems(findings: &Findings) -> Vec<&Problem> {
    findings.problems.iter().map(|(_, problem)| problem).collect()
}

#[test]
fn every_node_of_a_list_is_found_once() {
    for count in [0, 1, 2, 3, 4, 40] {
        let tree = tree(&content(1, count));
        let findings = walk_all(&tree, &zone(&[&tree]));
        assert_eq!(who(&findings.records), who(&nodes(count)), "{count}");
        assert_eq!((findings.wrong, findings.is_cut_off), (0, false));
        assert_eq!(findings.asked, tree.entries().count());
    }
}

#[test]
fn the_order_is_random_and_a_seed_says_which() {
    let tree = tree(&content(1, 40));
    let order = |seed| walk(tree.url(), Limits::default(), Seqs::default(), &zone(&[&tree]), seed).records;
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn of_two_records_of_a_node_the_newer_one_is_kept() {
    let records = vec![node(1, 1), node(1, 3), node(1, 2)];
    let tree = tree(&Content { records, ..content(1, 0) });
    assert_eq!(who(&walk_all(&tree, &zone(&[&tree])).records), who(&[node(1, 3)]));
}

#[test]
fn a_tampered_root_is_refused_and_nothing_is_asked_below_it() {
    let tree = tree(&content(1, 3));
    let mut zone = zone(&[&tree]);
    zone.insert(DOMAIN.to_owned(), tree.text(DOMAIN).unwrap().replace("seq=1", "seq=2"));
    let findings = walk_all(&tree, &zone);
    assert_eq!(findings.problems, [(DOMAIN.to_owned(), Problem::NotSigned)]);
    assert_eq!((findings.asked, findings.records.len()), (1, 0));
}

#[test]
fn another_keys_list_at_the_same_domain_is_refused() {
    let (ours, theirs) = (tree(&content(1, 3)), Tree::sign(&key(101), DOMAIN, &content(1, 3)).unwrap());
    assert_eq!(problems(&walk_all(&ours, &zone(&[&theirs]))), [&Problem::NotSigned]);
}

#[test]
fn an_entry_with_another_hash_is_refused_and_the_rest_is_found() {
    let content = content(1, 9);
    let tree = tree(&content);
    let mut zone = zone(&[&tree]);
    let (name, _) = tree.entries().find(|(_, text)| *text == content.records[0].to_string()).unwrap();
    zone.insert(name.to_owned(), node(50, 1).to_string());
    let findings = walk_all(&tree, &zone);
    assert_eq!(findings.problems, [(name.to_owned(), Problem::WrongHash)]);
    assert_eq!(who(&findings.records), who(&nodes(9)[1..]));
}

#[test]
fn a_name_without_a_list_has_no_root() {
    let tree = tree(&content(1, 1));
    let zone = BTreeMap::from([(DOMAIN.to_owned(), "v=spf1 -all".to_owned())]);
    assert_eq!(problems(&walk_all(&tree, &zone)), [&Problem::NoRoot]);
    assert_eq!(problems(&walk_all(&tree, &BTreeMap::new())), [&Problem::NoRoot]);
}

#[test]
fn other_texts_beside_the_root_and_the_entries_are_passed_over() {
    let tree = tree(&content(1, 9));
    let mut walk = Walk::new(tree.url().clone(), Limits::default(), Seqs::default());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    while let Some(question) = walk.next(&mut rng) {
        let text = tree.text(question.name()).unwrap();
        walk.answer(question, ["v=spf1 -all", text, "enrtree-root:v2"]).unwrap();
    }
    assert_eq!(walk.findings().records.len(), 9);
}

#[test]
fn an_older_edition_than_was_seen_is_refused_and_the_same_is_not() {
    let (old, new) = (tree(&content(7, 1)), tree(&content(8, 2)));
    let seqs = walk_all(&new, &zone(&[&new])).seqs;
    assert_eq!(seqs.get(new.url()), Some(8));
    let with = |tree: &Tree| walk(tree.url(), Limits::default(), seqs.clone(), &zone(&[tree]), 1);
    assert_eq!(problems(&with(&old)), [&Problem::Outdated { known: 8, found: 7 }]);
    assert_eq!(with(&new).records.len(), 2);
}

#[test]
fn the_lists_that_are_remembered_are_bounded() {
    let mut seqs = Seqs::default();
    let url = |at: usize| TreeUrl::new(*key(100).verifying_key(), &format!("{at}.org")).unwrap();
    (0..200).for_each(|at| seqs.note(&url(at), 5));
    assert_eq!(seqs.iter().count(), MAX_SEQS);
    assert_eq!(seqs.get(&url(199)), Some(5));
    seqs.note(&url(199), 4);
    assert_eq!(seqs.get(&url(199)), Some(5));
}

#[test]
fn linked_lists_are_walked_and_one_that_links_back_only_once() {
    let url = |domain| TreeUrl::new(*key(100).verifying_key(), domain).unwrap();
    let list = |domain, link, record| {
        let content =
            Content { records: vec![node(record, 1)], links: vec![url(link), url(domain)], ..content(1, 0) };
        Tree::sign(&key(100), domain, &content).unwrap()
    };
    let (one, two) = (list("one.org", "two.org", 1), list("two.org", "one.org", 2));
    let findings = walk_all(&one, &zone(&[&one, &two]));
    assert_eq!(who(&findings.records), who(&nodes(2)));
    assert_eq!(findings.wrong, 0);
    assert_eq!(findings.asked, one.entries().count() + two.entries().count());
}

#[test]
fn a_linked_list_that_is_gone_takes_nothing_from_the_first() {
    let gone = TreeUrl::new(*key(100).verifying_key(), "gone.org").unwrap();
    let tree = tree(&Content { links: vec![gone], ..content(1, 5) });
    let findings = walk_all(&tree, &zone(&[&tree]));
    assert_eq!(findings.records.len(), 5);
    assert_eq!(findings.problems, [("gone.org".to_owned(), Problem::NoRoot)]);
}

#[test]
fn no_more_lists_are_walked_than_the_limit_says() {
    let trees: Vec<_> = (1..=10u8)
        .map(|at| {
            let next = TreeUrl::new(*key(100).verifying_key(), &format!("{}.org", at + 1)).unwrap();
            let content = Content { records: vec![node(at, 1)], links: vec![next], ..content(1, 0) };
            Tree::sign(&key(100), &format!("{at}.org"), &content).unwrap()
        })
        .collect();
    let findings = walk_all(&trees[0], &zone(&trees.iter().collect::<Vec<_>>()));
    assert_eq!((findings.records.len(), findings.is_cut_off), (8, true));
}

#[test]
fn no_more_names_are_asked_for_than_the_limit_says() {
    let tree = tree(&content(1, 60));
    let limits = Limits { entries: 20, ..Limits::default() };
    let findings = walk(tree.url(), limits, Seqs::default(), &zone(&[&tree]), 1);
    assert_eq!((findings.asked, findings.is_cut_off), (20, true));
}

#[test]
fn no_deeper_entries_are_asked_for_than_the_limit_says() {
    let tree = tree(&content(1, 9));
    let reach = |depth| {
        let limits = Limits { depth, ..Limits::default() };
        let findings = walk(tree.url(), limits, Seqs::default(), &zone(&[&tree]), 1);
        (findings.records.len(), findings.is_cut_off)
    };
    assert_eq!((reach(2), reach(3)), ((0, true), (9, false)));
}

#[test]
fn a_node_among_the_links_and_a_link_among_the_nodes_are_refused() {
    let key = key(100);
    let url = TreeUrl::new(*key.verifying_key(), DOMAIN).unwrap();
    let other = TreeUrl::new(*key.verifying_key(), "other.org").unwrap();
    let (node, link) = (node(1, 1).to_string(), other.to_string());
    let root = Root::sign(Hash::of(&link), Hash::of(&node), 1, &key).to_string();
    let below = |text: &str| format!("{}.{DOMAIN}", Hash::of(text));
    let zone = BTreeMap::from([(DOMAIN.to_owned(), root), (below(&node), node), (below(&link), link)]);
    let findings = walk(&url, Limits::default(), Seqs::default(), &zone, 1);
    assert_eq!(problems(&findings), [&Problem::Misplaced; 2]);
    assert_eq!(findings.records, []);
}

#[test]
fn a_branch_that_names_an_entry_many_times_has_it_asked_for_once() {
    let key = key(100);
    let url = TreeUrl::new(*key.verifying_key(), DOMAIN).unwrap();
    let node = node(1, 1).to_string();
    let branch = Entry::Branch(vec![Hash::of(&node); 100]).to_string();
    let root = Root::sign(Hash::of(&branch), Hash::of(&branch), 1, &key).to_string();
    let below = |text: &str| format!("{}.{DOMAIN}", Hash::of(text));
    let zone = BTreeMap::from([(DOMAIN.to_owned(), root), (below(&node), node), (below(&branch), branch)]);
    assert_eq!(walk(&url, Limits::default(), Seqs::default(), &zone, 1).asked, 3);
}

#[test]
fn the_problems_that_are_kept_are_bounded_and_all_are_counted() {
    let tree = tree(&Content { max_children: 100, ..content(1, 60) });
    let mut zone = zone(&[&tree]);
    zone.values_mut().filter(|text| text.starts_with("enr:")).for_each(|text| text.push(' '));
    let findings = walk_all(&tree, &zone);
    assert_eq!((findings.wrong, findings.problems.len()), (60, MAX_PROBLEMS));
}
