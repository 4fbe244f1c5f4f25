//! The scenarios hold between two nodes of ours, wherever our node can play the other's part.

use futures::StreamExt as _;
use futures::stream;
use waku_interop::matrix::Verdict;
use waku_interop::ours::Ours;
use waku_interop::scenario::{SCENARIOS, Scenario, Scene};

/// What our node is not asked for in the foreign peer's place: crates of their own, and what it does by itself.
const NOT_PLAYED: [&str; 9] = [
    "lightpush-v2-served",
    "enr-of-theirs-read",
    "payload-symmetric",
    "payload-asymmetric",
    "noise-k1k1",
    "noise-xk1",
    "noise-xx",
    "noise-xxpsk0",
    "noise-waku-pairing",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_holds() {
    let folder = tempfile::tempdir().unwrap();
    let play = async |scenario: &Scenario| {
        let folder = folder.path().join(scenario.name);
        let verdict = Verdict::of(&(scenario.run)(&Scene { foreign: &Ours, folder: &folder }).await);
        (scenario.name, verdict)
    };
    let played: Vec<_> = stream::iter(SCENARIOS).map(play).buffer_unordered(8).collect().await;
    for (name, verdict) in played {
        let is_expected = match &verdict {
            Verdict::Pass => !NOT_PLAYED.contains(&name),
            Verdict::NotOffered(_) => NOT_PLAYED.contains(&name),
            Verdict::Differs(_) | Verdict::Fail(_) => false,
        };
        assert!(is_expected, "{name}: {verdict}");
    }
}
