//! kill -9 in the middle of an order, and bodies that break off.

use waku_gateway::stand_in::Mood;

use crate::raw::Raw;
use crate::scene::{Scene, read, until_seen};

const PATH: &str = "/nimbus/v1/graffiti";
const KEYSTORES: &str = "/eth/v1/keystores";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_which_the_host_was_killed_is_not_run_again() {
    let mut scene = Scene::new().await;
    scene.grant("operate");
    scene.beacon.set_mood(Mood::Hang);
    let asking = scene.posting_once(PATH, "once");
    until_seen(&scene.beacon, |seen| seen.method == "POST").await;
    scene.host.kill();
    scene.beacon.set_mood(Mood::Calm);
    scene.host = scene.stage.run_host();
    // The app asks the new process by itself, which knows that it was begun and no more.
    let answer = asking.join().unwrap().unwrap();
    assert_eq!((answer.status, answer.reason.as_deref()), (502, Some("indeterminate")), "{answer:?}");
    let again = scene.post_once(PATH, "once");
    assert_eq!((again.status, again.reason.as_deref()), (502, Some("indeterminate")), "{again:?}");
    assert_eq!(scene.posts(), 1);
    assert_eq!(scene.post_once(PATH, "anew").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_which_the_app_was_killed_runs_once_and_its_answer_is_kept() {
    let mut scene = Scene::new().await;
    scene.grant("operate");
    scene.beacon.set_mood(Mood::Hang);
    let asking = scene.posting_once(PATH, "once");
    until_seen(&scene.beacon, |seen| seen.method == "POST").await;
    scene.app.kill();
    assert!(asking.join().unwrap().is_err(), "nobody is there to answer");
    scene.app = scene.stage.run_app();
    scene.app.expect("session up");
    // It still runs, and whoever asks again waits for the same answer.
    let again = scene.posting_once(PATH, "once");
    scene.beacon.set_mood(Mood::Calm);
    let again = again.join().unwrap().unwrap();
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(scene.post_once(PATH, "once").body, again.body);
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_order_was_whole_either_side_does_nothing() {
    let mut scene = Scene::new().await;
    scene.grant("keys");
    let first = begin_upload(&scene, "first");
    scene.app.kill();
    first.rest();
    scene.app = scene.stage.run_app();
    scene.app.expect("session up");

    let second = begin_upload(&scene, "second");
    scene.host.kill();
    scene.host = scene.stage.run_host();
    scene.host.expect("session up");
    drop(second);
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);
    assert_eq!(scene.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_goes_away_in_the_middle_may_begin_again() {
    let scene = Scene::new().await;
    scene.grant("keys");
    drop(begin_upload(&scene, "upload"));
    let sent = (0..50).map(|_| {
        let request = scene.agent().post(scene.url(KEYSTORES)).header("idempotency-key", "upload");
        request.send(&vec![b'x'; 2_000_000]).ok().map(read)
    });
    // Until the host knows that the first has gone it says that it is busy, perhaps before it has read all of it.
    let sent = sent.into_iter().flatten().find(|sent| sent.status != 503).unwrap();
    assert_eq!(sent.status, 200, "{sent:?}");
    assert_eq!(scene.posts(), 1);
}

/// Sends nearly all of an order that is longer than what goes at once: the host knows of it before it is whole.
fn begin_upload(scene: &Scene, key: &str) -> Raw {
    let mut raw = Raw::connect(&scene.endpoint);
    let head = format!("POST {KEYSTORES} HTTP/1.1\r\nHost: HOST\r\nIdempotency-Key: {key}\r\n");
    raw.send(&format!("{head}Content-Length: 2000000\r\n\r\n{}", "x".repeat(1_900_000)));
    // What is asked afterwards is answered afterwards.
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);
    raw
}
