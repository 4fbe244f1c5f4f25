//! What is packaged is read by the command line, and so is what the documents tell people to type.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::path::Path;

use waku_operator::command_line::table::{Status, find, flags};
use waku_operator::command_line::{Asked, Options, Sources, parse};

const FILE: &str = include_str!("../../packaging/waku-node.toml");
const UNIT: &str = include_str!("../../packaging/waku-node.service");
const DOCKERFILE: &str = include_str!("../../packaging/Dockerfile");
const COMPOSE: &str = include_str!("../../packaging/compose/docker-compose.yml");
const ENVIRONMENT: &str = include_str!("../../packaging/compose/.env.example");
const PROMETHEUS: &str = include_str!("../../packaging/compose/prometheus.yml");
const DOCUMENTS: [(&str, &str); 3] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/operators.md", include_str!("../../docs/operators.md")),
    ("docs/differences-from-nwaku.md", DIFFERENCES),
];
const DIFFERENCES: &str = include_str!("../../docs/differences-from-nwaku.md");

/// What the node is called, in the documents and in packages.
const PROGRAMS: [&str; 3] = ["waku-node", "wakunode", "wakunode2"];

/// Options and warnings, `file` being what is in the file that `--config-file` names.
fn read(words: &[String], variables: &[(&str, &str)], file: &str) -> Result<(Options, Vec<String>), String> {
    let sources = Sources::new("waku-node", words.to_vec(), variables.to_vec());
    match parse(&sources, |_: &Path| Ok(file.to_owned())) {
        Ok(Asked::Run { options, warnings }) => Ok((*options, warnings)),
        Ok(other) => Err(format!("{words:?} asks for {other:?}")),
        Err(error) => Err(error.report("waku-node")),
    }
}

/// The words behind the program in the unit.
fn unit_words() -> Vec<String> {
    let line =
        UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/waku-node ")).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

/// The list under `command:` of the first service.
fn compose_words() -> Vec<String> {
    let (_, behind) = COMPOSE.split_once("    command:\n").unwrap();
    let items = behind.lines().map_while(|line| line.strip_prefix("      - "));
    items.map(str::to_owned).collect()
}

/// Variables of a file of them; with `examples` also those that are commented out.
fn variables(text: &str, examples: bool) -> Vec<(&str, &str)> {
    text.lines().map(|line| uncommented(line, examples)).filter_map(|line| line.split_once('=')).collect()
}

/// The line without the `#` of an example, which has no blank behind it; nothing of any other comment.
fn uncommented(line: &str, examples: bool) -> &str {
    match line.strip_prefix('#') {
        Some(example) if examples && !example.starts_with(' ') => example,
        Some(_) => "",
        None => line,
    }
}

#[test]
fn the_unit_runs_the_packaged_file_without_a_warning() {
    let words = unit_words();
    assert!(words.iter().any(|word| word.starts_with("--config-file=")), "{words:?}");
    let (options, warnings) = read(&words, &[], FILE).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!((options.sharding.cluster_id, options.sharding.shard_count), (1, 8));
    assert_eq!(options.store.unwrap().db_url.as_deref(), Some("redb://store.redb"));
    assert!(options.rest.unwrap().address.is_loopback());
    assert!(options.metrics.unwrap().address.is_loopback());
}

#[test]
fn every_example_in_the_packaged_file_is_read() {
    let file: Vec<_> = FILE.lines().map(|line| uncommented(line, true)).collect();
    let (options, _) = read(&unit_words(), &[], &file.join("\n")).unwrap();
    assert!(options.identity.node_key.is_some());
    assert!(options.websocket.unwrap().certificate.is_some());
}

#[test]
fn the_composed_node_is_read_without_a_warning_and_listens_where_ports_are_published() {
    let (options, warnings) = read(&compose_words(), &variables(ENVIRONMENT, false), "").unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let (rest, metrics) = (options.rest.unwrap(), options.metrics.unwrap());
    assert!(rest.address.is_unspecified() && metrics.address.is_unspecified());
    let (tcp, udp) = (options.addresses.tcp_port, options.discovery.discv5.unwrap().port);
    for published in [
        format!("\"{tcp}:{tcp}/tcp\""),
        format!("\"{udp}:{udp}/udp\""),
        format!("\"127.0.0.1:{0}:{0}/tcp\"", rest.port),
        format!("\"127.0.0.1:{0}:{0}/tcp\"", metrics.port),
    ] {
        assert!(COMPOSE.contains(&published), "{published}");
    }
    assert!(PROMETHEUS.contains(&format!("\"node:{}\"", metrics.port)));
    assert!(PROMETHEUS.contains("job_name: nwaku\n"));
}

#[test]
fn every_example_of_a_variable_is_read_and_is_of_a_flag() {
    let variables = variables(ENVIRONMENT, true);
    let (options, _) = read(&compose_words(), &variables, "").unwrap();
    let websocket = options.websocket.unwrap();
    assert!(websocket.certificate.is_some());
    assert!(COMPOSE.contains(&format!("\"{0}:{0}/tcp\"", websocket.port)));
    for (name, _) in variables {
        let flag = name.strip_prefix("WAKUNODE2_").map(|name| name.to_lowercase().replace('_', "-"));
        assert!(flag.is_none_or(|flag| find(&flag).is_some()), "{name}");
    }
}

#[test]
fn the_image_has_the_names_and_ports_of_nwaku_s() {
    for line in [
        "ENTRYPOINT [\"/usr/bin/wakunode\"]",
        "CMD [\"--help\"]",
        "EXPOSE 30303 60000 8545",
        "/usr/local/bin/wakunode2 ",
        "USER waku",
    ] {
        assert!(DOCKERFILE.contains(line), "{line}");
    }
}

/// Lines of a document's code, those that end in a backslash joined with the next.
fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```").skip(1).step_by(2);
    blocks
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The flags behind the node's name, without quotes; `None` where the command is not one that runs it.
fn flags_of(command: &str) -> Option<Vec<String>> {
    let mut words = command.split_whitespace().map(|word| word.trim_matches('\''));
    words.find(|word| PROGRAMS.contains(&word.rsplit('/').next().unwrap_or_default()))?;
    let flags: Vec<_> = words
        .take_while(|word| !["|", "#", "&&", "&", ">"].contains(word))
        .filter(|word| word.starts_with("--") && *word != "--")
        .map(|word| word.replace('\'', ""))
        .collect();
    (!flags.is_empty()).then_some(flags)
}

#[test]
fn flags_are_found_in_commands() {
    let command = "WAKUNODE2_NODEKEY=1 ./waku-node --a=1 '--b=c;d' --e='f' | grep -- --no";
    assert_eq!(flags_of(command).unwrap(), ["--a=1", "--b=c;d", "--e=f"]);
    assert_eq!(flags_of("cargo run --bin waku-node -- --a").unwrap(), ["--a"]);
    assert_eq!(flags_of("journalctl -u waku-node"), None);
    assert_eq!(flags_of("docker run --rm image"), None);
}

#[test]
fn commands_in_documents_are_read() {
    let mut found = 0;
    for (name, text) in DOCUMENTS {
        for command in commands(text) {
            let Some(flags) = flags_of(&command) else { continue };
            if flags.iter().any(|flag| flag == "--help" || flag == "--version") {
                continue;
            }
            found += 1;
            if let Err(report) = read(&flags, &[], FILE) {
                panic!("{name}: {command}\n{report}");
            }
        }
    }
    assert!(found > 5, "{found}");
}

/// Words between backticks that are flags.
fn named_flags(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    let quoted = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    let flags = quoted.filter_map(|quoted| quoted.strip_prefix("--"));
    flags.map(|flag| flag.split(['=', ':', ' ', '*']).next().unwrap_or_default())
}

#[test]
fn flags_that_documents_name_are_there() {
    for (name, text) in &DOCUMENTS[1..] {
        for flag in named_flags(text).filter(|flag| !["", "help", "name", "version"].contains(flag)) {
            assert!(find(flag).is_some(), "{name}: --{flag}");
        }
    }
}

#[test]
fn every_flag_that_does_not_work_stands_among_the_differences() {
    let named: Vec<_> = named_flags(DIFFERENCES).collect();
    for flag in flags().filter(|flag| flag.status != Status::Works) {
        assert!(named.contains(&flag.name), "--{}", flag.name);
    }
}
