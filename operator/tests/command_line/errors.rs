//! What is wrong, and in which words.

use waku_operator::command_line::table::flags;
use waku_operator::command_line::{EXIT_STATUS, NWAKU_VERSION, version};

use crate::{read, refuse, rows};

const ERRORS: &str = include_str!("../contract/errors.tsv");

#[test]
fn every_case_ends_in_the_words_and_with_the_status_of_the_contract() {
    for row in rows(ERRORS, 6) {
        let [case, words, environment, file, expected, exit] = row[..] else { unreachable!("six columns") };
        let words: Vec<_> = words.split_whitespace().collect();
        let variables: Vec<_> =
            environment.split_whitespace().filter_map(|pair| pair.split_once('=')).collect();
        let (status, text) = match read(&words, &variables, &file.replace("\\n", "\n")) {
            Ok(_) => (0, String::new()),
            Err(error) => (EXIT_STATUS, error.report("wakunode2")),
        };
        assert_eq!(status.to_string(), exit, "{case}: {text}");
        assert!(text.lines().next().unwrap_or_default().contains(expected), "{case}: {text}");
        if status != 0 {
            assert_eq!(text.lines().last(), Some("Try wakunode2 --help for more information."), "{case}");
        }
    }
}

#[test]
fn a_hint_stands_between_the_error_and_the_last_line() {
    let report = refuse(&["--cluster_id=3"]);
    let expected = [
        "Unrecognized option 'cluster_id'",
        "Did you mean --cluster-id?",
        "Try wakunode2 --help for more information.",
    ];
    assert_eq!(report.lines().collect::<Vec<_>>(), expected);
    assert!(refuse(&["--log-level=loud"]).contains("TRACE, DEBUG, INFO"));
    assert!(refuse(&["--preset=foo"]).contains("twn, logos.dev"));
}

#[test]
fn what_may_hold_a_secret_is_marked_so() {
    let marked: Vec<_> = flags().filter(|flag| flag.secret).map(|flag| flag.name).collect();
    let expected = [
        "nodekey",
        "store-message-db-url",
        "rln-relay-cred-password",
        "rln-relay-eth-client-address",
        "rln-relay-eth-private-key",
        "mixkey",
        "rln-relay-id-key",
        "rln-relay-id-commitment-key",
    ];
    assert_eq!(marked, expected);
}

#[test]
fn secrets_are_never_repeated() {
    let secret = "5ec2e75ec2e7";
    let cases = [
        (format!("--nodekey={secret}"), String::new()),
        (format!("--mixkey={secret}"), String::new()),
        (format!("--rln-relay-eth-client-address=ws://user:{secret}@host"), String::new()),
        (format!("--store-message-db-url=postgres://user:{secret}@host:1/db"), String::new()),
        (format!("--store-message-db-url={secret}"), String::new()),
        (String::from("--config-file=b.toml"), format!("nodekey = \"{secret}\"")),
        (String::from("--config-file=b.toml"), format!("nodekey = \"{secret}")),
        (String::from("--config-file=b.toml"), format!("rln-relay-cred-password = {secret}")),
    ];
    for (word, file) in cases {
        let error = read(&["--store", &word], &[], &file).unwrap_err();
        let shown = format!("{error} {error:?} {}", error.report("wakunode2"));
        assert!(!shown.contains(secret), "{word} {file}: {shown}");
    }
    let error = read(&[], &[("WAKUNODE2_NODEKEY", secret)], "").unwrap_err();
    assert!(!format!("{error:?}").contains(secret));
}

#[test]
fn options_and_warnings_do_not_show_secrets() {
    let key = "1122334455667788990011223344556677889900112233445566778899001122";
    let words = [
        format!("--nodekey={key}"),
        format!("--mixkey={key}"),
        "--rln-relay-cred-password=pass1122".to_owned(),
        "--rln-relay-eth-private-key=1122".to_owned(),
        "--rln-relay-id-key=1122".to_owned(),
    ];
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (options, warnings) = crate::run(&words);
    let shown = format!("{options:?} {warnings:?}");
    assert!(!shown.contains("1122") && !shown.contains("[17, 34"), "{shown}");
    assert_eq!(options.identity.node_key.unwrap().bytes()[..2], [0x11, 0x22]);
}

#[test]
fn the_version_is_nwaku_s_with_ours_behind() {
    assert!(NWAKU_VERSION.starts_with("v0.3"));
    assert!(version("waku-node 0.1.0").starts_with("version / git commit hash: v0.38.1"));
}
