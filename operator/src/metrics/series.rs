//! One counter, gauge or histogram, and the handles to it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Number;
use super::table::Kind;

/// The numbers of one set of label values.
#[derive(Debug)]
pub(super) struct Series {
    /// A counter's total, or the bits of a gauge's value or of a histogram's sum.
    value: AtomicU64,
    /// How many were observed up to each bound and above the bound before, the last without a bound. Empty but in histograms.
    buckets: Box<[(f64, AtomicU64)]>,
    /// Whether it was ever not 0, or is to be seen from the start.
    shown: AtomicBool,
}

impl Series {
    /// A series at 0, `shown` from the start or not before it is something else.
    pub(super) fn new(bounds: &[f64], shown: bool) -> Self {
        let infinity = bounds.last().map(|_| f64::INFINITY);
        let buckets =
            bounds.iter().copied().chain(infinity).map(|bound| (bound, AtomicU64::new(0))).collect();
        Self { value: AtomicU64::new(0), buckets, shown: AtomicBool::new(shown) }
    }

    pub(super) fn is_shown(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    fn show(&self) {
        self.shown.store(true, Ordering::Relaxed);
    }

    fn float(&self) -> f64 {
        f64::from_bits(self.value.load(Ordering::Relaxed))
    }

    fn add_float(&self, n: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + n).to_bits());
        // The closure never declines.
        let _ = self.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }

    /// The lines of the series. `labels` is empty or in braces; `created` in seconds since 1970.
    pub(super) fn render(&self, out: &mut String, name: &str, kind: Kind, labels: &str, created: f64) {
        let created = Number(created);
        let _ = match kind {
            Kind::Counter => {
                let total = self.value.load(Ordering::Relaxed);
                write!(out, "{name}_total{labels} {total}.0\n{name}_created{labels} {created}\n")
            }
            Kind::Gauge => writeln!(out, "{name}{labels} {}", Number(self.float())),
            Kind::Histogram => {
                let mut count = 0;
                let mut lines = String::new();
                let within = labels.trim_start_matches('{').trim_end_matches('}');
                let comma = if within.is_empty() { "" } else { "," };
                for (bound, observed) in &self.buckets {
                    count += observed.load(Ordering::Relaxed);
                    let _ = writeln!(
                        lines,
                        "{name}_bucket{{{within}{comma}le=\"{}\"}} {count}.0",
                        Number(*bound)
                    );
                }
                // The count is that of the buckets just read, so that the two always agree.
                write!(
                    out,
                    "{name}_sum{labels} {}\n{name}_count{labels} {count}.0\n{name}_created{labels} {created}\n{lines}",
                    Number(self.float()),
                )
            }
        };
    }
}

/// A number that only grows.
#[derive(Debug, Clone)]
pub struct Counter(pub(super) Arc<Series>);

impl Counter {
    /// Counts one more.
    pub fn increment(&self) {
        self.inc_by(1);
    }

    /// Counts `n` more.
    pub fn inc_by(&self, n: u64) {
        if n > 0 {
            self.0.value.fetch_add(n, Ordering::Relaxed);
            self.0.show();
        }
    }

    /// Takes over the total of a counter that is kept elsewhere. It never goes back, however such calls overtake each other.
    pub fn set_total(&self, total: u64) {
        if total > 0 {
            self.0.value.fetch_max(total, Ordering::Relaxed);
            self.0.show();
        }
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(pub(super) Arc<Series>);

impl Gauge {
    /// It is `value` now.
    pub fn set(&self, value: f64) {
        self.0.value.store(value.to_bits(), Ordering::Relaxed);
        if value != 0.0 {
            self.0.show();
        }
    }

    /// It is `n` more, or less, than it was.
    pub fn add(&self, n: f64) {
        if n != 0.0 {
            self.0.add_float(n);
            self.0.show();
        }
    }
}

/// How often values were how large.
#[derive(Debug, Clone)]
pub struct Histogram(pub(super) Arc<Series>);

impl Histogram {
    /// Counts `value`, in the unit of the family. What is no finite number is left out.
    pub fn observe(&self, value: f64) {
        let Some((_, bucket)) = self.0.buckets.iter().find(|(bound, _)| value <= *bound) else { return };
        if value.is_finite() {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.0.add_float(value);
            self.0.show();
        }
    }
}
