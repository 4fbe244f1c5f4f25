//! The manager in a process of its own.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::spawn_blocking;

use crate::Failure;
use crate::network::in_time;

/// A running `node-manager`. It is killed when dropped.
pub(crate) struct Manager(Child);

/// What a process takes.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
    /// What of it is the process's own, and not a file's that is mapped.
    pub(crate) own: u64,
    /// Processor time since its start.
    pub(crate) processor: Duration,
}

/// With nothing of the caller's own environment in its way.
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node-manager"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NODE_MANAGER_")) {
        command.env_remove(name);
    }
    command.args(arguments).arg("--data-dir").arg(directory);
    command
}

/// Runs a command to its end, which has to be a good one.
pub(crate) async fn run(directory: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = command(directory, arguments);
    let output =
        in_time("the end of a command", async { Ok(spawn_blocking(move || command.output()).await??) });
    let output = output.await?;
    if !output.status.success() {
        let name = arguments.first().unwrap_or(&"node-manager");
        return Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(())
}

impl Manager {
    /// Starts it, and waits until it runs.
    pub(crate) async fn start(directory: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let mut command = command(directory, arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or("a process without a log")?);
        let manager = Self(child);
        let running = spawn_blocking(move || {
            let mut seen = String::new();
            while log.read_line(&mut seen)? > 0 {
                if seen.lines().next_back().is_some_and(|line| line.contains("running")) {
                    // The rest is read so that it can go on writing.
                    thread::spawn(move || io::copy(&mut log, &mut io::sink()));
                    return Ok(());
                }
            }
            Err(format!("the manager did not start: {seen}").into())
        });
        in_time("the manager", async { running.await? }).await?;
        Ok(manager)
    }

    pub(crate) fn usage(&self) -> Result<Use, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let bytes = |name: &str| -> Result<u64, Failure> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .ok_or_else(|| format!("no {name}"))?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // After the name, which may hold anything: the 12th and 13th field are the times in user and kernel mode, in
        // ticks of 10 ms.
        let fields = stat.rsplit_once(')').ok_or("no process name")?.1;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(Use {
            resident: bytes("VmRSS:")?,
            own: bytes("RssAnon:")?,
            processor: Duration::from_millis(ticks * 10),
        })
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let ended = spawn_blocking(move || self.0.wait());
        in_time("the manager's end", async { Ok(ended.await??) }).await?;
        Ok(())
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // It may have ended already.
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
