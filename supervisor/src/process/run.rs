//! One run of a program: its process, its group, its output.

use std::env;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::group::Group;
use crate::config::ProcessSpec;
use crate::log::{Log, Source, Splitter};
use crate::status::Exit;

/// The environment that every child has, and what stands there where this process has none.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/"), ("LANG", "C.UTF-8")];
/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// How long output is read on after everybody in the group is dead: who left the group may hold it open for ever.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A run. Whoever belongs to it is killed when it is dropped.
pub(super) struct Run {
    child: Child,
    group: Group,
    readers: JoinSet<()>,
    began: Instant,
}

impl Run {
    pub(super) async fn new(spec: &ProcessSpec, log: &Log) -> io::Result<Self> {
        let group = Group::new(spec.stop_limit).await?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).current_dir(&spec.dir).env_clear();
        for (name, default) in ENVIRONMENT {
            command.env(name, env::var_os(name).unwrap_or_else(|| default.into()));
        }
        let spawned = command
            .envs(&spec.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(group.id().as_raw_pid())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                group.end().await;
                let is_folder = error.kind() == io::ErrorKind::NotFound && !spec.dir.is_dir();
                let folder = format!("its folder {} is not there", spec.dir.display());
                return Err(if is_folder { io::Error::new(error.kind(), folder) } else { error });
            }
        };
        let mut readers = JoinSet::new();
        if let Some(pipe) = child.stdout.take() {
            readers.spawn(read(pipe, Source::Out, log.clone()));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.spawn(read(pipe, Source::Err, log.clone()));
        }
        Ok(Self { child, group, readers, began: Instant::now() })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until the main process has ended. May be given up and called again.
    pub(super) async fn ended(&mut self) {
        // An error says that it is not ours to wait for, and so that it is gone.
        _ = self.child.wait().await;
    }

    /// Ends everybody: SIGTERM, and SIGKILL for who is there after the limit. Who closed its output after the main
    /// process has ended is not waited for.
    pub(super) async fn end(mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        // Who was halted cannot end.
        self.signal(Signal::CONT);
        let deadline = Instant::now() + limit;
        let exit = timeout_at(deadline, self.child.wait()).await;
        let rest = timeout_at(deadline, drain(&mut self.readers)).await;
        self.signal(Signal::KILL);
        self.group.end().await;
        let exit = match exit {
            Ok(exit) => exit.ok(),
            Err(_) => self.child.wait().await.ok(),
        };
        if rest.is_err() {
            _ = timeout(AFTERWARDS, drain(&mut self.readers)).await;
        }
        exit
    }

    /// To the group, and to the main process where it has left it for one of its own.
    fn signal(&self, signal: Signal) {
        self.group.signal(signal);
        // No number when it was reaped.
        let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        // Who is gone, or not ours any more, is out of our power.
        _ = match getpgid(Some(pid)) {
            Ok(group) if group == self.group.id() => Ok(()),
            Ok(group) if group == pid => kill_process_group(pid, signal),
            _ => kill_process(pid, signal),
        };
    }
}

/// How it ended, in words.
pub(super) fn words(exit: Option<ExitStatus>) -> String {
    let exit = exit.and_then(|exit| exit.code().map(Exit::Code).or_else(|| exit.signal().map(Exit::Signal)));
    exit.map_or_else(|| "unknown".to_owned(), |exit| exit.to_string())
}

async fn drain(readers: &mut JoinSet<()>) {
    while readers.join_next().await.is_some() {}
}

async fn read(mut pipe: impl AsyncRead + Unpin, source: Source, log: Log) {
    let mut splitter = Splitter::new(source);
    let mut chunk = vec![0; CHUNK];
    // A pipe that cannot be read is one that has ended.
    while let Ok(len @ 1..) = pipe.read(&mut chunk).await {
        log.append(splitter.feed(chunk.get(..len).unwrap_or_default())).await;
    }
    log.append(splitter.finish().into_iter().collect()).await;
}
