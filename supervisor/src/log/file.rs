//! The file of a service's log: a line each, with its time and source, and one older file beside it.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::warn;

use super::line::{Line, Source, clean};

/// Bytes after which another file is begun.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Bytes of the newest file that are read at the start.
const READ_BACK: u64 = 512 * 1024;

/// The file at work. One process writes it.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    len: u64,
    budget: Budget,
    /// Lines that were not written since the last one that was.
    missing: u64,
}

impl LogFile {
    /// Opens or makes the file, for its owner alone, with the last lines of it.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Line>)> {
        let (file, len) = open(path)?;
        let mut lines = last_lines(&file, len)?;
        if lines.is_empty() {
            match File::open(older(path)) {
                Ok(file) => lines = last_lines(&file, file.metadata()?.len())?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let budget = Budget::full(Instant::now());
        Ok((Self { path: path.to_owned(), file, len, budget, missing: 0 }, lines))
    }

    /// Writes lines. Those that the budget or the disk does not take are counted, and the count is written when it can.
    pub(super) fn append(&mut self, lines: &[Line]) {
        let missing_before = self.missing;
        let mut text = String::new();
        for line in lines {
            let before = text.len();
            if self.missing > 0 {
                push(
                    &mut text,
                    &Line { text: missing(self.missing), source: Source::Supervisor, at: line.at },
                );
            }
            push(&mut text, line);
            if self.budget.take(text.len() - before, Instant::now()) {
                self.missing = 0;
            } else {
                text.truncate(before);
                self.missing += 1;
            }
        }
        if let Err(error) = self.write(text.as_bytes()) {
            if missing_before == 0 {
                warn!(path = %self.path.display(), %error, "the log of a service cannot be written");
            }
            self.missing = missing_before + lines.len() as u64;
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + text.len() as u64 > MAX_FILE {
            fs::rename(&self.path, older(&self.path))?;
            (self.file, self.len) = open(&self.path)?;
        }
        let written = self.file.write_all(text);
        // Part of a line may be there after a failure: count what is there, and end it.
        if written.is_err() {
            _ = self.file.write_all(b"\n");
        }
        self.len = self.file.metadata()?.len();
        written
    }
}

fn missing(lines: u64) -> String {
    format!("{lines} lines are not in this file: too many, or the disk was full")
}

fn older(path: &Path) -> PathBuf {
    path.with_extension("log.1")
}

/// Appends to the file at a path, which has to be a plain file and no link.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).append(true).create(true).mode(0o600).custom_flags(no_follow).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    let mut len = metadata.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    // A line that a crash cut short is ended, so that the next is whole.
    if last != *b"\n" {
        file.write_all(b"\n")?;
        len += 1;
    }
    Ok((file, len))
}

fn last_lines(mut file: &File, len: u64) -> io::Result<Vec<Line>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(len.saturating_sub(READ_BACK)))?;
    file.take(READ_BACK).read_to_end(&mut bytes)?;
    // Where the first line is not whole, it does not parse.
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

fn push(text: &mut String, line: &Line) {
    // Writing to a string does not fail.
    _ = writeln!(text, "{} {} {}", line.at, line.source.word(), line.text);
}

fn parse(line: &[u8]) -> Option<Line> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut word = || str::from_utf8(parts.next()?).ok();
    let (at, source) = (word()?.parse().ok()?, Source::of_word(word()?)?);
    Some(Line { at, source, text: clean(parts.next()?) })
}

/// How much may be written: a lot at once, little for long. A service that writes without end wears no disk down.
struct Budget {
    left: u64,
    at: Instant,
}

impl Budget {
    const MOST: u64 = 16 * 1024 * 1024;
    const PER_SECOND: u64 = 64 * 1024;

    fn full(now: Instant) -> Self {
        Self { left: Self::MOST, at: now }
    }

    fn take(&mut self, bytes: usize, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs();
        self.at += Duration::from_secs(passed);
        self.left = self.left.saturating_add(passed.saturating_mul(Self::PER_SECOND)).min(Self::MOST);
        let rest = self.left.checked_sub(bytes as u64);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn line(text: &str) -> Line {
        Line { at: 7, source: Source::Err, text: text.to_owned() }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_written_is_read_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (mut file, lines) = LogFile::open(&path).unwrap();
        assert!(lines.is_empty());
        file.append(&[line("one"), line(""), line("a b  c")]);
        assert_eq!(mode(&path), 0o600);
        let (_, lines) = LogFile::open(&path).unwrap();
        assert_eq!(lines, [line("one"), line(""), line("a b  c")]);
    }

    #[test]
    fn files_do_not_grow_and_there_are_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (mut file, _) = LogFile::open(&path).unwrap();
        let text = "x".repeat(8000);
        let lines: Vec<_> = (0..100).map(|_| line(&text)).collect();
        for _ in 0..15 {
            file.append(&lines);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        for path in [&path, &older(&path)] {
            let len = fs::metadata(path).unwrap().len();
            assert!(len > 0 && len <= MAX_FILE, "{}: {len}", path.display());
            assert_eq!(mode(path), 0o600);
        }
    }

    #[test]
    fn a_line_cut_by_a_crash_hurts_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        fs::write(&path, "7 err one\n\x1b[2J rubbish\n7 err tw").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let (mut file, lines) = LogFile::open(&path).unwrap();
        assert_eq!(lines, [line("one"), line("tw")]);
        assert_eq!(mode(&path), 0o600);
        file.append(&[line("three")]);
        assert!(fs::read_to_string(&path).unwrap().ends_with("\n7 err tw\n7 err three\n"));
    }

    #[test]
    fn a_link_in_the_place_of_a_log_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(LogFile::open(&path).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn what_is_written_without_end_is_counted_and_not_kept() {
        let start = Instant::now();
        let mut budget = Budget::full(start);
        assert!(budget.take(16 * 1024 * 1024, start) && !budget.take(1, start));
        let later = start + Duration::from_secs(1);
        assert!(budget.take(64 * 1024, later) && !budget.take(1, later));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let (mut file, _) = LogFile::open(&path).unwrap();
        file.budget.left = 30;
        file.append(&[line("one"), line(&"x".repeat(2000)), line("y")]);
        assert_eq!((file.missing, fs::read_to_string(&path).unwrap().as_str()), (2, "7 err one\n"));
        file.budget.left = 1000;
        file.append(&[line("two")]);
        let (text, expected) = (fs::read_to_string(&path).unwrap(), missing(2));
        assert_eq!(text, format!("7 err one\n7 supervisor {expected}\n7 err two\n"));
    }
}
