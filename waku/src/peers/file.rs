//! The known peers on disk: one file, replaced as a whole, for its owner alone.
//!
//! A file that cannot be read in full is not used and not written over: it is put aside under another name.

mod lines;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

use super::KnownPeer;

/// Largest file that is read, in bytes: 10,000 peers of the largest kind have half as much.
const MAX_LEN: u64 = 128 * 1024 * 1024;
/// Damaged files kept beside the good one.
const MAX_ASIDE: u32 = 100;

/// The place of a node's known peers. Two nodes do not share one.
#[derive(Debug, Clone)]
pub(crate) struct PeerFile {
    path: PathBuf,
}

impl PeerFile {
    /// Reads the file if there is one. What is there but cannot be used is put aside.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<KnownPeer>), PeerStoreError> {
        let file = Self { path: path.to_owned() };
        let failed = |error| PeerStoreError::Unreadable { path: path.to_owned(), error };
        let peers = match read(path).map_err(failed)? {
            None => Vec::new(),
            Some(Ok(text)) => match lines::read(&text) {
                Ok(peers) => peers,
                Err(damage) => file.put_aside(&damage.to_string())?,
            },
            Some(Err(damage)) => file.put_aside(damage)?,
        };
        file.check_directory().map_err(failed)?;
        Ok((file, peers))
    }

    /// Replaces the file: after a crash there is the old one or the new one.
    pub(crate) fn save(&self, peers: &[Arc<KnownPeer>], now: SystemTime) -> io::Result<()> {
        let unfinished = self.beside("new");
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(lines::write(peers, now).as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, &self.path)?;
        File::open(self.directory())?.sync_all()
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn put_aside<T>(&self, damage: &str) -> Result<Vec<T>, PeerStoreError> {
        let path = self.path.clone();
        let mut names = (1..=MAX_ASIDE).map(|number| self.beside(&format!("damaged.{number}")));
        let Some(aside) = names.find(|name| matches!(name.try_exists(), Ok(false))) else {
            return Err(PeerStoreError::TooManyAside { path });
        };
        fs::rename(&self.path, &aside).map_err(|error| PeerStoreError::NotPutAside { path, error })?;
        tracing::warn!(
            path = %self.path.display(), aside = %aside.display(), %damage,
            "the file of known peers is damaged: it was put aside, the node begins with an empty one"
        );
        Ok(Vec::new())
    }

    /// Fails now rather than at the first save.
    fn check_directory(&self) -> io::Result<()> {
        if self.path.file_name().is_none() || fs::metadata(&self.path).is_ok_and(|found| found.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if fs::metadata(self.directory())?.is_dir() {
            Ok(())
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }
}

/// The text of a file; `None` when there is none, an inner error when it is no text of a reasonable length.
fn read(path: &Path) -> io::Result<Option<Result<String, &'static str>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    if file.take(MAX_LEN + 1).read_to_end(&mut bytes)? as u64 > MAX_LEN {
        return Ok(Some(Err("it is too long")));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| "it is no text")))
}

/// The file of known peers cannot be used.
#[derive(Debug, Error)]
pub enum PeerStoreError {
    /// The file or its directory cannot be read.
    #[error("the file of known peers {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is damaged and cannot be renamed.
    #[error("the file of known peers {} is damaged and cannot be put aside: {error}", path.display())]
    NotPutAside {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file is damaged, and so many others lie beside it already that something else is wrong.
    #[error("the file of known peers {} is damaged, as {MAX_ASIDE} others beside it are", path.display())]
    TooManyAside {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use libp2p::PeerId;

    use super::*;
    use crate::peers::{NewPeer, PeerOrigin};

    fn peers() -> Vec<Arc<KnownPeer>> {
        let mut peer = KnownPeer::new(PeerId::random(), PeerOrigin::Dns, SystemTime::UNIX_EPOCH);
        peer.add(NewPeer::new(peer.peer_id, ["/ip4/192.0.2.1/tcp/1".parse().unwrap()]));
        vec![Arc::new(peer)]
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_saved_is_read_again_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        let (file, none) = PeerFile::open(&path).unwrap();
        assert_eq!(none, []);
        let peers = peers();
        for _ in 0..2 {
            file.save(&peers, SystemTime::UNIX_EPOCH).unwrap();
        }
        assert_eq!(PeerFile::open(&path).unwrap().1, [peers[0].as_ref().clone()]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(directory.path()), ["peers"]);
    }

    #[test]
    fn a_save_that_was_cut_off_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        let (file, _) = PeerFile::open(&path).unwrap();
        file.save(&peers(), SystemTime::UNIX_EPOCH).unwrap();
        fs::write(file.beside("new"), "waku-pe").unwrap();
        assert_eq!(PeerFile::open(&path).unwrap().1.len(), 1);
        file.save(&[], SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(PeerFile::open(&path).unwrap().1, []);
        assert_eq!(names(directory.path()), ["peers"]);
    }

    #[test]
    fn damaged_files_are_put_aside_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peers");
        for content in [&b"rubbish"[..], b"\xff\xfe", b""] {
            fs::write(&path, content).unwrap();
            assert_eq!(PeerFile::open(&path).unwrap().1, []);
        }
        assert_eq!(names(directory.path()), ["peers.damaged.1", "peers.damaged.2", "peers.damaged.3"]);
        assert_eq!(fs::read(directory.path().join("peers.damaged.2")).unwrap(), b"\xff\xfe");
    }

    #[test]
    fn a_place_where_nothing_can_be_saved_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        for path in [directory.path().join("absent/peers"), directory.path().to_owned()] {
            let error = PeerFile::open(&path).unwrap_err();
            assert!(matches!(error, PeerStoreError::Unreadable { .. }), "{error}");
        }
    }
}
