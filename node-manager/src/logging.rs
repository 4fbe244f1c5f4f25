//! Log lines, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::args::{Global, LogFormat};

/// Sets logging up. Commands for people are quiet unless told otherwise; a service is not.
pub(crate) fn start(global: &Global, default: LevelFilter) {
    let ours = global.log_level.unwrap_or(default);
    // Libraries may log what they carry; ours never do.
    let filter = Targets::new().with_default(ours.min(LevelFilter::WARN)).with_targets(
        ["node_manager", "waku", "waku_pairing", "waku_noise_session"].map(|target| (target, ours)),
    );
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    match global.log_format {
        LogFormat::Text => {
            tracing_subscriber::registry().with(lines.with_target(false).with_filter(filter)).init()
        }
        LogFormat::Json => tracing_subscriber::registry().with(lines.json().with_filter(filter)).init(),
    }
    // A panic is a bug of ours; a service logs it as one, in a line.
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "internal error")));
}
