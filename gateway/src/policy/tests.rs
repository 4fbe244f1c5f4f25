use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Config;

fn policy() -> Policy {
    let text = "profile = \"nimbus\"\n[[service]]\nname = \"keymanager\"\ntoken_file = \"/nowhere\"\n";
    Config::parse("test.toml", text).unwrap().policy
}

fn head(method: &str, target: &str) -> Head {
    Head { method: method.to_owned(), target: target.to_owned(), headers: Vec::new() }
}

fn url(method: &str, target: &str, grants: &str) -> Result<String, Refusal> {
    policy().decide(&head(method, target), grants.parse().unwrap()).map(|decision| decision.url())
}

#[test]
fn a_monitor_may_look_and_not_touch() {
    let monitor = "monitor";
    let url_of = |target: &str| url("GET", target, monitor);
    assert_eq!(url_of("/eth/v1/node/syncing").as_deref(), Ok("http://127.0.0.1:5052/eth/v1/node/syncing"));
    assert_eq!(
        url_of("/eth/v1/beacon/states/head/validators?id=1%2C2").as_deref(),
        Ok("http://127.0.0.1:5052/eth/v1/beacon/states/head/validators?id=1,2")
    );
    assert_eq!(url("POST", "/nimbus/v1/graffiti", monitor), Err(Refusal::Grant(Grant::Operate)));
    assert_eq!(
        url("POST", "/nimbus/v1/chronicles/settings?log_level=TRACE", monitor),
        Err(Refusal::Grant(Grant::Operate))
    );
    for (method, target) in [
        ("GET", "/eth/v1/keystores"),
        ("DELETE", "/eth/v1/keystores"),
        ("POST", "/eth/v1/validator/0xab/voluntary_exit"),
        ("POST", "/eth/v1/beacon/pool/voluntary_exits"),
    ] {
        assert_eq!(url(method, target, "monitor,operate"), Err(Refusal::Grant(Grant::Keys)), "{target}");
        assert!(url(method, target, "keys").is_ok(), "{target}");
    }
}

#[test]
fn what_signs_and_what_is_too_much_is_on_no_list() {
    let all = "monitor,operate,keys";
    for target in [
        "/eth/v2/debug/beacon/states/head",
        "/eth/v1/debug/beacon/heads",
        "/eth/v2/validator/blocks/1",
        "/eth/v3/validator/blocks/1",
        "/eth/v1/validator/attestation_data",
        "/eth/v1/beacon/states/finalized/validators?id=1",
        "/eth/v1/node",
        "/stand-in/hang",
        "/",
        "/execution/x",
    ] {
        assert_eq!(url("GET", target, all), Err(Refusal::NotListed), "{target}");
    }
    assert_eq!(
        url("GET", "/eth/v1/beacon/states/head/validators", all),
        Err(Refusal::Missing("id".to_owned()))
    );
}

#[test]
fn another_method_is_told_what_is_allowed() {
    assert_eq!(url("DELETE", "/eth/v1/node/version", "monitor"), Err(Refusal::Method(vec![Method::Get])));
    for method in ["get", "TRACE", "CONNECT", "", "GET ", "GET /x HTTP/1.1\r\nHost: y\r\n\r\nGET"] {
        assert_eq!(url(method, "/eth/v1/node/version", "monitor"), Err(Refusal::Method(vec![Method::Get])));
    }
    assert_eq!(Refusal::Method(Vec::new()).status(), 405);
}

#[test]
fn only_listed_parameters_and_topics_pass() {
    assert_eq!(url("GET", "/eth/v1/node/version?x=1", "monitor"), Err(Refusal::Parameter("x".to_owned())));
    let events = |topics: &str| url("GET", &format!("/eth/v1/events{topics}"), "monitor");
    assert!(events("?topics=head,block&topics=chain_reorg").is_ok());
    assert_eq!(events("?topics=head,attestation"), Err(Refusal::Topic("attestation".to_owned())));
    assert_eq!(events(""), Err(Refusal::Missing("topics".to_owned())));
    assert_eq!(events("?topics=,"), Err(Refusal::Missing("topics".to_owned())));
}

#[test]
fn a_mount_is_taken_off_and_a_prefix_put_on() {
    assert_eq!(url("POST", "/execution", "monitor").as_deref(), Ok("http://127.0.0.1:8545/"));
    let text = "[[service]]\nname = \"x\"\nurl = \"http://127.0.0.1:1/api\"\nmount = \"/x\"\n\
        [[service.rule]]\npaths = [\"/\", \"/a/{b}\"]\n";
    let policy = Config::parse("test.toml", text).unwrap().policy;
    let url = |target| policy.decide(&head("GET", target), Grants::default()).map(|decision| decision.url());
    assert_eq!(url("/x").as_deref(), Ok("http://127.0.0.1:1/api"));
    assert_eq!(url("/x/a/b").as_deref(), Ok("http://127.0.0.1:1/api/a/b"));
    assert_eq!(url("/a/b"), Err(Refusal::NotListed));
    assert_eq!(url("/xx/a/b"), Err(Refusal::NotListed));
}

#[test]
fn questions_with_a_body_are_safe_and_orders_are_not() {
    let policy = policy();
    let effect = |method, target| {
        policy.decide(&head(method, target), "operate,keys".parse().unwrap()).unwrap().effect()
    };
    assert_eq!(effect("POST", "/eth/v1/validator/duties/attester/3"), Effect::Safe);
    assert_eq!(effect("POST", "/execution"), Effect::Safe);
    assert_eq!(effect("GET", "/eth/v1/keystores"), Effect::Safe);
    assert_eq!(effect("DELETE", "/eth/v1/keystores"), Effect::StateChanging);
    assert_eq!(effect("POST", "/nimbus/v1/graffiti"), Effect::StateChanging);
}

#[test]
fn refusals_have_the_status_that_says_so() {
    for (refusal, status) in [
        (Refusal::Target(TargetError::Dots), 400),
        (Refusal::Target(TargetError::TooLong), 414),
        (Refusal::OddHeader, 400),
        (Refusal::Grant(Grant::Keys), 403),
        (Refusal::JsonRpc(JsonRpcRefusal::Shape), 403),
        (Refusal::NotListed, 404),
        (Refusal::BodyTooLarge(1), 413),
        (Refusal::HeadersTooLarge, 431),
    ] {
        assert_eq!(refusal.status(), status, "{refusal}");
    }
}

/// Whether a path is like a pattern, by another way than the one under test.
fn is_like(pattern: &str, path: &str) -> bool {
    if let Some(before) = pattern.strip_suffix("/**") {
        return path == before || path.starts_with(&format!("{before}/"));
    }
    let (pattern, path) = (pattern.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    pattern.len() == path.len()
        && pattern.iter().zip(path).all(|(part, text)| part.starts_with('{') || *part == text)
}

/// Text that looks like a target, more or less: pieces of good ones with odd ones between them.
fn targets() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "/eth/v1", "/node", "/version", "/validator", "/0xab", "/graffiti", "/keystores", "/execution", "/nimbus/v1",
            "/beacon", "/headers", "/states/head", "/head", "?id=1", "&id=2", "/events", "?topics=head", "/metrics",
        ]).prop_map(str::to_owned),
        2 => prop::sample::select(vec![
            "..", "/..", "/../", "//", "/./", "%2e%2e", "%2F", "%252e", "\\", "@", "#", "?", "&", "=", "\0", "\r\n", ":", ";",
            "http://", "evil.example", "127.0.0.1:1", "%00", "%", "é", "\u{202e}", " ", "*", "[::1]",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn check(policy: &Policy, head: &Head) -> Result<(), TestCaseError> {
    let Ok(decision) = policy.decide(head, "operate,keys".parse().unwrap()) else { return Ok(()) };
    let base = &decision.service.base;
    let url = decision.url();
    let parsed: hyper::Uri = url.parse().map_err(|error| TestCaseError::fail(format!("{url}: {error}")))?;
    prop_assert_eq!(parsed.scheme_str(), Some("http"));
    prop_assert_eq!(parsed.authority().map(hyper::http::uri::Authority::as_str), Some(base.authority()));
    prop_assert!(base.addresses().iter().all(|address| address.ip().is_loopback()));
    prop_assert_eq!(parsed.path_and_query().map(ToString::to_string), Some(decision.target.clone()));
    let path = parsed.path();
    prop_assert!(
        path.starts_with(base.prefix()) && is_like(decision.pattern.as_str(), &path[base.prefix().len()..])
    );
    prop_assert!(!path.contains("..") && !path.contains("//") && !path.contains('%') && !path.contains('@'));
    prop_assert!(decision.target.bytes().all(|byte| byte.is_ascii_graphic()));
    prop_assert!(decision.rule.methods.contains(&decision.method));
    prop_assert!(decision.rule.timeout > Duration::ZERO);
    for (name, value) in decision.headers() {
        prop_assert!(!value.contains(['\r', '\n', '\0']) && name == name.to_ascii_lowercase());
        prop_assert!(
            !["host", "authorization", "cookie", "content-length", "transfer-encoding", "connection"]
                .contains(&name)
        );
    }
    Ok(())
}

/// The profile for Nimbus, and that for anything.
static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    let text = "profile = \"http\"\n[[service]]\nname = \"http\"\nurl = \"http://127.0.0.1:1\"\n";
    [policy(), Config::parse("test.toml", text).unwrap().policy]
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_comes_in_only_a_listed_path_of_a_configured_service_is_called(
        target in targets(), method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
    ) {
        for policy in POLICIES.iter() {
            check(policy, &head(method, &target))?;
        }
    }

    #[test]
    fn whatever_headers_come_in_none_is_smuggled(headers in prop::collection::vec(
        (prop_oneof![any::<String>(), prop::sample::select(vec!["accept", "Host", "Authorization", "transfer-encoding", "Content-Type"])
            .prop_map(str::to_owned)], any::<String>()), 0..6,
    )) {
        let head = Head { headers, ..head("GET", "/eth/v1/node/version") };
        check(&POLICIES[0], &head)?;
    }
}
