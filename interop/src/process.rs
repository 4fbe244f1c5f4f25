//! A foreign peer that is a program, and speaks the line protocol.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Take};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::line::{Event, Line, Op};
use crate::logs::Logs;
use crate::peer::{Driver, Failure, PATIENCE};

/// The longest line: the largest message, four times over.
const MAX_LINE: u64 = 4 * 1024 * 1024;

/// A program that runs. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<Take<ChildStdout>>,
    asked: u64,
    /// Told while an answer was waited for.
    events: VecDeque<Event>,
    log: PathBuf,
}

/// A question as it goes over the line.
#[derive(Serialize)]
struct Question {
    id: u64,
    #[serde(flatten)]
    op: Op,
}

impl Process {
    /// Starts a program; what it logs goes into a file of this name.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(mut command: Command, logs: &Logs, name: &str) -> Result<Self> {
        let (log, file) = logs.create(name)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{command:?} cannot be started"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{command:?} has no input or output");
        };
        let output = BufReader::new(output.take(MAX_LINE));
        Ok(Self { child, input, output, asked: 0, events: VecDeque::new(), log })
    }

    async fn line(&mut self) -> Result<Line> {
        let mut line = Vec::new();
        self.output.get_mut().set_limit(MAX_LINE);
        self.output.read_until(b'\n', &mut line).await?;
        ensure!(
            line.ends_with(b"\n"),
            "it ended, or wrote a line of more than {MAX_LINE} bytes; its log: {}",
            self.log.display()
        );
        serde_json::from_slice(&line)
            .with_context(|| format!("{} is no line of the protocol", String::from_utf8_lossy(&line)))
    }

    async fn exchange(&mut self, op: Op) -> Result<Result<Value, Failure>> {
        self.asked += 1;
        let asked = self.asked;
        let mut question = serde_json::to_vec(&Question { id: asked, op })?;
        question.push(b'\n');
        self.input.write_all(&question).await?;
        loop {
            match self.line().await? {
                Line::Ok { id, ok } if id == asked => return Ok(Ok(ok)),
                Line::Error { id, error } if id == asked => return Ok(Err(Failure::Refused(error))),
                Line::Unsupported { id, unsupported } if id == asked => {
                    return Ok(Err(Failure::Unsupported(unsupported)));
                }
                Line::Event(event) => self.events.push_back(event),
                // The answer to a question that was given up.
                Line::Ok { .. } | Line::Error { .. } | Line::Unsupported { .. } => {}
            }
        }
    }
}

impl Driver for Process {
    fn ask(&mut self, op: Op) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            self.exchange(op).await.unwrap_or_else(|error| Err(Failure::Broken(format!("{error:#}"))))
        })
    }

    fn event(&mut self) -> BoxFuture<'_, Result<Event>> {
        Box::pin(async move {
            loop {
                if let Some(event) = self.events.pop_front() {
                    return Ok(event);
                }
                if let Line::Event(event) = self.line().await? {
                    self.events.push_back(event);
                }
            }
        })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let Self { mut child, input, log, .. } = *self;
            drop(input);
            let status = timeout(PATIENCE, child.wait()).await.context("it does not end")??;
            ensure!(status.success(), "it ended with {status}; its log: {}", log.display());
            Ok(())
        })
    }
}
