//! Everything our crates log, from TRACE up.

use std::fmt::{self, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::secret::Secret;

/// What our crates' targets begin with.
const OURS: [&str; 2] = ["waku", "node_manager"];

/// The lines logged since the start, by whatever thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// The process's log; all tests share it.
    pub(crate) fn start() -> Self {
        static LOG: LazyLock<Log> = LazyLock::new(|| {
            let log = Log::default();
            tracing_subscriber::registry().with(log.clone()).init();
            log
        });
        LOG.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no test fails while it holds the log").clone()
    }

    pub(crate) fn lines_with(&self, secret: &Secret) -> Vec<String> {
        self.lines().into_iter().filter(|line| secret.is_in(line)).collect()
    }

    /// Fails with the name of a secret and the line it stands in.
    pub(crate) fn assert_without(&self, secrets: &[Secret]) {
        for secret in secrets {
            let lines = self.lines_with(secret);
            assert!(lines.is_empty(), "{} was logged:\n{}", secret.name, lines.join("\n"));
        }
    }

    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        if OURS.iter().any(|ours| metadata.target().starts_with(ours)) {
            let mut line = Line(format!("{} {} {}", metadata.level(), metadata.target(), metadata.name()));
            record(&mut line);
            self.0.lock().expect("no test fails while it holds the log").push(line.0);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.note(attributes.metadata(), |line| attributes.record(line));
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(span) {
            self.note(span.metadata(), |line| values.record(line));
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.note(event.metadata(), |line| event.record(line));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        _ = write!(self.0, " {field}={value:?}");
    }
}
