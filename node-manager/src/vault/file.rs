//! The vault's file: made in one step, private from its first byte, opened by one process.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError};

use super::VaultError;

const NAME: &str = "vault.redb";
/// The vault holds a few records; redb would reserve a gigabyte for them.
const CACHE_SIZE: usize = 1 << 20;

pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Makes the data directory, for its owner alone, and returns the vault's path.
pub(super) fn prepare(directory: &Path) -> Result<PathBuf, VaultError> {
    let failed = |error| VaultError::Directory { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mode = fs::metadata(directory).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %directory.display(), mode = format_args!("{:03o}", mode & 0o777),
            "others can look into the data directory; its files are private, but `chmod 700` is better",
        );
    }
    Ok(path_in(directory))
}

/// Makes a vault: complete under another name first, so that a crash leaves a whole vault or none.
pub(super) fn create(
    path: &Path,
    initialize: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), VaultError> {
    let failed = |error| VaultError::File { path: path.to_owned(), error };
    let unfinished = path.with_extension("new");
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
