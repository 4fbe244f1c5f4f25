//! More than can be done: requests wait within bounds, and what is beyond them is told so.

use std::thread;
use std::time::Duration;

use futures::future::join_all;
use node_manager::tunnels::{AskError, Asked};
use waku_tunnel::connection::{MAX_QUEUED, MAX_QUEUED_BYTES, OpenError};
use waku_tunnel::request::{Pace, Reason, Request};

use crate::scene::{Scene, paired, read};
use crate::within::Within;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_requests_wait_and_more_are_refused() {
    const MORE: usize = 500;
    let budget = Some((1_000_000, Duration::from_secs(1)));
    let within = Within::with(&["--message-budget=1000000/1"], budget).await;
    // Nobody answers while they are made.
    within.host.signal("STOP");
    let ask = |_| {
        let request = Request {
            timeout: Some(Duration::from_secs(10)),
            ..Request::new("GET", "/node-manager/v1/nothing")
        };
        within.tunnels().open(within.pairing, request)
    };
    let opened = join_all((0..MAX_QUEUED + MORE).map(ask)).await;
    let (waiting, refused): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert!((1..=MORE).contains(&refused.len()), "{}", refused.len());
    for error in refused.into_iter().filter_map(Result::err) {
        assert_eq!(error, AskError::Open(OpenError::Full));
    }
    let figures = within.tunnels().figures(within.pairing).await.unwrap();
    assert!(figures.buffered <= MAX_QUEUED_BYTES, "{figures:?}");

    within.host.signal("CONT");
    let read = async |asked: Asked| {
        let exchange = asked.answer().await?;
        assert_eq!(exchange.status, 404);
        Ok::<_, AskError>(exchange.read(1 << 16).await?)
    };
    let answers = join_all(waiting.into_iter().flatten().map(read)).await;
    let mut answered = 0;
    for answer in answers {
        match answer {
            Ok(_) => answered += 1,
            Err(error) => assert_eq!(error, AskError::Ended(Reason::Timeout)),
        }
    }
    assert!(answered > 100, "{answered}");
    assert_eq!(within.ask(Request::new("GET", "/eth/v1/node/version")).await.status, 200);
    assert!(within.host.peak_memory() < 400 << 20);
    let figures = within.tunnels().figures(within.pairing).await.unwrap();
    assert!(figures.buffered < 1 << 20, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_send_more_than_may_wait_are_told_to_come_again() {
    const PROGRAMS: usize = 24;
    let scene = Scene::new().await;
    scene.host.signal("STOP");
    let body = vec![b'x'; 1 << 20];
    let (agent, url) = (scene.agent(), scene.url("/open/question"));
    let answers: Vec<_> = thread::scope(|scope| {
        let ask = || {
            let post = agent.post(&url).header("x-node-manager-timeout", "2");
            let response = post.send(&body[..]).unwrap();
            let comes_again = response.headers().contains_key("retry-after");
            (comes_again, read(response))
        };
        let running: Vec<_> = (0..PROGRAMS).map(|_| scope.spawn(ask)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (mut timed_out, mut refused) = (0, 0);
    for (comes_again, answer) in answers {
        match (answer.status, answer.reason.as_deref()) {
            (504, Some("timeout")) => timed_out += 1,
            (503, Some("too-many-requests")) if comes_again => refused += 1,
            _ => panic!("{answer:?}"),
        }
    }
    assert!(timed_out > 0 && refused >= PROGRAMS - MAX_QUEUED_BYTES / (1 << 20), "{timed_out} {refused}");
    scene.host.signal("CONT");
    assert_eq!(scene.get("/eth/v1/node/version").status, 200);
    assert!(scene.app.peak_memory() < 400 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_messages_left_requests_wait_and_time_out_with_a_reason() {
    let (stage, beacon) = paired().await;
    // The handshake has used up more than there is.
    let scene = Scene::at_work(stage, beacon, &[], &["--message-budget=2/3600"]);
    let response = scene.agent().get(scene.url("/eth/v1/node/version")).header("x-node-manager-timeout", "1");
    let answer = read(response.call().unwrap());
    assert_eq!((answer.status, answer.reason.as_deref()), (504, Some("timeout")), "{answer:?}");
    assert!(answer.json()["message"].as_str().unwrap().contains("no answer over Waku"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_goes_away_leaves_its_place_to_others() {
    let within = Within::new().await;
    // An event of this kind comes every half a minute.
    let path = "/eth/v1/events?topics=finalized_checkpoint";
    for round in 0..80 {
        let events = within.ask(Request::subscribe(path, Pace::default())).await;
        assert_eq!(events.status, 200, "the {round}th");
    }
}
