//! A node in a process of its own, talked to in lines.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A process of this very program, ended with this value.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it, under the command that the environment variable `under` names, if it does.
    pub(crate) fn spawn(under: &str, arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?;
        let under = std::env::var(under).unwrap_or_default();
        let mut words = under.split_whitespace();
        let mut command = match words.next() {
            Some(first) => {
                let mut command = Command::new(first);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("a process without an input")?;
        let output = BufReader::new(child.stdout.take().ok_or("a process without an output")?);
        Ok(Self { child, input, output })
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        writeln!(self.input, "{line}")?;
        Ok(self.input.flush()?)
    }

    /// What follows `word` in the next line, which must begin with it.
    pub(crate) fn hear(&mut self, word: &str) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let rest = line.strip_prefix(word).ok_or_else(|| format!("expected {word}, heard {line:?}"))?;
        Ok(rest.trim().to_owned())
    }

    /// Processor time used so far, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Result<f64, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which may hold anything: the 12th and 13th field are the times in user and kernel
        // mode, in ticks of 10 ms.
        let fields = stat.rsplit_once(')').ok_or("no process name")?.1;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
        #[expect(clippy::cast_precision_loss, reason = "ticks of one run are far below 2^52")]
        Ok(ticks as f64 * 10.0)
    }

    /// Resident memory, in bytes.
    pub(crate) fn rss(&self) -> Result<u64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
