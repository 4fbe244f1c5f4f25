//! The text that Prometheus reads at `/metrics`, with the names, labels and order that nwaku 0.38 has.
//!
//! `metrics.tsv` lists nwaku's families in their order, and at its end those of the store protocol before version 3 that
//! tools still ask for. A family is named once, in a constant, which does not compile unless the table has the name with this
//! type and this number of labels:
//!
//! ```
//! use waku_operator::metrics::{CounterFamily, Registry};
//!
//! const MESSAGES: CounterFamily<1> = CounterFamily::named("waku_node_messages");
//!
//! let registry = Registry::new(std::time::SystemTime::now());
//! registry.counter(MESSAGES, ["relay"]).increment();
//! assert!(registry.render().contains("\nwaku_node_messages_total{type=\"relay\"} 1.0\n"));
//! ```
//!
//! ```compile_fail
//! use waku_operator::metrics::CounterFamily;
//!
//! const MISSPELT: CounterFamily<1> = CounterFamily::named("waku_node_letters");
//! ```
//!
//! # What is shown
//!
//! HELP and TYPE of every family, always. A sample with use `Z` is there from the start, at 0.0; any other from the moment it
//! was first not 0, for tools that know nwaku take a 0 that is not in their list for a fault. `_created` is the start of the
//! registry, for all counters start with it.
//!
//! # Differences from nwaku
//!
//! - `nim_gc_*` has HELP and TYPE and never a sample; `nim_runtime_info` is absent: there is no such collector here.
//! - Label values are cut at 320 bytes, and a family has at most 64 sets of them (4,096 where shards or topics are among them,
//!   which the operator chooses); what is beyond counts as `other`. Peers choose some of them, such as agents.

mod label;
mod number;
mod process;
mod series;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

use self::number::Number;
use self::series::Series;
pub use self::series::{Counter, Gauge, Histogram};
pub use self::table::{CounterFamily, GaugeFamily, HistogramFamily};
use self::table::{FAMILIES, Family, Kind};

/// Said of a counter of ours that came without words of its own.
const OWN_HELP: &str = "Counted by this node.";

/// Why a counter of ours was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OwnCounterError {
    /// It would be exported under a name that is nwaku's.
    #[error("the name is exported with nwaku's meaning")]
    Taken,
    /// Prometheus allows letters, digits, `_` and `:`, with no digit in front.
    #[error("the name is none for Prometheus")]
    Invalid,
}

/// All that a node counts and measures. Shared by reference; handles keep counting from any thread.
#[derive(Debug)]
pub struct Registry {
    families: Vec<Mutex<Samples>>,
    own: Mutex<BTreeMap<&'static str, (&'static str, Arc<Series>)>>,
    /// Seconds since 1970.
    created: f64,
}

impl Registry {
    /// A registry at zero. `created` is what `_created` shows, usually the start of the program.
    pub fn new(created: SystemTime) -> Self {
        let created = created.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let families = FAMILIES.iter().map(|family| Mutex::new(Samples::at_start(family))).collect();
        Self { families, own: Mutex::default(), created }
    }

    /// The counter with these label values, in the order of `metrics.tsv`. A handle is cheaper than this search: keep it where
    /// much is counted.
    pub fn counter<const N: usize>(&self, family: CounterFamily<N>, labels: [&str; N]) -> Counter {
        Counter(self.series(family.row(), &labels))
    }

    /// The gauge with these label values.
    pub fn gauge<const N: usize>(&self, family: GaugeFamily<N>, labels: [&str; N]) -> Gauge {
        Gauge(self.series(family.row(), &labels))
    }

    /// The histogram with these label values.
    pub fn histogram<const N: usize>(&self, family: HistogramFamily<N>, labels: [&str; N]) -> Histogram {
        Histogram(self.series(family.row(), &labels))
    }

    /// Makes `values` all that the family has: what is not named is no longer shown, and what is named twice, or is beyond the
    /// family's bound and counts as `other`, is summed up. Handles taken before have no effect any more.
    pub fn replace<const N: usize, L: AsRef<str>>(
        &self,
        family: GaugeFamily<N>,
        values: impl IntoIterator<Item = ([L; N], f64)>,
    ) {
        let mut samples = Samples::at_start(family_at(family.row()));
        for (labels, value) in values {
            Gauge(samples.series(&labels.each_ref().map(AsRef::as_ref))).add(value);
        }
        *self.samples(family.row()) = samples;
    }

    /// A counter that nwaku does not have. It is shown after nwaku's, once it is not 0; `name` may end in `_total`, which is
    /// exported once. The same name again is the same counter, and keeps its first help.
    ///
    /// # Errors
    /// [`OwnCounterError`], where the name cannot be ours.
    pub fn own_counter(&self, name: &'static str, help: &'static str) -> Result<Counter, OwnCounterError> {
        let bare = name.strip_suffix("_total").unwrap_or(name);
        if !table::is_name(bare) {
            return Err(OwnCounterError::Invalid);
        }
        if table::is_taken(bare) {
            return Err(OwnCounterError::Taken);
        }
        let mut own = lock(&self.own);
        let (_, series) = own.entry(bare).or_insert_with(|| (help, Arc::new(Series::new(&[], false))));
        Ok(Counter(Arc::clone(series)))
    }

    /// Takes over counters of ours that are kept elsewhere. Those with a name of nwaku's are left out, for the meaning may be
    /// another: count them under their family.
    pub fn set_own_totals(&self, totals: impl IntoIterator<Item = (&'static str, u64)>) {
        for (name, total) in totals {
            if let Ok(counter) = self.own_counter(name, OWN_HELP) {
                counter.set_total(total);
            }
        }
    }

    /// The text for `/metrics`: `text/plain; version=0.0.4; charset=utf-8`. On Linux with the process's memory, CPU seconds and
    /// file descriptors as they are now.
    pub fn render(&self) -> String {
        let mut out = String::new();
        process::render(&mut out);
        for (family, samples) in FAMILIES.iter().zip(&self.families) {
            render_head(&mut out, &family.name, family.kind, &family.help);
            for (values, series) in &lock(samples).by_labels {
                if series.is_shown() {
                    let labels = label::text(&family.labels, values);
                    series.render(&mut out, &family.name, family.kind, &labels, self.created);
                }
            }
            out.push('\n');
        }
        for (name, (help, series)) in &*lock(&self.own) {
            render_head(&mut out, name, Kind::Counter, help);
            if series.is_shown() {
                series.render(&mut out, name, Kind::Counter, "", self.created);
            }
            out.push('\n');
        }
        out
    }

    fn series(&self, row: usize, labels: &[&str]) -> Arc<Series> {
        self.samples(row).series(labels)
    }

    fn samples(&self, row: usize) -> MutexGuard<'_, Samples> {
        lock(self.families.get(row).expect("a row comes from the table, and each row has its samples"))
    }
}

/// Every name under which samples of nwaku's families are exported, `_total`, `_bucket` and so on included.
pub fn sample_names() -> impl Iterator<Item = String> {
    FAMILIES.iter().flat_map(Family::sample_names).chain(process::NAMES.map(str::to_owned))
}

/// A family's samples by their label values.
#[derive(Debug)]
struct Samples {
    family: &'static Family,
    by_labels: BTreeMap<Vec<String>, Arc<Series>>,
}

impl Samples {
    fn at_start(family: &'static Family) -> Self {
        let mut samples = Self { family, by_labels: BTreeMap::new() };
        if family.is_zero_from_start() {
            let values = family.zero.iter().cloned().collect();
            samples.by_labels.insert(values, Arc::new(Series::new(&family.buckets, true)));
        }
        samples
    }

    fn series(&mut self, labels: &[&str]) -> Arc<Series> {
        let mut values: Vec<_> = labels.iter().map(|value| label::clean(value)).collect();
        if !self.by_labels.contains_key(&values) && self.by_labels.len() >= self.family.max_series() {
            values = vec![label::OTHER.to_owned(); labels.len()];
        }
        let new = || Arc::new(Series::new(&self.family.buckets, false));
        Arc::clone(self.by_labels.entry(values).or_insert_with(new))
    }
}

fn family_at(row: usize) -> &'static Family {
    FAMILIES.get(row).expect("a row comes from the table itself")
}

fn render_head(out: &mut String, name: &str, kind: Kind, help: &str) {
    let help = help.replace('\\', r"\\").replace('\n', r"\n");
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.word());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is half done in a map of counters when a thread ends: what is there is right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
