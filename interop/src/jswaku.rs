//! js-waku, installed from npm, in Node.js or in a browser.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures::future::BoxFuture;
use tokio::process::Command;

use crate::logs::Logs;
use crate::peer::{Driver, Implementation};
use crate::process::Process;

/// Our program around js-waku (`interop/jswaku`).
pub struct JsWaku {
    folder: PathBuf,
    logs: Logs,
    chromium: Option<PathBuf>,
}

impl JsWaku {
    /// In Node.js.
    #[must_use]
    pub fn in_node(folder: &Path, cache: &Path) -> Self {
        Self { folder: folder.to_owned(), logs: Logs::below(cache), chromium: None }
    }

    /// In a page of headless Chromium.
    #[must_use]
    pub fn in_chromium(folder: &Path, cache: &Path, chromium: &Path) -> Self {
        Self { folder: folder.to_owned(), logs: Logs::below(cache), chromium: Some(chromium.to_owned()) }
    }
}

impl Implementation for JsWaku {
    fn name(&self) -> String {
        let place = if self.chromium.is_some() { "Chromium" } else { "Node.js" };
        format!("js-waku 0.0.36 in {place}")
    }

    fn launch(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>> {
        Box::pin(async {
            let mut command = Command::new("node");
            command.current_dir(&self.folder);
            match &self.chromium {
                Some(chromium) => command.arg("browser.mjs").env("CHROMIUM", chromium),
                None => command.arg("dist/peer.mjs"),
            };
            Ok(Box::new(Process::start(command, &self.logs, "jswaku")?) as Box<dyn Driver>)
        })
    }
}
