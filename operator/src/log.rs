//! Log lines as nwaku writes them, as text or as JSON, and a level that can be changed while the program runs.
//!
//! ```text
//! INF 2026-11-21 04:03:19.587+00:00 Node setup complete                        topics="waku node" tid=1 file=node.rs:88 peers=3
//! {"lvl":"INF","ts":"2026-11-21 04:03:19.587+00:00","msg":"Node setup complete","topics":"waku node","tid":1,"file":"node.rs:88","peers":3}
//! ```
//!
//! `topics` is the event's target, `tid` a number of the thread (1 is the first that logged), `file` where the event is in the
//! source. The severities that `tracing` does not have are of the event's callsite: one of tracing's level INFO with a field
//! `notice`, whatever its value, is `NTC`; one of level ERROR with a field `fatal` is `FAT`. Neither field is shown.
//!
//! ```
//! tracing::info!(notice = true, "the certificate has changed");
//! ```
//!
//! # No alarm without a fire
//!
//! Test harnesses of the network search whatever a node logs, in any case, for words that tell of a process that died; see
//! [`ALARMING`] for them. Libraries say such words of ordinary things ("connection aborted", "stream terminated"), and peers
//! can put them into an agent or an address. So these words are broken by a hyphen ("abo-rted") wherever in a line they come
//! from: message, key, value, target or file name. What is really wrong is told by the level, `ERR` or `FAT`. The program's
//! own last words, should it die, do not pass through here.
//!
//! # What strangers wrote
//!
//! Values are escaped so that a line stays one line and does nothing to a terminal, quoted where they could be taken for more
//! than one value, and cut at 4,096 bytes. Only this project's own targets follow the level: libraries show no more than `WRN`,
//! for what they say below shows message contents.
//!
//! # Differences from nwaku
//!
//! In JSON, `ts` is quoted, so that the lines are JSON.

mod alarming;
mod escape;
mod level;
mod line;
mod severity;
mod timestamp;

use tracing::Subscriber;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

pub use self::alarming::ALARMING;
pub use self::level::Level;
pub use self::line::{Format, Lines};
pub use self::severity::{ParseSeverityError, Severity};

/// A subscriber that writes lines to `writer`, from `level` up. nwaku writes to standard output.
pub fn subscriber<W>(format: Format, level: &Level, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_ansi(false).with_writer(writer).event_format(Lines::new(format));
    registry().with(level.clone()).with(lines)
}

#[cfg(test)]
mod tests;
