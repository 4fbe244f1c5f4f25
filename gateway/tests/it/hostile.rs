//! Services that hang, lie, redirect or are not there; apps that ask too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use waku_gateway::stand_in::Mood;
use waku_gateway::{Config, Gateway, Origin, Request};

use crate::house::{House, before, caller, get, header, message, open_config, post, raw};

#[tokio::test]
async fn a_service_that_is_down_is_named_with_what_to_check() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let response = before(address, "").handle(&caller("monitor"), get("/x")).await;
    assert_eq!((response.status, response.origin), (502, Origin::Gateway));
    let told = message(response).await;
    assert!(
        told.contains("`open`") && told.contains(&address.to_string()) && told.contains("check"),
        "{told}"
    );
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_in_time() {
    let house = House::open("timeout_ms = 100").await;
    house.stand_in.set_mood(Mood::Hang);
    let response = house.get("/x").await;
    assert_eq!((response.status, response.origin), (504, Origin::Gateway));
    assert!(message(response).await.contains("in time"));
}

#[tokio::test]
async fn a_service_that_accepts_and_says_nothing_is_given_up_in_time() {
    let (address, _server) = raw(Vec::new(), false).await;
    let response = before(address, "timeout_ms = 100").handle(&caller("monitor"), get("/x")).await;
    assert_eq!(response.status, 504);
}

#[tokio::test]
async fn a_redirect_is_neither_followed_nor_shown() {
    // Where the redirect would lead on this machine: nobody may knock there.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let answer =
            format!("HTTP/1.1 {status}\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n");
        let (address, _server) = raw(answer.into_bytes(), true).await;
        let response = before(address, "").handle(&caller("monitor"), get("/x")).await;
        assert_eq!((response.status.to_string(), response.origin), (status[..3].to_owned(), Origin::Service));
        assert_eq!(response.headers, []);
    }
    let knock =
        std::future::poll_fn(|context| std::task::Poll::Ready(elsewhere.poll_accept(context).is_ready()));
    assert!(!knock.await);

    let house = House::open("").await;
    house.stand_in.set_mood(Mood::Redirect);
    let response = house.get("/x").await;
    assert_eq!((response.status, header(&response, "location")), (307, None));
}

#[tokio::test]
async fn cookies_and_the_connections_own_headers_stay_here() {
    let house = House::open("").await;
    house.stand_in.set_mood(Mood::Cookies);
    let response = house.get("/x").await;
    let names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etag", "content-type"]);
}

#[tokio::test]
async fn what_is_no_answer_is_told_as_such() {
    let headers = |count: usize| "a: b\r\n".repeat(count);
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(200_000));
    for answer in [
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"\0\0\0\0".to_vec(),
        Vec::new(),
        b"HTTP/1.1 200".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_vec(),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", headers(1000)).into_bytes(),
        long.into_bytes(),
    ] {
        let (address, _server) = raw(answer.clone(), true).await;
        let response = before(address, "").handle(&caller("monitor"), get("/x")).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned();
        assert_eq!((response.status, response.origin), (502, Origin::Gateway), "{shown}");
    }
}

#[tokio::test]
async fn a_service_takes_some_lets_some_wait_and_refuses_the_rest() {
    // Two run and one waits, see `open_config`.
    let house = House::open("timeout_ms = 60000").await;
    house.stand_in.set_mood(Mood::Hang);
    let ask = |pairing: usize| {
        let gateway = house.gateway.clone();
        let mut caller = caller("monitor");
        caller.pairing = pairing.to_string();
        tokio::spawn(async move { gateway.handle(&caller, get("/eth/v1/node/version")).await })
    };
    let running = [ask(0), ask(1)];
    house.stand_in.saw(2).await;
    let mut later = vec![ask(2), ask(3)];
    // One of the two finds the queue full; which one, the scheduler says.
    let refused = loop {
        if let Some(at) = later.iter().position(tokio::task::JoinHandle::is_finished) {
            break later.swap_remove(at).await.unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((refused.status, header(&refused, "retry-after")), (503, Some("1")));
    house.stand_in.set_mood(Mood::Calm);
    for request in running.into_iter().chain(later) {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_is_not_made_once_its_grant_is_gone() {
    let house = House::open("methods = [\"GET\", \"POST\"]\ngrant = \"operate\"\ntimeout_ms = 60000").await;
    house.stand_in.set_mood(Mood::Hang);
    let granted = Arc::new(AtomicBool::new(true));
    let ask = |request: Request| {
        let (gateway, granted) = (house.gateway.clone(), Arc::clone(&granted));
        tokio::spawn(async move {
            let grants =
                || if granted.load(Ordering::Relaxed) { "operate" } else { "monitor" }.parse().unwrap();
            gateway.handle_while(&caller("operate"), request, &grants).await
        })
    };
    // Two run, the third waits.
    let running = [ask(get("/x")), ask(get("/x"))];
    house.stand_in.saw(2).await;
    let waiting = ask(post("/x", "stop"));
    granted.store(false, Ordering::Relaxed);
    house.stand_in.set_mood(Mood::Calm);
    for request in running {
        assert_eq!(request.await.unwrap().status, 404, "the stand-in has no such path");
    }
    let refused = waiting.await.unwrap();
    assert_eq!((refused.status, refused.was_sent), (403, false));
    assert_eq!(house.stand_in.seen().len(), 2);
}

#[tokio::test]
async fn one_pairing_does_not_take_the_places_of_another() {
    let house = House::nimbus("[limits]\nper_peer = 2\n").await;
    house.stand_in.set_mood(Mood::Hang);
    let ask = || {
        let gateway = house.gateway.clone();
        tokio::spawn(async move { gateway.handle(&caller("monitor"), get("/eth/v1/node/version")).await })
    };
    let running = [ask(), ask()];
    house.stand_in.saw(2).await;
    assert_eq!(house.get("/eth/v1/node/version").await.status, 429);
    let mut other = caller("monitor");
    other.pairing = "b2".to_owned();
    let gateway = house.gateway.clone();
    let other = tokio::spawn(async move { gateway.handle(&other, get("/eth/v1/node/version")).await });
    house.stand_in.saw(3).await;
    house.stand_in.set_mood(Mood::Calm);
    for request in running.into_iter().chain([other]) {
        assert_eq!(request.await.unwrap().status, 200);
    }
    assert_eq!(house.get("/eth/v1/node/version").await.status, 200);
}

#[tokio::test]
async fn an_answer_takes_up_its_places_until_it_is_read_or_dropped() {
    let house = House::nimbus("[limits]\nper_peer = 1\n").await;
    let mut response = house.get("/eth/v1/node/version").await;
    assert_eq!(house.get("/eth/v1/node/version").await.status, 429);
    while response.next().await.is_some() {}
    let again = house.get("/eth/v1/node/version").await;
    assert_eq!(again.status, 200);
    assert_eq!(house.get("/eth/v1/node/version").await.status, 429);
    drop(again);
    assert_eq!(house.get("/eth/v1/node/version").await.status, 200);
}

#[tokio::test]
async fn who_gives_a_request_up_frees_its_places() {
    let house = House::nimbus("[limits]\nper_peer = 1\n").await;
    house.stand_in.set_mood(Mood::Hang);
    for count in 1..=20 {
        let gateway = house.gateway.clone();
        let asked =
            tokio::spawn(
                async move { gateway.handle(&caller("monitor"), get("/eth/v1/node/version")).await },
            );
        house.stand_in.saw(count).await;
        asked.abort();
        assert!(asked.await.is_err());
    }
    house.stand_in.set_mood(Mood::Calm);
    assert_eq!(house.get("/eth/v1/node/version").await.status, 200);
}

#[tokio::test]
async fn without_its_token_file_a_service_is_not_called() {
    let house = House::nimbus("").await;
    std::fs::remove_file(house.folder.path().join("token")).unwrap();
    let response = house.gateway.handle(&caller("keys"), get("/eth/v1/keystores")).await;
    assert_eq!(response.status, 500);
    assert!(message(response).await.contains("`keymanager`"));
    assert_eq!(house.stand_in.seen(), []);
}

#[tokio::test]
async fn localhost_is_this_machine_whatever_a_resolver_says() {
    let house = House::open("").await;
    let text = open_config(house.stand_in.address(), "").replace("127.0.0.1", "localhost");
    let gateway = Gateway::new(Config::parse("test.toml", &text).unwrap(), None);
    assert_eq!(gateway.handle(&caller("monitor"), get("/eth/v1/node/version")).await.status, 200);
    assert!(
        house.stand_in.seen()[0]
            .headers
            .iter()
            .any(|(name, value)| name == "host" && value.starts_with("localhost:"))
    );
}
