//! What the two services write while requests go through them, at the most talkative.

use std::fs;

use waku_gateway::stand_in::Mood;

use crate::process::Process;
use crate::raw::exchange;
use crate::scene::{Scene, paired};

/// Ends a service and gives everything it wrote.
fn written_by(process: Process) -> String {
    process.signal("TERM");
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    ended.output
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_leave_none_of_their_secrets_in_the_log() {
    let (stage, beacon) = paired().await;
    let file = stage.app().join("local-token");
    fs::write(&file, "the-local-token-7c1d").unwrap();
    let token = format!("--local-token-file={}", file.display());
    let scene = Scene::at_work(stage, beacon, &["--log-level=trace"], &["--log-level=trace", &token]);
    scene.grant("operate");
    scene.grant("keys");
    let mut count = 0;
    let mut ask = |method: &str, path: &str, body: &str| {
        count += 1;
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(scene.url(path))
            .header("authorization", "Bearer the-local-token-7c1d")
            .header("idempotency-key", format!("the-key-5b2e-{count}"))
            .header("user-agent", "the-header-88a0")
            .body(body.to_owned())
            .unwrap();
        crate::scene::read(scene.agent().run(request).unwrap())
    };
    assert_eq!(ask("GET", "/eth/v1/beacon/headers?slot=the-query-41f9", "").status, 200);
    assert_eq!(ask("POST", "/nimbus/v1/graffiti", "the-body-90c3").status, 200);
    let graffiti = ask("GET", "/nimbus/v1/graffiti", "");
    assert!(String::from_utf8_lossy(&graffiti.body).contains("the-body-90c3"), "{graffiti:?}");
    assert_eq!(ask("GET", "/eth/v1/keystores", "").status, 200);
    // What is refused is no less secret.
    assert_eq!(ask("GET", "/nothing/the-path-2d77?the-query-41f9", "").status, 404);
    assert_eq!(ask("GET", "/eth/../the-path-2d77", "").status, 400);
    assert_eq!(ask("POST", "/node-manager/v1/services/the-path-2d77/start", "the-body-90c3").status, 404);

    // And what goes wrong is told without it.
    scene.beacon.set_mood(Mood::BreakOff);
    ask("GET", "/open/the-path-2d77?the-query-41f9", "");
    exchange(&scene.endpoint, "no request at all: the-path-2d77\r\n\r\n");

    let Scene { host, app, .. } = scene;
    let logs = [
        ("app", written_by(app), "a local connection ended"),
        ("host", written_by(host), "an answer broke off"),
    ];
    for (whose, output, debug) in logs {
        assert!(output.contains(debug), "the log of the {whose} was not read: {output}");
        for secret in [
            "the-local-token",
            "stand-in-token",
            "the-key-5b2e",
            "the-header-88a0",
            "the-query-41f9",
            "the-body-90c3",
            "the-path-2d77",
        ] {
            let lines: Vec<_> = output.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "the {whose} wrote {secret}: {lines:#?}");
        }
    }
}
