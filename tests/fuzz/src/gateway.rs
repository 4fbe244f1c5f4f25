//! What a paired app may ask of a host, and what is read of a node's figures.

use std::sync::LazyLock;

use waku_gateway::Config;
use waku_gateway::metrics::{Sample, Selection};
use waku_gateway::policy::{Glob, Grant, Grants, Head, Policy};
use waku_gateway::watch::History;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = Config::parse("nimbus", "profile = \"nimbus\"");
    config.expect("the profile is a configuration").policy
});

/// Whatever is asked, what is called is a path of ASCII at a configured service, without anything that could lead
/// elsewhere. A history that is read is written as it was read, and of metrics only whole samples are kept.
pub fn run(data: &[u8]) {
    if let Ok(history) = History::decode(data) {
        assert_eq!(History::decode(&history.encode()), Ok(history));
    }
    let mut selection = Selection::new(Glob::parse("a*").into_iter().collect(), Vec::new());
    data.chunks(7).for_each(|piece| selection.push(piece));
    if let Some(kept) = selection.finish() {
        assert!(
            kept.lines().all(|line| Sample::parse(line).is_some_and(|sample| sample.name.starts_with('a')))
        );
    }
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (method, target) = (next(), next());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    ask(&Head { method, target, headers });
}

fn ask(head: &Head) {
    let grants: Grants = [Grant::Operate, Grant::Keys].into_iter().collect();
    let Ok(decision) = POLICY.decide(head, grants) else { return };
    let path = decision.target.split('?').next().unwrap_or_default();
    assert!(
        path.starts_with('/') && !["..", "//", "%", "@", "\\"].iter().any(|odd| path.contains(odd)),
        "{path}"
    );
    assert!(decision.target.bytes().all(|byte| byte.is_ascii_graphic()), "{}", decision.target);
    assert!(decision.url().starts_with("http://127.0.0.1:"), "{}", decision.url());
    for (name, value) in decision.headers() {
        assert!(
            name != "host"
                && name != "authorization"
                && value.bytes().all(|byte| byte == b'\t' || byte >= b' ')
        );
    }
}
