//! What each pairing may do, in `grants.json` under the data directory: an object from pairing ids to grants with commas
//! between them. Pairings that are not in it may look, and no more.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::watch;
use waku_gateway::policy::Grants;
use waku_pairing::record::PairingId;

use super::pairing_text;
use crate::kept_file;

const FILE: &str = "grants.json";

/// The grants. Copies are one and the same.
#[derive(Debug, Clone)]
pub struct GrantBook(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    grants: Mutex<BTreeMap<String, Grants>>,
    changed: watch::Sender<()>,
}

/// Why grants cannot be used or changed.
#[derive(Debug, Error)]
pub enum GrantError {
    /// The file cannot be read or written.
    #[error("cannot use {}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is in it makes no sense.
    #[error("{} is damaged: {what}; restore it, or remove it and give the grants anew", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl GrantBook {
    /// The grants of a data directory.
    ///
    /// # Errors
    /// [`GrantError`]: a file that is there is read in full or not used.
    pub fn open(data_dir: &Path) -> Result<Self, GrantError> {
        let path = data_dir.join(FILE);
        let damaged = |what: String| GrantError::Damaged { path: path.clone(), what };
        let bytes = kept_file::read(&path).map_err(|error| GrantError::File { path: path.clone(), error })?;
        let texts: BTreeMap<String, String> = match bytes {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?,
            None => BTreeMap::new(),
        };
        let read = texts.into_iter().map(|(pairing, text)| Ok((pairing, text.parse::<Grants>()?)));
        let grants = read.collect::<Result<_, waku_gateway::policy::UnknownGrant>>();
        let grants = Mutex::new(grants.map_err(|error| damaged(error.to_string()))?);
        Ok(Self(Arc::new(Inner { path, grants, changed: watch::Sender::new(()) })))
    }

    fn grants(&self) -> MutexGuard<'_, BTreeMap<String, Grants>> {
        self.0.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a pairing may do at this moment.
    pub fn of(&self, pairing: PairingId) -> Grants {
        self.grants().get(&pairing_text(pairing)).copied().unwrap_or_default()
    }

    /// Lets a pairing do this and no more, from now on and for requests under way.
    ///
    /// # Errors
    /// [`GrantError::File`]; nothing has changed then.
    pub fn set(&self, pairing: PairingId, to: Grants) -> Result<(), GrantError> {
        let mut grants = self.grants();
        let mut changed = grants.clone();
        if to == Grants::default() {
            changed.remove(&pairing_text(pairing));
        } else {
            changed.insert(pairing_text(pairing), to);
        }
        let texts: BTreeMap<_, _> =
            changed.iter().map(|(pairing, grants)| (pairing, grants.to_string())).collect();
        let text = serde_json::to_vec_pretty(&texts).expect("texts make JSON");
        kept_file::replace(&self.0.path, &text)
            .map_err(|error| GrantError::File { path: self.0.path.clone(), error })?;
        *grants = changed;
        drop(grants);
        self.0.changed.send_replace(());
        Ok(())
    }

    /// Tells of changes from now on.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use waku_gateway::policy::Grant;

    use super::*;

    fn pairing_id() -> PairingId {
        PairingId::from_bytes([7; 16])
    }

    #[test]
    fn grants_outlive_the_process_and_are_for_the_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let book = GrantBook::open(directory.path()).unwrap();
        let pairing = pairing_id();
        assert_eq!(book.of(pairing), Grants::default());
        let mut changes = book.watch();
        book.set(pairing, Grants::default().with(Grant::Keys)).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let again = GrantBook::open(directory.path()).unwrap();
        assert_eq!(again.of(pairing).to_string(), "monitor,keys");
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        again.set(pairing, Grants::default()).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join(FILE)).unwrap(), "{}");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_not_used_and_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "{", r#"{"00":"root"}"#, "[]"] {
            fs::write(directory.path().join(FILE), text).unwrap();
            assert!(matches!(GrantBook::open(directory.path()), Err(GrantError::Damaged { .. })), "{text}");
            assert_eq!(fs::read_to_string(directory.path().join(FILE)).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_on_disk_is_not_granted() {
        let directory = tempfile::tempdir().unwrap();
        let book = GrantBook::open(directory.path()).unwrap();
        drop(directory);
        let all = Grants::default().with(Grant::Operate);
        assert!(matches!(book.set(pairing_id(), all), Err(GrantError::File { .. })));
        assert_eq!(book.of(pairing_id()), Grants::default());
    }
}
