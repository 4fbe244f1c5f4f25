//! Bodies without end, services that hang, redirect or are gone.

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream;
use waku_gateway::stand_in::{Mood, Options, StandIn};
use waku_tunnel::request::{Body, Request};

use crate::raw::{exchange, statuses};
use crate::scene::{Scene, change_grants, read};
use crate::within::{Within, order};

/// More than a process has that keeps what it should not.
const MUCH: u64 = 400 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_misbehaves_is_cut_off_and_said_to() {
    let mut scene = Scene::new().await;
    scene.beacon.set_mood(Mood::Huge);
    let huge = scene.get("/open/huge");
    assert_eq!(huge.status, 502, "{huge:?}");
    assert!(huge.json()["message"].as_str().unwrap().contains("longer than"), "{huge:?}");

    scene.beacon.set_mood(Mood::Hang);
    let hung = scene.get("/open/hung");
    assert_eq!(hung.status, 504, "{hung:?}");

    scene.beacon.set_mood(Mood::Redirect);
    let redirected = scene.agent().get(scene.url("/open/away")).call().unwrap();
    assert_eq!(redirected.status().as_u16(), 307);
    assert!(redirected.headers().get("location").is_none(), "{:?}", redirected.headers());

    // What has begun cannot have another status: it breaks off where it is.
    for mood in [Mood::Endless, Mood::Drip] {
        scene.beacon.set_mood(mood);
        let answer = scene.agent().get(scene.url("/open/long")).call().unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{mood:?}");
        let read = answer.into_body().with_config().limit(1 << 20).read_to_vec();
        assert!(read.is_err(), "{mood:?}: {} bytes", read.unwrap().len());
    }
    // What broke off before any of it was on its way has no status yet.
    scene.beacon.set_mood(Mood::BreakOff);
    let answer = scene.agent().get(scene.url("/open/short")).call().unwrap();
    match answer.status().as_u16() {
        200 => assert!(answer.into_body().read_to_vec().is_err()),
        status => assert_eq!((status, read(answer).reason.as_deref()), (502, Some("failed"))),
    }
    // The next request is another one.
    scene.beacon.set_mood(Mood::Calm);
    assert_eq!(scene.get("/open/eth/v1/node/version").status, 200);
    assert!(scene.host.peak_memory() < MUCH && scene.app.peak_memory() < MUCH);

    // And a service that is not there is named.
    let address = scene.beacon.address();
    scene.beacon = StandIn::start(Options::default()).await.unwrap();
    let down = scene.get("/open/eth/v1/node/version");
    assert_eq!(down.status, 502, "{down:?}");
    assert!(down.json()["message"].as_str().unwrap().contains(&address.to_string()), "{down:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_too_long_is_refused_without_being_awaited() {
    let scene = Scene::new().await;
    scene.grant("operate");
    // As long as goes at once, and longer than the network takes ahead.
    for len in [100 << 10, 8 << 20] {
        let head = "POST /nimbus/v1/graffiti HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n";
        let text = format!("{head}Content-Length: {len}\r\n\r\n{}", "x".repeat(len));
        let read = exchange(&scene.endpoint, &text);
        // Who is still writing may not get to read the answer.
        assert!(matches!(statuses(&read)[..], [] | [413]), "{read}");
    }
    let long = scene.post("/nimbus/v1/graffiti", &vec![b'x'; 100 << 10]);
    assert_eq!(long.status, 413, "{long:?}");
    assert_eq!(scene.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_that_is_wanted_arrives_whole() {
    let scene = Scene::new().await;
    scene.grant("keys");
    let body: Vec<u8> = (0..3 << 20).map(|at: u32| (at % 251) as u8).collect();
    let sent = scene.post("/eth/v1/keystores", &body);
    assert_eq!(sent.status, 200, "{sent:?}");
    let seen = scene.beacon.seen();
    let uploads: Vec<_> = seen.iter().filter(|seen| seen.target == "/eth/v1/keystores").collect();
    assert!(uploads.len() == 1 && uploads[0].body == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_does_not_go_off() {
    const PIECE: Bytes = Bytes::from_static(&[0; 128 << 10]);
    let within = Within::new().await;
    change_grants(&within.stage, "grant", "operate");
    change_grants(&within.stage, "grant", "keys");
    // A gigabyte of nothing, which is next to nothing on its way: for a path that takes little, and for one that takes
    // much.
    for (key, path) in [(1, "/nimbus/v1/graffiti"), (2, "/eth/v1/keystores")] {
        let bomb =
            Request { compress: true, body: Body::Streamed(None), path: path.to_owned(), ..order(key) };
        let pieces = stream::iter((0..8192).map(|_| Ok::<_, Infallible>(PIECE)));
        let answered = within.open(bomb).await.send(pieces).await.unwrap();
        match answered {
            Ok(exchange) => assert_eq!(exchange.status, 413),
            Err(error) => panic!("{path}: {error}"),
        }
    }
    assert_eq!(within.posts(), 0);
    assert!(within.host.peak_memory() < MUCH);
    assert_eq!(within.ask(Request::new("GET", "/eth/v1/node/version")).await.status, 200);
}
