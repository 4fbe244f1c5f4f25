//! nwaku, where there is one: its program as a child, asked over its REST API.

mod flags;
mod json;
mod node;
mod rest;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Result, ensure};
use futures::future::BoxFuture;
use tokio::process::Command;
use tokio::time::timeout;

use crate::logs::Logs;
use crate::peer::{Driver, Implementation, PATIENCE};

/// The environment variable that names the program.
const PROGRAM: &str = "NWAKU_BIN";

/// The program of nwaku.
pub struct Nwaku {
    program: PathBuf,
    name: String,
    logs: Logs,
}

impl Nwaku {
    /// The program that `NWAKU_BIN` names, if it names one, and where it logs.
    ///
    /// # Errors
    /// When it names no file.
    pub async fn from_env(cache: &Path) -> Result<Option<Self>> {
        let Some(program) = env::var_os(PROGRAM).filter(|named| !named.is_empty()) else { return Ok(None) };
        let program = PathBuf::from(program);
        ensure!(program.is_file(), "{PROGRAM} names {}, which is no file", program.display());
        let program = program.canonicalize()?;
        let name = name(&program).await;
        Ok(Some(Self { program, name, logs: Logs::below(cache) }))
    }

    /// Our own `waku-node` in nwaku's place: that it can be driven as nwaku is.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn ours(program: &Path, cache: &Path) -> Result<Self> {
        let build = "cargo build -p waku --features cli --bin waku-node";
        ensure!(program.is_file(), "{} is missing; build it: {build}", program.display());
        Ok(Self { program: program.canonicalize()?, name: "waku-node".to_owned(), logs: Logs::below(cache) })
    }
}

impl Implementation for Nwaku {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn launch(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let (log, output) = self.logs.create("nwaku")?;
            let node = node::Node::new(self.name.clone(), &self.program, log, output);
            Ok(Box::new(node) as Box<dyn Driver>)
        })
    }
}

/// What the program says that it is.
async fn name(program: &Path) -> String {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let said = match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        _ => String::new(),
    };
    version(&said).map_or_else(|| "nwaku".to_owned(), |version| format!("nwaku {version}"))
}

/// The version in what `--version` prints: `version / git commit hash: v0.38.1`.
fn version(said: &str) -> Option<&str> {
    let (_, version) = said.lines().next()?.rsplit_once(": ")?;
    Some(version.trim().trim_start_matches('v')).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_version_or_none() {
        assert_eq!(version("version / git commit hash: v0.38.1\n"), Some("0.38.1"));
        assert_eq!(version(""), None);
        assert_eq!(version("unknown\n"), None);
    }
}
