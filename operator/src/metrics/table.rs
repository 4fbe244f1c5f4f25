//! nwaku's families: `metrics.tsv`, read at run time for what it says, and by the compiler for its names.

use std::sync::LazyLock;

use super::process;

const TABLE: &str = include_str!("../../metrics.tsv");

/// Sets of label values a family keeps apart.
const MAX_SERIES: usize = 64;

/// The same for families by shard or topic: 1,024 shards, times the four kinds of `waku_relay_network_bytes`.
const MAX_SERIES_BY_SHARD: usize = 4096;

/// The families, in the order in which they are shown.
pub(super) static FAMILIES: LazyLock<Vec<Family>> = LazyLock::new(|| {
    let rows = TABLE.lines().skip(1);
    rows.map(|row| Family::parse(row).expect("metrics.tsv is part of the program, and tests read it"))
        .collect()
});

macro_rules! family {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name<const N: usize>(usize);

        impl<const N: usize> $name<N> {
            /// The family of this name in `metrics.tsv`, without `_total` and the like. For constants: it panics, so that it
            /// does not compile, unless the table has the name with this type and `N` labels.
            pub const fn named(name: &str) -> Self {
                Self(row_of(name, $kind, N))
            }

            pub(super) fn row(self) -> usize {
                self.0
            }
        }
    };
}

family!(
    /// A family of counters with `N` labels.
    CounterFamily,
    "counter"
);
family!(
    /// A family of gauges with `N` labels.
    GaugeFamily,
    "gauge"
);
family!(
    /// A family of histograms with `N` labels.
    HistogramFamily,
    "histogram"
);

/// What a family's samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Histogram].into_iter().find(|kind| kind.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// What is added to a family's name in the names of its samples.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Gauge => &[""],
            Self::Histogram => &["_sum", "_count", "_created", "_bucket"],
        }
    }
}

/// A row of `metrics.tsv`.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) labels: Vec<String>,
    /// Who asks for it: `Z` tools that want it at 0 on an idle node, `T` other tools, `D` the dashboard of nwaku-compose, `F`
    /// other dashboards.
    pub(super) uses: String,
    /// The label value of the sample that is there from the start, where it has a label.
    pub(super) zero: Option<String>,
    /// Upper bounds, ascending, without the last, infinity.
    pub(super) buckets: Vec<f64>,
    pub(super) help: String,
}

impl Family {
    fn parse(row: &str) -> Option<Self> {
        let mut columns = row.split('\t');
        let mut next = || columns.next();
        let name = next()?.to_owned();
        let kind = Kind::parse(next()?)?;
        let labels = next()?.split(',').filter(|label| !label.is_empty()).map(str::to_owned).collect();
        let uses = next()?.to_owned();
        let zero = next().filter(|value| !value.is_empty()).map(str::to_owned);
        let buckets = next()?.split_whitespace().map(|bound| bound.parse().ok()).collect::<Option<_>>()?;
        Some(Self { name, kind, labels, uses, zero, buckets, help: next()?.to_owned() })
    }

    pub(super) fn is_zero_from_start(&self) -> bool {
        self.uses.contains('Z')
    }

    pub(super) fn max_series(&self) -> usize {
        let by_shard = self.labels.iter().any(|label| label == "shard" || label == "topic");
        if by_shard { MAX_SERIES_BY_SHARD } else { MAX_SERIES }
    }

    pub(super) fn sample_names(&self) -> impl Iterator<Item = String> {
        self.kind.endings().iter().map(|ending| format!("{}{ending}", self.name))
    }
}

/// Whether a counter `bare` of ours would share a name with a family of nwaku's, in HELP and TYPE or in its samples.
pub(super) fn is_taken(bare: &str) -> bool {
    let is_theirs = |name: &str| {
        let process = process::NAMES.contains(&name) || name == process::HEAD;
        process
            || FAMILIES
                .iter()
                .any(|family| family.name == name || family.sample_names().any(|theirs| theirs == name))
    };
    is_theirs(bare) || Kind::Counter.endings().iter().any(|ending| is_theirs(&format!("{bare}{ending}")))
}

/// Whether Prometheus takes it for a metric's name.
pub(super) fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(is_part) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// The row of the family, counted from 0. Panics if there is none, or of another type, or with another number of labels.
const fn row_of(name: &str, kind: &str, labels: usize) -> usize {
    let mut rest = TABLE.as_bytes();
    let mut row = 0;
    // The first line, which is left behind at once, is the header.
    while let Some(line) = next_line(rest) {
        if let Some(columns) = after_cell(line, name.as_bytes()) {
            match after_cell(columns, kind.as_bytes()) {
                Some(columns) if label_count(columns) == labels => return row,
                Some(_) => panic!("in metrics.tsv the family has another number of labels"),
                None => panic!("in metrics.tsv the family is of another type"),
            }
        }
        rest = line;
        row += 1;
    }
    panic!("metrics.tsv has no family of this name")
}

/// What follows the next end of a line, if anything does.
const fn next_line(mut text: &[u8]) -> Option<&[u8]> {
    while let [first, rest @ ..] = text {
        if *first == b'\n' && !rest.is_empty() {
            return Some(rest);
        }
        text = rest;
    }
    None
}

/// What follows the first column of `line`, if that is `cell`.
const fn after_cell<'a>(mut line: &'a [u8], mut cell: &[u8]) -> Option<&'a [u8]> {
    while let [wanted, more @ ..] = cell {
        match line {
            [byte, rest @ ..] if *byte == *wanted => line = rest,
            _ => return None,
        }
        cell = more;
    }
    match line {
        [b'\t', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// How many names the first of `columns` has, with commas between.
const fn label_count(mut columns: &[u8]) -> usize {
    let mut count = 0;
    let mut in_name = false;
    while let [byte, rest @ ..] = columns {
        match *byte {
            b'\t' => break,
            b',' => in_name = false,
            _ if !in_name => {
                in_name = true;
                count += 1;
            }
            _ => {}
        }
        columns = rest;
    }
    count
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::label;

    #[test]
    fn every_row_has_seven_columns_and_makes_sense() {
        for row in TABLE.lines() {
            assert_eq!(row.split('\t').count(), 7, "{row}");
        }
        for family in FAMILIES.iter() {
            assert!(is_name(&family.name), "{}", family.name);
            assert!(!family.help.is_empty(), "{}", family.name);
            assert!(family.uses.chars().all(|one| "ZTDF".contains(one)), "{}", family.name);
            assert_eq!(family.buckets.is_empty(), family.kind != Kind::Histogram, "{}", family.name);
            assert!(family.buckets.is_sorted_by(|a, b| a < b), "{}", family.name);
            assert!(family.zero.iter().all(|value| label::clean(value) == *value), "{}", family.name);
            if family.is_zero_from_start() {
                assert_eq!(family.zero.iter().count(), family.labels.len(), "{}", family.name);
            }
        }
    }

    #[test]
    fn no_two_families_share_a_sample_name() {
        let mut seen = HashSet::new();
        let names = FAMILIES.iter().flat_map(Family::sample_names).chain(process::NAMES.map(str::to_owned));
        let twice: Vec<_> = names.filter(|name| !seen.insert(name.clone())).collect();
        assert_eq!(twice, Vec::<String>::new());
    }

    #[test]
    fn the_compilers_rows_are_those_of_the_table() {
        for (row, family) in FAMILIES.iter().enumerate() {
            assert_eq!(row_of(&family.name, family.kind.word(), family.labels.len()), row, "{}", family.name);
        }
    }

    #[test]
    #[should_panic(expected = "no family of this name")]
    fn refuses_a_name_that_only_begins_like_a_family() {
        row_of("waku_node_message", "counter", 1);
    }

    #[test]
    #[should_panic(expected = "another type")]
    fn refuses_a_family_of_another_type() {
        row_of("waku_node_messages", "gauge", 1);
    }

    #[test]
    #[should_panic(expected = "another number of labels")]
    fn refuses_a_family_with_other_labels() {
        row_of("waku_node_messages", "counter", 2);
    }
}
