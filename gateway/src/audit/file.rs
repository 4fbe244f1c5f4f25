//! The files of the audit log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::entry::Entry;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Bytes after which another file is begun. Default: 4 MiB.
    pub max_bytes: u64,
    /// Older files beside the current one. Default: 8.
    pub files: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { max_bytes: 4 * 1024 * 1024, files: 8 }
    }
}

/// The audit log cannot be written.
#[derive(Debug, Error)]
#[error("the audit log {} cannot be written: {error}", path.display())]
pub struct AuditError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The log at work. One process writes it.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    keep: Keep,
    file: File,
    len: u64,
}

impl Log {
    /// Opens or makes the file, for its owner alone. A line that a crash cut short is ended, so that the next is whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, AuditError> {
        open(path)
            .map(|(file, len)| Self { path: path.to_owned(), keep, file, len })
            .map_err(|error| AuditError { path: path.to_owned(), error })
    }

    /// Writes an entry; with `durable` it is on disk on return.
    ///
    /// # Errors
    /// When it is not written, or may not be on disk.
    pub fn append(&mut self, entry: &Entry, durable: bool) -> Result<(), AuditError> {
        self.write(&entry.line(), durable).map_err(|error| AuditError { path: self.path.clone(), error })
    }

    fn write(&mut self, line: &[u8], durable: bool) -> io::Result<()> {
        if self.len > 0 && self.len + line.len() as u64 > self.keep.max_bytes {
            self.rotate()?;
        }
        let written = self.file.write_all(line);
        // Part of a line may be there after a failure: count what is there, and end it.
        self.len = self.file.metadata()?.len();
        if let Err(error) = written {
            _ = self.file.write_all(b"\n");
            return Err(error);
        }
        if durable { self.file.sync_data() } else { Ok(()) }
    }

    /// Each file takes the next number; the last is deleted.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let rename = |from: &Path, to: &Path| match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        for number in (1..self.keep.files).rev() {
            rename(&numbered(&self.path, number), &numbered(&self.path, number + 1))?;
        }
        rename(&self.path, &numbered(&self.path, 1))?;
        (self.file, self.len) = open(&self.path)?;
        Ok(())
    }
}

/// An older file, 1 being the youngest.
pub(super) fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut len = file.metadata()?.len();
    if len > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            len += 1;
        }
    } else {
        // A new file's name is on disk when its folder is.
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok((file, len))
}
