//! The archive's file: made in one step, private from its first byte, opened by one process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::{Builder, DatabaseError, StorageError};

use super::super::identity::Identity;
use super::{OpenError, Opened, tables};

pub(super) fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(|error| OpenError::File { path: path.to_owned(), error })
}

/// Makes an archive: complete under another name first, so that a crash leaves a whole one or none.
pub(super) fn create(path: &Path, cache_size: usize) -> Result<(), OpenError> {
    let failed = |error| OpenError::File { path: path.to_owned(), error };
    let unfinished = unfinished(path);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).clone();
    let file = options.open(&unfinished).map_err(failed)?;
    let database = builder(path, cache_size).create_file(file).map_err(|error| describe(path, error))?;
    tables::initialize(&database).map_err(|error| OpenError::damaged(path, error))?;
    drop(database);
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
    sync(&unfinished).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    sync(folder.unwrap_or(Path::new("."))).map_err(failed)
}

/// The name of an archive that is being made.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

pub(super) fn open(path: &Path, cache_size: usize) -> Result<Opened, OpenError> {
    let failed = |error| OpenError::File { path: path.to_owned(), error };
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.len() == 0 {
        return Err(OpenError::Damaged { path: path.to_owned(), what: "it is empty".to_owned() });
    }
    // redb writes to a file that it opens for writing: not before it is known to be an archive. After a crash
    // that can only be known when redb has mended the file.
    match builder(path, cache_size).open_read_only(path) {
        Ok(database) => tables::check_format(&database, path)?,
        Err(DatabaseError::RepairAborted) => {}
        Err(error) => return Err(describe(path, error)),
    }
    let database = builder(path, cache_size).create_file(file).map_err(|error| describe(path, error))?;
    tables::check_format(&database, path)?;
    let (identity, path) = (Identity::of(&metadata), path.to_owned());
    let find = move || {
        if identity.is_at(&path) { Ok(()) } else { Err(OpenError::Gone { path: path.clone() }) }
    };
    Ok(Opened { database, find: Box::new(find) })
}

fn builder(path: &Path, cache_size: usize) -> Builder {
    let mut builder = Builder::new();
    let path = path.to_owned();
    builder.set_cache_size(cache_size).set_repair_callback(move |session| {
        tracing::warn!(path = %path.display(), progress = session.progress(), "the archive is being repaired");
    });
    builder
}

fn describe(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Io(error)) if !is_about_content(&error) => {
            OpenError::File { path: path.to_owned(), error }
        }
        error => OpenError::damaged(path, error),
    }
}

/// Whether what was read is wrong, rather than the reading.
fn is_about_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}
