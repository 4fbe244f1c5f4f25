//! One event, one line.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::alarming::calm;
use super::escape;
use super::severity::Severity;
use super::timestamp::Timestamp;

/// Characters that the message is filled up to, so that what follows stands in a column.
const MESSAGE_WIDTH: usize = 42;

/// Names that a JSON line has already. An event's field of such a name gets a `_` at its end.
const TAKEN: [&str; 6] = ["lvl", "ts", "msg", "topics", "tid", "file"];

/// What makes an event a notice or a fatal one, and is not shown.
const MARKS: [&str; 2] = ["notice", "fatal"];

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Formats events for a layer of `tracing_subscriber::fmt`.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    format: Format,
    now: fn() -> SystemTime,
}

impl Lines {
    /// Lines of this format, with the system's time.
    pub fn new(format: Format) -> Self {
        Self { format, now: SystemTime::now }
    }

    /// The same, with another clock.
    pub fn with_clock(self, now: fn() -> SystemTime) -> Self {
        Self { now, ..self }
    }

    fn line(self, event: &Event<'_>) -> String {
        let mut fields = Fields { format: self.format, message: String::new(), rest: String::new() };
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut file = String::new();
        if let (Some(path), Some(line)) = (metadata.file(), metadata.line()) {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            let _ = write!(file, "{name}:{line}");
        }
        let head = Head {
            lvl: Severity::of(metadata).tag(),
            ts: Timestamp((self.now)()),
            msg: &fields.message,
            topics: &metadata.target().replace("::", " "),
            tid: thread_number(),
            file: &file,
        };
        let mut line = String::with_capacity(256);
        match self.format {
            Format::Text => head.text(&mut line, &fields.rest),
            Format::Json => head.json(&mut line, &fields.rest),
        }
        calm(&mut line);
        line
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writeln!(writer, "{}", self.line(event))
    }
}

/// What a line has beside an event's fields.
struct Head<'a> {
    lvl: &'static str,
    ts: Timestamp,
    msg: &'a str,
    topics: &'a str,
    tid: u64,
    file: &'a str,
}

impl Head<'_> {
    fn text(&self, line: &mut String, fields: &str) {
        let mut message = String::new();
        escape::bare(&mut message, self.msg);
        let _ = write!(line, "{} {} {message:MESSAGE_WIDTH$} topics=", self.lvl, self.ts);
        escape::quoted(line, self.topics);
        let _ = write!(line, " tid={}", self.tid);
        if !self.file.is_empty() {
            line.push_str(" file=");
            escape::value(line, self.file);
        }
        line.push_str(fields);
    }

    fn json(&self, line: &mut String, fields: &str) {
        let _ = write!(line, "{{\"lvl\":\"{}\",\"ts\":\"{}\",\"msg\":", self.lvl, self.ts);
        escape::quoted(line, self.msg);
        line.push_str(",\"topics\":");
        escape::quoted(line, self.topics);
        let _ = write!(line, ",\"tid\":{}", self.tid);
        if !self.file.is_empty() {
            line.push_str(",\"file\":");
            escape::quoted(line, self.file);
        }
        line.push_str(fields);
        line.push('}');
    }
}

/// The message, and the other fields as they stand in the line.
struct Fields {
    format: Format,
    message: String,
    rest: String,
}

impl Fields {
    /// Writes a field's name, and says whether its value is to follow.
    fn name(&mut self, field: &Field) -> bool {
        let name = field.name().trim_start_matches("r#");
        if MARKS.contains(&name) {
            return false;
        }
        match self.format {
            Format::Text => {
                self.rest.push(' ');
                escape::value(&mut self.rest, name);
                self.rest.push('=');
            }
            Format::Json => {
                self.rest.push(',');
                let mark = if TAKEN.contains(&name) { "_" } else { "" };
                escape::quoted(&mut self.rest, &format!("{name}{mark}"));
                self.rest.push(':');
            }
        }
        true
    }

    /// A value that is a number or a boolean, in JSON too.
    fn plain(&mut self, field: &Field, value: &dyn fmt::Display) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value}");
        } else if self.name(field) {
            let _ = write!(self.rest, "{value}");
        }
    }

    fn string(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else if self.name(field) {
            match self.format {
                Format::Text => escape::value(&mut self.rest, value),
                Format::Json => escape::quoted(&mut self.rest, value),
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has neither infinity nor a number that is none.
        if value.is_finite() { self.plain(field, &value) } else { self.string(field, &value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.string(field, &format!("{value:?}"));
    }
}

/// The thread's number: 1 for the first that logs.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(0) };
    }
    // A thread that is ending has none any more.
    let number = NUMBER.try_with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    });
    number.unwrap_or(0)
}
