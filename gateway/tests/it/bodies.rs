//! Bodies: limits, pressure back, and what breaks off.

use bytes::Bytes;
use waku_gateway::audit::Phase;
use waku_gateway::stand_in::Mood;
use waku_gateway::{BodyError, Origin, Request, upload};

use crate::house::{House, caller, get, head, message, post, text};

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_limit() {
    let house = House::open("max_response_bytes = 100000").await;
    house.stand_in.set_mood(Mood::Endless);
    let mut response = house.get("/x").await;
    assert_eq!(response.status, 200);
    let mut got = 0;
    let error = loop {
        match response.next().await.unwrap() {
            Ok(piece) => got += piece.len(),
            Err(error) => break error,
        }
        assert!(got <= 100_000);
    };
    assert_eq!(error, BodyError::TooLong(100_000));
    assert!(response.next().await.is_none());
}

#[tokio::test]
async fn a_body_that_nobody_reads_stays_at_the_service() {
    let house = House::open("max_response_bytes = 67108864").await;
    house.stand_in.set_mood(Mood::Endless);
    let mut response = house.get("/x").await;
    let first = response.next().await.unwrap().unwrap();
    // The service goes on until the buffers between are full; other requests show that time passes meanwhile.
    let (mut before, mut still) = (0, 0);
    while still < 20 {
        house.stand_in.set_mood(Mood::Calm);
        text(house.get("/eth/v1/node/version").await).await;
        let sent = house.stand_in.sent();
        still = if sent == before { still + 1 } else { 0 };
        before = sent;
        assert!(sent < 16 << 20, "{sent} bytes went out for {} that were read", first.len());
    }
    drop(response);
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_refused_at_once() {
    let house = House::open("").await;
    house.stand_in.set_mood(Mood::Huge);
    let response = house.get("/x").await;
    assert_eq!((response.status, response.origin), (502, Origin::Gateway));
    assert!(message(response).await.contains("longer than the 1048576 bytes"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told_as_such() {
    let house = House::open("").await;
    house.stand_in.set_mood(Mood::BreakOff);
    let response = house.get("/x").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.read().await, Err(BodyError::BrokenOff));
}

#[tokio::test]
async fn a_service_that_drips_is_given_up() {
    let house = House::open("timeout_ms = 300").await;
    house.stand_in.set_mood(Mood::Drip);
    let mut response = house.get("/x").await;
    let mut pieces = 0;
    let error = loop {
        match response.next().await.unwrap() {
            Ok(_) => pieces += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, BodyError::TimedOut);
    assert!((1..=300 / 20).contains(&pieces), "{pieces} pieces");
}

#[tokio::test]
async fn a_body_that_is_longer_than_the_path_takes_reaches_no_service() {
    let house = House::nimbus("").await;
    let long = "x".repeat(64 * 1024 + 1);
    let response = house.gateway.handle(&caller("operate"), post("/nimbus/v1/graffiti", &long)).await;
    assert_eq!(response.status, 413);
    let mut request = get("/eth/v1/node/version");
    request.body = waku_gateway::RequestBody::Whole(Bytes::from_static(b"x"));
    assert_eq!(house.gateway.handle(&caller("monitor"), request).await.status, 413);
    assert_eq!(house.stand_in.seen(), []);
}

#[tokio::test]
async fn an_order_that_breaks_off_half_way_is_not_carried_out() {
    let house = House::nimbus("").await;
    let (sender, body) = upload(1);
    let request = Request { head: head("POST", "/nimbus/v1/graffiti"), body };
    let gateway = house.gateway.clone();
    let response = tokio::spawn(async move { gateway.handle(&caller("operate"), request).await });
    sender.send(Bytes::from_static(b"half of")).await.unwrap();
    drop(sender);
    let response = response.await.unwrap();
    assert_eq!(response.status, 400);
    assert!(message(response).await.contains("broke off"));
    assert_eq!(house.stand_in.seen(), []);
    // Not even begun.
    let entries = loop {
        match house.log().entries {
            none if none.is_empty() => tokio::task::yield_now().await,
            entries => break entries,
        }
    };
    assert!(entries.iter().all(|entry| entry.phase != Phase::Begun), "{entries:?}");
}

#[tokio::test]
async fn a_question_with_a_long_body_is_passed_on_while_it_comes_in() {
    let house = House::nimbus("").await;
    let (sender, body) = upload(1);
    let request = Request { head: head("POST", "/eth/v1/validator/duties/attester/3"), body };
    let gateway = house.gateway.clone();
    let response = tokio::spawn(async move { gateway.handle(&caller("monitor"), request).await });
    for _ in 0..32 {
        sender.send(Bytes::from_static(&[b'1'; 1024])).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(response.await.unwrap().status, 200);
    let seen = house.stand_in.seen();
    assert_eq!(seen[0].body.len(), 32 * 1024);
    assert!(seen[0].headers.contains(&("transfer-encoding".to_owned(), "chunked".to_owned())));
}

#[tokio::test]
async fn a_service_that_waits_for_the_app_is_not_said_to_hang() {
    let rule = "methods = [\"GET\", \"POST\"]\nchanges = false\ntimeout_ms = 50";
    let house = House::open(rule).await;
    let (sender, body) = upload(1);
    let request = Request { head: head("POST", "/eth/v1/validator/duties/attester/3"), body };
    let gateway = house.gateway.clone();
    let response = tokio::spawn(async move { gateway.handle(&caller("monitor"), request).await });
    sender.send(Bytes::from_static(b"[")).await.unwrap();
    // Each of these takes as long as a service may.
    house.stand_in.set_mood(Mood::Hang);
    for _ in 0..5 {
        assert_eq!(house.get("/x").await.status, 504);
    }
    house.stand_in.set_mood(Mood::Calm);
    sender.send(Bytes::from_static(b"]")).await.unwrap();
    sender.finish().await.unwrap();
    assert_eq!(response.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_streamed_question_that_is_too_long_or_breaks_off_is_refused() {
    let house = House::nimbus("").await;
    for (pieces, status) in [(65, 413), (1, 400)] {
        let (sender, body) = upload(1);
        let request = Request { head: head("POST", "/eth/v1/validator/duties/attester/3"), body };
        let gateway = house.gateway.clone();
        let response = tokio::spawn(async move { gateway.handle(&caller("monitor"), request).await });
        for _ in 0..pieces {
            if sender.send(Bytes::from_static(&[b'1'; 1024])).await.is_err() {
                break;
            }
        }
        drop(sender);
        assert_eq!(response.await.unwrap().status, status);
    }
    assert_eq!(house.stand_in.seen(), [], "a request whose body is not whole is none");
}
