//! Grants that are taken back and pairings that end while something is under way.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use node_manager::tunnels::AskError;
use tokio::time::sleep;
use waku_gateway::stand_in::{Mood, StandIn};
use waku_tunnel::request::{Body, Code, Pace, Reason, Request};

use crate::raw::Raw;
use crate::scene::{Scene, change_grants, until_seen};
use crate::within::{Within, order};

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_grant_is_taken_back_reaches_no_service() {
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    let uploading = within.open(Request { body: Body::Streamed(None), ..order(1) }).await;
    uploading.write(Bytes::from_static(b"half of it")).await.unwrap();
    // What is asked afterwards on the same session is answered: the host has the first half by now.
    assert_eq!(within.ask(Request::new("GET", "/eth/v1/node/version")).await.status, 200);
    change_grants(&within.stage, "revoke", "operate");
    // It is told at once, not only at the end.
    assert_eq!(uploading.answer().await.unwrap().status, 403);
    assert_eq!(within.posts(), 0);
    // Nothing was done under that name.
    change_grants(&within.stage, "grant", "operate");
    assert_eq!(within.ask(order(1)).await.status, 200);
    assert_eq!(within.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_read_ends_with_its_grant() {
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    let refused = Reason::Reset { code: Code::Refused, time: None };

    let pace = Pace { min_interval_ms: 0, coalesce: false };
    let path = "/trusted/eth/v1/events?topics=head";
    let mut events = within.ask(Request::subscribe(path, pace)).await;
    assert_eq!(events.status, 200);
    assert!(events.event().await.unwrap().is_some());

    within.beacon.set_mood(Mood::Drip);
    let mut dripping = within.ask(Request::new("GET", "/trusted/long")).await;
    assert_eq!(dripping.status, 200);
    assert!(dripping.next().await.unwrap().is_some());

    change_grants(&within.stage, "revoke", "operate");
    let ended = loop {
        match dripping.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it has no end"),
            Err(reason) => break reason,
        }
    };
    assert_eq!(ended, refused);
    let ended = loop {
        match events.event().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it has no end"),
            Err(reason) => break reason,
        }
    };
    assert_eq!(ended, refused);
    let again = within.tunnels().ask(within.pairing, Request::subscribe(path, pace)).await.unwrap();
    assert_eq!(again.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_for_its_answer_ends_with_its_grant() {
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    within.beacon.set_mood(Mood::Hang);
    let hanging = within.open(Request::new("GET", "/trusted/hanging")).await;
    until_seen(&within.beacon, |seen| seen.target == "/hanging").await;
    change_grants(&within.stage, "revoke", "operate");
    let error = hanging.answer().await.unwrap_err();
    assert_eq!(error, AskError::Ended(Reason::Reset { code: Code::Refused, time: None }));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_pairing_whichever_side_ends_it() {
    for by_host in [true, false] {
        let scene = Scene::new().await;
        scene.grant("operate");
        scene.beacon.set_mood(Mood::Drip);
        let answer = scene.agent().get(scene.url("/trusted/long")).call().unwrap();
        let mut reader = answer.into_body().into_reader();
        reader.read_exact(&mut [0; 2]).unwrap();
        let mut upload = Raw::connect(&scene.endpoint);
        upload.send("POST /nimbus/v1/graffiti HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\nhalf");
        let ended = if by_host {
            scene.stage.on_host(&["peers", "revoke", "laptop"])
        } else {
            scene.stage.on_app(&["peers", "revoke", "beacon-01"])
        };
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        assert!(reader.read_to_end(&mut Vec::new()).is_err(), "it was not whole");
        upload.send("of it.");
        upload.rest();
        assert_eq!(scene.posts(), 0);
        until_quiet(&scene.beacon).await;
    }
}

/// Waits until the service hands out nothing any more: nobody reads it.
async fn until_quiet(beacon: &StandIn) {
    for _ in 0..100 {
        let before = beacon.sent();
        // Longer than a few of its drops take.
        sleep(Duration::from_millis(100)).await;
        if beacon.sent() == before {
            return;
        }
    }
    panic!("the service is still read");
}
