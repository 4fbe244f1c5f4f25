//! An archive whose work is measured.

use std::sync::Arc;
use std::time::Instant;

use waku::Envelope;
use waku::store::archive::{Archive, ArchiveError, Inserted, Keep, Page, Query, QueryError, Stats};
use waku_operator::metrics::{HistogramFamily, Registry};

const INSERTION: HistogramFamily<0> = HistogramFamily::named("waku_archive_insert_duration_seconds");
const QUERY: HistogramFamily<0> = HistogramFamily::named("waku_archive_query_duration_seconds");

/// Passes everything on, and says how long it took.
#[derive(Debug)]
pub(crate) struct Measured {
    archive: Arc<dyn Archive>,
    registry: Arc<Registry>,
}

impl Measured {
    pub(crate) fn around(archive: Arc<dyn Archive>, registry: Arc<Registry>) -> Arc<dyn Archive> {
        Arc::new(Self { archive, registry })
    }

    fn time<T>(&self, family: HistogramFamily<0>, work: impl FnOnce(&dyn Archive) -> T) -> T {
        let begin = Instant::now();
        let done = work(&*self.archive);
        self.registry.histogram(family, []).observe(begin.elapsed().as_secs_f64());
        done
    }
}

impl Archive for Measured {
    fn insert(&self, batch: &[Envelope]) -> Result<Inserted, ArchiveError> {
        self.time(INSERTION, |archive| archive.insert(batch))
    }

    fn query(&self, query: &Query) -> Result<Page, QueryError> {
        self.time(QUERY, |archive| archive.query(query))
    }

    fn prune(&self, keep: &Keep, at_most: usize) -> Result<usize, ArchiveError> {
        self.archive.prune(keep, at_most)
    }

    fn stats(&self) -> Result<Stats, ArchiveError> {
        self.archive.stats()
    }
}
