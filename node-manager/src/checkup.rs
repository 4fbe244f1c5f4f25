//! `doctor`: has the host examined, by its service if it runs, and shows what was found.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::{self, PathBuf};

use node_manager::doctor::{Report, State, examine_alone};
use node_manager::host::Files;
use waku_pairing::party::Part;

use crate::args::{DoctorArgs, Global};
use crate::control::{Access, Request, Response};
use crate::failure::Failure;
use crate::settings;
use crate::signals::Signals;
use crate::terminal::print_line;

/// Examines the host.
pub(crate) async fn doctor(global: &Global, args: DoctorArgs) -> Result<(), Failure> {
    let config = settings::service(global, Part::NodeManager, None)?;
    let files = Files { config: whole(args.config)?, services: whole(args.services)? };
    if let Some(user) = &args.polkit_rule {
        let rule = files.services(&config.data_dir)?.and_then(|services| services.polkit_rule(user));
        let rule = rule.ok_or_else(|| {
            Failure::usage("no unit of the system is on the list of services")
                .hint("name one in services.toml, or the file with --services")
        })?;
        print_line(rule.trim_end());
        return Ok(());
    }
    let mut signals = Signals::new()?;
    let examined = async {
        match Access::daemon(&config).await? {
            Some(daemon) => {
                let Files { config, services } = files;
                match daemon.call(Request::Doctor { config, services }).await? {
                    Response::Doctor(report) => Ok(*report),
                    _ => Err(Failure::other("the daemon answered something else")),
                }
            }
            None if args.network.static_nodes.is_empty() => {
                Ok(examine_alone(&config.data_dir, &files, None).await)
            }
            None => {
                let network = args.network.network()?;
                Ok(Box::pin(examine_alone(&config.data_dir, &files, Some(network))).await)
            }
        }
    };
    let report: Report = signals.unless_interrupted(examined).await.flatten()?;
    if args.json {
        print_line(serde_json::to_string(&report).expect("plain data can be written as JSON"));
    } else {
        let is_colourful =
            io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        print_line(page(&report, is_colourful));
    }
    match report.count(State::Failed) {
        0 => Ok(()),
        1 => Err(Failure::other("1 check failed")),
        failed => Err(Failure::other(format!("{failed} checks failed"))),
    }
}

/// A service may run elsewhere: it is told whole paths.
fn whole(path: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    path.map(path::absolute).transpose().map_err(|error| Failure::usage(format!("a path is odd: {error}")))
}

/// What a person reads: a line for each finding, and one for what to do where something is not as it should be.
pub(crate) fn page(report: &Report, is_colourful: bool) -> String {
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let states = width(&mut State::ALL.iter().map(|state| state.to_string().len()));
    let checks = width(
        &mut report.findings.iter().map(|finding| finding.check.chars().count()).filter(|len| *len <= 30),
    );
    let mut text = String::new();
    for finding in &report.findings {
        let (on, off) = if is_colourful { (colour(finding.state), "\x1b[0m") } else { ("", "") };
        // Writing to a string cannot fail.
        _ = writeln!(text, "{on}{:states$}{off}  {:checks$}  {}", finding.state, finding.check, finding.seen);
        if let Some(fix) = &finding.fix {
            _ = writeln!(text, "{:states$}  {:checks$}  → {fix}", "", "");
        }
    }
    let counts = State::ALL.into_iter().map(|state| (state, report.count(state)));
    let counts = counts.filter(|(_, count)| *count > 0).map(|(state, count)| format!("{count} {state}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let how = if report.running { "examined by the running service" } else { "the service does not run" };
    _ = write!(text, "\n{counts}; {how}.");
    text
}

fn colour(state: State) -> &'static str {
    match state {
        State::Ok => "\x1b[32m",
        State::NotChecked => "\x1b[2m",
        State::Warning => "\x1b[33m",
        State::Failed => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use node_manager::doctor::Finding;

    use super::*;

    fn report() -> Report {
        let finding = |check: &str, state, fix: Option<&str>| Finding {
            check: check.to_owned(),
            state,
            seen: "seen".to_owned(),
            fix: fix.map(str::to_owned),
        };
        let long = "Waku node /dns4/a-name-of-some-length.example/tcp/60000";
        let findings = vec![
            finding("clock", State::Ok, None),
            finding("data directory", State::Warning, Some("chmod 700 it")),
            finding(long, State::Failed, Some("dial")),
        ];
        Report { at: 1, version: "1".to_owned(), running: true, findings }
    }

    #[test]
    fn findings_stand_in_columns_with_what_to_do_below() {
        let expected = "\
ok           clock           seen
warning      data directory  seen
                             → chmod 700 it
failed       Waku node /dns4/a-name-of-some-length.example/tcp/60000  seen
                             → dial

1 failed, 1 warning, 1 ok; examined by the running service.";
        assert_eq!(page(&report(), false), expected);
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let mut text = page(&report(), true);
        assert!(text.contains("\x1b[31mfailed"));
        for state in State::ALL {
            text = text.replace(colour(state), "");
        }
        assert_eq!(text.replace("\x1b[0m", ""), page(&report(), false));
    }
}
