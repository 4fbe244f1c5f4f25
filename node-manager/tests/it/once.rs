//! What changes something runs once, whoever says it again, and not after its time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use waku::{Delivery, PubsubTopic, WakuMessage};
use waku_gateway::stand_in::Mood;
use waku_tunnel::request::{Code, Reason, Request};

use crate::scene::{Scene, change_grants, paired, until_seen};
use crate::within::{Within, order, unix};

const PATH: &str = "/nimbus/v1/graffiti";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_said_again_after_restarts_of_either_side_is_answered_from_what_is_kept() {
    let mut scene = Scene::new().await;
    scene.grant("operate");
    let first = scene.post_once(PATH, "once");
    assert_eq!(first.status, 200, "{first:?}");
    for restarted in ["host", "app"] {
        if restarted == "host" {
            scene.host.kill();
            scene.host = scene.stage.run_host();
            scene.host.expect("session up");
        } else {
            scene.app.kill();
            scene.app = scene.stage.run_app();
            scene.app.expect("session up");
        }
        let again = scene.post_once(PATH, "once");
        assert_eq!((again.status, &again.body), (200, &first.body), "after a restart of the {restarted}");
        assert_eq!(scene.posts(), 1);
    }
    // Another name is another request.
    assert_eq!(scene.post_once(PATH, "twice").status, 200);
    assert_eq!(scene.posts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_run_may_be_sent_again_under_its_name() {
    let scene = Scene::new().await;
    assert_eq!(scene.post_once(PATH, "once").status, 403);
    scene.grant("operate");
    assert_eq!(scene.post_once(PATH, "once").status, 200);
    assert_eq!(scene.posts(), 1);
    // Now it did.
    scene.revoke("operate");
    assert_eq!(scene.post_once(PATH, "once").status, 200);
    assert_eq!(scene.posts(), 1);
}

/// Everything that goes over the relay, as an eavesdropper writes it down.
async fn eavesdrop(relay: &waku::Node) -> Arc<Mutex<Vec<WakuMessage>>> {
    let topic: PubsubTopic = "/waku/2/rs/0/0".parse().unwrap();
    let mut subscription = relay.relay().subscribe(topic).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(Delivery::Message(envelope)) = subscription.recv().await {
            notes.lock().unwrap().push(envelope.message().clone());
        }
    });
    heard
}

/// Publishes messages again, the same but for their time.
async fn replay(relay: &waku::Node, heard: &[WakuMessage]) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let now = i64::try_from(now).unwrap();
    for (at, message) in (0..).zip(heard) {
        let again = WakuMessage { timestamp: Some(now + at), ..message.clone() };
        relay.relay().publish(again).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_eavesdropper_says_again_does_nothing() {
    let (stage, beacon) = paired().await;
    let heard = eavesdrop(&stage.relay).await;
    let mut scene = Scene::at_work(stage, beacon, &[], &[]);
    scene.grant("operate");
    assert_eq!(scene.post(PATH, b"hello").status, 200);
    let tape = heard.lock().unwrap().clone();
    assert!(tape.len() > 4, "handshake, request and answer were heard: {}", tape.len());

    replay(&scene.stage.relay, &tape).await;
    // What comes afterwards is answered afterwards, and the session has taken no harm.
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);
    assert_eq!(scene.posts(), 1);

    // Nor to processes that remember nothing of it.
    scene.host.kill();
    scene.host = scene.stage.run_host();
    scene.host.expect("session up");
    replay(&scene.stage.relay, &tape).await;
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_comes_too_late_is_refused() {
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    // The host is away for as long as the order is good, the clocks' difference included.
    let late = unix() + Duration::from_secs(1);
    let not_after = Some(waku_noise_session::time::UnixTime::from_secs(late.as_secs() - 20));
    within.host.signal("STOP");
    let asked = within.open(Request { not_after, ..order(1) }).await;
    while unix() <= late {
        sleep(Duration::from_millis(20)).await;
    }
    within.host.signal("CONT");
    let error = asked.answer().await.unwrap_err();
    let node_manager::tunnels::AskError::Ended(Reason::Reset { code: Code::Expired, time: Some(_) }) = error
    else {
        panic!("{error}");
    };
    assert_eq!(within.posts(), 0);
    // What ran in its time is answered at any time.
    assert_eq!(within.ask(order(2)).await.status, 200);
    assert_eq!(within.ask(Request { not_after, ..order(2) }).await.status, 200);
    assert_eq!(within.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_was_lost_has_run_once() {
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    within.beacon.set_mood(Mood::Hang);
    let asked = within.open(order(1)).await;
    until_seen(&within.beacon, |seen| seen.method == "POST").await;
    // Whoever asked waits no more, and the answer has nowhere to go.
    drop(asked);
    within.beacon.set_mood(Mood::Calm);
    assert_eq!(within.ask(order(1)).await.status, 200);
    assert_eq!(within.posts(), 1);
}
