use super::*;
use crate::policy::{Effect, Grant, Grants, Head, Kind, Refusal};

const EXAMPLE: &str = include_str!("../../examples/nimbus.toml");

fn wrong(text: &str) -> String {
    Config::parse("gateway.toml", text).unwrap_err().to_string()
}

fn service<'c>(config: &'c Config, name: &str) -> Option<&'c Service> {
    config.policy.services().iter().find(|service| service.name == name)
}

#[test]
fn the_example_is_read() {
    let config = Config::parse("nimbus.toml", EXAMPLE).unwrap();
    let names: Vec<_> = config.policy.services().iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["beacon", "keymanager", "metrics", "mev-boost"]);
    assert_eq!(
        service(&config, "keymanager").unwrap().token_file,
        Some("/var/lib/nimbus/api-token.txt".into())
    );
    assert_eq!(config.disk_path, PathBuf::from("/var/lib/nimbus"));
    // It says what the defaults are.
    assert_eq!((config.limits, config.audit), (Limits::default(), crate::audit::Keep::default()));
    assert_eq!(config.thresholds, Thresholds::default());
}

#[test]
fn a_profile_alone_is_enough_and_keys_are_off_until_they_are_named() {
    let config = Config::parse("gateway.toml", "profile = \"nimbus\"").unwrap();
    assert!(service(&config, "beacon").is_some() && service(&config, "keymanager").is_none());
    let keys = config.policy.services().iter().flat_map(|service| &service.rules);
    assert_eq!(keys.filter(|rule| rule.grant == Grant::Keys).count(), 1, "the exit that a keymanager signed");
}

#[test]
fn the_profile_http_reads_and_writes_nothing() {
    let text = "profile = \"http\"\n[[service]]\nname = \"http\"\nurl = \"http://127.0.0.1:80\"\n";
    let config = Config::parse("gateway.toml", text).unwrap();
    let head =
        |method: &str| Head { method: method.to_owned(), target: "/a/b?c=d".to_owned(), headers: Vec::new() };
    assert!(config.policy.decide(&head("GET"), Grants::default()).is_ok());
    assert!(matches!(config.policy.decide(&head("POST"), Grants::default()), Err(Refusal::Method(_))));
    assert_eq!(wrong("profile = \"http\""), "gateway.toml:1: the service `http` has no url");
}

#[test]
fn rules_of_the_file_come_before_those_of_the_profile() {
    let text = "profile = \"nimbus\"\n[[service]]\nname = \"beacon\"\nurl = \"http://[::1]:5053\"\nmax_running = 2\n\
        [[service.rule]]\npaths = [\"/eth/v1/node/version\"]\ngrant = \"operate\"\n";
    let config = Config::parse("gateway.toml", text).unwrap();
    let beacon = service(&config, "beacon").unwrap();
    assert_eq!(
        (beacon.base.to_string().as_str(), beacon.max_running, beacon.max_waiting),
        ("http://[::1]:5053", 2, 64)
    );
    let head =
        Head { method: "GET".to_owned(), target: "/eth/v1/node/version".to_owned(), headers: Vec::new() };
    let refusal = config.policy.decide(&head, Grants::default()).map(|_| ()).unwrap_err();
    assert_eq!(refusal, Refusal::Grant(Grant::Operate));
}

#[test]
fn a_rule_without_words_is_a_harmless_one() {
    let text =
        "[[service]]\nname = \"x\"\nurl = \"http://127.0.0.1:1\"\n[[service.rule]]\npaths = [\"/a\"]\n";
    let config = Config::parse("gateway.toml", text).unwrap();
    let rule = &config.policy.services()[0].rules[0];
    assert_eq!((rule.grant, rule.effect, &rule.kind), (Grant::Monitor, Effect::Safe, &Kind::Forward));
    assert_eq!((rule.max_request, rule.max_response, rule.timeout.as_secs()), (0, 1 << 20, 10));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let service = "[[service]]\nname = \"x\"\nurl = \"http://127.0.0.1:1\"\n";
    let rule = |rest: &str| wrong(&format!("{service}[[service.rule]]\n{rest}\n"));
    for (told, expected) in [
        (wrong("profile = \"nimbo\""), "gateway.toml:1: there is no profile `nimbo`"),
        (wrong(""), "gateway.toml:1: no service is on"),
        (wrong("\n\nfoo = 1\n"), "gateway.toml:3: unknown field `foo`"),
        (wrong("profile = \"nimbus"), "gateway.toml:1: "),
        (wrong("[[service]]\nname = \"X\"\n"), "gateway.toml:2: `X` is no name for a service"),
        (wrong("[[service]]\nname = \"x\"\n"), "gateway.toml:2: the service `x` has no url"),
        (wrong(&format!("{service}{service}")), "gateway.toml:5: the service `x` is there twice"),
        (
            wrong("[[service]]\nname = \"x\"\nurl = \"http://10.0.0.1:80\"\n"),
            "gateway.toml:3: the address is not on this machine",
        ),
        (
            wrong("[[service]]\nname = \"x\"\nurl = \"https://127.0.0.1:80\"\n"),
            "gateway.toml:3: the address has to begin with http://",
        ),
        (wrong(&format!("{service}mount = \"x/\"\n")), "gateway.toml:4: `x/` is no mount"),
        (
            wrong(&format!("{service}token_credential = \"../x\"\n")),
            "gateway.toml:4: `../x` is no name of a credential",
        ),
        (
            wrong(&format!("{service}token_file = \"/t\"\ntoken_credential = \"t\"\n")),
            "gateway.toml:2: the service `x` has both",
        ),
        (wrong("profile = \"nimbus\"\n[doctor]\njwt = \"x\"\n"), "gateway.toml:3: unknown field `jwt`"),
        (
            wrong(&format!("{service}max_running = 0\n")),
            "gateway.toml:4: max_running has to be from 1 to 1024",
        ),
        (
            wrong("profile = \"nimbus\"\n[limits]\nevents_per_second = -1.0\n"),
            "gateway.toml:3: events_per_second",
        ),
        (wrong("profile = \"nimbus\"\n[watch]\nmin_peers = 99999999\n"), "gateway.toml:3: min_peers"),
        (rule("paths = []"), "gateway.toml:4: `paths` has to have"),
        (rule("paths = [\"a\"]"), "gateway.toml:4: `a` is no pattern"),
        (rule("paths = [\"/a\"]\nmethods = [\"get\"]"), "gateway.toml:4: `get` is no method"),
        (rule("paths = [\"/a\"]\ngrant = \"root\""), "gateway.toml:4: `root` is no grant"),
        (rule("paths = [\"/a\"]\nrequired = [\"id\"]"), "gateway.toml:4: `id` is required"),
        (rule("paths = [\"/a\"]\njson_rpc = [\"x\"]"), "gateway.toml:4: `json_rpc` is for POST alone"),
        (rule("paths = [\"/a\"]\nseries = [\"x\"]\ntopics = [\"y\"]"), "gateway.toml:4: a rule has one of"),
        (rule("paths = [\"/a\"]\nseries = [\"a{\"]"), "gateway.toml:4: `a{` is no name of a metric"),
        (rule("paths = [\"/a\"]\ntimeout_ms = 0"), "gateway.toml:6: timeout_ms has to be from 1 to 300000"),
        (rule("paths = [\"/a\"]\nmax_response_bytes = 99999999999"), "gateway.toml:6: max_response_bytes"),
    ] {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_token_has_one_place_and_the_file_s_word_counts() {
    let keys = |rest: &str| {
        let text = format!(
            "profile = \"nimbus\"\n[[service]]\nname = \"keymanager\"\n{rest}\n[doctor]\njwt_secret = \"/j\"\n"
        );
        let config = Config::parse("gateway.toml", &text).unwrap();
        assert_eq!(config.jwt_secret, Some("/j".into()));
        let found = service(&config, "keymanager").unwrap();
        (found.token_file.clone(), found.token_credential.clone())
    };
    assert_eq!(keys("token_credential = \"api-token.v2\""), (None, Some("api-token.v2".to_owned())));
    assert_eq!(keys("token_file = \"/t\""), (Some("/t".into()), None));
    for name in ["", ".", "..", "a/b", "a b", "${X}"] {
        assert!(!is_credential(name), "{name}");
    }
}

#[test]
fn a_file_is_named_in_what_is_told_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.toml");
    let told = Config::load(&path).unwrap_err().to_string();
    assert!(told.contains("g.toml") && matches!(Config::load(&path), Err(ConfigError::Unreadable { .. })));
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().ends_with("the file is longer than 1 MiB"));
    fs::write(&path, EXAMPLE).unwrap();
    assert_eq!(Config::load(&path).unwrap(), Config::parse("x", EXAMPLE).unwrap());
}
