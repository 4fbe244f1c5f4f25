//! Nodes as processes, each in a folder of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything is waited for; a busy machine is slow.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at something that does not tell by itself, another process's log for example.
const LOOK: Duration = Duration::from_millis(20);

/// The command, in a folder and with nothing in its environment that could matter.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-node"));
    command.args(args).current_dir(folder).env_clear().env("NO_COLOR", "1");
    command
}

/// What a process that ends by itself has said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command line that ends by itself.
pub(crate) fn run(args: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), args)
}

pub(crate) fn run_in(folder: &Path, args: &[&str]) -> Said {
    ends(command(folder, args))
}

/// Runs a command that ends by itself.
pub(crate) fn ends(mut command: Command) -> Said {
    let said = tempfile::tempdir().unwrap();
    let [out, err] = ["out", "err"].map(|name| said.path().join(name));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap())
        .spawn()
        .unwrap();
    let end = Instant::now() + WITHIN;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it goes on and on: {command:?}\n{}", fs::read_to_string(&out).unwrap());
        }
        std::thread::park_timeout(LOOK);
    };
    Said { status, stdout: fs::read_to_string(out).unwrap(), stderr: fs::read_to_string(err).unwrap() }
}

/// Waits until something is so.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + WITHIN;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::park_timeout(LOOK);
    }
}

/// Ports that nobody has now. All at once, so that they differ.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A running node with REST, stopped at the end of the test.
pub(crate) struct Process {
    child: Child,
    folder: Home,
    /// Where its log begins in the file.
    begin: usize,
    pub(crate) rest: u16,
    pub(crate) tcp: u16,
    pub(crate) metrics: u16,
    pub(crate) discovery: u16,
}

enum Home {
    Own(TempDir),
    Given(PathBuf),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(folder) => folder,
        }
    }
}

/// What every node is started with, beside ports of its own.
pub(crate) const FIXED: [&str; 6] = [
    "--listen-address=127.0.0.1",
    "--cluster-id=99",
    "--rest",
    "--rest-admin",
    "--metrics-server",
    "--log-level=DEBUG",
];

/// Where a node listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) rest: u16,
    pub(crate) tcp: u16,
    pub(crate) metrics: u16,
    pub(crate) discovery: u16,
}

impl Ports {
    /// Ports that nobody has now.
    pub(crate) fn free() -> Self {
        let [rest, tcp, metrics, discovery] = free_ports();
        Self { rest, tcp, metrics, discovery }
    }

    /// The words that say them.
    pub(crate) fn words(self) -> Vec<String> {
        let Self { rest, tcp, metrics, discovery } = self;
        vec![
            format!("--rest-port={rest}"),
            format!("--tcp-port={tcp}"),
            format!("--metrics-server-port={metrics}"),
            format!("--discv5-udp-port={discovery}"),
        ]
    }
}

impl Process {
    /// Starts a node of cluster 99 on loopback with ports of its own, REST, admin and metrics, and these flags besides;
    /// returns when it is up.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::begin(Home::Own(tempfile::tempdir().unwrap()), args)
    }

    /// The same in a folder that stays.
    pub(crate) fn start_in(folder: &Path, args: &[&str]) -> Self {
        Self::begin(Home::Given(folder.to_owned()), args)
    }

    fn begin(folder: Home, args: &[&str]) -> Self {
        let ports = Ports::free();
        let words = ports.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let command = command(folder.path(), &[&FIXED[..], &words, args].concat());
        Self::launch(folder, command, ports)
    }

    /// Starts a node with nothing but what the command says, in a folder that stays.
    pub(crate) fn by(folder: &Path, command: Command, ports: Ports) -> Self {
        Self::launch(Home::Given(folder.to_owned()), command, ports)
    }

    /// Starts a node with these words alone, which name these ports.
    pub(crate) fn exactly(ports: Ports, words: &[&str]) -> Self {
        let folder = Home::Own(tempfile::tempdir().unwrap());
        let command = command(folder.path(), words);
        Self::launch(folder, command, ports)
    }

    fn launch(folder: Home, mut command: Command, ports: Ports) -> Self {
        let log = File::options().create(true).append(true).open(folder.path().join("log")).unwrap();
        // Of earlier runs, if there were any.
        let begin = usize::try_from(log.metadata().unwrap().len()).unwrap();
        let child =
            command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).spawn().unwrap();
        let Ports { rest, tcp, metrics, discovery } = ports;
        let mut process = Self { child, folder, begin, rest, tcp, metrics, discovery };
        until("the node is up", || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("the node ended with {status}:\n{}", process.log());
            }
            process.log().contains("Node setup complete").then_some(())
        });
        process
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it has written since its start.
    pub(crate) fn log(&self) -> String {
        let mut bytes = fs::read(self.folder().join("log")).unwrap();
        String::from_utf8(bytes.split_off(self.begin)).unwrap()
    }

    /// Waits until its log has a line with all of this.
    pub(crate) fn logs(&self, words: &[&str]) {
        until(&format!("{words:?} in the log"), || {
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            self.log().lines().any(has_all).then_some(())
        });
    }

    /// Its first announced address.
    pub(crate) fn address(&self) -> String {
        let info = self.get("/info").json();
        info["listenAddresses"][0].as_str().unwrap().to_owned()
    }

    pub(crate) fn peer_id(&self) -> String {
        self.address().rsplit_once("/p2p/").unwrap().1.to_owned()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Sends a signal and tells how the process ended.
    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        until("the node has ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already when the test has stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the node at {} ---\n{}", self.tcp, self.log());
        }
    }
}
