//! Opening the archive that `--store-message-db-url` names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use waku::store::archive::{Archive, MemoryArchive, RedbArchive, SqliteArchive, SqliteOptions};
use waku_operator::command_line::Store;

/// What an archive in memory keeps at most: messages, and bytes of them.
const MEMORY: (u64, u64) = (25_000, 256 << 20);
/// Where messages are kept when nothing is said.
const DEFAULT: &str = "redb://store.redb";
/// nwaku's archive, which is used when it is there.
const NWAKU_FILE: &str = "store.sqlite3";

/// Opens it; takes a while.
pub(crate) fn open(store: &Store) -> anyhow::Result<Arc<dyn Archive>> {
    let url = match &store.db_url {
        Some(url) => url.clone(),
        None if Path::new(NWAKU_FILE).exists() => {
            tracing::info!(file = NWAKU_FILE, "the archive of nwaku is here and is used");
            format!("sqlite://{NWAKU_FILE}")
        }
        None => DEFAULT.to_owned(),
    };
    let (scheme, path) = url.split_once("://").context("invalid 'db url' option format")?;
    let open = || format!("cannot open the archive {path}");
    Ok(match scheme.to_ascii_lowercase().as_str() {
        "memory" => Arc::new(MemoryArchive::new(MEMORY.0, MEMORY.1)),
        "redb" => Arc::new(RedbArchive::open(path).with_context(open)?),
        "sqlite" => {
            let options = SqliteOptions { vacuum: store.vacuum, ..SqliteOptions::default() };
            Arc::new(SqliteArchive::open(path, options).with_context(open)?)
        }
        _ => bail!("--store-message-db-url={url}: it must begin with redb://, sqlite:// or memory://"),
    })
}
