//! Whatever is written, an answer comes back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use waku_operator::command_line::table::flags;

use crate::read;

/// A word that is nearly right: a flag's name, some joint, some text.
fn word() -> impl Strategy<Value = String> {
    let names: Vec<_> = flags().map(|flag| flag.name).collect();
    let joint = prop_oneof![Just("="), Just(":"), Just(""), Just(" ")];
    let value = prop_oneof![
        any::<String>(),
        "[0-9a-fx:/.,-]{0,70}",
        "(enr|enrtree|sqlite|postgres)?:?/?/?[a-z]{0,3}",
        "[0-9]{0,24}[.,]?[0-9]{0,24} ?[KkMi]?i?[Bb]?",
        "(store|px)?:?[0-9]{0,24}/[0-9]{0,24} ?[hms]{0,2}",
    ];
    let flag =
        (select(names), joint, value).prop_map(|(name, joint, value)| format!("--{name}{joint}{value}"));
    prop_oneof![4 => flag, 1 => any::<String>()]
}

/// Lines of a file that are nearly right.
fn file() -> impl Strategy<Value = String> {
    let names: Vec<_> = flags().map(|flag| flag.name).collect();
    let value = prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|value| value.to_string()),
        "\"[a-z0-9:/.]{0,20}\"",
        "\\[(\"[a-z0-9]{0,4}\",? ?){0,3}\\]",
        "[\\[\\]{}=.\"']{0,8}",
    ];
    vec((select(names), value), 0..6).prop_map(|lines| {
        lines.into_iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join("\n")
    })
}

proptest! {
    #[test]
    fn any_words_and_variables_are_read_or_refused(
        words in vec(word(), 0..6),
        value in any::<String>(),
        at in any::<Index>(),
    ) {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let names: Vec<_> = flags().map(waku_operator::command_line::variable).collect();
        let variables = [(at.get(&names).as_str(), value.as_str())];
        if let Err(error) = read(&words, &variables, "") {
            let report = error.report("wakunode2");
            prop_assert!(report.ends_with("Try wakunode2 --help for more information."));
        }
    }

    #[test]
    fn any_file_is_read_or_refused(file in prop_oneof![3 => file(), 1 => any::<String>()]) {
        if let Err(error) = read(&["--config-file=b.toml"], &[], &file) {
            prop_assert!(!error.report("wakunode2").is_empty());
        }
    }
}

#[test]
fn a_file_nested_too_deeply_is_refused() {
    let error =
        read(&["--config-file=b.toml"], &[], &format!("shard = {}", "[".repeat(100_000))).unwrap_err();
    assert!(error.to_string().starts_with("Failed to load secondary sources: 'b.toml(1, "), "{error}");
}
