//! Telling the steps of the demo as they happen.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::failure::{Failure, Kind};
use crate::terminal::{print_line, tell, tell_line};

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The teller.
pub(super) struct Story {
    json: bool,
    started: Instant,
    count: u32,
    /// The step just told, which a detail may still be added to.
    last: Option<Value>,
}

impl Story {
    pub(super) fn begin(json: bool) -> Self {
        Self { json, started: Instant::now(), count: 0, last: None }
    }

    /// Tells a step and waits for it to hold.
    pub(super) async fn step<T>(
        &mut self,
        name: &str,
        text: &str,
        action: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.flush();
        if !self.json {
            tell(format_args!("{:3}. {text}…", self.count + 1));
        }
        let started = Instant::now();
        let result = timeout(PATIENCE, action).await.unwrap_or_else(|_| {
            Err(Failure::new(
                Kind::Timeout,
                format!("{name}: nothing came of it within {} s", PATIENCE.as_secs()),
            ))
        });
        self.tell(name, text, started.elapsed(), result.as_ref().err());
        result
    }

    /// Tells something that has to be true.
    pub(super) fn check(&mut self, name: &str, text: &str, holds: bool) -> Result<(), Failure> {
        self.flush();
        if !self.json {
            tell(format_args!("{:3}. {text}…", self.count + 1));
        }
        let result = if holds { Ok(()) } else { Err(Failure::other(format!("{name}: it is not so"))) };
        self.tell(name, text, Duration::ZERO, result.as_ref().err());
        result
    }

    /// Adds facts to the step just told.
    pub(super) fn detail(&mut self, detail: &Value) {
        match self.last.as_mut().and_then(Value::as_object_mut) {
            Some(fields) => _ = fields.insert("detail".to_owned(), detail.clone()),
            None => tell_line(format_args!("       {}", readable(detail))),
        }
    }

    pub(super) fn end(mut self, told: &Result<(), Failure>) {
        self.flush();
        let seconds = self.started.elapsed().as_secs_f64();
        if self.json {
            let end = json!({ "step": "end", "ok": told.is_ok(), "steps": self.count, "seconds": seconds });
            print_line(end);
        } else if told.is_ok() {
            tell_line(format_args!("\nAll {} steps held, in {seconds:.1} s.", self.count));
        }
    }

    fn tell(&mut self, name: &str, text: &str, took: Duration, failure: Option<&Failure>) {
        self.count += 1;
        if self.json {
            let mut step = json!({
                "step": name, "ok": failure.is_none(), "text": text, "seconds": took.as_secs_f64(),
            });
            if let (Some(failure), Some(fields)) = (failure, step.as_object_mut()) {
                fields.insert("error".to_owned(), json!(failure.message));
            }
            self.last = Some(step);
        } else {
            let verdict = if failure.is_none() { "ok" } else { "FAILED" };
            tell_line(format_args!(" {verdict} ({:.0} ms)", took.as_secs_f64() * 1e3));
        }
    }

    fn flush(&mut self) {
        if let Some(step) = self.last.take() {
            print_line(step);
        }
    }
}

fn readable(detail: &Value) -> String {
    let Some(fields) = detail.as_object() else { return detail.to_string() };
    let field = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) if number.is_f64() => format!("{:.1}", number.as_f64().unwrap_or_default()),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ")
            }
            value => value.to_string(),
        };
        format!("{}: {value}", name.replace('_', " "))
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}
