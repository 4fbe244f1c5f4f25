use proptest::prelude::*;

use super::*;

fn wrong(text: &str) -> String {
    Config::parse("f.toml", text).unwrap_err().to_string()
}

fn unit(name: &str) -> Result<Config, ConfigError> {
    Config::parse("f.toml", &format!("[[service]]\nname = 'a'\nunit = '{name}'"))
}

fn process(keys: &str) -> Result<Config, ConfigError> {
    Config::parse("f.toml", &format!("[[service]]\nname = 'a'\n{keys}"))
}

#[test]
fn units_and_processes_are_read_with_their_defaults() {
    let text = r#"
        [[service]]
        name = "beacon"
        unit = "nimbus_beacon_node.service"

        [[service]]
        name = "signer-2"
        description = "Signs"
        command = ["/usr/bin/signer", "--port=1"]
        env = { RUST_LOG = "info" }
    "#;
    let config = Config::parse("f.toml", text).unwrap();
    assert_eq!(config.names().collect::<Vec<_>>(), ["beacon", "signer-2"]);
    let limit = Duration::from_secs(120);
    let unit = UnitSpec { unit: "nimbus_beacon_node.service".into(), user: false, limit };
    assert_eq!(config.services[0].kind, Kind::Unit(unit));
    assert_eq!(config.services[1].description.as_deref(), Some("Signs"));
    let Kind::Process(process) = &config.services[1].kind else { panic!("it is a process") };
    let expected = ProcessSpec {
        program: "/usr/bin/signer".into(),
        args: vec!["--port=1".into()],
        dir: "/".into(),
        env: [("RUST_LOG".to_owned(), "info".to_owned())].into(),
        restart: Restart::OnFailure,
        restart_delay: Duration::from_secs(1),
        stop_limit: Duration::from_secs(30),
        autostart: false,
    };
    assert_eq!(*process, expected);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let of =
        |text: &str| wrong(&format!("[[service]]\nname = 'ok'\nunit = 'ok.service'\n\n[[service]]\n{text}"));
    for (text, expected) in [
        ("name = 'B'\nunit = 'b.service'", "f.toml:5: `B` is no name for a service"),
        ("name = 'b'", "f.toml:5: service `b`: it needs either `unit` or `command`"),
        ("name = 'b'\nunit = 'b.service'\ncommand = ['/b']", "f.toml:5: service `b`: it needs either"),
        ("name = 'b'\nunit = 'b.socket'", "f.toml:5: service `b`: `b.socket` is no unit"),
        (
            "name = 'b'\nunit = 'b.service'\ndir = '/x'",
            "f.toml:5: service `b`: `dir` is for services with `command`",
        ),
        (
            "name = 'b'\ncommand = ['/b']\nuser = true",
            "f.toml:5: service `b`: `user` is for services with `unit`",
        ),
        ("name = 'b'\ncommand = ['b']", "f.toml:5: service `b`: `b` has to be an absolute path"),
        ("name = 'b'\ncommand = []", "f.toml:5: service `b`: `` has to be an absolute path"),
        ("name = 'b'\ncommand = ['/b']\ndir = 'x'", "f.toml:5: service `b`: `x` has to be an absolute path"),
        ("name = 'b'\ncommand = ['/b']\nstop_seconds = 0", "`stop_seconds` has to be from 1 to 600"),
        (
            "name = 'b'\ncommand = ['/b']\nenv = { 'A=B' = 'c' }",
            "`A=B` is no name of an environment variable",
        ),
        ("name = 'b'\ncommand = ['/b', \"a\\u0000\"]", "without NUL"),
        ("name = 'b'\ncommand = ['/b']\nrestart = 'often'", "f.toml:8: unknown variant `often`"),
        ("name = 'b'\nunit = 'b.service'\ncolour = 1", "f.toml:8: unknown field `colour`"),
        ("name = 'ok'\nunit = 'b.service'", "the service `ok` is there twice"),
    ] {
        let found = of(text);
        assert!(found.contains(expected), "{text:?}: {found}");
    }
    assert!(wrong("").contains("name 1 to 64 services"));
    assert!(wrong("[service").starts_with("f.toml:1: "));
    assert!(wrong(&" ".repeat(MAX_LEN + 1)).contains("longer than"));
}

#[test]
fn units_are_named_plainly() {
    for name in ["a.service", "nimbus_beacon_node.service", "geth@mainnet.service", "a-b.c:d.service"] {
        assert!(unit(name).is_ok(), "{name}");
    }
    for name in [
        ".service",
        "-a.service",
        "a",
        "a.timer",
        "a.service.socket",
        "a@.service",
        "@a.service",
        "a@b@c.service",
        "a*.service",
        "a?.service",
        "[a].service",
        "a b.service",
        "../a.service",
        "a/b.service",
        r"a\x2d.service",
        "a\u{e4}.service",
        "a@-b.service",
    ] {
        assert!(unit(name).is_err(), "{name}");
    }
    assert!(unit(&format!("{}.service", "a".repeat(248))).is_err());
}

#[test]
fn what_is_secret_in_a_process_is_not_in_its_debug_form() {
    let config = process("command = ['/b', '--password=swordfish']\nenv = { TOKEN = 'swordfish' }").unwrap();
    let text = format!("{config:?}");
    assert!(text.contains("/b") && !text.contains("swordfish"), "{text}");
}

#[test]
fn the_rule_for_polkit_names_the_units_of_the_system_alone() {
    let text = "[[service]]\nname = 'a'\nunit = 'a.service'\n[[service]]\nname = 'b'\nunit = 'b.service'\nuser = true";
    let rule = Config::parse("f.toml", text).unwrap().polkit_rule("node\"x").unwrap();
    assert!(rule.contains(r#"subject.user == "node\"x" &&"#), "{rule}");
    assert!(rule.contains(r#"["a.service"].indexOf(action.lookup("unit"))"#), "{rule}");
    assert_eq!(process("command = ['/b']").unwrap().polkit_rule("x"), None);
}

#[test]
fn units_can_be_looked_at_without_the_processes() {
    let text = "[[service]]\nname = 'a'\nunit = 'a.service'\n[[service]]\nname = 'b'\ncommand = ['/b']\nautostart = true";
    let config = Config::parse("f.toml", text).unwrap();
    assert_eq!(config.only_units().names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(config.names().count(), 2);
    assert_eq!(process("command = ['/b']").unwrap().only_units().names().count(), 0);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _: Result<_, _> = Config::parse("f", &text);
    }

    #[test]
    fn any_name_of_a_unit_that_is_taken_is_plain(name in "[a-zA-Z0-9@:_.*?\\[\\]\\\\/ -]{0,20}(\\.service)?") {
        if unit(&name).is_ok() {
            prop_assert!(!name.contains(['*', '?', '[', '\\', '/', ' ']) && !name.contains("@."));
        }
    }
}
