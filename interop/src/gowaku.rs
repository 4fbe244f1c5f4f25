//! go-waku, built from its Go module.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures::future::BoxFuture;
use tokio::process::Command;

use crate::logs::Logs;
use crate::peer::{Driver, Implementation};
use crate::process::Process;

/// Our program around go-waku (`interop/gowaku`).
pub struct GoWaku {
    program: PathBuf,
    logs: Logs,
}

impl GoWaku {
    /// The program, and where it logs.
    #[must_use]
    pub fn new(program: &Path, cache: &Path) -> Self {
        Self { program: program.to_owned(), logs: Logs::below(cache) }
    }
}

impl Implementation for GoWaku {
    fn name(&self) -> String {
        "go-waku 0.10.1".to_owned()
    }

    fn launch(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let process = Process::start(Command::new(&self.program), &self.logs, "gowaku")?;
            Ok(Box::new(process) as Box<dyn Driver>)
        })
    }
}
