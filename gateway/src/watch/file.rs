//! The history on disk: one file, replaced as a whole, for its owner alone. A damaged one is put aside.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::history::History;

/// What every file begins with, before the first 8 bytes of the rest's SHA-256.
const MAGIC: &[u8; 8] = b"wgw-day1";
/// Largest file that is read, in bytes: some six times what a day of extremes takes.
const MAX_LEN: u64 = 1024 * 1024;
/// Damaged files kept beside the good one.
const MAX_ASIDE: u32 = 10;

/// The place of a history. Two processes do not share one.
#[derive(Debug, Clone)]
pub struct HistoryFile {
    path: PathBuf,
}

/// The file cannot be read or put aside.
#[derive(Debug, Error)]
#[error("the history {} cannot be used: {error}", path.display())]
pub struct HistoryError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl HistoryFile {
    /// Reads a history, if there is one. A damaged file is put aside with a warning, and the history begins anew.
    ///
    /// # Errors
    /// When the file is there and can neither be read nor put aside.
    pub fn open(path: &Path) -> Result<(Self, History), HistoryError> {
        let file = Self { path: path.to_owned() };
        match file.load() {
            Ok(history) => Ok((file, history)),
            Err(error) => Err(HistoryError { path: file.path, error }),
        }
    }

    /// What is in a history that perhaps another process writes; nothing when it is not there, or cannot be read. It is left
    /// as it is.
    pub fn look(path: &Path) -> Option<History> {
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(MAX_LEN + 1).read_to_end(&mut bytes).ok()?;
        read(&bytes)
    }

    fn load(&self) -> io::Result<History> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(History::default()),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
        if let Some(history) = read(&bytes) {
            return Ok(history);
        }
        let aside = (1..=MAX_ASIDE).map(|number| self.beside(&format!("damaged.{number}")));
        let mut free = aside.filter(|name| matches!(name.try_exists(), Ok(false)));
        // With as many aside as are kept, the last is replaced.
        let aside = free.next().unwrap_or_else(|| self.beside(&format!("damaged.{MAX_ASIDE}")));
        fs::rename(&self.path, &aside)?;
        tracing::warn!(
            path = %self.path.display(), aside = %aside.display(),
            "the history is damaged: it was put aside, another begins"
        );
        Ok(History::default())
    }

    /// Replaces the file: after a crash there is the old one or the new one.
    ///
    /// # Errors
    /// When it is not on disk.
    pub fn save(&self, history: &History) -> io::Result<()> {
        let content = history.encode();
        let unfinished = self.beside("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(MAGIC)?;
        file.write_all(&checksum(&content))?;
        file.write_all(&content)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, &self.path)?;
        let folder = self.path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

fn read(bytes: &[u8]) -> Option<History> {
    let (sum, content) = bytes.strip_prefix(MAGIC)?.split_at_checked(8)?;
    if sum != checksum(content) || bytes.len() as u64 > MAX_LEN {
        return None;
    }
    History::decode(content).ok()
}

fn checksum(content: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(content).into();
    let (first, _) = digest.split_first_chunk().expect("a digest has more than 8 bytes");
    *first
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::Sample;
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        (1..50).for_each(|minute| history.push(Sample::new(minute)));
        history
    }

    #[test]
    fn a_saved_history_comes_back_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day");
        let (file, empty) = HistoryFile::open(&path).unwrap();
        assert_eq!(empty, History::default());
        file.save(&history()).unwrap();
        file.save(&history()).unwrap();
        assert_eq!(HistoryFile::open(&path).unwrap().1, history());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn looking_at_a_history_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day");
        assert_eq!(HistoryFile::look(&path), None);
        HistoryFile { path: path.clone() }.save(&history()).unwrap();
        assert_eq!(HistoryFile::look(&path), Some(history()));
        fs::write(&path, b"wgw-day1 and no more").unwrap();
        assert_eq!(HistoryFile::look(&path), None);
        assert_eq!(fs::read(&path).unwrap(), b"wgw-day1 and no more");
    }

    #[test]
    fn a_damaged_history_is_put_aside_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("day");
        HistoryFile { path: path.clone() }.save(&history()).unwrap();
        let good = fs::read(&path).unwrap();
        for at in [0, 9, good.len() - 1] {
            let mut damaged = good.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(HistoryFile::open(&path).unwrap().1, History::default());
            assert!(!path.exists());
        }
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert_eq!(HistoryFile::open(&path).unwrap().1, History::default());
        assert_eq!(fs::read(folder.path().join("day.damaged.4")).unwrap(), good[..good.len() / 2]);
    }
}
