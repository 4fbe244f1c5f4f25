//! Ordinary requests, and what is refused.

use waku_gateway::policy::Effect;
use waku_gateway::{Origin, Request};

use crate::house::{House, TOKEN, caller, get, head, header, json, message, post, text};

#[tokio::test]
async fn an_app_reads_the_nodes_state() {
    let house = House::nimbus("").await;
    let response = house.get("/eth/v1/node/syncing").await;
    assert_eq!((response.status, response.origin), (200, Origin::Service));
    assert_eq!(header(&response, "content-type"), Some("application/json"));
    assert_eq!(json(response).await["data"]["sync_distance"], "0");
    let seen = house.stand_in.seen();
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("GET", "/eth/v1/node/syncing"));
}

#[tokio::test]
async fn the_service_gets_its_token_and_nothing_else_that_the_app_did_not_send() {
    let house = House::nimbus("").await;
    let mut request = get("/eth/v1/keystores");
    for (name, value) in [
        ("Accept", "application/json"),
        ("Authorization", "Bearer from-the-app"),
        ("Host", "evil.example"),
        ("Cookie", "a=b"),
        ("Connection", "upgrade"),
        ("Content-Length", "100"),
    ] {
        request.head.headers.push((name.to_owned(), value.to_owned()));
    }
    let response = house.gateway.handle(&caller("keys"), request).await;
    assert_eq!(response.status, 200);
    let mut headers = house.stand_in.seen()[0].headers.clone();
    headers.sort();
    let expected = [
        ("accept", "application/json"),
        ("authorization", &format!("Bearer {TOKEN}")),
        ("connection", "close"),
        ("host", &house.stand_in.address().to_string()),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // The beacon node itself gets none.
    house.get("/eth/v1/node/version").await;
    assert!(house.stand_in.seen()[1].headers.iter().all(|(name, _)| name != "authorization"));
}

#[tokio::test]
async fn without_the_grant_no_service_hears_of_a_request() {
    let house = House::nimbus("").await;
    for (grants, method, target, missing) in [
        ("monitor", "POST", "/nimbus/v1/graffiti", "operate"),
        ("operate", "GET", "/eth/v1/keystores", "keys"),
        ("operate", "DELETE", "/eth/v1/keystores", "keys"),
        ("keys", "POST", "/nimbus/v1/graffiti", "operate"),
    ] {
        let request = Request { head: head(method, target), ..Request::default() };
        let response = house.gateway.handle(&caller(grants), request).await;
        assert_eq!((response.status, response.origin), (403, Origin::Gateway));
        assert!(message(response).await.contains(missing));
    }
    assert_eq!(house.stand_in.seen(), []);
}

#[tokio::test]
async fn each_refusal_has_its_status_and_reaches_no_service() {
    let house = House::nimbus("").await;
    let long = format!("/eth/v1/node/version?x={}", "a".repeat(9000));
    for (method, target, status) in [
        ("GET", "/eth/v1/../v1/node/version", 400),
        ("GET", "http://127.0.0.1:1/eth/v1/node/version", 400),
        ("GET", "//127.0.0.1:1/eth/v1/node/version", 400),
        ("GET", "/eth/v1/node/%2e%2e/node/version", 400),
        ("GET", "/eth/v1/node/version#x", 400),
        ("GET", "/eth/v1/node/version?x=1", 403),
        ("GET", "/eth/v2/debug/beacon/states/head", 404),
        ("DELETE", "/eth/v1/node/version", 405),
        ("GET", "/eth/v1/events?topics=head", 400),
        ("GET", long.as_str(), 414),
    ] {
        let request = Request { head: head(method, target), ..Request::default() };
        let response = house.gateway.handle(&caller("operate,keys"), request).await;
        assert_eq!(response.status, status, "{target}");
        assert_eq!(header(&response, "allow").is_some(), status == 405, "{target}");
    }
    let mut request = get("/eth/v1/node/version");
    request.head.headers = vec![("x".to_owned(), "y".repeat(10_000))];
    assert_eq!(house.gateway.handle(&caller("monitor"), request).await.status, 431);
    assert_eq!(house.stand_in.seen(), []);
}

#[tokio::test]
async fn the_execution_client_hears_listed_methods_in_a_body_of_our_own() {
    let house = House::nimbus("").await;
    let body = r#" {"id":7, "jsonrpc":"2.0", "method":"eth_blockNumber"} "#;
    let response = house.gateway.handle(&caller("monitor"), post("/execution", body)).await;
    assert!(json(response).await["result"].as_str().unwrap().starts_with("0x"));
    let seen = house.stand_in.seen();
    assert_eq!(seen[0].target, "/");
    assert_eq!(seen[0].body, r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":7}"#);
    assert!(seen[0].headers.contains(&("content-type".to_owned(), "application/json".to_owned())));

    for body in [
        r#"{"id":7,"jsonrpc":"2.0","method":"admin_addPeer"}"#,
        r#"[{"id":7,"jsonrpc":"2.0","method":"eth_blockNumber"}]"#,
        r#"{"id":7,"jsonrpc":"2.0","method":"eth_blockNumber","method":"admin_addPeer"}"#,
        "",
    ] {
        let response = house.gateway.handle(&caller("operate,keys"), post("/execution", body)).await;
        assert_eq!(response.status, 403, "{body}");
    }
    let long = format!(r#"{{"id":7,"jsonrpc":"2.0","method":"{}"}}"#, "x".repeat(2000));
    assert_eq!(house.gateway.handle(&caller("monitor"), post("/execution", &long)).await.status, 413);
    assert_eq!(house.stand_in.seen().len(), 1);
}

#[tokio::test]
async fn metrics_are_the_listed_series_and_of_them_the_wanted() {
    let house = House::nimbus("").await;
    let all = text(house.get("/metrics").await).await;
    assert!(all.starts_with("beacon_slot ") && all.contains("validator_monitor_") && !all.contains("nim_gc"));
    assert_eq!(all.lines().count(), 8);
    let some = text(house.get("/metrics?series=libp2p_peers,nim_gc*").await).await;
    assert_eq!(some, "libp2p_peers 150.0\n");
    assert_eq!(house.get("/metrics?series=%7B").await.status, 400);
    // The query is for us.
    assert!(house.stand_in.seen().iter().all(|seen| seen.target == "/metrics"));
}

#[tokio::test]
async fn a_request_is_told_to_be_safe_or_not_before_it_is_made() {
    let house = House::nimbus("").await;
    let check =
        |method, target| house.gateway.check("operate,keys".parse().unwrap(), &head(method, target)).unwrap();
    assert_eq!(check("DELETE", "/eth/v1/keystores").effect, Effect::StateChanging);
    assert_eq!(check("POST", "/execution").effect, Effect::Safe);
    assert!(check("GET", "/eth/v1/events?topics=head").is_stream);
    assert_eq!(house.stand_in.seen(), []);
}

#[tokio::test]
async fn orders_are_carried_out_with_the_grant() {
    let house = House::nimbus("").await;
    let response = house.gateway.handle(&caller("operate"), post("/nimbus/v1/graffiti", "hello")).await;
    assert_eq!(response.status, 200);
    assert_eq!(json(house.get("/nimbus/v1/graffiti").await).await["data"], "hello");
    let response = house.gateway.handle(&caller("keys"), post("/eth/v1/keystores", "{}")).await;
    assert_eq!(response.status, 200);
    let request = Request { head: head("DELETE", "/eth/v1/keystores"), ..Request::default() };
    let deleted = json(house.gateway.handle(&caller("keys"), request).await).await;
    assert!(deleted["slashing_protection"].is_string(), "what protects from slashing reaches the app");
}
