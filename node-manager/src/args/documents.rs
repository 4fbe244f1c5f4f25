//! What documents and packages tell people to type and to write is read by the command line and by the configurations, and what
//! they say of grants and alerts is so.

use std::collections::BTreeMap;

use clap::{Arg, Command, CommandFactory as _, Parser as _};
use waku_gateway::policy::{Kind as Asked, Rule};
use waku_gateway::watch::Kind as Alert;

use super::Cli;

const GUIDE: &str = include_str!("../../../docs/operators-guide.md");
const README: &str = include_str!("../../../README.md");
const UNIT: &str = include_str!("../../../packaging/node-manager.service");
const VARIABLES: &str = include_str!("../../../packaging/node-manager.env");
const CONFIG: &str = include_str!("../../../packaging/node-manager.toml");
const PROGRAM: &str = "node-manager";

/// Blocks of code of a kind, such as `sh`.
fn blocks<'d>(document: &'d str, kind: &str) -> Vec<&'d str> {
    let blocks = document.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n')).collect()
}

/// Commands of a document; lines that end in a backslash are joined with the next.
fn commands(document: &str) -> Vec<String> {
    let joined = blocks(document, "sh").into_iter().map(|block| block.replace("\\\n", " "));
    joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The words of a command, up to a comment or another command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                _ = word.get_or_insert_default();
            }
            (None, '|' | ';' | '>' | '&' | '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What is given to the program, by its name or by cargo; nothing when another one is run.
fn arguments(line: &str) -> Option<Vec<String>> {
    let words = words(line);
    let mut rest = words.as_slice();
    if let [sudo, user, _, more @ ..] = rest
        && sudo == "sudo"
        && user == "-u"
    {
        rest = more;
    }
    let (first, rest) = rest.split_first()?;
    if first.rsplit('/').next() == Some(PROGRAM) {
        return Some(rest.to_vec());
    }
    let is_ours = first == "cargo" && rest.windows(2).any(|pair| pair == ["-p", PROGRAM]);
    let at = rest
        .iter()
        .position(|word| word == "--")
        .filter(|_| is_ours && rest.iter().any(|word| word == "run"))?;
    Some(rest.get(at + 1..)?.to_vec())
}

fn parse(arguments: &[String]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from([PROGRAM].into_iter().map(str::to_owned).chain(arguments.iter().cloned()))
}

/// All options there are.
fn options() -> Vec<Arg> {
    fn gather(command: &Command, options: &mut Vec<Arg>) {
        options.extend(command.get_arguments().cloned());
        command.get_subcommands().for_each(|command| gather(command, options));
    }
    let mut options = Vec::new();
    gather(&Cli::command(), &mut options);
    options
}

#[test]
fn words_are_told_apart() {
    assert_eq!(words("a 'b c' \"d\"  e'f g' # no"), ["a", "b c", "d", "ef g"]);
    assert_eq!(words("a --b=c;d | e"), ["a", "--b=c;d"]);
    let given = |line: &str| arguments(line).map(|words| words.join(" "));
    assert_eq!(given("sudo -u node-manager /usr/bin/node-manager status").as_deref(), Some("status"));
    assert_eq!(given("cargo run -p node-manager -- app ping").as_deref(), Some("app ping"));
    assert_eq!(given("journalctl -u node-manager"), None);
    assert_eq!(given("cargo build -p node-manager"), None);
}

#[test]
fn commands_in_documents_are_read() {
    for (name, document, least) in [("README.md", README, 5), ("docs/operators-guide.md", GUIDE, 15)] {
        let found: Vec<_> = commands(document).iter().filter_map(|line| arguments(line)).collect();
        for arguments in &found {
            if let Err(error) = parse(arguments) {
                panic!("{name}: {arguments:?}\n{error}");
            }
        }
        assert!(found.len() >= least, "{name}: {found:?}");
    }
}

#[test]
fn the_alias_of_the_guide_is_the_unit_s_program_and_data() {
    let alias = commands(GUIDE)
        .into_iter()
        .find_map(|line| Some(line.strip_prefix("alias node-manager='")?.to_owned()));
    let alias = alias.unwrap();
    let mut given = arguments(alias.trim_end_matches('\'')).unwrap();
    given.push("status".to_owned());
    let data_dir = parse(&given).unwrap().global.data_dir.unwrap();
    let (_, folder) = UNIT.split_once("NODE_MANAGER_DATA_DIR=%S/").unwrap();
    assert_eq!(data_dir, std::path::Path::new("/var/lib").join(folder.lines().next().unwrap()));
    let program = UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=")?.split(' ').next()).unwrap();
    assert!(alias.contains(&format!("sudo -u node-manager {program} ")), "{alias}");
    assert!(UNIT.contains("\nUser=node-manager\n"));
}

#[test]
fn flags_and_variables_that_documents_name_are_there() {
    let options = options();
    // Flags of other programs.
    let others = [
        "rest-address",
        "metrics-address",
        "tcp-port",
        "udp-port",
        "store",
        "filter",
        "lightpush",
        "now",
        "flag",
    ];
    let prose: String = GUIDE.split("```").step_by(2).collect();
    let mut flags = 0;
    for word in prose.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)) {
        if let Some(flag) = word
            .strip_prefix("--")
            .filter(|flag| !flag.trim_matches('-').is_empty() && !others.contains(flag))
        {
            let is_there = flag == "help" || options.iter().any(|option| option.get_long() == Some(flag));
            assert!(is_there, "--{flag}");
            flags += 1;
        }
        if word.starts_with("NODE_MANAGER_") {
            let is_there = options.iter().any(|option| option.get_env().is_some_and(|name| name == word));
            assert!(is_there, "{word}");
        }
    }
    assert!(flags > 5, "{flags}");
}

#[test]
fn the_unit_runs_with_every_variable_of_the_packaged_file() {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut given = arguments(line).unwrap();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let mut named = 0;
    for line in VARIABLES.lines() {
        let Some((name, value)) = line.trim_start_matches('#').split_once('=') else { continue };
        if !name.starts_with("NODE_MANAGER_") {
            continue;
        }
        let option = run.get_arguments().find(|option| option.get_env().is_some_and(|known| known == name));
        let flag = option.unwrap_or_else(|| panic!("{name}")).get_long().unwrap();
        given.push(if value == "true" { format!("--{flag}") } else { format!("--{flag}={value}") });
        named += 1;
    }
    assert!(named > 5, "{named}");
    let Ok(Cli { command: super::Command::Run(run), .. }) = parse(&given) else { panic!("{given:?}") };
    assert_eq!(run.config.unwrap().to_str(), Some("/etc/node-manager/config.toml"));
    assert!(!run.run.network.static_nodes.is_empty() && run.services.is_some());
}

#[test]
fn files_in_documents_and_packages_are_read() {
    waku_gateway::Config::parse("packaging/node-manager.toml", CONFIG).unwrap();
    let mut read = (0, 0);
    for block in blocks(GUIDE, "toml") {
        let (first, _) = block.split_once('\n').unwrap();
        match first {
            "# config.toml" => {
                waku_gateway::Config::parse("config.toml", block)
                    .unwrap_or_else(|error| panic!("{error}\n{block}"));
                read.0 += 1;
            }
            "# services.toml" => {
                waku_supervisor::Config::parse("services.toml", block)
                    .unwrap_or_else(|error| panic!("{error}\n{block}"));
                read.1 += 1;
            }
            _ => panic!("begin with the file's name: {block}"),
        }
    }
    assert!(read.0 >= 3 && read.1 >= 1, "{read:?}");
}

/// What is asked with a rule, as an app writes it: methods, paths, and what is passed on of more than paths.
fn asked(mount: &str, rule: &Rule) -> (String, String) {
    let methods: Vec<_> = rule.methods.iter().map(|method| method.name()).collect();
    let paths = rule.paths.iter().map(|path| format!("`{mount}{}`", path.to_string().trim_end_matches('/')));
    let paths = paths.collect::<Vec<_>>().join(", ");
    let only = match &rule.kind {
        Asked::JsonRpc(only) | Asked::Events(only) => format!(" ({})", only.join(", ")),
        Asked::Metrics(_) => " (some series)".to_owned(),
        Asked::Forward => String::new(),
    };
    (methods.join(", "), paths + &only)
}

#[test]
fn the_table_of_grants_is_what_the_profile_allows() {
    let text = "profile = \"nimbus\"\n[[service]]\nname = \"keymanager\"\n";
    let config = waku_gateway::Config::parse("all of Nimbus", text).unwrap();
    let mut rows = BTreeMap::<(usize, &str, String), Vec<String>>::new();
    let grants = ["monitor", "operate", "keys"];
    for service in config.policy.services() {
        for rule in &service.rules {
            let grant = grants.iter().position(|grant| *grant == rule.grant.name()).unwrap();
            let (methods, paths) = asked(&service.mount, rule);
            rows.entry((grant, &service.name, methods)).or_default().push(paths);
        }
    }
    let rows = rows.into_iter().map(|((grant, service, methods), paths)| {
        format!("| `{}` | {service} | {methods} {} |\n", grants[grant], paths.join(", "))
    });
    let table = rows.collect::<String>();
    assert!(GUIDE.contains(&table), "docs/operators-guide.md needs this table:\n{table}");
}

#[test]
fn what_to_do_about_alerts_is_what_the_host_says() {
    let service = Alert::ServiceDown { index: 0, name: String::new() };
    for kind in [
        Alert::OutOfSync,
        Alert::PeersLow,
        Alert::MissedAttestations,
        Alert::DiskFilling,
        Alert::ClockDrift,
        service,
    ] {
        let runbook = kind.runbook().replace('|', "\\|");
        assert!(GUIDE.contains(&format!("| {runbook} |")), "{runbook}");
    }
}
