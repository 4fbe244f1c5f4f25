use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MESSAGES: CounterFamily<1> = CounterFamily::named("waku_node_messages");
const RELAYED: CounterFamily<3> = CounterFamily::named("waku_relay_network_bytes");
const DIALS: CounterFamily<0> = CounterFamily::named("libp2p_total_dial_attempts");
const PEERS: GaugeFamily<0> = GaugeFamily::named("libp2p_peers");
const TOPICS: GaugeFamily<0> = GaugeFamily::named("libp2p_pubsub_topics");
const MESH: GaugeFamily<1> = GaugeFamily::named("libp2p_gossipsub_peers_per_topic_mesh");
const AGENTS: GaugeFamily<1> = GaugeFamily::named("waku_connected_peers_per_agent");
const SERVICE_PEERS: GaugeFamily<2> = GaugeFamily::named("waku_service_peers");
const ROUNDS: HistogramFamily<0> = HistogramFamily::named("reconciliation_roundtrips");
const REQUESTS: HistogramFamily<1> = HistogramFamily::named("waku_filter_request_duration_seconds");

fn registry() -> Registry {
    Registry::new(UNIX_EPOCH + Duration::from_millis(1_795_233_799_587))
}

/// What a family shows, from HELP up to and with the blank line.
fn shown(registry: &Registry, family: &str) -> String {
    let text = registry.render();
    let start = text.find(&format!("# HELP {family} ")).unwrap();
    let (section, _) = text[start..].split_once("\n\n").unwrap();
    format!("{section}\n\n")
}

fn samples(registry: &Registry, family: &str) -> Vec<String> {
    shown(registry, family)
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

type Labels = Vec<(String, String)>;

/// A line of the text as its reader sees it: name, labels, value.
fn parse(line: &str) -> Option<(String, Labels, f64)> {
    let (head, value) = line.rsplit_once(' ')?;
    let Some((name, mut rest)) = head.split_once('{') else {
        return Some((head.to_owned(), vec![], value.parse().ok()?));
    };
    let mut labels = Vec::new();
    loop {
        let (label, quoted) = rest.split_once("=\"")?;
        let mut text = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => text.push(match chars.next()? {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                c => text.push(c),
            }
        }
        labels.push((label.to_owned(), text));
        match chars.next()? {
            ',' => rest = chars.as_str(),
            '}' if chars.as_str().is_empty() => return Some((name.to_owned(), labels, value.parse().ok()?)),
            _ => return None,
        }
    }
}

#[test]
fn a_counter_is_shown_as_nwaku_shows_it() {
    let registry = registry();
    let zero = "# HELP libp2p_total_dial_attempts Dials tried.\n\
                # TYPE libp2p_total_dial_attempts counter\n\
                libp2p_total_dial_attempts_total 0.0\n\
                libp2p_total_dial_attempts_created 1795233799.587\n\n";
    assert_eq!(shown(&registry, "libp2p_total_dial_attempts"), zero);
    registry.counter(DIALS, []).inc_by(7);
    assert_eq!(samples(&registry, "libp2p_total_dial_attempts")[0], "libp2p_total_dial_attempts_total 7.0");
}

#[test]
fn a_labelled_counter_is_shown_from_its_first_count_on() {
    let registry = registry();
    let head =
        "# HELP waku_node_messages Messages handled, by protocol.\n# TYPE waku_node_messages counter\n";
    let counter = registry.counter(MESSAGES, ["relay"]);
    counter.inc_by(0);
    assert_eq!(shown(&registry, "waku_node_messages"), format!("{head}\n"));
    counter.increment();
    let lines = "waku_node_messages_total{type=\"relay\"} 1.0\nwaku_node_messages_created{type=\"relay\"} 1795233799.587\n";
    assert_eq!(shown(&registry, "waku_node_messages"), format!("{head}{lines}\n"));
}

#[test]
fn a_gauge_is_shown_as_nwaku_shows_it() {
    let registry = registry();
    let peers = registry.gauge(PEERS, []);
    assert_eq!(samples(&registry, "libp2p_peers"), ["libp2p_peers 0.0"]);
    peers.add(3.0);
    peers.add(-0.5);
    assert_eq!(
        shown(&registry, "libp2p_peers"),
        "# HELP libp2p_peers Peers connected now.\n# TYPE libp2p_peers gauge\nlibp2p_peers 2.5\n\n"
    );
}

#[test]
fn what_is_not_on_the_zero_list_is_shown_once_it_was_not_zero() {
    let registry = registry();
    let topics = registry.gauge(TOPICS, []);
    topics.set(0.0);
    topics.add(0.0);
    assert_eq!(samples(&registry, "libp2p_pubsub_topics"), Vec::<String>::new());
    topics.set(1.0);
    topics.set(0.0);
    assert_eq!(samples(&registry, "libp2p_pubsub_topics"), ["libp2p_pubsub_topics 0.0"]);
}

#[test]
fn a_histogram_is_shown_as_nwaku_shows_it() {
    let registry = registry();
    let rounds = registry.histogram(ROUNDS, []);
    for value in [1.0, 1.5, 13.0, 400.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        rounds.observe(value);
    }
    let expected = "# HELP reconciliation_roundtrips Rounds a reconciliation took.\n\
                    # TYPE reconciliation_roundtrips histogram\n\
                    reconciliation_roundtrips_sum 415.5\n\
                    reconciliation_roundtrips_count 4.0\n\
                    reconciliation_roundtrips_created 1795233799.587\n\
                    reconciliation_roundtrips_bucket{le=\"1.0\"} 1.0\n\
                    reconciliation_roundtrips_bucket{le=\"2.0\"} 2.0\n\
                    reconciliation_roundtrips_bucket{le=\"3.0\"} 2.0\n\
                    reconciliation_roundtrips_bucket{le=\"5.0\"} 2.0\n\
                    reconciliation_roundtrips_bucket{le=\"8.0\"} 2.0\n\
                    reconciliation_roundtrips_bucket{le=\"13.0\"} 3.0\n\
                    reconciliation_roundtrips_bucket{le=\"+Inf\"} 4.0\n\n";
    assert_eq!(shown(&registry, "reconciliation_roundtrips"), expected);
}

#[test]
fn a_labelled_histogram_has_its_labels_before_le() {
    let registry = registry();
    registry.histogram(REQUESTS, ["SUBSCRIBE"]).observe(0.25);
    let lines = samples(&registry, "waku_filter_request_duration_seconds");
    assert_eq!(lines[0], "waku_filter_request_duration_seconds_sum{type=\"SUBSCRIBE\"} 0.25");
    assert_eq!(lines[8], "waku_filter_request_duration_seconds_bucket{type=\"SUBSCRIBE\",le=\"0.1\"} 0.0");
    assert_eq!(lines[9], "waku_filter_request_duration_seconds_bucket{type=\"SUBSCRIBE\",le=\"0.25\"} 1.0");
}

#[test]
fn labels_stand_in_the_order_of_the_table() {
    let registry = registry();
    registry.counter(RELAYED, ["/waku/2/rs/3/0", "net", "in"]).inc_by(9);
    let line = "waku_relay_network_bytes_total{topic=\"/waku/2/rs/3/0\",type=\"net\",direction=\"in\"} 9.0";
    assert_eq!(samples(&registry, "waku_relay_network_bytes")[0], line);
    registry.gauge(SERVICE_PEERS, ["/vac/waku/store-query/3.0.0", "/ip4/127.0.0.1/tcp/60000"]).set(1.0);
    let line = "waku_service_peers{protocol=\"/vac/waku/store-query/3.0.0\",peerId=\"/ip4/127.0.0.1/tcp/60000\"} 1.0";
    assert_eq!(samples(&registry, "waku_service_peers"), [line]);
}

#[test]
fn label_values_are_escaped_and_cut() {
    let registry = registry();
    registry.gauge(AGENTS, ["a\\b\"c\nd\r\u{2028}"]).set(1.0);
    let line = "waku_connected_peers_per_agent{agent=\"a\\\\b\\\"c\\nd\u{fffd}\u{fffd}\"} 1.0";
    assert_eq!(samples(&registry, "waku_connected_peers_per_agent"), [line]);
    registry.replace(AGENTS, [(["é".repeat(1000)], 1.0)]);
    let line = format!("waku_connected_peers_per_agent{{agent=\"{}\"}} 1.0", "é".repeat(160));
    assert_eq!(samples(&registry, "waku_connected_peers_per_agent"), [line]);
}

#[test]
fn at_most_64_sets_of_label_values_are_kept_apart() {
    let registry = registry();
    for number in 0..1000 {
        registry.gauge(AGENTS, [&format!("agent {number}")]).add(1.0);
    }
    let lines = samples(&registry, "waku_connected_peers_per_agent");
    assert_eq!(lines.len(), 65);
    assert!(lines.contains(&"waku_connected_peers_per_agent{agent=\"other\"} 936.0".to_owned()));
    // Those that are known stay known.
    registry.gauge(AGENTS, ["agent 5"]).add(1.0);
    let lines = samples(&registry, "waku_connected_peers_per_agent");
    assert!(lines.contains(&"waku_connected_peers_per_agent{agent=\"agent 5\"} 2.0".to_owned()));
}

#[test]
fn all_shards_of_a_cluster_are_kept_apart() {
    let registry = registry();
    for shard in 0..1024 {
        for (kind, direction) in [("net", "in"), ("gross", "in"), ("net", "out"), ("gross", "out")] {
            registry.counter(RELAYED, [&format!("/waku/2/rs/3/{shard}"), kind, direction]).increment();
        }
    }
    let lines = samples(&registry, "waku_relay_network_bytes");
    assert_eq!(lines.len(), 2 * 4096);
    assert!(!lines.iter().any(|line| line.contains("other")));
}

#[test]
fn replaced_values_are_all_that_a_gauge_has() {
    let registry = registry();
    registry.replace(AGENTS, [(["old"], 3.0)]);
    let many = (0..100).map(|number| ([format!("new {number:03}")], 2.0));
    registry.replace(AGENTS, many.chain([(["new 000".to_owned()], 1.0), (["idle".to_owned()], 0.0)]));
    let lines = samples(&registry, "waku_connected_peers_per_agent");
    assert_eq!(lines.len(), 65);
    assert_eq!(lines[0], "waku_connected_peers_per_agent{agent=\"new 000\"} 3.0");
    assert_eq!(lines[64], "waku_connected_peers_per_agent{agent=\"other\"} 72.0");
    // What is there from the start stays.
    registry.replace(MESH, [(["generic"], 1.0)]);
    let lines = samples(&registry, "libp2p_gossipsub_peers_per_topic_mesh");
    let names = ["generic\"} 1.0", "other\"} 0.0"]
        .map(|end| format!("libp2p_gossipsub_peers_per_topic_mesh{{topic=\"{end}"));
    assert_eq!(lines, names);
}

#[test]
fn a_total_kept_elsewhere_never_goes_back() {
    let registry = registry();
    let dials = registry.counter(DIALS, []);
    for total in [5, 9, 7] {
        dials.set_total(total);
    }
    assert_eq!(samples(&registry, "libp2p_total_dial_attempts")[0], "libp2p_total_dial_attempts_total 9.0");
}

#[test]
fn counters_of_our_own_follow_nwakus() {
    let registry = registry();
    registry.own_counter("waku_archive_inserted_total", "Messages kept\nin \\ the archive.").unwrap();
    registry.set_own_totals([("waku_archive_inserted_total", 4), ("waku_archive_dropped_total", 0)]);
    let text = registry.render();
    let (_, own) = text.split_once("postgres_payload_size_bytes 0.0\n\n").unwrap();
    let (_, own) = own.split_once("# HELP waku_archive_dropped ").unwrap();
    let expected = "Counted by this node.\n# TYPE waku_archive_dropped counter\n\n\
                    # HELP waku_archive_inserted Messages kept\\nin \\\\ the archive.\n\
                    # TYPE waku_archive_inserted counter\n\
                    waku_archive_inserted_total 4.0\n\
                    waku_archive_inserted_created 1795233799.587\n\n";
    assert_eq!(own, expected);
}

#[test]
fn where_a_name_is_nwakus_its_meaning_wins() {
    let registry = registry();
    let taken = [
        "waku_filter_requests_total",
        "waku_px_peers_received_total",
        "waku_archive_messages",
        "waku_histogram_message_size_count",
        "process_cpu_seconds_total",
        "process_info",
        "process_open_fds",
    ];
    for name in taken {
        assert_eq!(registry.own_counter(name, "Ours.").err(), Some(OwnCounterError::Taken), "{name}");
    }
    for name in ["", "_total", "9lives", "a-b", "a b", "é"] {
        assert_eq!(registry.own_counter(name, "Ours.").err(), Some(OwnCounterError::Invalid), "{name}");
    }
    let before = registry.render();
    registry.set_own_totals(taken.map(|name| (name, 8)));
    let ours = |text: &str| text.lines().filter(|line| line.contains(" 8.0")).count();
    assert_eq!(ours(&registry.render()), ours(&before));
}

#[test]
fn threads_that_count_together_lose_nothing() {
    let registry = registry();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let registry = &registry;
            scope.spawn(move || {
                let direction = if thread % 2 == 0 { "in" } else { "out" };
                for round in 0..2000_u32 {
                    registry.counter(MESSAGES, [direction]).inc_by(2);
                    registry.gauge(PEERS, []).add(if round % 4 == 0 { -1.0 } else { 1.0 });
                    registry.histogram(ROUNDS, []).observe(2.0);
                    if round % 500 == 0 {
                        assert!(registry.render().contains("# TYPE waku_version gauge\n"));
                    }
                }
            });
        }
    });
    assert!(
        samples(&registry, "waku_node_messages")
            .contains(&"waku_node_messages_total{type=\"in\"} 16000.0".to_owned())
    );
    assert_eq!(samples(&registry, "libp2p_peers"), ["libp2p_peers 8000.0"]);
    let rounds = samples(&registry, "reconciliation_roundtrips");
    assert_eq!(
        rounds[..2],
        ["reconciliation_roundtrips_sum 32000.0", "reconciliation_roundtrips_count 16000.0"]
    );
}

#[test]
fn every_line_is_a_comment_a_sample_of_its_family_or_blank() {
    let registry = registry();
    registry.counter(RELAYED, ["a", "b", "c"]).increment();
    let text = registry.render();
    let names: Vec<_> = sample_names().collect();
    for section in text.split_terminator("\n\n") {
        let mut lines = section.lines();
        let family = lines.next().unwrap().strip_prefix("# HELP ").unwrap().split(' ').next().unwrap();
        assert!(lines.next().unwrap().starts_with(&format!("# TYPE {family} ")), "{section}");
        for line in lines {
            let (name, _, value) = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(name.starts_with(family) || family == "process_info", "{line}");
            assert!(value >= 0.0 && names.contains(&name), "{line}");
        }
    }
}

proptest! {
    #[test]
    fn any_label_is_one_line_that_reads_back(value in any::<String>(), kind in "[\\\\\"n\n\r,={}\u{85}\u{2028} é]{0,12}") {
        let registry = registry();
        registry.counter(RELAYED, [&value, &kind, ""]).increment();
        let lines = samples(&registry, "waku_relay_network_bytes");
        prop_assert_eq!(lines.len(), 2);
        let (name, labels, count) = parse(&lines[0]).unwrap();
        prop_assert_eq!((&*name, count), ("waku_relay_network_bytes_total", 1.0));
        let expected = [("topic", &*value), ("type", &*kind), ("direction", "")]
            .map(|(name, value)| (name.to_owned(), label::clean(value)));
        prop_assert_eq!(labels, expected);
        let ends_a_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        prop_assert!(!lines[0].contains(ends_a_line));
        if value.len() <= 320 && !value.contains(ends_a_line) {
            prop_assert_eq!(label::clean(&value), value);
        }
    }
}
