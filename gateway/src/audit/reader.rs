//! Reading the audit log.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use super::entry::{Entry, Phase};
use super::file::numbered;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 16 * 1024;
/// Most older files that are looked for.
const MAX_FILES: usize = 100;

/// Which entries are wanted; the default is all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this pairing.
    pub pairing: Option<String>,
    /// Not before, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Before, in milliseconds since 1970.
    pub until: Option<u64>,
    /// At this service.
    pub service: Option<String>,
    /// In this phase.
    pub phase: Option<Phase>,
    /// The newest of them; nothing for all.
    pub last: Option<usize>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Lines that are no entries: what a crash cut short, or somebody changed.
    pub damaged: usize,
    /// Whether the newest line is one of them.
    pub torn: bool,
}

impl Filter {
    fn wants(&self, entry: &Entry) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.pairing, &entry.pairing)
            && is(&self.service, &entry.service)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && self.phase.is_none_or(|phase| entry.phase == phase)
    }
}

impl Reading {
    /// Drops what is older than the wanted number of entries.
    fn keep(&mut self, filter: &Filter) {
        let surplus = filter.last.map_or(0, |last| self.entries.len().saturating_sub(last));
        self.entries.drain(..surplus);
    }
}

/// Reads the log and the older files beside it. It may be written meanwhile.
///
/// # Errors
/// When a file that is there cannot be read. A log that is not there has no entries.
pub fn read(path: &Path, filter: &Filter) -> io::Result<Reading> {
    let mut reading = Reading::default();
    let older = (1..=MAX_FILES).rev().map(|number| numbered(path, number));
    for path in older.chain([path.to_owned()]) {
        match File::open(&path) {
            Ok(file) => read_file(BufReader::new(file), filter, &mut reading)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    reading.keep(filter);
    Ok(reading)
}

fn read_file(mut lines: impl BufRead, filter: &Filter, reading: &mut Reading) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        if !whole {
            lines.skip_until(b'\n')?;
        }
        match serde_json::from_slice::<Entry>(&line) {
            Ok(entry) if whole => {
                reading.torn = false;
                if filter.wants(&entry) {
                    reading.entries.push(entry);
                }
            }
            _ => {
                reading.damaged += 1;
                reading.torn = true;
            }
        }
        // Twice as many as wanted before any is dropped, so that dropping costs little.
        if filter.last.is_some_and(|last| reading.entries.len() > 2 * last) {
            reading.keep(filter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::{Keep, Log};
    use super::*;

    fn entry(at: u64) -> Entry {
        Entry {
            at,
            phase: Phase::Done,
            pairing: format!("p{}", at % 2),
            name: "Alice's \"phone\"\n".to_owned(),
            method: "GET".to_owned(),
            service: "beacon".to_owned(),
            path: "/eth/v1/node/version".to_owned(),
            grant: "monitor".to_owned(),
            status: 200,
            bytes: 12,
        }
    }

    fn times(path: &Path, filter: &Filter) -> Vec<u64> {
        read(path, filter).unwrap().entries.iter().map(|entry| entry.at).collect()
    }

    #[test]
    fn entries_come_back_in_their_order_across_files_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let keep = Keep { max_bytes: 600, files: 2 };
        let mut log = Log::open(&path, keep).unwrap();
        for at in 0..20 {
            log.append(&entry(at), at % 5 == 0).unwrap();
        }
        let kept = times(&path, &Filter::default());
        assert_eq!(kept.last(), Some(&19));
        assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]) && kept.len() >= 6 && kept.len() < 20);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        for file in fs::read_dir(folder.path()).unwrap() {
            let metadata = file.unwrap().metadata().unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
            assert!(metadata.len() <= 600);
        }
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_told_and_spoils_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        Log::open(&path, Keep::default()).unwrap().append(&entry(1), true).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":2,\"pha").unwrap();
        let reading = read(&path, &Filter::default()).unwrap();
        assert_eq!((reading.entries.len(), reading.damaged, reading.torn), (1, 1, true));

        Log::open(&path, Keep::default()).unwrap().append(&entry(3), true).unwrap();
        let reading = read(&path, &Filter::default()).unwrap();
        assert_eq!((reading.entries.len(), reading.damaged, reading.torn), (2, 1, false));
    }

    #[test]
    fn a_filter_picks_by_pairing_time_phase_service_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut log = Log::open(&path, Keep::default()).unwrap();
        for at in 0..10 {
            log.append(&entry(at), false).unwrap();
        }
        let only = |filter: Filter| times(&path, &filter);
        assert_eq!(only(Filter { pairing: Some("p1".to_owned()), ..Filter::default() }), [1, 3, 5, 7, 9]);
        assert_eq!(only(Filter { since: Some(3), until: Some(5), ..Filter::default() }), [3, 4]);
        assert_eq!(only(Filter { last: Some(3), ..Filter::default() }), [7, 8, 9]);
        assert_eq!(only(Filter { last: Some(0), ..Filter::default() }), [0; 0]);
        assert_eq!(only(Filter { phase: Some(Phase::Begun), ..Filter::default() }), [0; 0]);
        assert_eq!(only(Filter { service: Some("metrics".to_owned()), ..Filter::default() }), [0; 0]);
    }

    #[test]
    fn a_log_that_is_not_there_is_empty_and_a_line_without_end_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        assert_eq!(read(&path, &Filter::default()).unwrap(), Reading::default());
        fs::write(&path, vec![b'x'; 1_000_000]).unwrap();
        assert_eq!(read(&path, &Filter::default()).unwrap().damaged, 1);
    }
}
