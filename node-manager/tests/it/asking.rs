//! Asking a host's services over Waku.

use serde_json::json;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn the_services_of_a_host_answer_on_the_apps_machine() {
    let scene = Scene::new().await;
    let syncing = scene.get("/eth/v1/node/syncing");
    assert_eq!(syncing.status, 200, "{syncing:?}");
    assert_eq!(syncing.json()["data"]["is_syncing"], false);
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);

    // What is not on the list reaches no service.
    let seen = scene.beacon.seen().len();
    let refused = scene.get("/eth/v2/debug/beacon/states/head");
    assert_eq!((refused.status, &refused.json()["code"]), (404, &json!(404)));
    for path in ["/eth/v1/../v2/debug", "//eth/v1/node/version", "/eth/v1/node/%76ersion"] {
        assert_eq!(scene.get(path).status, 400, "{path}");
    }
    assert_eq!(scene.beacon.seen().len(), seen);

    // The command does the same.
    let ended = scene.stage.on_app(&["http", "beacon-01", "GET", "/eth/v1/node/syncing"]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("is_syncing"), "{}", ended.output);
    let ended = scene.stage.on_app(&["http", "beacon-01", "GET", "/nothing"]);
    assert_eq!(ended.code, Some(1), "{}", ended.output);

    // And it is written down.
    let ended = scene.stage.on_host(&["audit"]);
    assert!(ended.output.contains("laptop  GET /eth/v1/node/syncing: 200"), "{}", ended.output);
    assert!(ended.output.contains("GET (not on the list): refused 404"), "{}", ended.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_something_needs_its_grant_and_runs_once() {
    let scene = Scene::new().await;
    let path = "/nimbus/v1/graffiti";
    let posts = || scene.posts();
    assert_eq!(scene.post(path, b"hello").status, 403);
    assert_eq!(posts(), 0);
    scene.grant("operate");
    assert_eq!(scene.post(path, b"hello").status, 200);
    assert_eq!(posts(), 1);

    // The same request again is answered from what is kept.
    let first = scene.post_once(path, "once");
    let again = scene.post_once(path, "once");
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.body, again.body);
    assert_eq!(posts(), 2);
    // The name is taken.
    let other = scene.post_once("/nimbus/v1/chronicles/settings?log_level=INFO", "once");
    assert_eq!((other.status, other.reason.as_deref()), (422, Some("key-reused")));

    // What was granted is taken back.
    scene.revoke("operate");
    assert_eq!(scene.post(path, b"hello").status, 403);
    assert_eq!(posts(), 2);

    // What a pairing was granted goes with it.
    scene.grant("keys");
    let grants = || std::fs::read_to_string(scene.stage.host().join("grants.json")).unwrap();
    assert!(grants().contains("keys"));
    assert_eq!(scene.stage.on_host(&["peers", "revoke", "laptop"]).code, Some(0));
    let deadline = std::time::Instant::now() + crate::process::PATIENCE;
    while grants() != "{}" {
        assert!(std::time::Instant::now() < deadline, "{}", grants());
        std::thread::yield_now();
    }
}
