//! What foreign peers log while a scenario runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// The folder of the logs of one scenario, below a cache folder.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    written: AtomicU32,
}

impl Logs {
    /// The same folder for the same cache folder.
    #[must_use]
    pub fn below(cache: &Path) -> Self {
        Self { folder: cache.join("logs"), written: AtomicU32::new(0) }
    }

    /// Forgets what has been logged so far.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(&self.folder).with_context(|| format!("{} cannot be made", self.folder.display()))
    }

    /// A new log of a program.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(&self, program: &str) -> Result<(PathBuf, File)> {
        fs::create_dir_all(&self.folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{program}-{number}.log"));
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok((path, file))
    }

    /// Keeps what has been logged, in a folder of this name beside the others.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn keep(&self, name: &str) -> Result<PathBuf> {
        let kept = self.folder.with_file_name("failed").join(name);
        if kept.exists() {
            fs::remove_dir_all(&kept)?;
        }
        fs::create_dir_all(kept.parent().unwrap_or(&self.folder))?;
        fs::rename(&self.folder, &kept)?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_kept_and_the_rest_is_forgotten() {
        let cache = tempfile::tempdir().unwrap();
        let logs = Logs::below(cache.path());
        let (first, _) = logs.create("peer").unwrap();
        let (second, _) = logs.create("peer").unwrap();
        assert_ne!(first, second);
        let kept = logs.keep("scenario").unwrap();
        assert_eq!(fs::read_dir(&kept).unwrap().count(), 2);
        logs.create("peer").unwrap();
        logs.clear().unwrap();
        assert_eq!(fs::read_dir(cache.path().join("logs")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&kept).unwrap().count(), 2);
    }
}
