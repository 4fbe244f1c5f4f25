//! What a service said last: in memory for whoever asks, and in a file for later.

mod file;
mod line;
mod ring;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::spawn_blocking;

use crate::error::Error;
use file::LogFile;
pub use line::{Line, Source};
pub(crate) use line::{Splitter, clean};
use ring::Ring;

/// Most lines that are kept in memory and handed out.
pub const MAX_LINES: usize = 1000;

/// A service's log. Copies are one and the same.
#[derive(Clone)]
pub(crate) struct Log(Arc<Inner>);

struct Inner {
    ring: Mutex<Ring>,
    file: Mutex<LogFile>,
}

impl Log {
    /// Opens a service's files in a folder, and takes up what they hold.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self, Error> {
        let path = folder.join(format!("{name}.log"));
        let (file, lines) =
            LogFile::open(&path).map_err(|error| Error::LogFile { path: path.clone(), error })?;
        let mut ring = Ring::default();
        ring.extend(lines);
        Ok(Self(Arc::new(Inner { ring: Mutex::new(ring), file: Mutex::new(file) })))
    }

    /// Adds lines. Comes back when they are in the file, so that who writes faster than the disk waits at its pipe.
    pub(crate) async fn append(&self, lines: Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        lock(&self.0.ring).extend(lines.iter().cloned());
        let log = self.clone();
        let written = spawn_blocking(move || lock(&log.0.file).append(&lines));
        // Fails only when the runtime ends; what was said then is lost with it.
        _ = written.await;
    }

    /// The last lines, oldest first.
    pub(crate) fn last(&self, lines: usize) -> Vec<Line> {
        lock(&self.0.ring).last(lines.min(MAX_LINES))
    }
}

/// What is under these locks is whole after each statement.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
