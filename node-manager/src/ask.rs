//! `app http`, `app events`, `app alerts` and `app watch`: asking a host through its address on this machine.

pub(crate) mod client;
mod view;

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::Value;

use crate::args::{AlertsArgs, EventsArgs, Global, HttpArgs, WatchArgs};
use crate::failure::{Failure, Kind};
use crate::show;
use crate::signals::Signals;
use crate::terminal::{print_line, tell_line};
use client::Asking;

/// The longest body that is given on the command line, in bytes.
const MAX_BODY: u64 = 16 << 20;

/// `app http`.
pub(crate) async fn http(global: &Global, args: HttpArgs) -> Result<(), Failure> {
    let body = args.body.as_deref().map(body).transpose()?.unwrap_or_default();
    let mut headers = Vec::new();
    for header in &args.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("{header:?} is no header: write NAME: VALUE")))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    headers.extend(args.key.map(|key| ("idempotency-key".to_owned(), key)));
    let mut signals = Signals::new()?;
    let asking = signals.unless_interrupted(Asking::open(global, &args.peer, &args.ask)).await??;
    let method = args.method.to_ascii_uppercase();
    let asked = async {
        let answer = asking.ask(&method, &args.path, &headers, body).await?;
        if args.include {
            tell_line(format_args!("{}", answer.status()));
            for (name, value) in answer.headers() {
                tell_line(format_args!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
            }
        }
        let status = answer.status();
        copy(answer).await?;
        Ok(status)
    };
    let asked: Result<_, Failure> = signals.unless_interrupted(asked).await.flatten();
    asking.close().await;
    match asked? {
        status if status.is_success() => Ok(()),
        status => Err(Failure::other(format!("the answer is {status}"))),
    }
}

/// Where a body comes from.
fn body(text: &str) -> Result<Bytes, Failure> {
    let read = |from: &mut dyn io::Read| {
        let mut bytes = Vec::new();
        from.take(MAX_BODY + 1).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = match text.strip_prefix('@') {
        Some(path) => std::fs::File::open(path)
            .and_then(|mut file| read(&mut file))
            .map_err(|error| Failure::usage(format!("cannot read {path}: {error}")))?,
        None if text == "-" => read(&mut io::stdin().lock())
            .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?,
        None => text.as_bytes().to_vec(),
    };
    if bytes.len() as u64 > MAX_BODY {
        return Err(Failure::usage("the body is longer than 16 MiB"));
    }
    Ok(bytes.into())
}

/// Writes an answer's body to standard output as it comes.
async fn copy(mut answer: Response<Incoming>) -> Result<(), Failure> {
    let mut ends_line = true;
    while let Some(frame) = answer.frame().await {
        let frame = frame.map_err(|error| Failure::other(format!("the answer broke off: {error}")))?;
        if let Ok(bytes) = frame.into_data() {
            ends_line = bytes.last().is_none_or(|last| *last == b'\n');
            if io::stdout().write_all(&bytes).is_err() {
                // Whoever read it has gone.
                return Ok(());
            }
        }
    }
    if !ends_line {
        print_line("");
    }
    Ok(())
}

/// `app events`.
pub(crate) async fn events(global: &Global, args: EventsArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let asking = signals.unless_interrupted(Asking::open(global, &args.peer, &args.ask)).await??;
    let told = async {
        let mut events = asking.events(&format!("/eth/v1/events?topics={}", args.topics.join(","))).await?;
        let mut left = args.count;
        while left != Some(0) {
            let (kind, data) = events.next().await?;
            print_line(format_args!("{kind} {data}"));
            left = left.map(|left| left - 1);
        }
        Ok(())
    };
    let told = signals.unless_interrupted(told).await.flatten();
    asking.close().await;
    told
}

/// `app alerts`.
pub(crate) async fn alerts(global: &Global, args: AlertsArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let asking = signals.unless_interrupted(Asking::open(global, &args.peer, &args.ask)).await??;
    let asked = signals.unless_interrupted(asking.json("/node-manager/v1/alerts")).await.flatten();
    asking.close().await;
    let alerts = asked?;
    if args.json {
        print_line(&alerts);
        return Ok(());
    }
    let raised = list(&alerts["raised"]);
    if raised.is_empty() {
        print_line("Nothing is wrong.");
    }
    for alert in raised {
        print_line(format_args!("{}  {}", show::minute(&alert["since"]), text(&alert["text"])));
        print_line(format_args!("    {}", text(&alert["runbook"])));
    }
    let log = list(&alerts["log"]);
    if !log.is_empty() {
        print_line("\nWhat was told:");
    }
    for entry in log {
        let (what, alert) = match &entry["raised"] {
            Value::Null => ("right again", &entry["cleared"]),
            alert => ("wrong", alert),
        };
        print_line(format_args!("{}  {what}: {}", show::minute(&entry["at"]), text(&alert["text"])));
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text of a host, for a terminal: what would steer it is left out.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// `app watch`.
pub(crate) async fn watch(global: &Global, args: WatchArgs) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let asking = signals.unless_interrupted(Asking::open(global, &args.peer, &args.ask)).await??;
    let watched = signals.unless_interrupted(view::watch(&asking)).await;
    asking.close().await;
    match watched {
        // Ctrl-C is how it is left.
        Err(Failure { kind: Kind::Interrupted, .. }) => Ok(()),
        watched => watched.flatten(),
    }
}

/// How long a pause between two attempts to be told of events is.
const AGAIN: Duration = Duration::from_secs(5);
