//! Small files that are read whole and replaced whole, for their owner alone.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The most bytes that are read.
const MAX_LEN: u64 = 4 << 20;

/// What is in a file; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or is longer than such files are.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(Some(bytes))
}

/// Puts a file in the place of another: after a crash it is the old one or the new one.
///
/// # Errors
/// When the new one is not on disk; the old one is as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // Made for its owner alone.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}
