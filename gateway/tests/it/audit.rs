//! What is kept of requests.

use std::time::Duration;

use tokio::time::timeout;
use waku_gateway::audit::{Entry, Keep, Log, Phase, Reading, Recorder};
use waku_gateway::stand_in::Mood;
use waku_gateway::{Gateway, Request};

use crate::house::{House, TOKEN, caller, get, head, post, text};

/// The log with at least so many entries; the thread that writes it is on its way.
async fn log(house: &House, entries: usize) -> Reading {
    let written = async {
        loop {
            let reading = house.log();
            if reading.entries.len() >= entries {
                return reading;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), written).await.unwrap()
}

fn line(entry: &Entry) -> (Phase, &str, &str, &str, u16) {
    (entry.phase, entry.method.as_str(), entry.path.as_str(), entry.grant.as_str(), entry.status)
}

#[tokio::test]
async fn who_did_what_is_kept_and_no_secret_with_it() {
    let house = House::nimbus("").await;
    let read = text(house.get("/eth/v1/beacon/states/head/validators?id=12345").await).await;
    let mut request = post("/eth/v1/validator/0xfeed/graffiti", "the-body");
    request.head.headers.push(("accept".to_owned(), "the-header".to_owned()));
    assert_eq!(house.gateway.handle(&caller("keys"), request).await.status, 200);
    let reading = log(&house, 3).await;
    let lines: Vec<_> = reading.entries.iter().map(line).collect();
    let graffiti = "/eth/v1/validator/{pubkey}/graffiti";
    assert_eq!(
        lines,
        [
            (Phase::Done, "GET", "/eth/v1/beacon/states/head/validators", "monitor", 200),
            (Phase::Begun, "POST", graffiti, "keys", 0),
            (Phase::Done, "POST", graffiti, "keys", 200),
        ]
    );
    assert_eq!(reading.entries[0].bytes, read.len() as u64);
    assert_eq!(
        (reading.entries[0].pairing.as_str(), reading.entries[0].name.as_str()),
        ("a1", "Alice's phone")
    );
    let raw = std::fs::read_to_string(house.folder.path().join("audit.log")).unwrap();
    for secret in [TOKEN, "the-body", "the-header", "12345", "feed"] {
        assert!(!raw.contains(secret), "{secret} in {raw}");
    }
}

#[tokio::test]
async fn a_request_is_kept_as_soon_as_its_answer_is_read() {
    let house = House::nimbus("").await;
    let mut response = house.get("/eth/v1/node/version").await;
    while response.next().await.is_some() {}
    assert_eq!(log(&house, 1).await.entries[0].status, 200);
    drop(response);
}

#[tokio::test]
async fn refusals_and_failures_are_kept_too() {
    let house = House::nimbus("").await;
    let delete = Request { head: head("DELETE", "/eth/v1/keystores"), ..Request::default() };
    house.gateway.handle(&caller("operate"), delete).await;
    house.get("/nowhere").await;
    house.stand_in.set_mood(Mood::Fail);
    house.get("/eth/v1/node/version").await;
    let reading = log(&house, 3).await;
    let lines: Vec<_> = reading.entries.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            (Phase::Refused, "DELETE", "", "keys", 403),
            (Phase::Refused, "GET", "", "", 404),
            (Phase::Done, "GET", "/eth/v1/node/version", "monitor", 503),
        ]
    );
}

#[tokio::test]
async fn an_order_is_on_disk_before_the_service_hears_of_it() {
    let house = House::nimbus("").await;
    house.stand_in.set_mood(Mood::Hang);
    let gateway = house.gateway.clone();
    let order =
        tokio::spawn(
            async move { gateway.handle(&caller("operate"), post("/nimbus/v1/graffiti", "x")).await },
        );
    house.stand_in.saw(1).await;
    let begun = house.log();
    assert_eq!(begun.entries.iter().map(|entry| entry.phase).collect::<Vec<_>>(), [Phase::Begun]);
    // One that is given up has an end all the same, without a status.
    order.abort();
    assert!(order.await.is_err());
    let reading = log(&house, 2).await;
    assert_eq!((reading.entries[1].phase, reading.entries[1].status), (Phase::Done, 0));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_carried_out() {
    let house = House::nimbus("").await;
    let folder = tempfile::tempdir().unwrap();
    // A rotation that cannot be: a folder stands where the older file would go.
    let path = folder.path().join("audit.log");
    std::fs::create_dir_all(folder.path().join("audit.log.1/x")).unwrap();
    std::fs::write(&path, "x\n".repeat(4096)).unwrap();
    let log = Log::open(&path, Keep { max_bytes: 4096, files: 1 }).unwrap();
    let gateway = Gateway::new(house.config.clone(), Some(Recorder::start(log).unwrap()));
    let response = gateway.handle(&caller("operate"), post("/nimbus/v1/graffiti", "x")).await;
    assert_eq!(response.status, 503);
    assert_eq!(house.stand_in.seen(), []);
    // To look is still possible.
    assert_eq!(gateway.handle(&caller("monitor"), get("/eth/v1/node/version")).await.status, 200);
}
