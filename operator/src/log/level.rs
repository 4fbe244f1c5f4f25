//! The level, and the layer that keeps to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Severity;

/// The crates that follow the level: what their targets begin with.
const OURS: [&str; 5] = ["waku", "waku_node", "waku_archive", "waku_discovery", "waku_operator"];

/// The most that others show.
const OTHERS: Severity = Severity::Warn;

/// The least severity that is shown. Clones are the same level; as a layer of a subscriber it keeps the subscriber to it.
#[derive(Debug, Clone)]
pub struct Level(Arc<AtomicU8>);

impl Level {
    /// A level that is `severity` until it is set.
    pub fn new(severity: Severity) -> Self {
        Self(Arc::new(AtomicU8::new(severity as u8)))
    }

    /// The level as it is.
    pub fn get(&self) -> Severity {
        Severity::from_number(self.0.load(Ordering::Relaxed))
    }

    /// From the return on, nothing below `severity` is shown.
    pub fn set(&self, severity: Severity) {
        self.0.store(severity as u8, Ordering::Relaxed);
        // Callsites remember whether anybody wants them.
        tracing::callsite::rebuild_interest_cache();
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        let least = if is_ours(metadata.target()) { self.get() } else { self.get().max(OTHERS) };
        Severity::of(metadata) >= least
    }
}

fn is_ours(target: &str) -> bool {
    let name = target.split_once("::").map_or(target, |(name, _)| name);
    OURS.contains(&name)
}

impl<S: Subscriber> Layer<S> for Level {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.shows(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.shows(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.get() {
            Severity::Trace => LevelFilter::TRACE,
            Severity::Debug => LevelFilter::DEBUG,
            Severity::Info | Severity::Notice => LevelFilter::INFO,
            Severity::Warn => LevelFilter::WARN,
            Severity::Error | Severity::Fatal => LevelFilter::ERROR,
            Severity::None => LevelFilter::OFF,
        })
    }
}
