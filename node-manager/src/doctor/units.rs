//! Whether the services that apps may start and stop are known, and run.

use waku_supervisor::{Config, Error, State, Status, Supervisor};

use super::report::Finding;

/// What looks after the services.
pub(super) enum Looking {
    /// The running service's own, which has the child processes too.
    InService(Supervisor),
    /// One for the occasion, which looks at units of systemd and starts nothing.
    Alone,
}

/// Asks for every service of the list.
pub(super) async fn check(config: Option<&Config>, looking: Looking) -> Vec<Finding> {
    let Some(config) = config else { return Vec::new() };
    let (supervisor, only_units) = match looking {
        Looking::InService(supervisor) => (supervisor, None),
        Looking::Alone => {
            let units = config.only_units();
            match Supervisor::new(units.clone(), std::path::Path::new("")) {
                Ok(supervisor) => (supervisor, Some(units)),
                Err(error) => {
                    return vec![Finding::not_checked("services", error, "examine while the service runs")];
                }
            }
        }
    };
    let mut findings = Vec::new();
    for name in config.names() {
        let is_process = only_units.as_ref().is_some_and(|units| units.names().all(|unit| unit != name));
        findings.push(if is_process {
            let fix = "examine while the service runs: it is what starts this one";
            Finding::not_checked(check_name(name), "a process of the service, which does not run", fix)
        } else {
            judge(name, supervisor.status(name).await)
        });
    }
    findings
}

fn check_name(name: &str) -> String {
    format!("service {name}")
}

fn judge(name: &str, status: Result<Status, Error>) -> Finding {
    let check = check_name(name);
    let log = "look at its log: journalctl -u, or node-manager's own log, and start it again";
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let fix = match &error {
                Error::NoUnit(_) | Error::Unusable { .. } => {
                    "mend its name in services.toml, or the unit: systemctl status"
                }
                Error::UnknownService { .. } => "restart the service, so that it reads services.toml again",
                _ => "see that systemd and D-Bus run, and that this user may ask them",
            };
            return match error {
                Error::NoBus { .. } => Finding::not_checked(check, error, fix),
                Error::UnknownService { .. } => {
                    Finding::warning(check, "not in the list that the service has read", fix)
                }
                error => Finding::failed(check, error, fix),
            };
        }
    };
    match status.state {
        State::Running | State::Starting | State::Stopping => Finding::ok(check, status.state),
        State::Stopped => Finding::warning(check, "stopped", "start it, or take it off the list"),
        State::Failed => {
            let exit = status.exit.map_or_else(String::new, |exit| format!(": {exit}"));
            Finding::failed(check, format!("failed{exit}"), log)
        }
        State::Unknown => Finding::not_checked(
            check,
            status.problem.unwrap_or_else(|| "it could not be asked".to_owned()),
            log,
        ),
    }
}

#[cfg(test)]
mod tests {
    use waku_supervisor::KindOf;

    use super::super::State as Means;
    use super::*;

    fn status(state: State) -> Status {
        Status {
            name: "beacon".to_owned(),
            kind: KindOf::Unit,
            state,
            since: None,
            pid: None,
            restarts: 0,
            exit: Some("exit status 1".to_owned()),
            description: String::new(),
            problem: None,
        }
    }

    #[test]
    fn what_runs_is_well_and_what_is_not_known_has_failed() {
        let state = |status| judge("beacon", status).state;
        assert_eq!(state(Ok(status(State::Running))), Means::Ok);
        assert_eq!(state(Ok(status(State::Stopped))), Means::Warning);
        assert_eq!(state(Ok(status(State::Failed))), Means::Failed);
        assert_eq!(state(Ok(status(State::Unknown))), Means::NotChecked);
        assert_eq!(state(Err(Error::NoUnit("nimbo.service".to_owned()))), Means::Failed);
        let unknown = Error::UnknownService { name: "x".to_owned(), known: "y".to_owned() };
        assert_eq!(state(Err(unknown)), Means::Warning);
        let no_bus = Error::NoBus { bus: "x".to_owned(), reason: "y".to_owned(), advice: "z" };
        assert_eq!(state(Err(no_bus)), Means::NotChecked);
    }

    #[tokio::test]
    async fn looking_starts_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let text = format!(
            "[[service]]\nname = 'a'\ncommand = ['/bin/sh', '-c', 'touch {}']\nautostart = true",
            mark.display()
        );
        let config = Config::parse("services.toml", &text).unwrap();
        let findings = check(Some(&config), Looking::Alone).await;
        assert_eq!(findings[0].state, Means::NotChecked);
        assert!(!mark.exists());
        assert_eq!(check(None, Looking::Alone).await, []);
    }
}
