//! The last lines of a unit, from the journal.
//!
//! systemd's files are read by systemd's own program: their format is for it to know. It is started with arguments that
//! are fixed but for a checked name and a number, and what it prints is bounded.

use std::env;
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::config::UnitSpec;
use crate::error::Error;
use crate::log::{Line, Source, clean};

/// Most bytes that are read of lines, and of complaints.
const MAX_OUTPUT: u64 = 4 * 1024 * 1024;
const MAX_COMPLAINT: u64 = 4 * 1024;
/// Most bytes of text that are handed out.
const MAX_TEXT: usize = 1024 * 1024;
/// How long it may take.
const LIMIT: Duration = Duration::from_secs(20);

/// The last lines of a unit, oldest first.
pub(super) async fn last(program: &[OsString], unit: &UnitSpec, lines: usize) -> Result<Vec<Line>, Error> {
    let broken = |error: io::Error| Error::Journal(format!("journalctl: {error}"));
    let (output, complaint, is_success) = timeout(LIMIT, read(program, unit, lines))
        .await
        .map_err(|_| broken(io::ErrorKind::TimedOut.into()))?
        .map_err(broken)?;
    let lines = parse(&output, lines);
    // It says so and still ends well where it can read something, if only nothing of this unit.
    let is_denied =
        ["insufficient permissions", "not seeing messages"].iter().any(|text| complaint.contains(text));
    match (lines.is_empty(), is_success) {
        (true, _) if is_denied => Err(Error::JournalDenied),
        (true, false) => Err(Error::Journal(clean(complaint.trim_end().as_bytes()))),
        _ => Ok(lines),
    }
}

async fn read(program: &[OsString], unit: &UnitSpec, lines: usize) -> io::Result<(Vec<u8>, String, bool)> {
    let (program, first) = program.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    let option = if unit.user { "--user-unit" } else { "--unit" };
    command.args(first).arg(format!("{option}={}", unit.unit)).arg(format!("--lines={lines}"));
    // The newest first: when there is too much, the oldest are left out.
    command.args(["--reverse", "--output=json", "--output-fields=MESSAGE", "--all", "--no-pager"]);
    command
        .env_clear()
        .env("LC_ALL", "C")
        .env("PATH", env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, complaint) = tokio::join!(up_to(MAX_OUTPUT, stdout), up_to(MAX_COMPLAINT, stderr));
    // It may not have finished when enough was read; its pipes are closed, and so it ends.
    let is_success = child.wait().await?.success();
    Ok((output?, String::from_utf8_lossy(&complaint?).into_owned(), is_success))
}

async fn up_to(most: u64, pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// Lines of JSON, newest first, as lines of a log, oldest first. What is cut short or none of ours is left out.
fn parse(output: &[u8], most: usize) -> Vec<Line> {
    let mut room = MAX_TEXT;
    let entries = output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let lines = entries.filter_map(|entry: Value| {
        let at: u64 = entry.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()?;
        Some(Line { at: at / 1000, source: Source::Journal, text: message(entry.get("MESSAGE")?)? })
    });
    let fits = |line: &Line| {
        let left = room.checked_sub(line.text.len());
        room = left.unwrap_or_default();
        left.is_some()
    };
    let mut lines: Vec<_> = lines.take(most).take_while(fits).collect();
    lines.reverse();
    lines
}

/// A message is text, or a list of bytes where it is no UTF-8, or a list of several of these.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(clean(text.as_bytes())),
        Value::Array(items) if items.iter().all(Value::is_u64) => {
            let byte = |item: &Value| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            Some(clean(&items.iter().map(byte).collect::<Option<Vec<_>>>()?))
        }
        Value::Array(items) => items.first().and_then(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_of_every_form_are_read_and_the_rest_is_left_out() {
        let output = [
            json!({"__REALTIME_TIMESTAMP": "3000999", "MESSAGE": "three\u{1b}"}).to_string(),
            json!({"__REALTIME_TIMESTAMP": "2000000", "MESSAGE": [116, 255, 10]}).to_string(),
            json!({"__REALTIME_TIMESTAMP": "1500000", "MESSAGE": null}).to_string(),
            json!({"__REALTIME_TIMESTAMP": "1500000", "MESSAGE": [300]}).to_string(),
            json!({"__REALTIME_TIMESTAMP": 5, "MESSAGE": "no"}).to_string(),
            json!([1]).to_string(),
            json!({"__REALTIME_TIMESTAMP": "1000000", "MESSAGE": ["one", "uno"]}).to_string(),
            r#"{"__REALTIME_TIMESTAMP": "900000", "MESS"#.to_owned(),
        ];
        let lines = parse(output.join("\n").as_bytes(), 10);
        let found: Vec<_> = lines.iter().map(|line| (line.at, line.text.as_str())).collect();
        assert_eq!(found, [(1000, "one"), (2000, "t\u{fffd}\\u{a}"), (3000, "three\\u{1b}")]);
    }

    #[test]
    fn the_newest_are_handed_out_when_there_are_too_many() {
        let entry = |at: u64| json!({"__REALTIME_TIMESTAMP": at.to_string(), "MESSAGE": "x".repeat(8000)});
        let output: Vec<_> = (0..300).rev().map(|at| entry(at * 1000).to_string()).collect();
        let output = output.join("\n");
        let lines = parse(output.as_bytes(), 300);
        assert_eq!((lines.len(), lines.last().map(|line| line.at)), (MAX_TEXT / 8000, Some(299)));
        let lines = parse(output.as_bytes(), 2);
        assert_eq!(lines.iter().map(|line| line.at).collect::<Vec<_>>(), [298, 299]);
    }
}
