//! Requests that are not what they seem, from programs and web pages on the app's machine.

use std::fs;

use crate::raw::{Raw, exchange, statuses};
use crate::scene::{Scene, paired};

/// A question that has a body and needs no grant.
const QUESTION: &str = "POST /eth/v1/validator/duties/attester/1 HTTP/1.1\r\nHost: HOST\r\n";
/// What would be read as a request of its own if its beginning were found in another place.
const HIDDEN: &str = "GET /eth/v1/node/peers HTTP/1.1\r\nHost: HOST\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_in_two_ways_is_not_read_at_all() {
    let scene = Scene::new().await;
    for odd in [
        "Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
        "Content-Length: 2, 3\r\n\r\n[]",
        "Content-Length: +2\r\n\r\n[]",
        "Content-Length: -1\r\n\r\n[]",
        "Content-Length: 0x2\r\n\r\n[]",
        "Content-Length: 99999999999999999999\r\n\r\n[]",
        "Content-Length : 2\r\n\r\n[]",
        "Transfer-Encoding: xchunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n2;\r[]\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n0\r\n\r\n",
        "X-Folded: a\r\n Content-Length: 2\r\n\r\n[]",
        "X-Nul: a\0b\r\n\r\n",
        "X-Nul\0: a\r\n\r\n",
        "X Space: a\r\n\r\n",
        ": a\r\n\r\n",
    ] {
        let read = exchange(&scene.endpoint, &format!("{QUESTION}{odd}{HIDDEN}"));
        assert!(matches!(statuses(&read)[..], [] | [400]), "{odd:?}: {read}");
    }
    assert_eq!(scene.posts(), 0);
    assert!(scene.beacon.seen().iter().all(|seen| seen.target != "/eth/v1/node/peers"));

    // Where a length and chunks are given, the chunks count, and what follows them is no second request.
    let both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n";
    let read = exchange(&scene.endpoint, &format!("{QUESTION}{both}{HIDDEN}"));
    assert_eq!(statuses(&read), [200], "{read}");
    assert!(scene.beacon.seen().iter().all(|seen| seen.target != "/eth/v1/node/peers"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_plainly_on_the_list_reaches_no_service() {
    let scene = Scene::new().await;
    let ask = |line: &str| {
        let read =
            exchange(&scene.endpoint, &format!("{line} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"));
        statuses(&read).first().copied().unwrap_or(400)
    };
    let before = scene.beacon.seen().len();
    let mut surprises = Vec::new();
    for (line, status) in [
        ("GET /eth/v1/node/../debug", 400),
        ("GET /eth/v1/node/%2e%2e/debug", 400),
        ("GET /eth/v1/node%2fversion", 400),
        ("GET /eth/v1/node%5cversion", 400),
        ("GET //eth/v1/node/version", 400),
        ("GET /eth//v1/node/version", 400),
        ("GET /eth/v1/node/./version", 400),
        ("GET /eth/v1/node/version%00", 400),
        ("GET /eth/v1/node/version;a=b", 400),
        ("GET /eth/v1/node/version/", 400),
        ("GET /ETH/V1/node/version", 404),
        ("GET /eth/v1/node/version?a=b", 403),
        ("GET /node-manager/../eth/v1/node/version", 404),
        ("GET /node-manager/v1//info", 404),
        ("GET /node-manager/v1/services/../info", 404),
        ("OPTIONS *", 400),
        ("CONNECT 127.0.0.1:22", 421),
        ("GET http://169.254.169.254/eth/v1/node/version", 421),
        ("GET http://HOST@evil.example/eth/v1/node/version", 421),
        ("GET https://evil.example/", 421),
        ("get /eth/v1/node/version", 405),
        ("TRACE /eth/v1/node/version", 400),
        ("PROPFIND /eth/v1/node/version", 405),
    ] {
        let answered = ask(line);
        if answered != status {
            surprises.push((line, answered));
        }
    }
    assert_eq!(surprises, []);
    assert_eq!(scene.beacon.seen().len(), before);
    // To a proxy it is said in full, which means the same here.
    assert_eq!(ask("GET http://HOST/eth/v1/node/version"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_and_programs_without_the_token_are_refused() {
    let (stage, beacon) = paired().await;
    let file = stage.app().join("local-token");
    let token = "0123456789abcdef0123456789abcdef";
    fs::write(&file, token).unwrap();
    let words = [format!("--local-token-file={}", file.display())];
    let scene = Scene::at_work(stage, beacon, &[], &words.each_ref().map(String::as_str));
    let ask = |headers: &str| {
        let head = format!("GET /eth/v1/config/spec HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let read = exchange(&scene.endpoint, &head);
        statuses(&read)[0]
    };
    let shown = format!("Authorization: Bearer {token}\r\n");
    for (headers, status) in [
        ("Host: HOST\r\n", 401),
        ("Host: HOST\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdee\r\n", 401),
        ("Host: HOST\r\nAuthorization: Basic MDEyMw==\r\n", 401),
        // A name that was made to lead here, and pages that are elsewhere.
        (&format!("Host: rebound.example\r\n{shown}"), 421),
        (&shown, 421),
        (&format!("Host: HOST\r\nHost: rebound.example\r\n{shown}"), 421),
        (&format!("Host: HOST\r\nOrigin: https://evil.example\r\n{shown}"), 403),
        (&format!("Host: HOST\r\nOrigin: null\r\n{shown}"), 403),
        (&format!("Host: HOST\r\nSec-Fetch-Site: cross-site\r\n{shown}"), 403),
    ] {
        assert_eq!(ask(headers), status, "{headers}");
    }
    let asked = |seen: &waku_gateway::stand_in::Seen| seen.target == "/eth/v1/config/spec";
    let before = scene.beacon.seen().iter().filter(|seen| asked(seen)).count();
    assert_eq!(ask(&format!("Host: HOST\r\n{shown}")), 200);
    let seen: Vec<_> = scene.beacon.seen().into_iter().filter(asked).collect();
    assert_eq!(seen.len(), before + 1);
    // It is for this machine: no service learns it.
    assert!(seen.iter().flat_map(|seen| &seen.headers).all(|(_, value)| !value.contains(token)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests_in_their_order() {
    let scene = Scene::new().await;
    // Several at once, without waiting for answers; the guard looks at each.
    let version = "GET /eth/v1/node/version HTTP/1.1\r\nHost: HOST\r\n";
    let read = exchange(
        &scene.endpoint,
        &format!(
            "{version}\r\nGET /nothing HTTP/1.1\r\nHost: HOST\r\n\r\n{QUESTION}Content-Length: 2\r\n\r\n[]\
             GET /eth/v1/node/version HTTP/1.1\r\nHost: evil.example\r\n\r\n{version}Connection: close\r\n\r\n"
        ),
    );
    assert_eq!(statuses(&read), [200, 404, 200, 421, 200], "{read}");

    // A head alone has no body, so that the next answer is found behind it.
    let read = exchange(
        &scene.endpoint,
        &format!(
            "HEAD /eth/v1/node/version HTTP/1.1\r\nHost: HOST\r\n\r\n{version}Connection: close\r\n\r\n"
        ),
    );
    assert_eq!(statuses(&read), [405, 200], "{read}");
    assert_eq!(read.matches("Nimbus/stand-in").count(), 1, "{read}");

    // A client that wants to be told to go on is told; one that is refused is not.
    let mut raw = Raw::connect(&scene.endpoint);
    raw.send(&format!("{QUESTION}Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(statuses(&raw.read_until("\r\n\r\n")), [100]);
    raw.send("[]");
    assert_eq!(statuses(&raw.read_until("\r\n\r\n")), [200]);
    let refused = "POST /nimbus/v1/graffiti HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\
                   Expect: 100-continue\r\n\r\n";
    let mut raw = Raw::connect(&scene.endpoint);
    raw.send(refused);
    assert_eq!(statuses(&raw.read_until("\r\n\r\n")), [421]);
}
