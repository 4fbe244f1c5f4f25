//! A supervisor with a folder of its own, and ways to wait for what it does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::interval;
use waku_supervisor::{Config, Line, State, Status, Supervisor};

/// How often is looked, and how many times at most: 30 seconds.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 3000;

pub(crate) struct Bench {
    pub(crate) supervisor: Supervisor,
    pub(crate) folder: TempDir,
}

impl Bench {
    /// Services by their tables in TOML.
    pub(crate) fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::new(config(text), &folder.path().join("logs")).unwrap();
        Self { supervisor, folder }
    }

    /// One service, `a`, that is a script for the shell, with more keys.
    pub(crate) fn script(script: &str, keys: &str) -> Self {
        Self::new(&shell("a", script, keys))
    }

    /// Waits until a service's status is as it should be.
    pub(crate) async fn until(&self, name: &str, fits: impl Fn(&Status) -> bool) -> Status {
        let mut look = interval(LOOK);
        for _ in 0..LOOKS {
            let status = self.supervisor.status(name).await.unwrap();
            if fits(&status) {
                return status;
            }
            look.tick().await;
        }
        panic!("{name} is {:?}", self.supervisor.status(name).await);
    }

    pub(crate) async fn until_state(&self, state: State) -> Status {
        self.until("a", |status| status.state == state).await
    }

    /// Waits for a line of the service `a` that begins so, and gives the rest of it.
    pub(crate) async fn line(&self, prefix: &str) -> String {
        let mut look = interval(LOOK);
        for _ in 0..LOOKS {
            let lines = self.log().await;
            if let Some(rest) = lines.iter().rev().find_map(|line| line.text.strip_prefix(prefix)) {
                return rest.to_owned();
            }
            look.tick().await;
        }
        panic!("no line begins with {prefix}: {:?}", self.log().await);
    }

    pub(crate) async fn log(&self) -> Vec<Line> {
        self.supervisor.log("a", 1000).await.unwrap()
    }

    /// The lines of the service itself.
    pub(crate) async fn said(&self) -> Vec<String> {
        let own = |line: &Line| line.source != waku_supervisor::Source::Supervisor;
        self.log().await.into_iter().filter(own).map(|line| line.text).collect()
    }
}

pub(crate) fn config(text: &str) -> Config {
    Config::parse("services.toml", text).unwrap()
}

pub(crate) fn shell(name: &str, script: &str, keys: &str) -> String {
    format!("[[service]]\nname = '{name}'\ncommand = ['/bin/sh', '-c', '''{script}''']\n{keys}\n")
}

/// Whether a process runs; one that ended and was not reaped does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    let state = stat.ok().and_then(|stat| stat.rsplit_once(") ")?.1.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

pub(crate) async fn until_gone(pid: &str) {
    let mut look = interval(LOOK);
    for _ in 0..LOOKS {
        if !is_alive(pid) {
            return;
        }
        look.tick().await;
    }
    panic!("process {pid} is still there");
}
