//! Each flag of the contract, in every form that its type allows.

use waku_operator::command_line::table::{Flag, Status, find, flags};
use waku_operator::command_line::{Asked, Error, Origin, help, variable};

use crate::{options_of, read, rows, run};

const FLAGS: &str = include_str!("../contract/flags.tsv");

/// Flags that nwaku had once.
const REMOVED: &str = include_str!("../contract/removed.tsv");

/// Flags of ours.
const OURS: [&str; 1] = ["peer-store"];

/// Where our default is not the contract's: ours, and why.
const DIFFERENT_DEFAULTS: [(&str, &str, &str); 3] = [
    ("store-message-db-url", "-", "the node chooses; its own archive is no SQLite file"),
    ("rendezvous", "false", "it is not built"),
    ("agent-string", "-", "the node says its own name and version"),
];

/// Flags of which a right value must be of a special form.
const SPECIAL: [(&str, &str, &str); 9] = [
    ("config-file", "b.toml", "missing.toml"),
    ("preset", "status.prod", "bogus"),
    ("nat", "extip:10.0.0.1", "bogus"),
    ("relay-service-ratio", "70:30", "60:60"),
    ("mixkey", "2222222222222222222222222222222222222222222222222222222222222222", "22"),
    ("entry-node", "enr:-abc", "bogus"),
    ("rate-limit", "filter:10/1s", "bogus"),
    ("protected-shard", "1:0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "1"),
    ("rln-relay-eth-client-address", "https://rpc.example", "ws://foo"),
];

/// A row of the contract and our flag for it.
struct Row {
    flag: &'static Flag,
    /// Its type without the star.
    kind: &'static str,
    repeated: bool,
    default: &'static str,
}

fn contract() -> impl Iterator<Item = Row> {
    rows(FLAGS, 4).map(|row| {
        let flag = find(row[0]).unwrap_or_else(|| panic!("--{} is not in our table", row[0]));
        let kind = row[1].trim_end_matches('*');
        Row { flag, kind, repeated: row[1].ends_with('*'), default: row[2].split(';').next().unwrap().trim() }
    })
}

impl Row {
    /// A value that is not the default, as it would be written.
    fn value(&self) -> &'static str {
        let name = self.flag.name;
        match (name, self.kind) {
            ("max-msg-size", _) => "10KiB",
            ("entry-layer", _) => "kernel",
            ("mode", _) => "Edge",
            ("log-level", _) => "DEBUG",
            ("log-format", _) => "JSON",
            ("nodekey", _) => "1122334455667788990011223344556677889900112233445566778899001122",
            (_, "bool") => {
                if self.default == "true" {
                    "false"
                } else {
                    "true"
                }
            }
            (_, "u16" | "u32" | "u64" | "uint" | "int" | "port") => "7",
            (_, "IP") => "10.1.2.3",
            _ => SPECIAL.iter().find(|(special, ..)| *special == name).map_or("x", |(_, right, _)| right),
        }
    }

    /// Words that the flag needs to make sense.
    fn context(&self) -> Vec<&'static str> {
        match self.flag.name {
            "content-topic" | "shard" => vec!["--num-shards-in-network=8"],
            "websocket-secure-support" => {
                vec!["--websocket-secure-key-path=key.pem", "--websocket-secure-cert-path=chain.pem"]
            }
            _ => vec![],
        }
    }

    /// The value in TOML.
    fn toml(&self) -> String {
        let bare = matches!(self.kind, "bool" | "u16" | "u32" | "u64" | "uint" | "int" | "port");
        let value = if bare { self.value().to_owned() } else { format!("\"{}\"", self.value()) };
        let value = if self.repeated { format!("[{value}, {value}]") } else { value };
        format!("{} = {value}", self.flag.name)
    }

    /// Checks that a form was read and came from where it should.
    fn check(&self, form: &str, read: Result<Asked, Error>, origin: Origin) {
        let name = self.flag.name;
        match (read, self.flag.status) {
            (Ok(Asked::Run { options, .. }), _) => assert_eq!(options.origin(name), origin, "{form}"),
            (Ok(other), _) => panic!("{form}: {other:?}"),
            // Refused because it is not built, not because it is not understood.
            (Err(error), Status::NotBuilt(_)) if self.value() == "true" => {
                assert_eq!(error.to_string(), format!("--{name} is not built into this node"), "{form}");
            }
            (Err(error), _) => panic!("{form}: {error}"),
        }
    }
}

#[test]
fn the_contract_s_103_flags_are_all_known_and_every_other_is_removed_or_ours() {
    let contract: Vec<_> = rows(FLAGS, 4).map(|row| row[0]).collect();
    let removed: Vec<_> = rows(REMOVED, 1).map(|row| row[0]).collect();
    assert_eq!((contract.len(), removed.len()), (103, 17));
    for name in contract.iter().chain(&removed).chain(&OURS) {
        assert!(find(name).is_some(), "--{name}");
    }
    for flag in flags() {
        let known =
            contract.contains(&flag.name) || removed.contains(&flag.name) || OURS.contains(&flag.name);
        assert!(known, "--{} is neither in the contract nor ours", flag.name);
        assert_eq!(
            matches!(flag.status, Status::Removed(_)),
            removed.contains(&flag.name),
            "--{}",
            flag.name
        );
    }
}

#[test]
fn defaults_are_those_of_the_contract_or_differ_for_a_reason() {
    for row in contract() {
        let different = DIFFERENT_DEFAULTS.iter().find(|(name, ..)| *name == row.flag.name);
        let default = different.map_or(row.default, |(_, ours, _)| ours);
        let expected: Vec<_> = match default {
            "-" | "none" => vec![],
            r#""""# => vec![""],
            "off" => vec!["false"],
            list if row.repeated => list.split(',').collect(),
            one => vec![one],
        };
        assert_eq!(row.flag.default, expected, "--{}", row.flag.name);
    }
}

#[test]
fn every_flag_is_read_in_every_form_of_the_command_line() {
    for row in contract() {
        let (name, value) = (row.flag.name, row.value());
        let upper = name.to_ascii_uppercase();
        let separate = [format!("--{name}"), value.to_owned()];
        let forms = [
            vec![format!("--{name}={value}")],
            vec![format!("--{name}:{value}")],
            vec![format!("--{upper}={value}")],
            separate.to_vec(),
            vec![format!("--{name}={value}"); 2],
        ];
        for form in forms {
            let words: Vec<_> = form.iter().map(String::as_str).chain(row.context()).collect();
            row.check(&format!("{words:?}"), read(&words, &[], ""), Origin::CommandLine);
        }
    }
}

#[test]
fn a_flag_alone_is_true_for_switches_and_wrong_for_all_others() {
    for row in contract() {
        let name = row.flag.name;
        let word = format!("--{name}");
        let words: Vec<_> = row.context().into_iter().chain([word.as_str()]).collect();
        match (row.kind, read(&words, &[], "")) {
            ("bool", Ok(Asked::Run { options, .. })) => assert_eq!(options.origin(name), Origin::CommandLine),
            ("bool", Err(error)) => {
                assert_eq!(error.to_string(), format!("--{name} is not built into this node"))
            }
            (_, Err(Error::Value { flag, .. })) => assert_eq!(flag, name),
            (_, other) => panic!("{word}: {other:?}"),
        }
    }
}

#[test]
fn every_word_for_true_and_false_is_one_in_any_case() {
    for (words, expected) in [(["on", "YES", "True", "1"], true), (["OFF", "no", "faLse", "0"], false)] {
        for word in words {
            assert_eq!(run(&[&format!("--relay={word}")]).0.relay.enabled, expected, "{word}");
            assert_eq!(run(&["--relay", word]).0.relay.enabled, expected, "--relay {word}");
        }
    }
    // A word that is neither is not taken by the switch, and nothing else wants it.
    assert!(crate::refuse(&["--relay", "maybe"]).starts_with("wakunode2 does not accept arguments"));
}

#[test]
fn empty_values_are_fine_for_texts_and_wrong_for_all_others() {
    for row in contract() {
        let name = row.flag.name;
        let read = read(&[&format!("--{name}=")], &[], "");
        match row.kind {
            "str"
                if !matches!(
                    name,
                    "nat" | "entry-node" | "rate-limit" | "mixkey" | "protected-shard" | "content-topic"
                ) =>
            {
                assert!(read.is_ok(), "--{name}=: {read:?}");
            }
            "str" | "path" => assert!(read.is_err(), "--{name}="),
            _ => assert!(matches!(read, Err(Error::Value { .. })), "--{name}=: {read:?}"),
        }
    }
}

#[test]
fn every_flag_is_read_from_the_environment() {
    for row in contract() {
        let variable = variable(row.flag);
        let read = read(&row.context(), &[(&variable, row.value())], "");
        row.check(&variable, read, Origin::Environment);
    }
}

#[test]
fn every_flag_is_read_from_a_file() {
    for row in contract() {
        let words: Vec<_> = ["--config-file=b.toml"].into_iter().chain(row.context()).collect();
        let toml = row.toml();
        let origin = if row.flag.name == "config-file" { Origin::CommandLine } else { Origin::File };
        row.check(&toml, read(&words, &[], &toml), origin);
    }
}

#[test]
fn help_lists_what_is_not_hidden() {
    let help = help("wakunode2");
    let hidden =
        ["discv5-table-ip-limit", "discv5-bucket-ip-limit", "discv5-bits-per-hop", "store-sync-relay-jitter"];
    for row in contract() {
        let listed = help.contains(&format!("  --{}=", row.flag.name));
        assert_eq!(listed, !hidden.contains(&row.flag.name), "--{}", row.flag.name);
    }
}

#[test]
fn removed_flags_are_accepted_in_every_form_with_one_warning() {
    for row in rows(REMOVED, 1) {
        let name = row[0];
        let word = format!("--{name}");
        let variable = variable(find(name).unwrap());
        let toml = format!("{name} = [1, 2]");
        let forms = [
            options_of(&[&format!("{word}=anything"), &word], &[], ""),
            options_of(&[&word, "1"], &[], ""),
            options_of(&[], &[(&variable, "x")], ""),
            options_of(&["--config-file=b.toml"], &[], &toml),
        ];
        for form in forms {
            let (_, warnings) = form.unwrap_or_else(|error| panic!("{word}: {error}"));
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(
                warnings[0].starts_with(&format!("{word} was removed and has no effect")),
                "{warnings:?}"
            );
        }
    }
}

#[test]
fn flags_without_effect_warn_when_they_are_not_at_their_default() {
    for row in contract() {
        if let Status::NoEffect(why) = row.flag.status {
            let (_, warnings) = run(&[&format!("--{}={}", row.flag.name, row.value())]);
            assert_eq!(warnings, [format!("--{} has no effect: {why}", row.flag.name)]);
        }
    }
    assert_eq!(run(&["--keep-alive", "--dns-discovery=false"]).1, Vec::<String>::new());
}

#[test]
fn wrong_values_of_special_forms_are_refused() {
    for (name, _, wrong) in &SPECIAL {
        assert!(read(&[&format!("--{name}={wrong}")], &[], "").is_err(), "--{name}={wrong}");
    }
}
