//! A process of the tool under test.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No wait is longer; a test that needs it all has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running `node-manager`. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything it has written.
    seen: Vec<String>,
    name: String,
}

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
}

/// A command with nothing of the tester's own environment in its way.
pub(crate) fn node_manager(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-manager"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NODE_MANAGER_")) {
        command.env_remove(name);
    }
    command.args(arguments).arg("--data-dir").arg(data_dir);
    command
}

impl Process {
    pub(crate) fn start(data_dir: &Path, arguments: &[&str]) -> Self {
        Self::spawn(node_manager(data_dir, arguments), &arguments.join(" "))
    }

    pub(crate) fn spawn(mut command: Command, name: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = sync_channel(10_000);
        read_lines(child.stdout.take().unwrap(), sender.clone());
        read_lines(child.stderr.take().unwrap(), sender);
        let stdin = child.stdin.take();
        Self { child, stdin, lines, seen: Vec::new(), name: name.to_owned() }
    }

    /// Waits for a line that `wanted` finds something in.
    pub(crate) fn find<T>(&mut self, what: &str, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.seen.push(line);
                    if let Some(found) = found {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(what, "did not come in time"),
                Err(RecvTimeoutError::Disconnected) => self.fail(what, "never came; the process ended"),
            }
        }
    }

    /// Waits for a line that contains a text.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        self.find(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// Waits for a JSON event.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        self.find(name, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == name).then_some(event)
        })
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Ended {
        drop(self.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => self.fail("the end", "did not come in time"),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, output: self.seen.join("\n") }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by name, as `kill` takes it.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// The most memory it has had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    fn fail(&self, what: &str, why: &str) -> ! {
        panic!("`{}`: {what:?} {why}. It wrote:\n{}", self.name, self.seen.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn read_lines(from: impl Read + Send + 'static, to: SyncSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}
