//! The command line, the environment and the file, and which wins.

use std::cell::Cell;
use std::net::IpAddr;

use waku_operator::command_line::{Origin, Sources, parse};

use crate::options_of;

const FILE: &[&str] = &["--config-file=b.toml"];

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let toml = "tcp-port = 1003\nrest-port = 2003\nquic-port = 3003\nquic-support = true\nrest = true";
    let variables = [("WAKUNODE2_TCP_PORT", "1002"), ("WAKUNODE2_REST_PORT", "2002")];
    let words = ["--config-file=b.toml", "--tcp-port=1001"];
    let (options, _) = options_of(&words, &variables, toml).unwrap();
    assert_eq!(options.addresses.tcp_port, 1001);
    assert_eq!(options.rest.as_ref().map(|rest| rest.port), Some(2002));
    assert_eq!(options.quic_port, Some(3003));
    let origins = ["tcp-port", "rest-port", "quic-port", "websocket-port"].map(|flag| options.origin(flag));
    assert_eq!(origins, [Origin::CommandLine, Origin::Environment, Origin::File, Origin::Default]);
}

#[test]
fn a_list_of_a_stronger_source_takes_the_place_of_a_weaker_one_s() {
    let toml = "shard = [1, 2]";
    let (options, _) = options_of(FILE, &[], toml).unwrap();
    assert_eq!(options.sharding.shards, [1, 2]);
    let (options, _) = options_of(FILE, &[("WAKUNODE2_SHARD", "3, 4")], toml).unwrap();
    assert_eq!(options.sharding.shards, [3, 4]);
    let words = ["--config-file=b.toml", "--shard=5", "--shard", "6"];
    let (options, _) = options_of(&words, &[("WAKUNODE2_SHARD", "3,4")], toml).unwrap();
    assert_eq!(options.sharding.shards, [5, 6]);
}

#[test]
fn an_empty_list_in_the_file_takes_the_place_of_the_default() {
    let (options, _) = options_of(&[], &[], "").unwrap();
    assert_eq!(options.discovery.dns_servers, [IpAddr::from([1, 1, 1, 1]), IpAddr::from([1, 0, 0, 1])]);
    let (options, _) = options_of(FILE, &[], "dns-addrs-name-server = []").unwrap();
    assert_eq!(options.discovery.dns_servers, Vec::<IpAddr>::new());
    assert_eq!(options.origin("dns-addrs-name-server"), Origin::File);
}

#[test]
fn the_last_of_a_flag_with_one_value_counts() {
    let (options, _) = options_of(&["--tcp-port=1", "--TCP-Port:2", "--tcp-port", "3"], &[], "").unwrap();
    assert_eq!(options.addresses.tcp_port, 3);
}

#[test]
fn an_empty_or_unknown_variable_is_none() {
    let variables =
        [("WAKUNODE2_TCP_PORT", ""), ("WAKUNODE2_BOGUS", "1"), ("TCP_PORT", "x"), ("wakunode2_relay", "x")];
    let (options, warnings) = options_of(&[], &variables, "").unwrap();
    assert_eq!((options.addresses.tcp_port, options.relay.enabled), (60_000, true));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn variables_are_written_as_on_the_command_line() {
    let variables = [
        ("WAKUNODE2_RELAY", "False"),
        ("WAKUNODE2_REST", "yes"),
        ("WAKUNODE2_LOG_LEVEL", "debug"),
        ("WAKUNODE2_CLUSTER_ID", "7"),
        ("WAKUNODE2_LISTEN_ADDRESS", "::1"),
    ];
    let (options, _) = options_of(&[], &variables, "").unwrap();
    assert!(!options.relay.enabled && options.rest.is_some());
    assert_eq!(options.sharding.cluster_id, 7);
    assert!(options.addresses.listen_address.is_ipv6());
}

#[test]
fn the_variable_of_the_flag_wins_over_the_node_key_s_other_name() {
    let (one, other) = ("11".repeat(32), "22".repeat(32));
    let first = |variables: &[(&str, &str)]| {
        let (options, _) = options_of(&[], variables, "").unwrap();
        options.identity.node_key.unwrap().bytes()[0]
    };
    assert_eq!(first(&[("WAKU_NODEKEY", &one)]), 0x11);
    assert_eq!(first(&[("WAKU_NODEKEY", &one), ("WAKUNODE2_NODEKEY", &other)]), 0x22);
}

#[test]
fn the_file_may_be_named_by_the_environment_and_is_read_once() {
    let reads = Cell::new(0);
    let sources = Sources::new("wakunode2", [""; 0], [("WAKUNODE2_CONFIG_FILE", "/etc/node.toml")]);
    let asked = parse(&sources, |path| {
        reads.set(reads.get() + 1);
        assert_eq!(path.to_str(), Some("/etc/node.toml"));
        Ok("relay = false".to_owned())
    });
    assert!(asked.is_ok());
    assert_eq!(reads.get(), 1);
}

#[test]
fn numbers_in_a_file_may_have_any_base_of_toml() {
    let (options, _) = options_of(FILE, &[], "tcp-port = 0x1f90\ncluster-id = 1_00").unwrap();
    assert_eq!((options.addresses.tcp_port, options.sharding.cluster_id), (8080, 100));
}

#[test]
fn a_shift_moves_the_port_of_everything_that_is_on() {
    let words = [
        "--ports-shift=100",
        "--websocket-support",
        "--discv5-discovery",
        "--rest",
        "--metrics-server",
        "--quic-support",
    ];
    let (options, _) = options_of(&words, &[], "").unwrap();
    let ports = [
        Some(options.addresses.tcp_port),
        options.websocket.map(|websocket| websocket.port),
        options.discovery.discv5.map(|discv5| discv5.port),
        options.rest.map(|rest| rest.port),
        options.metrics.map(|metrics| metrics.port),
        options.quic_port,
    ];
    assert_eq!(ports, [60_100, 8_100, 9_100, 8_745, 8_108, 60_100].map(Some));
}

#[test]
fn a_port_of_what_is_off_may_not_be_shifted_too_far() {
    let words = ["--ports-shift=6000", "--tcp-port=1000", "--quic-port=60000"];
    let (options, _) = options_of(&words, &[], "").unwrap();
    assert_eq!((options.addresses.tcp_port, options.quic_port), (7000, None));
    let report = options_of(&[&words[..], &["--quic-support"]].concat(), &[], "").unwrap_err();
    assert!(report.starts_with("quic-port=60000 with ports-shift=6000 is beyond 65535"), "{report}");
}
