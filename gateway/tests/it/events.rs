//! Subscriptions.

use waku_gateway::stand_in::Mood;
use waku_gateway::{Notice, Subscription};

use crate::house::{House, before, caller, head, message, raw};

const HEADS: &str = "/eth/v1/events?topics=head,finalized_checkpoint";

async fn subscribe(house: &House) -> Subscription {
    house.gateway.subscribe(&caller("monitor"), &head("GET", HEADS)).await.unwrap()
}

fn slot(notice: &Notice) -> u64 {
    let Notice::Event { kind, data, .. } = notice else { panic!("{notice:?}") };
    assert_eq!(kind, "head");
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    data["slot"].as_str().unwrap().parse().unwrap()
}

async fn next_head(subscription: &mut Subscription) -> Notice {
    loop {
        match subscription.next().await {
            Notice::Event { kind, .. } if kind != "head" => {}
            notice => return notice,
        }
    }
}

#[tokio::test]
async fn heads_come_at_most_as_often_as_the_pace_allows() {
    // Ten heads a second, of which two are told.
    let house = House::nimbus("").await;
    let mut subscription = subscribe(&house).await;
    let first = slot(&next_head(&mut subscription).await);
    let second = next_head(&mut subscription).await;
    let Notice::Event { left_out, .. } = &second else { panic!("{second:?}") };
    assert!(*left_out >= 1 && slot(&second) > first + 1, "{second:?} after {first}");
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_again_and_the_gap_is_told() {
    let house = House::nimbus("").await;
    let mut subscription = subscribe(&house).await;
    slot(&next_head(&mut subscription).await);
    house.stand_in.set_mood(Mood::Fail);
    while subscription.next().await != Notice::Gap {}
    house.stand_in.saw(2).await;
    house.stand_in.set_mood(Mood::Calm);
    slot(&next_head(&mut subscription).await);
}

#[tokio::test]
async fn what_is_no_stream_of_events_is_answered_as_a_request() {
    let house = House::nimbus("").await;
    let ask = |target: &'static str| {
        let gateway = house.gateway.clone();
        async move { gateway.subscribe(&caller("monitor"), &head("GET", target)).await.unwrap_err() }
    };
    assert_eq!(ask("/eth/v1/events?topics=attestation").await.status, 403);
    assert_eq!(ask("/eth/v1/node/version").await.status, 400);
    assert_eq!(house.stand_in.seen(), []);
    house.stand_in.set_mood(Mood::Fail);
    assert_eq!(ask(HEADS).await.status, 503);
    house.stand_in.set_mood(Mood::Cookies);
    let response = ask(HEADS).await;
    assert_eq!(response.status, 502);
    assert!(message(*response).await.contains("stream of events"));
}

#[tokio::test]
async fn who_drops_a_subscription_frees_its_place() {
    let house = House::nimbus("[limits]\nper_peer = 1\n").await;
    let subscription = subscribe(&house).await;
    let second = house.gateway.subscribe(&caller("monitor"), &head("GET", HEADS)).await;
    assert_eq!(second.unwrap_err().status, 429);
    drop(subscription);
    // The task lets go of its place when it is next run.
    let again = loop {
        match house.gateway.subscribe(&caller("monitor"), &head("GET", HEADS)).await {
            Ok(subscription) => break subscription,
            Err(response) => assert_eq!(response.status, 429),
        }
        tokio::task::yield_now().await;
    };
    drop(again);
}

#[tokio::test]
async fn a_flood_of_events_and_one_without_end_fill_no_memory() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec();
    for number in 0..50_000 {
        answer.extend_from_slice(format!("event: head\ndata: {number}\n\n").as_bytes());
    }
    answer.extend_from_slice(b"event: head\ndata: ");
    answer.extend(std::iter::repeat_n(b'x', 3_000_000));
    answer.extend_from_slice(b"\n\nevent: block\ndata: last\n\n");
    let (address, _server) = raw(answer, false).await;
    let gateway = before(address, "topics = [\"head\", \"block\"]");
    let mut subscription =
        gateway.subscribe(&caller("monitor"), &head("GET", "/e?topics=head,block")).await.unwrap();
    let (mut told, mut gap) = (0, false);
    loop {
        match subscription.next().await {
            Notice::Event { kind, data, .. } if kind == "block" => break assert_eq!(data, "last"),
            Notice::Event { left_out, .. } => told += 1 + left_out,
            Notice::Gap => gap = true,
        }
    }
    assert!(gap && told <= 50_000, "{told} {gap}");
}
