//! The vault's file: made in one step, private from its first byte, opened by one process.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};
use zeroize::Zeroizing;

use super::VaultError;

const NAME: &str = "vault.redb";
/// A vault that is being made.
const UNFINISHED: &str = "vault.new";
/// The vault holds a few records; redb would reserve a gigabyte for them.
const CACHE_SIZE: usize = 1 << 20;

pub(super) fn exists(directory: &Path) -> Result<bool, VaultError> {
    let failed = |error| VaultError::Directory { path: directory.to_owned(), error };
    directory.join(NAME).try_exists().map_err(failed)
}

/// Makes the data directory, for its owner alone, and returns the vault's path. One that is there already is taken from
/// everybody else, and so is a vault in it, which may have come back from a backup.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, VaultError> {
    let failed = |error| VaultError::Directory { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let path = directory.join(NAME);
    let is_open = is_open_to_others(directory).map_err(failed)?;
    if is_open && !is_ours(directory).map_err(failed)? {
        return Err(VaultError::Shared { path: directory.to_owned() });
    }
    if is_open {
        make_private(directory, 0o700).map_err(failed)?;
    }
    if exists(directory)? && is_open_to_others(&path).map_err(failed)? {
        make_private(&path, 0o600).map_err(|error| VaultError::File { path: path.clone(), error })?;
    }
    Ok(path)
}

/// Whether a directory is for the vault alone, so that its mode is ours to change: not a home or `/tmp`.
fn is_ours(directory: &Path) -> io::Result<bool> {
    let is_empty = fs::read_dir(directory)?.next().is_none();
    Ok(is_empty || [NAME, UNFINISHED].iter().any(|name| directory.join(name).exists()))
}

fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

fn make_private(path: &Path, mode: u32) -> io::Result<()> {
    tracing::warn!(path = %path.display(), "others could look into it; from now on only its owner can");
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Makes a vault: complete under another name first, so that a crash leaves a whole vault or none.
pub(super) fn create(
    path: &Path,
    initialize: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), VaultError> {
    let failed = |error| VaultError::File { path: path.to_owned(), error };
    let unfinished = path.with_file_name(UNFINISHED);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).clone();
    let file = options.open(&unfinished).map_err(failed)?;
    let database = Builder::new().set_cache_size(CACHE_SIZE).create_file(file);
    let database = database.map_err(|error| describe(path, error))?;
    initialize(&database)
        .map_err(|error| VaultError::Redb { path: path.to_owned(), error: Box::new(error) })?;
    drop(database);
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&unfinished).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    sync(path.parent().unwrap_or(Path::new("."))).map_err(failed)
}

pub(super) fn open(path: &Path) -> Result<Database, VaultError> {
    Builder::new().set_cache_size(CACHE_SIZE).open(path).map_err(|error| describe(path, error))
}

/// What is in a vault, in memory: whatever is done to it leaves the file alone.
pub(super) fn copy(path: &Path) -> Result<Database, VaultError> {
    let failed = |error| VaultError::File { path: path.to_owned(), error };
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    // The lock that redb takes too: nobody writes while this reads.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => VaultError::InUse { path: path.to_owned() },
        TryLockError::Error(error) => failed(error),
    })?;
    let mut bytes = Zeroizing::new(Vec::new());
    let len = file.read_to_end(&mut bytes).map_err(failed)?;
    let memory = InMemoryBackend::new();
    memory.set_len(len as u64).and_then(|()| memory.write(0, &bytes)).map_err(failed)?;
    let database = Builder::new().set_cache_size(CACHE_SIZE).create_with_backend(memory);
    database.map_err(|error| describe(path, error))
}

fn describe(path: &Path, error: DatabaseError) -> VaultError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => VaultError::InUse { path },
        DatabaseError::Storage(redb::StorageError::Io(error)) if !is_about_content(&error) => {
            VaultError::File { path, error }
        }
        error => VaultError::damaged(&path, error),
    }
}

/// Whether what was read is wrong, rather than the reading.
fn is_about_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}
